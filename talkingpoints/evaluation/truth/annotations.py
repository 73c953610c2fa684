"""What an annotation says of a photo, in one form for keypoints, part masks, boxes, class masks and panoptic segments.

A photo holds items: whole things, stuff and parts, each with a box and, where the annotation has them, outlines and
named points. Leaves out judging (checking.py) and which sets there are (sets.py).
"""

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from talkingpoints.data.readers.class_masks import read_class_mask
from talkingpoints.data.readers.coco_keypoints import IMAGE_FOLDERS, keypoint_name
from talkingpoints.data.readers.coco_panoptic import PanopticPhotos
from talkingpoints.evaluation.truth.vocabulary import Vocabulary, vocabulary
from talkingpoints.images import load_image
from talkingpoints.writer.scene import Box

VOC_NAMES = (
    "", "airplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "dining table", "dog",
    "horse", "motorcycle", "person", "potted plant", "sheep", "couch", "train", "tv",
)  # fmt: skip
"""Kinds by the values of PASCAL VOC class masks (Everingham et al., 2010); 0 is the background."""
SIDES = ("left", "right")


@dataclass(frozen=True)
class Named:
    """A named point of an item: unit coordinates, the part without its side, and the side or ""."""

    part: str
    side: str
    x: float
    y: float


@dataclass(frozen=True, eq=False)
class Item:
    """One annotated thing, stuff or part.

    Attributes:
        kind: What it is, or of a part what it belongs to.
        kinds: All kinds that it may truly be called, `kind` and wider ones among them.
        box: (x0, y0, x1, y1), unit.
        part, side: Of a part its name without the side, and its owner's own side; else "".
        named: Named points.
        polygons: Outlines in pixels, x and y in turn; none where only the box is known.
        segment: Value of the photo's id map that marks its pixels, or None.
        inner: A unit point inside it that the annotation names, or None.
        owner: Index of the item that it is a part of, or None.
    """

    kind: str
    kinds: frozenset[str]
    box: Box
    part: str = ""
    side: str = ""
    named: tuple[Named, ...] = ()
    polygons: tuple[tuple[float, ...], ...] = ()
    segment: int | None = None
    inner: tuple[float, float] | None = None
    owner: int | None = None


@dataclass(frozen=True, eq=False)
class AnnotatedPhoto:
    """A photo with its items.

    Attributes:
        file: The photo.
        size: (height, width) in pixels.
        items: Things, stuff and parts.
        complete: Kinds of which every one in the photo is annotated; of others absence says nothing.
        id_map_file, class_mask: PNG of panoptic segments, and of PASCAL VOC classes, or None.
    """

    file: Path
    size: tuple[int, int]
    items: tuple[Item, ...]
    complete: frozenset[str] = frozenset()
    id_map_file: Any = field(default=None, repr=False)
    class_mask: Path | None = None

    @cached_property
    def pixels(self) -> NDArray[np.uint8]:
        """uint8 (height, width, 3)."""
        return np.asarray(load_image(self.file))

    @cached_property
    def ids(self) -> NDArray[np.int32] | None:
        """Each pixel's segment id, or None."""
        return None if self.id_map_file is None else self.id_map_file()

    @cached_property
    def classes(self) -> NDArray[np.uint8] | None:
        """Each pixel's VOC class, or None."""
        return None if self.class_mask is None else read_class_mask(self.class_mask)

    def mask(self, item: Item) -> NDArray[np.bool_] | None:
        """The item's pixels, or None where only its box is known."""
        if item.segment is not None and self.ids is not None:
            return np.asarray(self.ids == item.segment)
        if not item.polygons:
            return None
        drawn = Image.new("1", (self.size[1], self.size[0]))
        for polygon in item.polygons:
            if len(polygon) >= 6:
                ImageDraw.Draw(drawn).polygon([float(v) for v in polygon], fill=1)
        return np.asarray(drawn, dtype=bool)

    def kinds(self) -> frozenset[str]:
        """All kinds that something in the photo may truly be called."""
        found = frozenset[str]().union(*(item.kinds for item in self.items))
        if self.classes is not None:
            values = set(np.unique(self.classes).tolist()) - {0, 255}
            found |= vocabulary().widened(VOC_NAMES[value] for value in values)
        return found


def read_photos(
    folder: Path, split: str, *, owner: str | None = None, complete: bool = False, words: Vocabulary | None = None
) -> list[AnnotatedPhoto]:
    """The photos of a COCO JSON file: keypoints, or instances with boxes or polygons.

    Args:
        folder: With `annotations/SPLIT.json` and the photos in `images/`, `data/` or itself.
        split: Name of the annotation file.
        owner: Kind that all categories are parts of; None takes a category's supercategory if that is a known kind
            and not the category itself.
        complete: Whether every thing of a category is annotated in each photo.
        words: The vocabulary; None takes the project's own.

    Raises:
        ValueError: If there is no such file, or a photo is missing.
    """
    words = words or vocabulary()
    file = folder / "annotations" / f"{split}.json"
    if not file.is_file():
        raise ValueError(f"{file} is not there; the split must name a file of {file.parent}")
    content = json.loads(file.read_text(encoding="utf-8"))
    categories = {category["id"]: category for category in content["categories"]}
    by_photo: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for annotation in content["annotations"]:
        by_photo[annotation["image_id"]].append(annotation)
    kinds = words.widened(words.kind_of(category["name"]) for category in categories.values()) if complete else ()
    images = _image_folder(folder, content["images"])
    photos = []
    for image in content["images"]:
        size = (int(image["height"]), int(image["width"]))
        rows = [row for row in by_photo[image["id"]] if not categories[row["category_id"]]["name"].startswith("_")]
        items = [_item(row, categories[row["category_id"]], size, owner, words) for row in rows]
        places = {row["id"]: i for i, row in enumerate(rows)}
        items = [replace(item, owner=places.get(row.get("parent", -1))) for item, row in zip(items, rows, strict=True)]
        photos.append(AnnotatedPhoto(images / image["file_name"], size, tuple(items), frozenset(kinds)))
    return photos


