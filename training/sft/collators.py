"""Collators: examples -> batches. The processors do the work.

All photos of a batch have the same number of points. So the rows are a multiple of the photos, and each photo is
encoded once for all of its points.
"""

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch

from talkingpoints import PointDescriptorProcessor, PointLocalizerProcessor
from talkingpoints.data.examples.keypoint_examples import PointExample, blind_image
from talkingpoints.data.examples.region_examples import RegionExample
from talkingpoints.mask_pieces import deepest_point


class DescriptorCollator:
    """Photos, points or regions, and texts -> inputs and labels of the descriptor."""

    def __init__(self, processor: PointDescriptorProcessor):
        self.processor = processor

    def __call__(self, examples: Sequence[PointExample | RegionExample]) -> dict[str, torch.Tensor]:
        return dict(
            self.processor(
                images=[example["image"] for example in examples],
                points=[cast(np.ndarray | None, example.get("points")) for example in examples],
                masks=[cast(list[np.ndarray] | None, example.get("masks")) for example in examples],
                answers=[example["texts"] for example in examples],
            )
        )


class LocalizerCollator:
    """Photos and texts -> inputs of the localizer, with the points to find and which texts are present.

    The point of a region is the one deepest inside.

    Args:
        processor: The localizer's processor.
        blind: Show one constant grey image instead of the photos, for a localizer that can only read.
    """

    def __init__(self, processor: PointLocalizerProcessor, blind: bool = False):
        self.processor = processor
        self.blind = blind

    def __call__(self, examples: Sequence[PointExample | RegionExample]) -> dict[str, torch.Tensor]:
        images = [example["image"] for example in examples]
        texts = [example["texts"] for example in examples]
        if self.blind:
            images = [blind_image()]
            texts = [[text for row in texts for text in row]]
        batch = dict(self.processor(images=images, text=texts))
        points = [points_of(example) for example in examples]
        batch["points"] = torch.from_numpy(np.stack(points))
        present = np.ones(len(points[0]), np.float32)
        batch["presence"] = torch.from_numpy(
            np.stack([cast(np.ndarray, example.get("presence", present)) for example in examples])
        )
        return batch


def points_of(example: PointExample | RegionExample) -> np.ndarray:
    """Points of an example, float32 (n, 2) in the unit square; of a region the one deepest inside."""
    points, masks = example.get("points"), example.get("masks")
    if points is not None:
        return cast(np.ndarray, points)
    return np.array([deepest_point(mask) for mask in cast(list[np.ndarray], masks)], np.float32)
