"""PASCAL-Part (Chen et al., CVPR 2014): one `.mat` a photo with object masks and part masks under short codes.

Codes such as "lfpa" (left front paw) become words; numbered parts ("wheel_1", "wheel_2") are pieces of one part. Left
and right are the object's own.
"""

import re
from typing import Any

import numpy as np
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from talkingpoints.dataset_builder.points.tasks import PartObject, PartPhoto
from talkingpoints.dataset_builder.sources.names import object_name
from talkingpoints.dataset_builder.sources.source import Folder, PartSource

IMAGE_FOLDERS = (".", "images", "JPEGImages", "VOCdevkit/VOC2010/JPEGImages")
ANNOTATION_FOLDERS = (".", "Annotations_Part", "annotations")

SIDED = {
    "eye": "eye", "ear": "ear", "ebrow": "eyebrow", "horn": "horn", "wing": "wing", "hand": "hand", "foot": "foot",
    "leg": "leg", "larm": "lower arm", "uarm": "upper arm", "lleg": "lower leg", "uleg": "upper leg",
    "fleg": "front leg", "bleg": "back leg", "fpa": "front paw", "bpa": "back paw", "fho": "front hoof",
    "bho": "back hoof", "fuleg": "front upper leg", "flleg": "front lower leg", "buleg": "back upper leg",
    "blleg": "back lower leg",
}  # fmt: skip
"""Codes behind an "l" or "r"."""
PLAIN = {
    "fwheel": "front wheel", "bwheel": "back wheel", "fliplate": "front licence plate",
    "bliplate": "back licence plate", "frontside": "front", "backside": "back", "leftside": "left side",
    "rightside": "right side", "roofside": "roof", "leftmirror": "left mirror", "rightmirror": "right mirror",
    "hfrontside": "front of the engine", "hleftside": "left side of the engine",
    "hrightside": "right side of the engine", "hbackside": "back of the engine", "hroofside": "roof of the engine",
    "cfrontside": "front of a coach", "cleftside": "left side of a coach", "crightside": "right side of a coach",
    "cbackside": "back of a coach", "croofside": "roof of a coach",
}  # fmt: skip


class PascalPart(PartSource):
    """All photos with a `.mat`: files of one folder, or `Annotations_Part/` beside `JPEGImages/`. The release has no
    splits of its own: with another split than "all", `SPLIT.txt` (or `ImageSets/Main/SPLIT.txt`) lists the photos.

    Raises:
        ValueError: there is no `.mat`, or no list of the split.
    """

    def __init__(self, folder: Folder, split: str, name: str | None = None, label: str | None = None):
        super().__init__(folder, split, name, label)
        found = {n[:-4]: place for place in reversed(ANNOTATION_FOLDERS) for n in folder.names(place, (".mat",))}
        if split != "all":
            file = folder.file(f"{split}.txt", f"ImageSets/Main/{split}.txt")
            if file is None:
                raise ValueError(f"split: {folder.place} has no {split}.txt; allowed without one: 'all'")
            wanted = {line.split()[0] for line in file.read_text(encoding="utf-8").splitlines() if line.strip()}
            found = {stem: place for stem, place in found.items() if stem in wanted}
        if not found:
            raise ValueError(f"{folder.place} has no .mat in {list(ANNOTATION_FOLDERS)} for the split {split!r}")
        self._places = found
        self.photos = sorted(found)

    def __getitem__(self, index: int) -> PartPhoto:  # type: ignore[override]
        stem = self.photos[index]
        file = self.folder.file(f"{self._places[stem]}/{stem}.mat")
        assert file is not None  # it was listed
        try:
            annotation = loadmat(file)["anno"][0, 0]
            found = [_object(item) for item in annotation["objects"].ravel()]
        except (KeyError, IndexError, TypeError, ValueError, MatReadError) as error:
            raise ValueError(f"{file.name} is no PASCAL-Part file: {error!r}") from error
        objects = tuple(item for item in found if item.mask.any())
        size = next((item.mask.shape for item in objects), (0, 0))
        image = self.folder.photo(stem, IMAGE_FOLDERS)
        return PartPhoto(self.name, self.split, stem, image, (int(size[0]), int(size[1])), objects)


def pascal_part_name(code: str) -> str:
    """A part's code in plain words.

    Raises:
        ValueError: a sided code that is not known.

    Example:
        >>> pascal_part_name("lfpa"), pascal_part_name("wheel_2"), pascal_part_name("rear")
        ('left front paw', 'wheel', 'right ear')
    """
    code = re.sub(r"_\d+$", "", code)
    if code in PLAIN:
        return PLAIN[code]
    if code[:1] in ("l", "r") and code[1:] in SIDED:
        return f"{'left' if code[0] == 'l' else 'right'} {SIDED[code[1:]]}"
    return code


def _object(item: Any) -> PartObject:
    parts: dict[str, np.ndarray] = {}
    for part in item["parts"].ravel():
        name, mask = pascal_part_name(str(part["part_name"][0])), part["mask"].astype(bool)
        if mask.any():
            parts[name] = parts[name] | mask if name in parts else mask
    return PartObject(object_name(str(item["class"][0])), item["mask"].astype(bool), parts)
