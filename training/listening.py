"""Models that read many texts about few photos, fast: the listener that finds a text's point, and the judge that says
how likely a text is.

Unlike ``TalkingPoints.localize`` they take several photos at once, and keep the features of photos that come again:
GRPO asks for several texts about each of several points of a photo.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps

from talkingpoints import PointDescriptor, PointDescriptorProcessor, PointLocalizer, PointLocalizerProcessor
from talkingpoints.describing import moved
from talkingpoints.points import flip_horizontal
from talkingpoints.vision_language import VisualFeatures
from training.rewards import mirrored_words, paraphrased

HEARINGS = ("plain", "mirrored", "paraphrased")
"""How a listener may be asked: as it is, photo and words mirrored (and the point mirrored back), in other words."""


class FeatureCache:
    """Encoded photos by key, the longest unused forgotten first.

    Args:
        encode: photos -> their features.
        capacity: photos to keep.
    """

    def __init__(self, encode: Callable[[list[Image.Image]], VisualFeatures], capacity: int = 256):
        self.encode, self.capacity = encode, capacity
        self._kept: OrderedDict[Hashable, VisualFeatures] = OrderedDict()

    def __call__(self, photos: Mapping[Hashable, Image.Image]) -> VisualFeatures:
        """Features of all photos in one batch; only those with new keys are encoded."""
        missing = [key for key in photos if key not in self._kept]
        if missing:
            encoded = self.encode([photos[key] for key in missing])
            self._kept |= {key: encoded.select(i) for i, key in enumerate(missing)}
        for key in photos:
            self._kept.move_to_end(key)
        batch = VisualFeatures.together([self._kept[key] for key in photos])
        while len(self._kept) > self.capacity:
            self._kept.popitem(last=False)
        return batch


class Listener:
    """A localizer that reads texts about several photos in one pass.

    Args:
        model, processor: of the localizer; the model is put into eval mode and stays frozen.
        capacity: how many photos' features are kept.
    """

    def __init__(self, model: PointLocalizer, processor: PointLocalizerProcessor, capacity: int = 256):
        self.model, self.processor = model.eval().requires_grad_(False), processor
        self.features = FeatureCache(self._encode, capacity)

    @torch.inference_mode()
    def find(
        self, photos: Sequence[Image.Image], keys: Sequence[Hashable], texts: Sequence[str], hearing: str = "plain"
    ) -> NDArray[np.float64]:
        """Where it finds each text.

        Args:
            photos: n, one for each text.
            keys: n; the same key stands for the same photo, also in later calls.
            texts: n; an empty one is no answer.
            hearing: one of ``HEARINGS``.

        Returns:
            Unit points (n, 2) in the photos as they came, NaN for an empty text.

        Raises:
            ValueError: an unknown hearing.
        """
        if hearing not in HEARINGS:
            raise ValueError(f"hearing must be one of {HEARINGS}, got {hearing!r}")
        mirror = hearing == "mirrored"
        words = {"plain": str, "mirrored": mirrored_words, "paraphrased": paraphrased}[hearing]
        groups = rows_of(keys)
        shown = {(key, mirror): _shown(photos[rows[0]], mirror) for key, rows in groups.items()}
        most = max(map(len, groups.values()))
        asked = [[words(texts[i]).strip() or "." for i in rows] for rows in groups.values()]
        padded = [row + ["."] * (most - len(row)) for row in asked]  # each photo needs the same number of texts
        inputs = moved(self.processor(images=list(shown.values()), text=padded), self.model)
        del inputs["pixel_values"]
        points = self.model(**inputs, visual=self.features(shown)).points.double().cpu().numpy().clip(0, 1)
        found = np.full((len(texts), 2), np.nan)
        for number, rows in enumerate(groups.values()):
            found[rows] = points[number * most : number * most + len(rows)]
        found[[not text.strip() for text in texts]] = np.nan
        return flip_horizontal(found) if mirror else found

    def _encode(self, photos: list[Image.Image]) -> VisualFeatures:
        inputs = self.processor(images=photos, text=[["."]] * len(photos))
        return self.model.encode_images(**moved(inputs, self.model))


class FluencyJudge:
    """How likely a descriptor finds texts: the untouched one, while another is trained.

    Args:
        model, processor: of the descriptor; the model is put into eval mode and stays frozen.
        capacity: how many photos' features are kept.
    """

    def __init__(self, model: PointDescriptor, processor: PointDescriptorProcessor, capacity: int = 256):
        self.model, self.processor = model.eval().requires_grad_(False), processor
        self.features = FeatureCache(self._encode, capacity)

    @torch.inference_mode()
    def score(
        self,
        photos: Sequence[Image.Image],
        keys: Sequence[Hashable],
        points: Sequence[Sequence[float]],
        texts: Sequence[str],
    ) -> NDArray[np.float64]:
        """Mean log-likelihood per token (n,), the end of the text included, given photo and point.

        Args:
            photos, keys, texts: n, as for :meth:`Listener.find`.
            points: n unit points (x, y).
        """
        groups = rows_of(keys)
        most = max(map(len, groups.values()))
        padded = [rows + rows[:1] * (most - len(rows)) for rows in groups.values()]
        shown = {key: photos[rows[0]] for key, rows in groups.items()}
        inputs = self.processor(
            images=list(shown.values()),
            points=[[points[i] for i in rows] for rows in padded],
            answers=[[texts[i] for i in rows] for rows in padded],
        )
        inputs = moved(inputs, self.model)
        del inputs["pixel_values"]
        values = self.model.log_likelihoods(**inputs, visual=self.features(shown)).double().cpu().numpy()
        scores = np.zeros(len(texts))
        for number, rows in enumerate(groups.values()):
            scores[rows] = values[number * most : number * most + len(rows)]
        return scores

    def _encode(self, photos: list[Image.Image]) -> VisualFeatures:
        inputs = self.processor(images=photos, points=[[(0.5, 0.5)]] * len(photos))
        return self.model.encode_images(**moved(inputs, self.model))


def rows_of(keys: Sequence[Hashable]) -> dict[Hashable, list[int]]:
    """Key -> indices of its rows, in order of appearance."""
    groups: dict[Hashable, list[int]] = {}
    for i, key in enumerate(keys):
        groups.setdefault(key, []).append(i)
    return groups


def _shown(photo: Image.Image, mirror: bool) -> Image.Image:
    return ImageOps.mirror(photo) if mirror else photo
