"""Prompts for GRPO from annotated keypoints without texts: a photo, one of its points, and what the rewards need.

TRL's trainer takes ``datasets.Dataset`` only, so an example is made when its index is read. Example ``i`` is always the
same. TRL reads each index ``num_generations`` times in a row; the example is made once.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from datasets import Dataset

from talkingpoints import PointDescriptorProcessor
from talkingpoints.data.examples.keypoint_examples import PointExamples
from talkingpoints.writer.scene import Scene


class PointPrompts:
    """Indices -> columns of examples; a transform of ``datasets``.

    Args:
        examples: The photos and their augmentation; their texts are not used.
        processor: The descriptor's processor; it writes the prompts.
        points_per_photo: Consecutive examples that show the same view of a photo.
    """

    def __init__(self, examples: PointExamples, processor: PointDescriptorProcessor, points_per_photo: int):
        self.examples, self.processor, self.points_per_photo = examples, processor, points_per_photo
        self._last: dict[int, list[dict[str, Any]]] = {}

    def __len__(self) -> int:
        return len(self.examples) * self.points_per_photo

    def __call__(self, batch: Mapping[str, Sequence[int]]) -> dict[str, list[Any]]:
        """The columns of some examples.

        Args:
            batch: ``example``: their indices.

        Returns:
            ``prompt``: messages; ``image``: RGB photo; ``point``: unit (x, y); ``box``: of its object, unit x0, y0, x1,
            y1; ``part``: name of the keypoint; ``size``: (height, width) of the photo in pixels; ``view``: key of the
            photo as shown; ``example``: the index.
        """
        places = [divmod(index, self.points_per_photo) for index in batch["example"]]
        views = dict.fromkeys(view for view, _ in places)
        self._last = {view: self._last[view] if view in self._last else self._view(view) for view in views}
        rows = [self._last[view][place] for view, place in places]
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        return {**columns, "example": list(batch["example"])}

    def _view(self, index: int) -> list[dict[str, Any]]:
        """The examples of one view of a photo."""
        image, scene = self.examples.view(index)
        # without augmentation a photo looks the same in all passes, so its features can be cached
        view = f"{self.examples.photo_of(index)}" if self.examples.augmentation is None else f"view {index}"
        return [
            {
                "prompt": [{"role": "user", "content": self.processor.prompt((keypoint.x, keypoint.y))}],
                "image": image,
                "point": [keypoint.x, keypoint.y],
                "box": list(item.box),
                "part": keypoint.name,
                "size": [image.height, image.width],
                "view": view,
            }
            for item, keypoint in drawn_points(scene, self.points_per_photo, (self.examples.seed, 2, index))
        ]


def drawn_points(scene: Scene, count: int, seed: Sequence[int]) -> list[tuple[Any, Any]]:
    """``count`` (object, keypoint) pairs of a scene in random order; they repeat if the scene has fewer."""
    pairs = [(item, keypoint) for item in scene.objects for keypoint in item.keypoints]
    order = np.random.default_rng(seed).permutation(len(pairs))
    return [pairs[order[i % len(pairs)]] for i in range(count)]


def prompt_dataset(prompts: PointPrompts) -> Dataset:
    """The dataset for TRL's trainer: a column of indices that are made into examples when they are read."""
    return Dataset.from_dict({"example": list(range(len(prompts)))}).with_transform(prompts)
