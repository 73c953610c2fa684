"""The points of a split that are measured, and its photos, which are opened once for all that is asked about them."""

import functools
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from datasets import Dataset
from PIL import Image

from talkingpoints.images import load_image
from talkingpoints.writer.scene import Scene, scene_of

MIN_BOX_SIDE_PX = 24.0
PHOTOS_KEPT = 256


@dataclass(frozen=True)
class LabelledPoint:
    """One labelled keypoint of the split.

    Attributes:
        row: row of the dataset.
        image_id: id of the photo.
        object_index: which object of the scene it belongs to.
        label: the object's category.
        name: the keypoint's name.
        point: unit point (x, y).
        box: the object's box (x0, y0, x1, y1), unit.
        size: the photo's (height, width) in pixels.
        photo_labels: categories of all objects of the photo.
    """

    row: int
    image_id: int
    object_index: int
    label: str
    name: str
    point: tuple[float, float]
    box: tuple[float, float, float, float]
    size: tuple[int, int]
    photo_labels: frozenset[str]


class OpenedPhoto(NamedTuple):
    """What is annotated on a photo, and its pixels: RGB, as large as the annotation says."""

    scene: Scene
    image: Image.Image


class OpenedPhotos:
    """The photos of a split by their row; the last ``keep`` of them stay open.

    Args:
        dataset: rows as `load_keypoints` gives them.
        keep: how many photos to hold, each of them in three bytes a pixel.
    """

    def __init__(self, dataset: Dataset, keep: int = PHOTOS_KEPT):
        self.open = functools.lru_cache(maxsize=keep)(functools.partial(_opened, dataset))

    def __call__(self, row: int) -> OpenedPhoto:
        """The photo of a row.

        Raises:
            ValueError: If the photo cannot be read.
        """
        return self.open(row)


def _opened(dataset: Dataset, row: int) -> OpenedPhoto:
    record: Mapping[str, Any] = dataset[row]
    return OpenedPhoto(scene_of(record), load_image(record["image"]))


def labelled_points(
    dataset: Dataset, *, min_box_side_px: float = MIN_BOX_SIDE_PX, limit: int | None = None
) -> list[LabelledPoint]:
    """Every labelled keypoint of every object whose box is large enough, in the order of the dataset.

    Args:
        dataset: rows as `load_keypoints` gives them.
        min_box_side_px: smallest width and height of an object's box, in pixels of the photo.
        limit: keep this many photos, evenly spaced over those that have points; None for all.

    Raises:
        ValueError: If no point is left, or limit is under 1.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"limit must be at least 1 photo; got {limit}")
    photos: list[list[LabelledPoint]] = []
    for row, record in enumerate(dataset.remove_columns("image")):
        scene = scene_of(record)
        height, width = scene.size
        photo_labels = frozenset(thing.label for thing in scene.objects)
        points = []
        for object_index, thing in enumerate(scene.objects):
            x0, y0, x1, y1 = thing.box
            shorter_side_px = min((x1 - x0) * width, (y1 - y0) * height)
            if shorter_side_px < min_box_side_px - 1e-6:  # 24 px, divided and multiplied by a side, is 24 px
                continue
            for keypoint in thing.keypoints:
                where = (row, int(record["image_id"]), object_index, thing.label, keypoint.name)
                point = (keypoint.x, keypoint.y)
                points.append(LabelledPoint(*where, point, thing.box, (height, width), photo_labels))
        if points:
            photos.append(points)
    if not photos:
        raise ValueError(
            f"no labelled keypoint on an object of at least {min_box_side_px:g} px a side "
            f"in {len(dataset)} photos; check the directory and the split"
        )
    if limit is not None and limit < len(photos):
        photos = [photos[index * len(photos) // limit] for index in range(limit)]
    return [point for photo in photos for point in photo]


def shuffled_donors(points: Sequence[LabelledPoint], seed: int) -> list[int]:
    """For each point the index of another one, drawn evenly from those of the other photos.

    Raises:
        ValueError: If all points lie in one photo.
    """
    rows = np.array([point.row for point in points])
    if len(np.unique(rows)) < 2:
        raise ValueError("the shuffled row needs points in at least two photos; raise limit or take another split")
    rng = random.Random(f"{seed} shuffled")
    donors = []
    for row in rows:
        donor = rng.randrange(len(points))
        while rows[donor] == row:
            donor = rng.randrange(len(points))
        donors.append(donor)
    return donors


def by_photo(points: Sequence[LabelledPoint], chosen: Iterable[int] | None = None) -> dict[int, list[int]]:
    """Row of the dataset -> indices of its points, in their order; of the chosen points, or of all."""
    photos: dict[int, list[int]] = {}
    for index in range(len(points)) if chosen is None else chosen:
        photos.setdefault(points[index].row, []).append(index)
    return photos
