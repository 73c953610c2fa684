"""COCO keypoints and COCO instances -> scenes: named points, polygons with a `point`, or boxes.

Points lie on what they name: a keypoint is taken as it is, a polygon gives its `point` or the innermost point of its
mask, and a box gives its middle only where the set says that this lies on the thing (`solid`).
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy import ndimage

from talkingpoints.data.readers.coco_masks import mask_of
from talkingpoints.writer.fluent.annotated_scene import (
    LEAST_DEPTH,
    NOTHING,
    UNLABELLED,
    AnnotatedScene,
    Box,
    ScenePart,
    Thing,
    innermost,
    unit_box,
)
from talkingpoints.writer.fluent.lexicon import lexicon

LEAST_PIECE = 9
"""Pixels: smaller polygons name no point."""
SEVERAL = frozenset({
    "wheel", "mirror", "shoes", "boots", "sandals", "sneakers", "loafers", "heels", "pumps", "flats", "wedges", "socks",
    "stockings", "gloves", "earring", "clogs",
})  # fmt: skip
"""Parts of which a thing has several: masks that lie apart are several, not one that something hides in the middle."""
LEAST_SPREAD = 12.0
"""Of 255: how much a thing on the ground must differ from it to be cut out."""

Entry = tuple[dict[str, Any], list[tuple[dict[str, Any], dict[str, Any]]]]
"""An image and its (annotation, category) pairs."""


def read_entries(file: Path) -> Iterator[Entry]:
    """The images of a COCO file with their annotations.

    Raises:
        ValueError: If the file is missing, or an annotation names an image or a category that the file does not list.
    """
    if not file.is_file():
        raise ValueError(f"{file} is not there; splits: {sorted(p.stem for p in file.parent.glob('*.json'))}")
    content = json.loads(file.read_text(encoding="utf-8"))
    categories = {category["id"]: category for category in content["categories"]}
    found: dict[int, list[tuple[dict[str, Any], dict[str, Any]]]] = defaultdict(list)
    listed = {image["id"] for image in content["images"]}
    for annotation in content["annotations"]:
        if annotation["image_id"] not in listed or annotation["category_id"] not in categories:
            raise ValueError(f"{file}: annotation {annotation.get('id')} names an unknown image or category")
        found[annotation["image_id"]].append((annotation, categories[annotation["category_id"]]))
    for image in content["images"]:
        yield image, found[image["id"]]


def keypoint_scene(entry: Entry, options: dict[str, Any]) -> AnnotatedScene:
    """A scene of things with named points.

    Args:
        entry: See `read_entries`.
        options: Of the set: `hidden` "unlabelled" if keypoints without a label are not visible, `bare_ground` if
            nothing but sky, plants or ground is around the things.
    """
    image, annotations = entry
    size = (image["height"], image["width"])
    things = []
    for annotation, category in annotations:
        box = unit(annotation["bbox"], size)
        if box is None:
            continue
        flat, names = annotation["keypoints"], category["keypoints"]
        parts, hidden = [], set()
        for name, x, y, visible in zip(names, flat[0::3], flat[1::3], flat[2::3], strict=True):
            side, part = lexicon().part_of(name)
            point = (x / size[1], y / size[0])
            if visible > 0 and 0 <= point[0] <= 1 and 0 <= point[1] <= 1:
                parts.append(ScenePart(part, side, point))
            elif options.get("hidden") == "unlabelled" and visible == 0:
                hidden.add((part, side))
        noun = annotation.get("species", "").lower()
        kind = lexicon().kind_of(category["name"])
        things.append(Thing(kind, box, tuple(parts), noun, hidden=frozenset(hidden)))
    if not options.get("bare_ground"):
        return AnnotatedScene(tuple(things), size)
    owners = np.full(size, NOTHING, dtype=np.int16)
    for thing in things:
        x0, y0, x1, y1 = thing.box
        rows = slice(int(y0 * size[0]), int(np.ceil(y1 * size[0])))
        owners[rows, int(x0 * size[1]) : int(np.ceil(x1 * size[1]))] = UNLABELLED
    return AnnotatedScene(tuple(things), size, owners, np.zeros(size, np.int16))


def instance_scene(entry: Entry, options: dict[str, Any], image_file: Path) -> AnnotatedScene:
    """A scene of polygons or boxes: whole things, or with `owner` the parts of one thing.

    Args:
        entry: See `read_entries`.
        options: Of the set: `owner`, `solid`, `hidden`, `complete`, `cut_out`.
        image_file: The photo, for things that are cut out of a plain ground.
    """
    image, annotations = entry
    size = (image["height"], image["width"])
    if options.get("cut_out"):
        return _cut_out(annotations, size, image_file)
    if "owner" in options:
        return _owned_parts(annotations, size, options)
    things: list[Thing] = []
    owners = np.full(size, UNLABELLED, dtype=np.int16)
    masked = any(annotation.get("segmentation") for annotation, _ in annotations)
    # Large ones first, so that small ones in front of them stay.
    for annotation, category in sorted(annotations, key=lambda pair: -pair[0]["area"]):
        box = unit(annotation["bbox"], size)
        if box is None:
            continue
        if annotation.get("segmentation"):
            owners[_mask(annotation, size)] = len(things) + 1
        solid = bool(options.get("solid"))
        things.append(Thing(lexicon().kind_of(category["name"]), box, solid=solid))
    return AnnotatedScene(tuple(things), size, owners if masked else None, np.zeros(size, np.int16) if masked else None)


def _owned_parts(
    annotations: list[tuple[dict[str, Any], dict[str, Any]]], size: tuple[int, int], options: dict[str, Any]
) -> AnnotatedScene:
    """One thing whose parts are the annotations; pieces of one annotation (two wheels) are parts of their own."""
    parts: list[ScenePart] = []
    piece, names = np.zeros(size, dtype=np.int16), set()
    for annotation, category in sorted(annotations, key=lambda pair: -pair[0]["area"]):
        side, name = lexicon().part_of(category["name"])
        names.add((name, side))
        for mask, box in _pieces(annotation, size, name in SEVERAL):
            if mask is None:
                parts.append(ScenePart(name, side, ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2), box))
                continue
            point, depth = innermost(mask)
            if mask.sum() >= LEAST_PIECE and depth >= LEAST_DEPTH:
                parts.append(ScenePart(name, side, _given_point(annotation, mask) or point, box))
                piece[mask] = len(parts)
    if not parts:
        return AnnotatedScene((), size)
    boxes = np.array([part.box for part in parts])
    (x0, y0), (x1, y1) = boxes[:, :2].min(axis=0).tolist(), boxes[:, 2:].max(axis=0).tolist()
    hidden = _missing(options, names)
    thing = Thing(options["owner"], (x0, y0, x1, y1), tuple(parts), hidden=hidden)
    if not piece.any():
        return AnnotatedScene((thing,), size)
    owners = np.where(piece > 0, 1, UNLABELLED).astype(np.int16)  # an unnamed bit of it may be anywhere around
    return AnnotatedScene((thing,), size, owners, piece)


def _missing(options: dict[str, Any], names: set[tuple[str, str | None]]) -> frozenset[tuple[str, str | None]]:
    """(part, side) pairs that are not visible, since the annotators of the set marked all that are."""
    wanted = options.get("hidden", ())
    if wanted == "unlabelled":
        return frozenset({lexicon().part_of(name)[::-1] for name in options["categories"]} - names)
    there = {name for name, _ in names}
    return frozenset((name, None) for name in wanted if there.isdisjoint(lexicon().same_part(name)))


def _given_point(annotation: dict[str, Any], mask: np.ndarray) -> tuple[float, float] | None:
    """The annotation's own `point`, if it lies on this mask."""
    if "point" not in annotation:
        return None
    (x, y), (height, width) = annotation["point"], mask.shape
    inside = 0 <= int(y) < height and 0 <= int(x) < width and mask[int(y), int(x)]
    return ((int(x) + 0.5) / width, (int(y) + 0.5) / height) if inside else None


