"""COCO instances whose categories are parts: the layout of PartImageNet and of many labelling tools.

The parts of one owner in a photo are one object. The owner is the category's `supercategory` (PartImageNet: "Quadruped
Head" of "Quadruped"); where that is empty, as labelling tools leave it, `label`.

The annotation file lies in memory as a whole, its polygons as arrays of four bytes a number; masks are drawn for one
photo at a time.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from talkingpoints.data.readers.coco_keypoints import keypoint_name
from talkingpoints.data.readers.coco_masks import compact, mask_of
from talkingpoints.data.validation.coco import (
    CocoAnnotation,
    CocoCategory,
    CocoImage,
    about,
    coco_categories,
    coco_images,
    image_of,
    listed_ids,
    source,
)
from talkingpoints.data.validation.fields import checked
from talkingpoints.data.validation.files import read_object
from talkingpoints.data.validation.findings import Findings
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
        instances = read_instances(folder, f"annotations/{split}.json", f"{split}.json")
        owners = {key: _owner_and_part(c, label) for key, c in instances.categories.items()}
        self._images = instances.images
        self._annotations = [
            [(a, pair) for a in instances.annotations[i["id"]] if (pair := owners[a["category_id"]])]
            for i in self._images
        ]
        self.photos = [image["file_name"].rpartition(".")[0] for image in self._images]

    def __getitem__(self, index: int) -> PartPhoto:  # type: ignore[override]
        image = self._images[index]
        size = (image["height"], image["width"])
        parts: dict[str, dict[str, np.ndarray]] = {}
        for annotation, (owner, part) in self._annotations[index]:
            where = f"{self.photos[index]}: annotation {annotation.get('id', '?')}"
            mask = mask_of(annotation.get("segmentation"), size, where)
            if mask.any():
                known = parts.setdefault(owner, {})
                known[part] = known[part] | mask if part in known else mask
        objects = tuple(PartObject(o, np.logical_or.reduce(list(own.values())), own) for o, own in parts.items())
        path = coco_photo(self.folder, self.split, image["file_name"])
        return PartPhoto(self.name, self.split, self.photos[index], path, size, objects)


class Instances(NamedTuple):
    """A COCO instances file, checked: images in order, categories by id, and the annotations of each image by its id,
    polygons as arrays."""

    images: list[CocoImage]
    categories: dict[int, CocoCategory]
    annotations: dict[int, list[CocoAnnotation]]


def read_instances(folder: Folder, *names: str) -> Instances:
    """The first of some COCO files that is there.

    Raises:
        ValueError: there is none, it is no COCO instances file, or an entry is wrong; lists them.
    """
    file = folder.file(*names)
    if file is None:
        raise ValueError(f"{folder.place} has no {' and no '.join(names)}")
    content = read_object(file, ("images", "annotations", "categories"), compact)
    findings, where = Findings(), source(file, "annotations")
    images = coco_images(file, content["images"], findings)
    categories, listed = coco_categories(file, content["categories"]), listed_ids(content["images"])
    annotations: dict[int, list[CocoAnnotation]] = {key: [] for key in images}
    for number, entry in enumerate(content["annotations"]):
        with findings.entry(where, number, about(entry)):
            annotation = checked(CocoAnnotation, entry)
            if annotation["category_id"] not in categories:
                raise ValueError(f"category_id {annotation['category_id']}; allowed: {sorted(categories)}")
            if image_of(annotation, images, listed) is not None:
                annotations[annotation["image_id"]].append(annotation)
    findings.settle(skip_bad_rows=False)
    return Instances([image for _, image in images.values()], categories, annotations)


def coco_photo(folder: Folder, split: str, name: str) -> Path:
    """The photo that a COCO file names.

    Raises:
        ValueError: it is not there.
    """
    file = folder.file(*(f"{place}{name}" for place in ("images/", f"images/{split}/", f"{split}/", "data/", "")))
    if file is None:
        raise ValueError(f"photo {name!r} is listed but not found in {folder.place}")
    return file


def _owner_and_part(category: CocoCategory, label: str | None) -> tuple[str, str] | None:
    """(owner, part) of a category, None for one that stands for no part."""
    name = keypoint_name(category["name"])
    if name in BACKGROUND:
        return None
    owner = keypoint_name(category.get("supercategory") or label or "")
    if not owner:
        raise ValueError(f"label: category {category['name']!r} has no supercategory; say whose part it is")
    return owner, part_name(name, owner)
