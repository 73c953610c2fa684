"""What is annotated in a photo: things, their parts, and whose each pixel is.

Everything is frozen; mirroring and cropping return a new scene. Leaves out pixels' colours: whoever mirrors or crops a
scene does the same to the photo.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from talkingpoints.masks import mask_box
from talkingpoints.points import crop, flip_horizontal

Box = tuple[float, float, float, float]
UNLABELLED, NOTHING = -1, 0
"""Pixels of `AnnotatedScene.owners` that nobody labelled, and that belong to no thing."""
LEAST_LEFT = 0.25
"""A crop drops a thing of whose box it keeps a smaller share."""
LEAST_DEPTH = 1.0
"""Pixels from its edge that the innermost point of a mask must lie to be a point on it."""
OTHER_SIDE = {"left": "right", "right": "left", None: None}


@dataclass(frozen=True)
class ScenePart:
    """A part of a thing.

    Args:
        name: Part of the lexicon, without its side.
        side: The thing's own side, "left", "right" or None.
        point: Unit (x, y) on the part.
        box: Unit (x0, y0, x1, y1), None for a mere point.
    """

    name: str
    side: str | None
    point: tuple[float, float]
    box: Box | None = None


@dataclass(frozen=True)
class Thing:
    """An annotated thing, or a piece of stuff such as grass.

    Args:
        kind: Kind of the lexicon, `lexicon.UNKNOWN`, or a held-out kind.
        box: Unit (x0, y0, x1, y1).
        parts: What is annotated of it.
        noun: A more special word for it, for example a bird's species; "" if there is none.
        solid: Whether the middle of its box lies on it, where there is no mask.
        hidden: (part, side) pairs that are known not to be visible.
    """

    kind: str
    box: Box
    parts: tuple[ScenePart, ...] = ()
    noun: str = ""
    solid: bool = False
    hidden: frozenset[tuple[str, str | None]] = frozenset()


@dataclass(frozen=True)
class AnnotatedScene:
    """Everything annotated in one photo.

    Args:
        things: In the order of the data.
        size: (height, width) of the photo in pixels.
        owners: int16 (height, width): `UNLABELLED`, `NOTHING`, or 1 + the index of the thing; None without masks.
        piece: int16 (height, width): 1 + the number of the part, counted through all things; 0 for none.
        counted: Kinds of which every thing in the photo is annotated, so that they may be counted.
        absent: Kinds that are not in the photo, annotated or not.
    """

    things: tuple[Thing, ...]
    size: tuple[int, int]
    owners: np.ndarray | None = None
    piece: np.ndarray | None = None
    counted: frozenset[str] = frozenset()
    absent: frozenset[str] = frozenset()

    def part_number(self, thing: int, part: int) -> int:
        """The value of `piece` for a part."""
        return 1 + sum(len(item.parts) for item in self.things[:thing]) + part

    def flipped(self) -> "AnnotatedScene":
        """The scene of the photo mirrored left to right: a thing's own left and right swap with it."""
        things = []
        for thing in self.things:
            parts = tuple(
                replace(
                    part,
                    side=OTHER_SIDE[part.side],
                    point=_pair(flip_horizontal([part.point])[0]),
                    box=None if part.box is None else _mirrored(part.box),
                )
                for part in thing.parts
            )
            hidden = frozenset((name, OTHER_SIDE[side]) for name, side in thing.hidden)
            things.append(replace(thing, box=_mirrored(thing.box), parts=parts, hidden=hidden))
        owners, piece = (None if values is None else values[:, ::-1] for values in (self.owners, self.piece))
        return replace(self, things=tuple(things), owners=owners, piece=piece)

    def cropped(self, pixels: tuple[int, int, int, int]) -> "AnnotatedScene":
        """Cut the scene to a part of the photo.

        Args:
            pixels: (left, top, right, bottom), whole pixels.

        Returns:
            The scene of the cut-out. A part of a mask that is cut gets the innermost point of what is left of it; parts
            that are cut away are `hidden`, and things are dropped of whose box less than a quarter is left.

        Raises:
            ValueError: If the cut-out is empty or not inside the photo.
        """
        left, top, right, bottom = pixels
        height, width = self.size
        if not (0 <= left < right <= width and 0 <= top < bottom <= height):
            raise ValueError(f"pixels: {pixels} is no part of a photo of {width} x {height} (width x height).")
        box = (left / width, top / height, right / width, bottom / height)
        piece = None if self.piece is None else self.piece[top:bottom, left:right]
        owners = None if self.owners is None else self.owners[top:bottom, left:right]
        kept: list[Thing] = []
        numbers: list[int] = []  # new -> old, from 1
        members: list[int] = []
        number = 0
        for i, thing in enumerate(self.things):
            clipped = _clipped(thing.box, box)
            if clipped is None:
                number += len(thing.parts)
                continue
            parts: list[ScenePart] = []
            for part in thing.parts:
                number += 1
                left_part = _cut_part(part, box, piece, number)
                if left_part is not None:
                    parts.append(left_part)
                    numbers.append(number)
            names = {part.name for part in parts}
            gone = frozenset((part.name, None) for part in thing.parts if part.name not in names)
            kept.append(replace(thing, box=clipped, parts=tuple(parts), hidden=thing.hidden | gone))
            members.append(i + 1)
        return replace(
            self,
            things=tuple(kept),
            size=(bottom - top, right - left),
            owners=None if owners is None else _renumbered(owners, members, UNLABELLED),
            piece=None if piece is None else _renumbered(piece, numbers, 0),
        )


