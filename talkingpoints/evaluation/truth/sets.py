"""Which data sets truth and refusal are measured on, and how each is read: one entry a folder of the data.

Splits are those of the annotation files. Where a set has no validation split, or no split at all, photos go to one by a
hash of their name, which no later photo can change.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from talkingpoints.data.readers.coco_panoptic import PanopticPhotos
from talkingpoints.evaluation.truth.annotations import (
    AnnotatedPhoto,
    read_panoptic,
    read_photos,
    with_class_masks,
    with_parts,
)
from talkingpoints.evaluation.truth.vocabulary import HELD_OUT

SPLITS = ("train", "val", "test")
HASHED_SHARES = {"train": 0.7, "val": 0.15, "test": 0.15}
VAL_OF_TRAIN = 0.15


@dataclass(frozen=True)
class SetKind:
    """How a set is read.

    Attributes:
        owner: Kind that all its categories are parts of, None for whole things.
        complete: Whether everything of its categories is annotated in each photo.
        domain: Whether the bundled pair is trained on photos of this set ("in") or not ("out").
        val_of_train: Whether its validation split is cut out of its training split by hash.
    """

    owner: str | None = None
    complete: bool = False
    domain: str = "out"
    val_of_train: bool = False


SETS = {
    "animalpose": SetKind(domain="in"),
    "people": SetKind(domain="in"),
    "birds": SetKind(),
    "faces300w": SetKind(),
    "celebamask": SetKind(owner="face"),
    "ccp": SetKind(owner="person"),
    "lspet": SetKind(),
    "facades": SetKind(),
    "camvid": SetKind(complete=True),
    "carparts": SetKind(owner="car", val_of_train=True),
    "bikes": SetKind(owner="bicycle"),
    "tools": SetKind(),
    "wildlife_boxes": SetKind(),
    "bees": SetKind(),
    "coco_panoptic": SetKind(complete=True),
}
HELD_OUT_SETS = ("bees",)
"""Sets of a held-out kind alone: never read for training or for choosing. Of mixed sets single photos are held out,
see `is_held_out`."""


def hashed_split(name: str, shares: dict[str, float] | None = None) -> str:
    """The split of a photo by its file name without folder and ending."""
    place = int.from_bytes(hashlib.sha256(Path(name).stem.encode()).digest()[:8], "big") / 2**64
    shares = HASHED_SHARES if shares is None else shares
    for split, share in shares.items():
        if place < share:
            return split
        place -= share
    return next(reversed(shares))


def is_held_out(photo: AnnotatedPhoto) -> bool:
    """Whether something in the photo is of a kind that no training and no choice may see."""
    return not photo.kinds().isdisjoint(HELD_OUT)


def read_set(data: Path, name: str, split: str) -> list[AnnotatedPhoto]:
    """The photos of one split of a set.

    Args:
        data: Folder of all sets.
        name: Key of `SETS`; another folder in COCO layout is read as whole things.
        split: "train", "val" or "test".

    Raises:
        ValueError: If the set or the split is not there.
    """
    kind = SETS.get(name, SetKind())
    folder = data / name
    if not folder.is_dir():
        raise ValueError(f"{folder} is not there; sets: {', '.join(SETS)}")
    if name == "coco_panoptic":
        return _of_split(_coco(folder), split, HASHED_SHARES)
    file_split = "train" if kind.val_of_train and split == "val" else split
    photos = read_photos(folder, file_split, owner=kind.owner, complete=kind.complete)
    if kind.val_of_train and split != "test":
        photos = _of_split(photos, split, {"val": VAL_OF_TRAIN, "train": 1 - VAL_OF_TRAIN})
    if name == "animalpose":
        photos = with_class_masks(photos, folder / "masks")
        if (data / "voc_parts").is_dir():
            photos = with_parts(photos, read_photos(data / "voc_parts", split))
    return photos


def _coco(folder: Path) -> list[AnnotatedPhoto]:
    found: list[AnnotatedPhoto] = []
    for part in ("train2017", "val2017"):
        files = PanopticPhotos(
            folder / "annotations" / f"panoptic_{part}.json", folder / part, folder / f"panoptic_{part}"
        )
        found += read_panoptic(files)
    return found


def _of_split(photos: Iterable[AnnotatedPhoto], split: str, shares: dict[str, float]) -> list[AnnotatedPhoto]:
    choose: Callable[[AnnotatedPhoto], bool] = lambda photo: hashed_split(photo.file.name, shares) == split  # noqa: E731
    return [photo for photo in photos if choose(photo)]
