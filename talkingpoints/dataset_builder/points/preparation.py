"""A photo with its parts -> tasks: points of every kind with their skeletons. Deterministic, photo by photo.

What comes out for a photo depends on the photo, the options and the seed only, so that any process may prepare any
photo, in any order.
"""

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from talkingpoints.dataset_builder.points.part_masks import points_in
from talkingpoints.dataset_builder.points.skeleton import MeasuredPhoto
from talkingpoints.dataset_builder.points.tasks import BoxPx, PartPhoto, PointTask
from talkingpoints.dataset_builder.sources.source import PartSource
from talkingpoints.images import load_image
from talkingpoints.masks import mask_box

SPLITS = ("train", "val", "test")
WHOLE = "all"
"""What the split of a source without splits is called; its photos are dealt out as those of train are."""
MAX_PIECES = 4  # of one part that get points


@dataclasses.dataclass(frozen=True)
class PreparationOptions:
    """How points are chosen.

    Args:
        per_kind: candidates of each kind and piece of a part ("sift": one).
        val_share: share of photos of the split train that go to val; 0 where the source has its own.
        test_share: likewise to test.
        seed: of everything random.
        roles: for splits of the source with names of their own ("val2017"): the split that their photos belong to,
            one of `SPLITS` or `WHOLE`.

    Raises:
        ValueError: shares that are none, or an unknown role.
    """

    per_kind: int = 1
    val_share: float = 0.0
    test_share: float = 0.0
    seed: int = 0
    roles: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        for split, role in self.roles.items():
            if role not in (*SPLITS, WHOLE):
                raise ValueError(f"splits: {split!r} cannot be {role!r}; allowed: {(*SPLITS, WHOLE)}")
        if min(self.val_share, self.test_share) < 0 or self.val_share + self.test_share >= 1:
            raise ValueError(f"val_share, test_share: {self.val_share}, {self.test_share}; allowed: 0 or more, under 1")
        if self.per_kind < 1:
            raise ValueError(f"per_kind: {self.per_kind}; allowed: 1 or more")


@dataclasses.dataclass(frozen=True)
class PreparedPhoto:
    """A photo's tasks, and all its objects.

    Args:
        key: source/split/name of the photo.
        split: "train", "val" or "test".
        image: file of the photo.
        size: (height, width) in pixels.
        objects: (label, box in pixels) of every object, with points or without.
        tasks: its points.
        problem: why nothing could be made of the photo, which then has neither objects nor points; "" otherwise.
    """

    key: str
    split: str
    image: str
    size: tuple[int, int]
    objects: tuple[tuple[str, BoxPx], ...]
    tasks: tuple[PointTask, ...]
    problem: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain values, of which `from_json` makes an equal photo."""
        return {**dataclasses.asdict(self), "tasks": [task.to_json() for task in self.tasks]}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "PreparedPhoto":
        """The photo that `to_json` was called on."""
        objects = tuple((label, tuple(box)) for label, box in values["objects"])
        tasks = tuple(PointTask.from_json(task) for task in values["tasks"])
        return cls(**{**values, "size": tuple(values["size"]), "objects": objects, "tasks": tasks})


def role_of(split: str, options: PreparationOptions) -> str:
    """What a split of the source is: one of `SPLITS`.

    Raises:
        ValueError: its name does not say, and the options do not either. To take it for train would train on tests.
    """
    role = options.roles.get(split, split)
    if role not in (*SPLITS, WHOLE):
        raise ValueError(f"splits: what {split!r} is its name does not say; write {split}=train, =val or =test")
    return "train" if role == WHOLE else role


def split_of(photo: PartPhoto, options: PreparationOptions) -> str:
    """The split that a photo belongs to: the source's own, with the shares cut out of train by a hash of its name.

    Raises:
        ValueError: see `role_of`.
    """
    split = role_of(photo.split, options)
    if split != "train":
        return split
    place = unit_hash(f"split {options.seed} {photo.key}")
    if place < options.test_share:
        return "test"
    return "val" if place < options.test_share + options.val_share else "train"


def prepare_from(
    source: PartSource, index: int, options: PreparationOptions, skip_bad_photos: bool = False
) -> PreparedPhoto:
    """Read a photo of a source and prepare it.

    Args:
        source: with the photo.
        index: its number there.
        options: how.
        skip_bad_photos: give a photo that cannot be read, or that its annotation does not fit, without points and with
            its problem.

    Raises:
        ValueError: it is such a photo, and those are not to be skipped.
    """
    try:
        return prepare_photo(source[index], options)
    except (ValueError, OSError) as error:
        key = source.key(index)
        if not skip_bad_photos:
            raise ValueError(f"{key}: {error}; --skip_bad_photos goes on without such photos") from error
        return PreparedPhoto(key, role_of(source.split, options), "", (0, 0), (), (), str(error))


def prepare_photo(photo: PartPhoto, options: PreparationOptions) -> PreparedPhoto:
    """Choose the points of one photo and find out what is true of them.

    Args:
        photo: with its masks.
        options: how.

    Returns:
        The prepared photo; it may have no tasks.

    Raises:
        ValueError: the photo cannot be read, or is not as large as its masks.
    """
    boxes = tuple((item.label, mask_box(item.mask)) for item in photo.objects)
    split = split_of(photo, options)
    if not any(item.parts or item.points for item in photo.objects):
        return PreparedPhoto(photo.key, split, str(photo.image), photo.size, boxes, ())
    pixels = np.asarray(load_image(photo.image))
    if pixels.shape[:2] != photo.size:
        raise ValueError(f"{photo.image.name}: the photo has {pixels.shape[:2]} pixels, its masks {photo.size}")
    measured = MeasuredPhoto(photo, pixels)
    tasks = []
    for index, item in enumerate(measured.objects):
        for part in item.pieces:
            tasks += _tasks(photo, split, measured, index, part, options)
    return PreparedPhoto(photo.key, split, str(photo.image), photo.size, boxes, tuple(tasks))


def _tasks(
    photo: PartPhoto, split: str, measured: MeasuredPhoto, index: int, part: str, options: PreparationOptions
) -> list[PointTask]:
    """The points of one part."""
    item = measured.objects[index]
    seed = hashlib.sha256(f"points {options.seed} {photo.key} {index} {part}".encode()).digest()
    rng = np.random.default_rng(list(seed))
    tasks: list[PointTask] = []
    for number, piece in enumerate(item.pieces[part][:MAX_PIECES]):
        for kind, x, y in points_in(piece, measured.texture, options.per_kind, rng):
            tasks.append(
                PointTask(
                    key=f"{photo.key}/{index}/{part.replace(' ', '_')}/{len(tasks)}",
                    split=split,
                    image=str(photo.image),
                    point_px=(x, y),
                    size=photo.size,
                    label=item.label,
                    part=part,
                    kind=kind,
                    object_index=index,
                    object_box=item.box,
                    part_box=piece.box,
                    skeleton=measured.skeleton(index, part, number, (x, y)),
                )
            )
    return tasks


def unit_hash(text: str) -> float:
    """A number in [0, 1) that depends on the text alone."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64
