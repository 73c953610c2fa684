"""What the datasets of examples have in common: passes over photos, each in its own order, and exact chance.

Example ``i`` is a function of the seed and of ``i`` alone, whatever process or worker asks for it: that is what makes
several processes do the work of one, and an interrupted training resume exactly.
"""

from collections.abc import Sequence

import numpy as np
import torch


class PhotoPasses(torch.utils.data.Dataset):
    """Passes over photos, cut off after ``passes``.

    Args:
        shown: numbers of the photos that a pass shows; one that comes twice is shown twice.
        passes: how often each is shown; each pass has another order.
        seed: of everything random.

    Raises:
        ValueError: no photo.
    """

    def __init__(self, shown: Sequence[int], passes: int, seed: int):
        if not len(shown):
            raise ValueError("there is no photo to make examples of")
        self.shown = shown
        self.passes = passes
        self.seed = seed

    def __len__(self) -> int:
        return self.passes * len(self.shown)

    def photo_of(self, index: int) -> int:
        """The photo that example ``index`` shows."""
        return self.shown[photo_in_pass(index, len(self.shown), self.seed)]

    def chance(self, index: int) -> np.random.Generator:
        """The source of chance of example ``index``."""
        return np.random.default_rng((self.seed, 1, index))


def photo_in_pass(index: int, photos: int, seed: int) -> int:
    """The photo that example ``index`` of endless passes over ``photos`` shows: each pass has its own order."""
    number, place = divmod(index, photos)
    return int(np.random.default_rng((seed, 0, number)).permutation(photos)[place])