def read_panoptic(photos: PanopticPhotos, words: Vocabulary | None = None) -> list[AnnotatedPhoto]:
    """The photos of a COCO panoptic file; each segment is an item, and every kind of the file is complete."""
    words = words or vocabulary()
    complete = words.widened(words.kind_of(category.name) for category in photos.categories.values())
    read = []
    for photo in photos:
        height, width = photo.size
        items = []
        for segment in photo.segments:
            kind = words.kind_of(segment.category)
            x0, y0, x1, y1 = segment.box
            box = (x0 / width, y0 / height, x1 / width, y1 / height)
            items.append(Item(kind, words.widened([kind]), box, segment=segment.id))
        read.append(AnnotatedPhoto(photo.image, photo.size, tuple(items), complete, id_map_file=photo.id_map))
    return read


def with_class_masks(photos: Sequence[AnnotatedPhoto], folder: Path) -> list[AnnotatedPhoto]:
    """The same photos with their class masks, where the folder has a PNG of the photo's name."""
    files = {photo.file.stem: folder / f"{photo.file.stem}.png" for photo in photos}
    return [
        replace(photo, class_mask=files[photo.file.stem]) if files[photo.file.stem].is_file() else photo
        for photo in photos
    ]


def with_parts(photos: Sequence[AnnotatedPhoto], parts: Sequence[AnnotatedPhoto]) -> list[AnnotatedPhoto]:
    """The same photos with the parts that another annotation has of them, found by file name; each part belongs to the
    smallest thing of its kind whose box holds most of it."""
    further = {photo.file.stem: photo for photo in parts}
    joined = []
    for photo in photos:
        other = further.get(photo.file.stem)
        added = () if other is None else tuple(item for item in other.items if item.part)
        joined.append(replace(photo, items=(*photo.items, *(replace(i, owner=_holder(photo.items, i)) for i in added))))
    return joined


def _holder(things: Sequence[Item], part: Item) -> int | None:
    found = [i for i, thing in enumerate(things) if thing.kind in part.kinds and overlap(part.box, thing.box) >= 0.5]
    return min(found, key=lambda i: area(things[i].box), default=None)


def area(box: Box) -> float:
    """Of a box, as a share of the photo."""
    return (box[2] - box[0]) * (box[3] - box[1])


def overlap(inner: Box, outer: Box) -> float:
    """Share of one box that lies in another."""
    across = max(0.0, min(inner[2], outer[2]) - max(inner[0], outer[0]))
    down = max(0.0, min(inner[3], outer[3]) - max(inner[1], outer[1]))
    return across * down / max(area(inner), 1e-12)


def _image_folder(folder: Path, images: Sequence[Mapping[str, Any]]) -> Path:
    for name in IMAGE_FOLDERS:
        if images and (folder / name / images[0]["file_name"]).is_file():
            return folder / name
    return folder / IMAGE_FOLDERS[0]


def split_name(name: str, words: Vocabulary) -> tuple[str, str]:
    """A name of an annotation -> (part, side): "back_left_door" -> ("back door", "left"), "outer corner of the left
    eye" -> ("eye", "left")."""
    plain = keypoint_name(name)
    side = next((token for token in plain.split() if token in SIDES), "")
    bare = " ".join(token for token in plain.split() if token not in SIDES)
    if bare not in words.parts and " of the " in bare:
        bare = re.split(r" (?:between|beside) ", bare.partition(" of the ")[2])[0]
    return words.part_of(bare), side


def _item(
    row: Mapping[str, Any], category: Mapping[str, Any], size: tuple[int, int], owner: str | None, words: Vocabulary
) -> Item:
    height, width = size
    x, y, w, h = row["bbox"]
    box = (max(0.0, x / width), max(0.0, y / height), min(1.0, (x + w) / width), min(1.0, (y + h) / height))
    inner = row.get("point")
    points = tuple(row.get("segmentation") or ())
    polygons = tuple(tuple(p) for p in points if isinstance(p, list)) if isinstance(points, tuple) else ()
    named = []
    flat = row.get("keypoints", ())
    for name, px, py, seen in zip(category.get("keypoints", ()), flat[0::3], flat[1::3], flat[2::3], strict=False):
        if seen > 0 and 0 <= px <= width and 0 <= py <= height:
            named.append(Named(*split_name(name, words), px / width, py / height))
    kind, part, side = _kind_and_part(category, owner, words)
    own = words.kind_of(category["name"])
    kinds = words.widened([kind, own] if part and own in words.kinds else [kind])
    return Item(
        kind, kinds, box, part, side, tuple(named), polygons,
        inner=None if inner is None else (inner[0] / width, inner[1] / height),
    )  # fmt: skip


def _kind_and_part(category: Mapping[str, Any], owner: str | None, words: Vocabulary) -> tuple[str, str, str]:
    """What a category is: a kind, or a part of one with its side."""
    name, above = category["name"], category.get("supercategory", "")
    kind = words.kind_of(name)
    if owner is None and (category.get("keypoints") or above == name or above not in words.kinds or above == "animal"):
        return kind, "", ""
    part, side = split_name(name, words)
    return (owner or words.kind_of(above)), part, side
