"""Captioned regions -> training examples, and examples of several datasets mixed by weights.

Map-style datasets like :class:`PointExamples`: example ``i`` is always the same, whoever asks for it. Photos are
neither cropped nor mirrored, for captions speak of places.
"""

from collections.abc import Sequence
from typing import Any, TypedDict

import numpy as np
import torch
from PIL import Image

from talkingpoints.data.examples.augmentation import Augmentation, augment
from talkingpoints.data.examples.photo_passes import PhotoPasses
from talkingpoints.data.readers.region_captions import RegionPhoto
from talkingpoints.images import load_image
from talkingpoints.writer.scene import Scene


class RegionExample(TypedDict):
    """One photo and n of its regions: ``image`` RGB, ``masks`` n of bool (height, width), ``texts`` n."""

    image: Image.Image
    masks: list[np.ndarray]
    texts: list[str]


class RegionExamples(PhotoPasses):
    """Views of photos with captioned regions.

    Args:
        photos: as the readers of region_captions.py give them.
        regions_per_photo: n; photos with fewer regions repeat theirs.
        passes: how often each photo is shown; each pass has another order.
        colour: probability of changed colours.
        seed: of everything random.

    Raises:
        ValueError: no photo.
    """

    def __init__(
        self,
        photos: Sequence[RegionPhoto],
        regions_per_photo: int = 8,
        passes: int = 1,
        colour: float = 0.0,
        seed: int = 0,
    ):
        if not photos:
            raise ValueError("no photo has a captioned region")
        super().__init__(range(len(photos)), passes, seed)
        self.photos = photos
        self.regions_per_photo = regions_per_photo
        self.colour = colour

    def __getitem__(self, index: int) -> RegionExample:
        photo, rng = self.photos[self.photo_of(index)], self.chance(index)
        image = load_image(photo.image)
        size = (image.height, image.width)
        chosen = np.resize(rng.permutation(len(photo.regions)), self.regions_per_photo).tolist()
        image, _ = augment(image, Scene((), size), Augmentation(crop=0.0, flip=0.0, colour=self.colour), rng)
        return RegionExample(
            image=image, masks=photo.masks(chosen, size), texts=[photo.regions[i].text for i in chosen]
        )


class MixedExamples(torch.utils.data.Dataset):
    """Examples of several datasets, each drawn as often as its weight says.

    Args:
        parts: (dataset, weight) each; a dataset is asked for its examples in order, beyond its length too.
        length: number of examples.
        seed: of the draw.

    Raises:
        ValueError: no weight is above 0, or one is below.
    """

    def __init__(self, parts: Sequence[tuple[torch.utils.data.Dataset, float]], length: int, seed: int = 0):
        weights = np.array([weight for _, weight in parts], dtype=np.float64)
        if not (weights >= 0).all() or not weights.sum() > 0:
            raise ValueError(f"weights must not be negative, and one must be above 0: {weights.tolist()}")
        self.parts = [dataset for dataset, _ in parts]
        rng = np.random.default_rng((seed, 2))
        self._part = rng.choice(len(self.parts), size=length, p=weights / weights.sum()).astype(np.int16)
        self._index = np.zeros(length, dtype=np.int64)
        for part in range(len(self.parts)):
            here = self._part == part
            self._index[here] = np.arange(here.sum())

    def __len__(self) -> int:
        return len(self._part)

    def __getitem__(self, index: int) -> Any:
        return self.parts[self._part[index]][int(self._index[index])]
