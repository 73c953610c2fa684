"""COCO instances whose categories are parts, one photo at a time: the layout of PartImageNet and of many exports.

The parts of one owner in a photo are one object: the category's `supercategory` names the owner (PartImageNet:
"Quadruped Head" of "Quadruped"); where it is empty, as in exports of labelling tools, `label` does.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from talkingpoints.data.coco_keypoints import ANNOTATION_FOLDERS, IMAGE_FOLDERS, keypoint_name
from talkingpoints.engine.names import part_name
from talkingpoints.engine.tasks import PartObject, PartPhoto

BACKGROUND = frozenset({"background", "void", "ignore"})


def coco_part_photos(
    directory: str | Path, split: str, *, label: str | None = None, source: str | None = None
) -> Iterator[PartPhoto]:
    """Read one split.

    Args:
        directory: folder with `annotations/SPLIT.json` (or `SPLIT.json`) and the photos in `images/`, `data/`, a folder
            named like the split, or the folder itself.
        split: name of the annotation file without `.json`.
        label: owner of parts whose category has no supercategory, for example "car".
        source: name of the dataset; None takes the folder's.

    Yields:
        The photos that have a part, in the order of the file; masks are drawn when a photo's turn comes.

    Raises:
        ValueError: the file or a photo is missing, the content is not of this layout, or a part has no owner.
    """
    root = Path(directory)
    file = next((path for folder in ANNOTATION_FOLDERS if (path := root / folder / f"{split}.json").is_file()), None)
    if file is None:
        raise ValueError(f"split: {root} has no annotations/{split}.json and no {split}.json")
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        categories = {category["id"]: _owner_and_part(category, label) for category in content["categories"]}
        by_photo: dict[int, list[dict[str, Any]]] = {image["id"]: [] for image in content["images"]}
        for annotation in content["annotations"]:
            if categories[annotation["category_id"]] is not None:
                by_photo[annotation["image_id"]].append(annotation)
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"{file} is no COCO instances file: {error!r}") from error
    for image in content["images"]:
        size = (int(image["height"]), int(image["width"]))
        parts: dict[str, dict[str, np.ndarray]] = {}
        for annotation in by_photo[image["id"]]:
            owner, part = categories[annotation["category_id"]]
            mask = _mask(annotation.get("segmentation"), size, f"{file}: annotation {annotation.get('id', '?')}")
            if mask.any():
                known = parts.setdefault(owner, {})
                known[part] = known[part] | mask if part in known else mask
        if parts:
            objects = (PartObject(o, np.logical_or.reduce(list(own.values())), own) for o, own in parts.items())
            path = _photo(root, split, image["file_name"])
            yield PartPhoto(
                source or root.resolve().name, split, Path(image["file_name"]).stem, path, size, tuple(objects)
            )


def _owner_and_part(category: dict[str, Any], label: str | None) -> tuple[str, str] | None:
    """(owner, part) of a category, None for one that stands for no part."""
    name = keypoint_name(category["name"]).strip()
    if name in BACKGROUND:
        return None
    owner = keypoint_name(category.get("supercategory") or label or "")
    if not owner:
        raise ValueError(f"label: category {category['name']!r} has no supercategory; say whose part it is")
    return owner, part_name(name, owner)


def _mask(segmentation: Any, size: tuple[int, int], where: str) -> np.ndarray:
    """Polygons or uncompressed run lengths -> bool (height, width)."""
    if isinstance(segmentation, list):
        mask = np.zeros(size, np.uint8)
        for polygon in segmentation:
            corners = np.asarray(polygon, dtype=np.float64).reshape(-1, 2)
            cv2.fillPoly(mask, [np.round((corners - 0.5) * 16).astype(np.int32)], 1, shift=4)
        return mask.astype(bool)
    if isinstance(segmentation, dict) and isinstance(segmentation.get("counts"), list):
        counts = segmentation["counts"]
        flat = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
        if flat.size == size[0] * size[1]:
            return flat.reshape(size, order="F")
    raise ValueError(f"{where}: segmentation must be polygons or uncompressed run lengths of the photo's size")


def _photo(root: Path, split: str, name: str) -> Path:
    for folder in (*IMAGE_FOLDERS, split, f"images/{split}"):
        if (root / folder / name).is_file():
            return root / folder / name
    raise ValueError(f"photo {name!r} is listed but not found in {root}")
