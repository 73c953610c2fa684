"""What an annotation says at one point, and which points of a photo are asked about.

`truth_at` gathers everything that claims can be held against: kinds, box, parts, named points and the other things of
the photo. What the annotation does not tell is None, never a guess. Leaves out the judging itself: checking.py.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from talkingpoints.evaluation.truth.annotations import VOC_NAMES, AnnotatedPhoto, Item, Named
from talkingpoints.evaluation.truth.vocabulary import vocabulary
from talkingpoints.writer.scene import Box

NEAR_PART = 0.06
"""Of the object's longer side: named points this near to the point are parts that it may be called by."""
VOC_VOID = 255
WHOLE_BY_PARTS = ("car", "person")
"""Kinds of which a photo of parts shows one, whose box is the box around its parts."""
WORN = ("garment", "bag", "accessories")


@dataclass(frozen=True)
class Place:
    """A point that is asked about.

    Attributes:
        point: Unit point (x, y).
        item: Index of the item that it is on, None for an arbitrary point.
        named: Index of the item's named point that it is, or None.
    """

    point: tuple[float, float]
    item: int | None = None
    named: int | None = None


@dataclass(frozen=True, eq=False)
class PointTruth:
    """What an annotation says at a point.

    Attributes:
        point: Unit point (x, y).
        size: (height, width) of the photo in pixels.
        pixels: The photo, uint8 (height, width, 3).
        kinds: What the thing or stuff there may truly be called; empty for background that has no name, None where
            the annotation does not tell.
        box: Of the thing there, or None.
        peers: Boxes of the photo's other things of its kind.
        parts: (part, side) that the point may be called by, side "" where it has none or none is told; None where no
            part is annotated.
        named: Named points of the thing.
        things: Kinds and box of everything in the photo that is no part.
        complete: Kinds of which everything in the photo is annotated.
    """

    point: tuple[float, float]
    size: tuple[int, int]
    pixels: NDArray[np.uint8]
    kinds: frozenset[str] | None
    box: Box | None = None
    peers: tuple[Box, ...] = ()
    parts: frozenset[tuple[str, str]] | None = None
    named: tuple[Named, ...] = ()
    things: tuple[tuple[frozenset[str], Box], ...] = ()
    complete: frozenset[str] = frozenset()

    def longer_side(self) -> float:
        """Of the thing's box, in pixels; of the photo without one."""
        x0, y0, x1, y1 = self.box or (0.0, 0.0, 1.0, 1.0)
        return max((x1 - x0) * self.size[1], (y1 - y0) * self.size[0], 1.0)

    def distance(self, named: Named) -> float:
        """From the point to a named one, in longer sides of the thing."""
        height, width = self.size
        return math.hypot((named.x - self.point[0]) * width, (named.y - self.point[1]) * height) / self.longer_side()


def truth_at(photo: AnnotatedPhoto, place: Place) -> PointTruth:
    """Gather what the annotation says at a point.

    Args:
        photo: The annotated photo.
        place: The point; with its item if it was drawn from one.
    """
    words = vocabulary()
    item = None if place.item is None else photo.items[place.item]
    kinds = item.kinds if item is not None else _kinds_at(photo, place.point)
    if item is None and kinds:
        item = _thing_at(photo, place.point, kinds)
    elif item is not None and item.part:
        kinds = words.widened(kinds or ())
    things = tuple((thing.kinds, thing.box) for thing in photo.items if not thing.part)
    complete = photo.complete
    if photo.classes is not None:
        complete |= words.widened(VOC_NAMES[1:])
    truth = PointTruth(
        place.point, photo.size, photo.pixels, kinds,
        box=None if item is None else _whole_box(photo, item),
        peers=() if item is None else _peers(photo, item),
        named=() if item is None else _owner(photo, item).named,
        things=things, complete=complete,
    )  # fmt: skip
    return PointTruth(**{**vars(truth), "parts": _parts(photo, item, place, truth)})


def places_of(photo: AnnotatedPhoto, rng: random.Random, number: int) -> list[Place]:
    """Draw points that the annotation knows: named points, else the inside of items; as many as there are, at most
    `number`, of different items where it can."""
    found: list[Place] = []
    order = list(range(len(photo.items)))
    rng.shuffle(order)
    for index in order:
        item = photo.items[index]
        if item.named:
            named = list(range(len(item.named)))
            rng.shuffle(named)
            found += [Place((item.named[i].x, item.named[i].y), index, i) for i in named]
        elif photo.items[index].owner is None or not photo.items[index].part:
            inner = inner_point(photo, item)
            if inner is not None:
                found.append(Place(inner, index))
        if len(found) >= number and not item.named:
            break
    rng.shuffle(found)
    return found[:number]


