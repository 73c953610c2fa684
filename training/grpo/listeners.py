"""The models that score texts in GRPO: the listener finds the point of a text, the judge says how likely a text is.

Unlike ``TalkingPoints.localize`` they take several photos at once and keep each photo encoded, since GRPO scores
several texts about each of several points of a photo.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps

from talkingpoints import PointDescriptor, PointDescriptorProcessor, PointLocalizer, PointLocalizerProcessor
from talkingpoints.encoded_photo import EncodedPhoto, encode, moved
from talkingpoints.points import flip_horizontal
from training.grpo.rewards import mirrored_words, paraphrased

LISTENER_VIEWS = ("plain", "mirrored", "paraphrased")
"""Inputs of the listener: photo and text as they are; both mirrored (and the point mirrored back); the text in other
words."""


class PhotoCache:
    """A least-recently-used cache of encoded photos by key.

    Args:
        capacity: Number of photos to keep.
    """

    def __init__(self, capacity: int = 256):
        self.capacity = capacity
        self._kept: OrderedDict[Hashable, EncodedPhoto] = OrderedDict()

    def __call__(self, photos: Mapping[Any, Image.Image]) -> list[EncodedPhoto]:
        """The photos, those with known keys as they were encoded before."""
        found = []
        for key, photo in photos.items():
            if key not in self._kept:
                self._kept[key] = EncodedPhoto(photo)
            self._kept.move_to_end(key)
            found.append(self._kept[key])
        while len(self._kept) > self.capacity:
            self._kept.popitem(last=False)
        return found


class Listener:
    """A localizer that reads texts about several photos in one pass.

    Args:
        model, processor: The localizer; the model is set to eval mode and frozen.
        capacity: Number of photos that are kept encoded.
    """

    def __init__(self, model: PointLocalizer, processor: PointLocalizerProcessor, capacity: int = 256):
        self.model, self.processor = model.eval().requires_grad_(False), processor
        self.photos = PhotoCache(capacity)

    @torch.inference_mode()
    def find(
        self, photos: Sequence[Image.Image], keys: Sequence[Hashable], texts: Sequence[str], view: str = "plain"
    ) -> NDArray[np.float64]:
        """Find the point of each text.

        Args:
            photos: n photos, one for each text.
            keys: n keys; the same key means the same photo, also in later calls.
            texts: n texts; an empty one has no point.
            view: One of ``LISTENER_VIEWS``.

        Returns:
            Unit points (n, 2) in the photos as given, NaN for an empty text.

        Raises:
            ValueError: If the view is unknown.
        """
        if view not in LISTENER_VIEWS:
            raise ValueError(f"view must be one of {LISTENER_VIEWS}, got {view!r}")
        mirror = view == "mirrored"
        changes: dict[str, Callable[[str], str]] = {"mirrored": mirrored_words, "paraphrased": paraphrased}
        words = changes.get(view, str)
        groups = rows_of(keys)
        shown: dict[Hashable, Image.Image] = {
            (key, mirror): _shown(photos[rows[0]], mirror) for key, rows in groups.items()
        }
        most = max(map(len, groups.values()))
        asked = [[words(texts[i]).strip() or "." for i in rows] for rows in groups.values()]
        padded = [row + ["."] * (most - len(row)) for row in asked]  # each photo needs the same number of texts
        prepared, visual = encode(self.model, self.processor, self.photos(shown))
        inputs = moved(self.processor(images=prepared, text=padded), self.model)
        points = self.model(**inputs, visual=visual).points.double().cpu().numpy().clip(0, 1)
        found = np.full((len(texts), 2), np.nan)
        for number, rows in enumerate(groups.values()):
            found[rows] = points[number * most : number * most + len(rows)]
        found[[not text.strip() for text in texts]] = np.nan
        return flip_horizontal(found) if mirror else found


class FluencyJudge:
    """Scores texts by their likelihood under the supervised descriptor, while another one is trained.

    Args:
        model, processor: The descriptor; the model is set to eval mode and frozen.
        capacity: Number of photos that are kept encoded.
    """

    def __init__(self, model: PointDescriptor, processor: PointDescriptorProcessor, capacity: int = 256):
        self.model, self.processor = model.eval().requires_grad_(False), processor
        self.photos = PhotoCache(capacity)

    @torch.inference_mode()
    def score(
        self,
        photos: Sequence[Image.Image],
        keys: Sequence[Hashable],
        points: Sequence[Sequence[float]],
        texts: Sequence[str],
    ) -> NDArray[np.float64]:
        """Mean log-likelihood per token (n,) of each text and its end token, given photo and point.

        Args:
            photos, keys: n photos and their keys, as for :meth:`Listener.find`.
            points: n unit points (x, y).
            texts: n texts.
        """
        groups = rows_of(keys)
        most = max(map(len, groups.values()))
        padded = [rows + rows[:1] * (most - len(rows)) for rows in groups.values()]
        shown = {key: photos[rows[0]] for key, rows in groups.items()}
        prepared, visual = encode(self.model, self.processor, self.photos(shown))
        inputs = self.processor(
            images=prepared,
            points=[[points[i] for i in rows] for rows in padded],
            answers=[[texts[i] for i in rows] for rows in padded],
        )
        values = self.model.log_likelihoods(**moved(inputs, self.model), visual=visual).double().cpu().numpy()
        scores = np.zeros(len(texts))
        for number, rows in enumerate(groups.values()):
            scores[rows] = values[number * most : number * most + len(rows)]
        return scores


def rows_of(keys: Sequence[Hashable]) -> dict[Hashable, list[int]]:
    """Key -> indices of its rows, in order of appearance."""
    groups: dict[Hashable, list[int]] = {}
    for i, key in enumerate(keys):
        groups.setdefault(key, []).append(i)
    return groups


def _shown(photo: Image.Image, mirror: bool) -> Image.Image:
    return ImageOps.mirror(photo) if mirror else photo
