"""Annotated keypoints without any text -> prompts for GRPO: a photo, a point of it, and what a reward must know.

TRL's trainer takes ``datasets.Dataset`` only, so the examples are made when a row of indices is read. Example ``i`` is
always the same, whoever asks; each comes ``num_generations`` times in a row, and is made once.
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
        examples: the photos and how they are changed; no text of theirs is ever written.
        processor: of the descriptor; it writes the prompts.
        points_per_photo: examples in a row that show the same view of a photo.
    """

    def __init__(self, examples: PointExamples, processor: PointDescriptorProcessor, points_per_photo: int):
        self.examples, self.processor, self.points_per_photo = examples, processor, points_per_photo
        self._last: dict[int, list[dict[str, Any]]] = {}

    def __len__(self) -> int:
        return len(self.examples) * self.points_per_photo

    def __call__(self, batch: Mapping[str, Sequence[int]]) -> dict[str, list[Any]]:
        """``prompt``: the messages; ``image``: RGB photo; ``point``: unit (x, y); ``box``: its object's, unit;
        ``part``: the keypoint's name; ``size``: (height, width) of the photo in pixels; ``view``: names the photo as it
        is shown; ``example``: the index."""
        places = [divmod(index, self.points_per_photo) for index in batch["example"]]
        views = dict.fromkeys(view for view, _ in places)
        self._last = {view: self._last[view] if view in self._last else self._view(view) for view in views}
        rows = [self._last[view][place] for view, place in places]
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        return {**columns, "example": list(batch["example"])}

    def _view(self, index: int) -> list[dict[str, Any]]:
        """The examples of one view of a photo."""
        image, scene = self.examples.view(index)
        # without augmentation all passes show one photo alike, and its features can be kept
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
    """(object, keypoint) pairs of a scene in random order, ``count`` of them; where it has fewer they come again."""
    pairs = [(item, keypoint) for item in scene.objects for keypoint in item.keypoints]
    order = np.random.default_rng(seed).permutation(len(pairs))
    return [pairs[order[i % len(pairs)]] for i in range(count)]


def prompt_dataset(prompts: PointPrompts) -> Dataset:
    """The dataset that TRL's trainer takes: a column of indices, made into examples when it is read."""
    return Dataset.from_dict({"example": list(range(len(prompts)))}).with_transform(prompts)