def inner_point(photo: AnnotatedPhoto, item: Item) -> tuple[float, float] | None:
    """The annotation's own inner point, else the pixel furthest from the item's outline, else its box's centre."""
    if item.inner is not None:
        return item.inner
    mask = photo.mask(item)
    if mask is None or not mask.any():
        x0, y0, x1, y1 = item.box
        return (x0 + x1) / 2, (y0 + y1) / 2
    depth = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(int(depth.argmax()), depth.shape)
    return (float(column) + 0.5) / mask.shape[1], (float(row) + 0.5) / mask.shape[0]


def _peers(photo: AnnotatedPhoto, item: Item) -> tuple[Box, ...]:
    own = _owner(photo, item)
    return tuple(o.box for o in photo.items if o is not own and o.kind == own.kind and not o.part)


def _owner(photo: AnnotatedPhoto, item: Item) -> Item:
    return item if item.owner is None else photo.items[item.owner]


def _whole_box(photo: AnnotatedPhoto, item: Item) -> Box | None:
    """Box of the thing that an item is or is a part of, None where it is not known."""
    if item.owner is not None or not item.part:
        return _owner(photo, item).box
    if item.kind not in WHOLE_BY_PARTS:
        return None
    boxes = np.array([other.box for other in photo.items if other.kind == item.kind])
    x0, y0 = boxes[:, :2].min(axis=0).tolist()
    x1, y1 = boxes[:, 2:].max(axis=0).tolist()
    return (x0, y0, x1, y1)


def _pixel(photo: AnnotatedPhoto, point: tuple[float, float]) -> tuple[int, int]:
    height, width = photo.size
    return min(int(point[1] * height), height - 1), min(int(point[0] * width), width - 1)


def _kinds_at(photo: AnnotatedPhoto, point: tuple[float, float]) -> frozenset[str] | None:
    """Kinds at a point that was drawn from no item."""
    words = vocabulary()
    at = _pixel(photo, point)
    if photo.ids is not None:
        segment = int(photo.ids[at])
        found = [item.kinds for item in photo.items if item.segment == segment]
        return found[0] if found else None
    if photo.classes is not None:
        value = int(photo.classes[at])
        return None if value == VOC_VOID else words.widened([VOC_NAMES[value]]) if value else frozenset()
    masks = [(item.kinds, photo.mask(item)) for item in photo.items]
    inside = [kinds for kinds, mask in masks if mask is not None and mask[at]]
    if inside:
        return frozenset[str]().union(*inside)
    outside = not any(_within(item.box, point) for item in photo.items if not item.part)
    return frozenset() if outside and photo.items else None


def _within(box: Box, point: tuple[float, float]) -> bool:
    return box[0] <= point[0] <= box[2] and box[1] <= point[1] <= box[3]


def _thing_at(photo: AnnotatedPhoto, point: tuple[float, float], kinds: frozenset[str]) -> Item | None:
    """The one thing of these kinds whose box holds the point; None where there is none or more than one."""
    found = [i for i in photo.items if not i.part and i.kind in kinds and _within(i.box, point)]
    if photo.ids is not None:
        segment = int(photo.ids[_pixel(photo, point)])
        found = [item for item in found if item.segment == segment]
    return found[0] if len(found) == 1 else None


def _parts(
    photo: AnnotatedPhoto, item: Item | None, place: Place, truth: PointTruth
) -> frozenset[tuple[str, str]] | None:
    """Of an arbitrary point the parts whose boxes hold it and the two nearest named points."""
    if item is None:
        return None
    owner = _owner(photo, item)
    if item.part and not owner.named:
        worn = vocabulary().widened([vocabulary().kind_of(item.part)]) & set(WORN)
        return None if worn or item.part == "skin" else frozenset([(item.part, item.side)])
    near = sorted(owner.named, key=truth.distance)
    if place.named is not None:
        own = item.named[place.named]
        near = [named for named in near if named is own or truth.distance(named) <= NEAR_PART]
        return frozenset((named.part, named.side) for named in near)
    held = [p for p in photo.items if p.part and p.kind in item.kinds and _within(p.box, place.point)]
    return frozenset([*((n.part, n.side) for n in near[:2]), *((p.part, p.side) for p in held)]) or None


def boxes_of(truth: PointTruth, kinds: Sequence[str] | frozenset[str]) -> list[Box]:
    """Boxes of the photo's things that may be called one of these kinds."""
    return [box for named, box in truth.things if not named.isdisjoint(kinds)]
