"""COCO instances whose categories are parts: the layout of PartImageNet and of many labelling tools.

The parts of one owner in a photo are one object. The owner is the category's `supercategory` (PartImageNet: "Quadruped
Head" of "Quadruped"); where that is empty, as labelling tools leave it, `label`.

The annotation file lies in memory as a whole, its polygons as arrays of four bytes a number; masks are drawn for one
photo at a time.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from talkingpoints.data.readers.coco_keypoints import keypoint_name
from talkingpoints.data.readers.coco_masks import compact, mask_of
from talkingpoints.dataset_builder.points.tasks import PartObject, PartPhoto
from talkingpoints.dataset_builder.sources.names import part_name
from talkingpoints.dataset_builder.sources.source import Folder, PartSource

BACKGROUND = frozenset({"background", "void", "ignore"})


class CocoParts(PartSource):
    """One split: `annotations/SPLIT.json` (or `SPLIT.json`), and photos in `images/`, `images/SPLIT/`, `SPLIT/`,
    `data/` or the folder itself.

    Raises:
        ValueError: the file is missing or not of this layout, or a part has no owner.
    """

    def __init__(self, folder: Folder, split: str, name: str | None = None, label: str | None = None):
        super().__init__(folder, split, name, label)
        file, content = read_annotations(folder, f"annotations/{split}.json", f"{split}.json")
        try:
            self._categories = {c["id"]: _owner_and_part(c, label) for c in content["categories"]}
            self._images = content["images"]
            by_photo: dict[int, list[dict[str, Any]]] = {image["id"]: [] for image in self._images}
            for annotation in content["annotations"]:
                if self._categories[annotation["category_id"]] is not None:
                    by_photo[annotation["image_id"]].append(annotation)
            self._annotations = [by_photo[image["id"]] for image in self._images]
            self.photos = [image["file_name"].rpartition(".")[0] for image in self._images]
            for image in self._images:
                image["height"], image["width"]
        except (KeyError, TypeError) as error:
            raise ValueError(f"{file} is no COCO instances file: {error!r}") from error

    def __getitem__(self, index: int) -> PartPhoto:  # type: ignore[override]
        image = self._images[index]
        size = (int(image["height"]), int(image["width"]))
        parts: dict[str, dict[str, np.ndarray]] = {}
        for annotation in self._annotations[index]:
            pair = self._categories[annotation["category_id"]]
            assert pair is not None  # left out above
            owner, part = pair
            mask = mask_of(annotation.get("segmentation"), size, f"annotation {annotation.get('id', '?')}")
            if mask.any():
                known = parts.setdefault(owner, {})
                known[part] = known[part] | mask if part in known else mask
        objects = tuple(PartObject(o, np.logical_or.reduce(list(own.values())), own) for o, own in parts.items())
        path = coco_photo(self.folder, self.split, image["file_name"])
        return PartPhoto(self.name, self.split, self.photos[index], path, size, objects)


def read_annotations(folder: Folder, *names: str) -> tuple[Path, dict[str, Any]]:
    """The first of some COCO files that is there, with polygons as arrays.

    Raises:
        ValueError: there is none, or it is no JSON object.
    """
    file = folder.file(*names)
    if file is None:
        raise ValueError(f"{folder.place} has no {' and no '.join(names)}")
    try:
        content = json.loads(file.read_text(encoding="utf-8"), object_hook=compact)
    except ValueError as error:
        raise ValueError(f"{file} is no COCO file: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{file} holds a {type(content).__name__}; a COCO file is an object")
    return file, content


def coco_photo(folder: Folder, split: str, name: str) -> Path:
    """The photo that a COCO file names.

    Raises:
        ValueError: it is not there.
    """
    file = folder.file(*(f"{place}{name}" for place in ("images/", f"images/{split}/", f"{split}/", "data/", "")))
    if file is None:
        raise ValueError(f"photo {name!r} is listed but not found in {folder.place}")
    return file


def _owner_and_part(category: dict[str, Any], label: str | None) -> tuple[str, str] | None:
    """(owner, part) of a category, None for one that stands for no part."""
    name = keypoint_name(category["name"])
    if name in BACKGROUND:
        return None
    owner = keypoint_name(category.get("supercategory") or label or "")
    if not owner:
        raise ValueError(f"label: category {category['name']!r} has no supercategory; say whose part it is")
    return owner, part_name(name, owner)