def innermost(mask: np.ndarray) -> tuple[tuple[float, float], float]:
    """The point of a mask farthest from its edge and from the photo's, unit (x, y), and how far, in pixels."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return (0.5, 0.5), 0.0
    top, left = int(rows[0]), int(columns[0])
    cut = np.pad(mask[top : rows[-1] + 1, left : columns[-1] + 1], 1)  # the photo's border is an edge too
    depth = ndimage.distance_transform_cdt(cut, "chessboard")[1:-1, 1:-1]
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    point = ((left + float(x) + 0.5) / mask.shape[1], (top + float(y) + 0.5) / mask.shape[0])
    return point, float(depth[y, x])


def unit_box(mask: np.ndarray) -> Box:
    """Unit (x0, y0, x1, y1) around a mask that is not empty."""
    (x0, y0, x1, y1), (height, width) = mask_box(mask), mask.shape
    return x0 / width, y0 / height, x1 / width, y1 / height


def _cut_part(part: ScenePart, box: Box, piece: np.ndarray | None, number: int) -> ScenePart | None:
    x, y = _pair(crop([part.point], box)[0])
    inside = 0 <= x <= 1 and 0 <= y <= 1
    if part.box is None:
        return replace(part, point=(x, y)) if inside else None
    if piece is not None and (mask := piece == number).any():
        if not inside:
            (x, y), depth = innermost(mask)
            if depth < LEAST_DEPTH:
                return None
        return replace(part, point=(x, y), box=unit_box(mask))
    clipped = _clipped(part.box, box)
    return replace(part, point=(x, y), box=clipped) if inside and clipped is not None else None


def _clipped(box: Box, cut: Box) -> Box | None:
    """A box in the frame of a cut-out; None if too little of it is left."""
    corners = np.asarray(crop([box[:2], box[2:]], cut), dtype=np.float64)
    kept = np.clip(corners, 0.0, 1.0)
    if np.prod(kept[1] - kept[0]) < LEAST_LEFT * np.prod(corners[1] - corners[0]):
        return None
    (x0, y0), (x1, y1) = kept.tolist()
    return (x0, y0, x1, y1)


def _renumbered(values: np.ndarray, old: list[int], gone: int) -> np.ndarray:
    """Old numbers (from 1) become their place in `old`, from 1; others become `gone`; 0 and below stay."""
    table = np.full(max(int(values.max(initial=0)), *old, 0) + 1, gone, dtype=np.int16)
    table[0] = 0
    table[old] = np.arange(1, len(old) + 1)
    return np.where(values > 0, table[np.maximum(values, 0)], values).astype(np.int16)


def _mirrored(box: Box) -> Box:
    x0, y0, x1, y1 = box
    return 1 - x1, y0, 1 - x0, y1


def _pair(point: np.ndarray) -> tuple[float, float]:
    return float(point[0]), float(point[1])
