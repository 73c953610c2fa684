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
from talkingpoints.data.segmentation import deepest_point
from training.facts import FACTS, UNKNOWN, FactVocabulary


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

    The point of a region is the one deepest inside; its caption tells no facts that are known as such.

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

    def __call__(self, examples: Sequence[PointExample | RegionExample]) -> dict[str, torch.Tensor]:
        images = [example["image"] for example in examples]
        texts = [example["texts"] for example in examples]
        if self.blind:
            images = [blind_image()]
            texts = [[text for row in texts for text in row]]
        batch = dict(self.processor(images=images, text=texts))
        points = [_points(example) for example in examples]
        batch["points"] = torch.from_numpy(np.stack(points))
        if self.vocabulary is not None:
            unknown = torch.full((len(points[0]), len(FACTS)), UNKNOWN)
            batch["facts"] = torch.stack(
                [self.vocabulary.encode(example) if example.get("facts") else unknown for example in examples]
            )
        present = np.ones(len(points[0]), np.float32)
        batch["presence"] = torch.from_numpy(np.stack([example.get("presence", present) for example in examples]))
        return batch


def _points(example: PointExample | RegionExample) -> np.ndarray:
    """The points to find, float32 (n, 2)."""
    if "points" in example:
        return example["points"]
    return np.array([deepest_point(mask) for mask in example["masks"]], np.float32)