def _pieces(
    annotation: dict[str, Any], size: tuple[int, int], several: bool
) -> Iterator[tuple[np.ndarray | None, Box]]:
    """The mask, of several its pieces one by one, or a box without a mask."""
    if not annotation.get("segmentation"):
        box = unit(annotation["bbox"], size)
        if box is not None:
            yield None, box
        return
    whole = _mask(annotation, size)
    if not several:
        if whole.any():
            yield whole, unit_box(whole)
        return
    labels, count = ndimage.label(whole, np.ones((3, 3)))
    areas = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    for number, area in enumerate(areas.tolist(), 1):
        if area >= max(LEAST_PIECE, 0.15 * areas.max()):  # crumbs are no second wheel
            mask = labels == number
            yield mask, unit_box(mask)


def _mask(annotation: dict[str, Any], size: tuple[int, int]) -> np.ndarray:
    return mask_of(annotation["segmentation"], size, f"annotation {annotation['id']}")


def _cut_out(
    annotations: list[tuple[dict[str, Any], dict[str, Any]]], size: tuple[int, int], image_file: Path
) -> AnnotatedScene:
    """Things on a plain ground: in its box, a thing is what differs from the ground around the box."""
    with Image.open(image_file) as image:
        pixels = np.asarray(image.convert("RGB"), dtype=np.float32)
    things: list[Thing] = []
    owners = np.full(size, UNLABELLED, dtype=np.int16)
    inside = np.zeros(size, dtype=bool)
    for annotation, category in annotations:
        box = unit(annotation["bbox"], size)
        if box is None:
            continue
        rows = slice(int(box[1] * size[0]), int(np.ceil(box[3] * size[0])))
        columns = slice(int(box[0] * size[1]), int(np.ceil(box[2] * size[1])))
        inside[rows, columns] = True
        ring = _ring(pixels, rows, columns)
        off = np.abs(ndimage.gaussian_filter(pixels, (1, 1, 0))[rows, columns] - np.median(ring, axis=0)).max(axis=-1)
        limit = max(LEAST_SPREAD, 3 * float(np.abs(ring - np.median(ring, axis=0)).max(axis=-1).mean()))
        labels, count = ndimage.label(ndimage.binary_opening(off > limit))
        if not count:
            continue
        areas = np.bincount(labels.ravel())[1:]
        mask = labels == 1 + int(areas.argmax())
        if mask.mean() > 0.03:
            owners[rows, columns][mask] = len(things) + 1
            things.append(Thing(lexicon().kind_of(category["name"]), box))
    owners[~inside] = NOTHING
    return AnnotatedScene(tuple(things), size, owners, np.zeros(size, np.int16))


def _ring(pixels: np.ndarray, rows: slice, columns: slice) -> np.ndarray:
    """Pixels around a box, (n, 3)."""
    width = 6
    top, left = max(0, rows.start - width), max(0, columns.start - width)
    area = np.ones(pixels.shape[:2], dtype=bool)[top : rows.stop + width, left : columns.stop + width]
    area[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = False
    return pixels[top : rows.stop + width, left : columns.stop + width][area]


def unit(bbox: list[float], size: tuple[int, int]) -> Box | None:
    """COCO's [x, y, width, height] in pixels as a unit box inside the photo; None without area."""
    (x, y, width, height), (rows, columns) = bbox, size
    corners = np.clip([x / columns, y / rows, (x + width) / columns, (y + height) / rows], 0, 1).tolist()
    return tuple(corners) if corners[2] > corners[0] and corners[3] > corners[1] else None
