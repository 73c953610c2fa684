"""Parts in PNG files whose pixels are part numbers: one's own, PascalPart116 and ADE20KPart234.

The latter two are the refined sets of OV-PARTS (Wei et al., NeurIPS 2023 datasets track); layouts and the order of the
names are those of its public release. The names lie beside this file, by owner; their running number is the pixel.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from talkingpoints.data.readers.coco_masks import mask_of
from talkingpoints.data.validation.files import read_json
from talkingpoints.data.validation.photos import read_pixels
from talkingpoints.dataset_builder.points.tasks import PartObject, PartPhoto
from talkingpoints.dataset_builder.sources.coco_parts import coco_photo, read_instances
from talkingpoints.dataset_builder.sources.names import object_name, part_name
from talkingpoints.dataset_builder.sources.source import Folder, PartSource

NAMES = Path(__file__).parent
MASK_MODES = ("L", "P", "I;16", "I;16B", "I", "1")
"""Images of one channel, whose values are the numbers of the parts."""
MIN_OBJECT_SHARE = 0.1  # of the class's largest piece: smaller pieces of a class mask are no objects of their own
VOC_OBJECTS = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip

OwnerAndPart = tuple[str, str]


class IndexMasks(PartSource):
    """One's own masks: `images/`, `masks/` with a PNG for each photo, and `names.json`: {"1": "car's hood", ...} or
    {"1": ["car", "hood"], ...}; numbers without a name belong to no part.

    `objects/` may hold a second PNG for each photo, whose pixels number the objects (0 for none); without it all parts
    of one owner in a photo are one object. With another split than "all", all these folders have a subfolder SPLIT.

    Raises:
        ValueError: there are no masks, or the names are missing or wrong.
    """

    def __init__(self, folder: Folder, split: str, name: str | None = None, label: str | None = None):
        super().__init__(folder, split, name, label)
        self._below = "" if split == "all" else f"/{split}"
        self._parts = _own_names(folder, label)
        self.photos = [n[:-4] for n in folder.names(f"masks{self._below}", (".png",))]
        if not self.photos:
            raise ValueError(f"{folder.place} has no PNG in masks{self._below}/")

    def __getitem__(self, index: int) -> PartPhoto:  # type: ignore[override]
        stem = self.photos[index]
        numbers = _read(self.folder, f"masks{self._below}", stem)
        parts = {pair: numbers == number for number, pair in self._parts.items() if (numbers == number).any()}
        owners = self.folder.mask(stem, f"objects{self._below}")
        if owners is None:
            groups = [(label, _union(parts, label)) for label in dict.fromkeys(owner for owner, _ in parts)]
        else:
            which = _read(self.folder, f"objects{self._below}", stem)
            if which.shape != numbers.shape:
                raise ValueError(f"{stem}.png: masks have the shape {numbers.shape}, objects {which.shape}")
            groups = [(label, which == i) for i in np.unique(which[which > 0]) for label in _labels(parts, which == i)]
        image = self.folder.photo(stem, (f"images{self._below}",))
        return PartPhoto(self.name, self.split, stem, image, numbers.shape, _objects(groups, parts))


class PascalPart116(PartSource):
    """`images/SPLIT`, `annotations_detectron2_part/SPLIT` (pixels are part numbers, 255 none) and
    `annotations_detectron2_obj/SPLIT` (pixels are VOC classes); splits train and val.

    The release does not tell objects of one class apart; here each large connected piece of a class is an object, which
    takes touching ones for one and an object that another cuts in two for two.

    Raises:
        ValueError: there are no masks.
    """

    def __init__(self, folder: Folder, split: str, name: str | None = None, label: str | None = None):
        super().__init__(folder, split, name, label)
        self._parts = released_names("pascal_part_116.json")
        self.photos = [n[:-4] for n in folder.names(f"annotations_detectron2_part/{split}", (".png",))]
        if not self.photos:
            raise ValueError(f"{folder.place} has no PNG in annotations_detectron2_part/{split}/")

    def __getitem__(self, index: int) -> PartPhoto:  # type: ignore[override]
        stem = self.photos[index]
        numbers = _read(self.folder, f"annotations_detectron2_part/{self.split}", stem)
        classes = _read(self.folder, f"annotations_detectron2_obj/{self.split}", stem)
        if classes.shape != numbers.shape:
            raise ValueError(f"{stem}.png: parts have the shape {numbers.shape}, objects {classes.shape}")
        parts = {self._parts[n]: numbers == n for n in np.unique(numbers).tolist() if n in self._parts}
        groups = []
        for number in np.unique(classes).tolist():
            if number < len(VOC_OBJECTS):
                label = object_name(VOC_OBJECTS[number])
                groups += [(label, piece) for piece in _connected(classes == number)]
        image = self.folder.photo(stem, (f"images/{self.split}",))
        return PartPhoto(self.name, self.split, stem, image, numbers.shape, _objects(groups, parts))


class Ade20kPart234(PartSource):
    """`images/FOLDER`, `annotations_detectron2_part/FOLDER` (16 bits, pixels are part numbers, 65535 none) and
    `ade20k_instance_SPLIT.json` (COCO instances of the objects), with the folder training or validation for the split
    train or val.

    Raises:
        ValueError: another split, or the file is missing or not of this layout.
    """

    FOLDERS: Mapping[str, str] = {"train": "training", "val": "validation"}

    def __init__(self, folder: Folder, split: str, name: str | None = None, label: str | None = None):
        super().__init__(folder, split, name, label)
        if split not in self.FOLDERS:
            raise ValueError(f"split: {split!r}; allowed: {sorted(self.FOLDERS)}")
        self._parts = released_names("ade20k_part_234.json")
        instances = read_instances(folder, f"ade20k_instance_{split}.json")
        labels = {key: object_name(category["name"]) for key, category in instances.categories.items()}
        self._files = [image["file_name"] for image in instances.images]
        self._objects = [
            [(labels[a["category_id"]], a.get("segmentation")) for a in instances.annotations[image["id"]]]
            for image in instances.images
        ]
        self.photos = [name.rpartition(".")[0] for name in self._files]

    def __getitem__(self, index: int) -> PartPhoto:  # type: ignore[override]
        stem, place = self.photos[index], self.FOLDERS[self.split]
        numbers = _read(self.folder, f"annotations_detectron2_part/{place}", stem)
        parts = {self._parts[n]: numbers == n for n in np.unique(numbers).tolist() if n in self._parts}
        groups = [(label, mask_of(s, numbers.shape, f"{stem}: an object")) for label, s in self._objects[index]]
        image = coco_photo(self.folder, place, self._files[index])
        return PartPhoto(self.name, self.split, stem, image, numbers.shape, _objects(groups, parts))


def released_names(file: str) -> dict[int, OwnerAndPart]:
    """Number -> (owner, part) of a release, from a file beside this one."""
    content = read_json(NAMES / file)
    pairs = [(object_name(owner), part_name(part)) for owner, parts in content.items() for part in parts]
    return dict(enumerate(pairs))


def _own_names(folder: Folder, label: str | None) -> dict[int, OwnerAndPart]:
    file = folder.file("names.json")
    if file is None:
        raise ValueError(f"{folder.place} has no names.json, which says what the pixels of the masks mean")
    content = read_json(file)
    try:
        return {int(number): _pair(value, label) for number, value in content.items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise ValueError(f'{file}: {error}; allowed: {{"1": "car\'s hood", "2": ["car", "left door"]}}') from error


def _pair(value: Any, label: str | None) -> OwnerAndPart:
    if isinstance(value, list) and len(value) == 2:
        owner, part = value
    elif isinstance(value, str) and "'s " in value:
        owner, _, part = value.partition("'s ")
    elif isinstance(value, str) and label:
        owner, part = label, value
    else:
        raise ValueError(f"{value!r} names no owner and part")
    return object_name(owner), part_name(part, object_name(owner))


def _read(folder: Folder, below: str, stem: str) -> np.ndarray:
    """(height, width) pixel values."""
    name = f"{below}/{stem}.png"
    file = folder.mask(stem, below)
    if file is None:
        raise ValueError(f"{folder.place} has no {name}")
    return read_pixels(file, MASK_MODES)


def _connected(mask: np.ndarray) -> list[np.ndarray]:
    """Large connected pieces, the largest first."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    areas = stats[1:, cv2.CC_STAT_AREA]
    order = np.argsort(-areas, kind="stable")
    return [labels == i + 1 for i in order if areas[i] >= MIN_OBJECT_SHARE * areas.max()]


def _objects(
    groups: Sequence[tuple[str, np.ndarray]], parts: Mapping[OwnerAndPart, np.ndarray]
) -> tuple[PartObject, ...]:
    """Objects with what of their parts lies in them."""
    objects = []
    for label, mask in groups:
        if mask.any():
            own = {part: mask & where for (owner, part), where in parts.items() if owner == label}
            objects.append(PartObject(label, mask, {part: where for part, where in own.items() if where.any()}))
    return tuple(objects)


def _union(parts: Mapping[OwnerAndPart, np.ndarray], label: str) -> np.ndarray:
    return np.logical_or.reduce([mask for (owner, _), mask in parts.items() if owner == label])


def _labels(parts: Mapping[OwnerAndPart, np.ndarray], mask: np.ndarray) -> list[str]:
    """Whose parts lie in a mask."""
    return list(dict.fromkeys(owner for (owner, _), where in parts.items() if (where & mask).any()))
