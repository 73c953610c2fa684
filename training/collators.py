"""Examples -> batches: the processors do the work, these only line things up.

Every photo of a batch brings the same number of points, so rows are a multiple of photos and each photo is encoded
once for all of its points.
"""

from collections.abc import Sequence

import numpy as np
import torch

from talkingpoints import PointDescriptorProcessor, PointLocalizerProcessor
from talkingpoints.data.examples import PointExample, blind_image
from talkingpoints.data.region_examples import RegionExample
from training.facts import FactVocabulary


class DescriptorCollator:
    """Photos, points or regions, and texts -> inputs and labels of the descriptor."""

    def __init__(self, processor: PointDescriptorProcessor):
        self.processor = processor

    def __call__(self, examples: Sequence[PointExample | RegionExample]) -> dict[str, torch.Tensor]:
        return dict(
            self.processor(
                images=[example["image"] for example in examples],
                points=[example.get("points") for example in examples],
                masks=[example.get("masks") for example in examples],
                answers=[example["texts"] for example in examples],
            )
        )


class LocalizerCollator:
    """Photos and texts -> inputs of the localizer, with the points to find and who is absent.

    Args:
        processor: of the localizer.
        blind: show one constant grey image in place of all photos: a listener that can only read.
        vocabulary: if given, the batch also holds ``facts``, what each text tells in numbers.
    """

    def __init__(
        self, processor: PointLocalizerProcessor, blind: bool = False, vocabulary: FactVocabulary | None = None
    ):
        self.processor = processor
        self.blind = blind
        self.vocabulary = vocabulary

    def __call__(self, examples: Sequence[PointExample]) -> dict[str, torch.Tensor]:
        images = [example["image"] for example in examples]
        texts = [example["texts"] for example in examples]
        if self.blind:
            images = [blind_image()]
            texts = [[text for row in texts for text in row]]
        batch = dict(self.processor(images=images, texts=texts))
        batch["points"] = torch.from_numpy(np.stack([example["points"] for example in examples]))
        if self.vocabulary is not None:
            batch["facts"] = torch.stack([self.vocabulary.encode(example) for example in examples])
        batch["presence"] = torch.from_numpy(np.stack([example["presence"] for example in examples]))
        return batch
