"""Panoptic photos as examples of a segmenter: a square photo, and a label for every pixel.

Example i is always the same: a function of the seed and of i, so that a training can go on where it was cut. Leaves out
tensors (training/train_segmenter.py).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypedDict

import numpy as np
from PIL import Image
from scipy import ndimage

from talkingpoints.configuration_segmenter import VOID_LABEL
from talkingpoints.data.examples.augmentation import Augmentation, crop_box, recoloured
from talkingpoints.data.readers.coco_panoptic import PanopticPhoto
from talkingpoints.images import load_shrunk
from talkingpoints.mask_pieces import EIGHT

BORDER = 0.018
"""Half the width of a border, in shares of the photo's longest side: 4 of 224 pixels."""


class SegmentExample(TypedDict):
    """``image``: RGB; ``labels``: uint8 (height, width)."""

    image: Image.Image
    labels: np.ndarray


def label_map(photo: PanopticPhoto, labels: Mapping[str, int], border: int) -> np.ndarray:
    """Each pixel's label, uint8 (height, width).

    Args:
        photo: its crowds count as void.
        labels: by category's name; other categories become void.
        border: label of the narrow strip between two things of a category. Only pixels of these or of void get it.

    Raises:
        ValueError: the photo's map does not fit its JSON.
    """
    ids = photo.id_map()
    found = np.full(ids.shape, VOID_LABEL, dtype=np.uint8)
    things: dict[str, list[np.ndarray]] = {}
    for segment in photo.segments:
        if segment.category in labels and not segment.is_crowd:
            inside = ids == segment.id
            found[inside] = labels[segment.category]
            if segment.is_thing:
                things.setdefault(segment.category, []).append(inside)
    reach = max(1, round(BORDER * max(ids.shape)))
    for category, masks in things.items():
        if len(masks) > 1:
            near = sum(ndimage.binary_dilation(mask, EIGHT, iterations=reach).astype(np.uint8) for mask in masks)
            found[(near > 1) & np.isin(found, (labels[category], VOID_LABEL))] = border
    return found


class SegmentExamples(Sequence[SegmentExample]):
    """Photos and labels, decoded once and held in memory; a call changes and scales them.

    Args:
        photos: annotated ones.
        labels: of categories, by name; see :func:`label_map`.
        border: label of borders.
        side: of the square photos, in pixels; labels are half of it.
        length: how many examples; each is drawn anew. None takes each photo once, in order and as it is.
        augmentation: how drawn photos are changed.
        seed: same seed, same examples.

    Raises:
        ValueError: no photos, or a photo cannot be read.
    """

    def __init__(
        self,
        photos: Iterable[PanopticPhoto],
        labels: Mapping[str, int],
        border: int,
        side: int,
        length: int | None = None,
        augmentation: Augmentation | None = None,
        seed: int = 0,
    ):
        self.side, self.length, self.seed = side, length, seed
        self.augmentation = augmentation or Augmentation()
        self._pixels: list[np.ndarray] = []
        self._labels: list[np.ndarray] = []
        shown: list[set[str]] = []
        for photo in photos:
            image, size = load_shrunk(photo.image, 2 * side)
            if size != photo.size:
                raise ValueError(f"{photo.image}: size {size}; the JSON says {photo.size} (height, width)")
            found = Image.fromarray(label_map(photo, labels, border))
            self._pixels.append(np.asarray(image))
            self._labels.append(np.asarray(found.resize(image.size, Image.Resampling.NEAREST)))
            shown.append({segment.category for segment in photo.segments if segment.is_thing} & set(labels))
        if not shown:
            raise ValueError("there are no photos")
        self.shares = shares_of(shown)

    def __len__(self) -> int:
        return len(self._pixels) if self.length is None else self.length

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        if not 0 <= index < len(self):
            raise IndexError(index)
        if self.length is None:
            return self._scaled(index, None)
        rng = np.random.default_rng((self.seed, index))
        number = int(rng.choice(len(self._pixels), p=self.shares))
        height, width = self._labels[number].shape
        box = None
        if rng.random() < self.augmentation.crop:
            drawn = crop_box((width, height), self.augmentation, rng)
            box = drawn if drawn[2] > drawn[0] and drawn[3] > drawn[1] else None
        image, found = self._scaled(number, box).values()
        if rng.random() < self.augmentation.flip:
            image, found = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), found[:, ::-1]
        if rng.random() < self.augmentation.colour:
            image = recoloured(image, self.augmentation, rng)
        return SegmentExample(image=image, labels=found)

    def _scaled(self, number: int, box: tuple[int, int, int, int] | None) -> SegmentExample:
        size, half = (self.side, self.side), (self.side // 2, self.side // 2)
        image = Image.fromarray(self._pixels[number]).resize(size, Image.Resampling.BICUBIC, box)
        found = Image.fromarray(self._labels[number]).resize(half, Image.Resampling.NEAREST, box)
        return SegmentExample(image=image, labels=np.asarray(found))


def shares_of(shown: Sequence[set[str]]) -> np.ndarray:
    """How often each photo is drawn: photos of rare things more often, by the root of how rare the rarest is.

    Args:
        shown: names of the things of each photo.

    Returns:
        A share for each photo, together 1.
    """
    counts = {name: sum(name in names for names in shown) for name in set().union(*shown)}
    weights = np.array([max((len(shown) / counts[name] for name in names), default=1.0) ** 0.5 for names in shown])
    return weights / weights.sum()
