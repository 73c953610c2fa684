"""Annotated photos -> training examples: one photo, several of its points, and a text for each.

A map-style dataset that the ``Trainer`` takes as it is. Example ``i`` is always the same, whatever process or worker
asks for it, which is what makes an interrupted training resume exactly.
"""

import random
from collections.abc import Mapping
from typing import TypedDict

import numpy as np
import torch
from datasets import Dataset
from PIL import Image

from talkingpoints.data.augmentation import Augmentation, augment
from talkingpoints.data.scenes import Scene, SceneObject, scene_of
from talkingpoints.data.writer import point_facts, write

BLIND_GREY = 127
"""Grey value of :func:`blind_image`."""


def blind_image() -> Image.Image:
    """What a blind listener is shown in place of any photo: constant grey, the same shape whatever the photo's."""
    return Image.new("RGB", (64, 64), (BLIND_GREY, BLIND_GREY, BLIND_GREY))


class PointExample(TypedDict):
    """One photo and n of its points: ``image`` RGB, ``points`` float32 (n, 2) in the unit square, ``texts`` n,
    ``presence`` float32 (n,): 0 where the text speaks of another photo (its point is then meaningless)."""

    image: Image.Image
    points: np.ndarray
    texts: list[str]
    presence: np.ndarray


class PointExamples(torch.utils.data.Dataset):
    """Endless views of annotated photos, cut off after ``passes`` over them.

    Args:
        dataset: rows of :func:`load_keypoints`.
        points_per_photo: n, points (and texts) per example.
        styles: style of the writer -> weight.
        passes: how often each photo is shown; each pass shows all photos once, in another order.
        augmentation: None for none.
        arbitrary: share of points that are no keypoints but lie somewhere on the object.
        background: share of points on the background.
        negatives: share of texts that speak of another photo, one without any object of this one's labels.
        seed: of everything random.

    Raises:
        ValueError: no photo holds a keypoint, or the shares are no shares.
    """

    def __init__(
        self,
        dataset: Dataset,
        points_per_photo: int = 8,
        styles: Mapping[str, float] | None = None,
        passes: int = 1,
        augmentation: Augmentation | None = None,
        arbitrary: float = 0.0,
        background: float = 0.0,
        negatives: float = 0.0,
        seed: int = 0,
    ):
        if min(arbitrary, background, negatives) < 0 or arbitrary + background + negatives > 1:
            raise ValueError(f"shares must be 0 or more and at most 1 together: {arbitrary}, {background}, {negatives}")
        self.scenes: list[Scene] = []
        self.rows: list[int] = []
        for i, row in enumerate(dataset.remove_columns("image")):
            scene = scene_of(row)
            if any(item.keypoints for item in scene.objects):
                self.scenes.append(scene)
                self.rows.append(i)
        if not self.rows:
            raise ValueError("no photo of the dataset holds a keypoint")
        self.dataset = dataset
        self.points_per_photo = points_per_photo
        self.styles = dict(styles or {"full": 1.0})
        self.passes = passes
        self.augmentation = augmentation
        self.shares = (arbitrary, background, negatives)
        self.seed = seed
        self._pixels: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        return self.passes * len(self.rows)

    def __getitem__(self, index: int) -> PointExample:
        image, scene, rng = self._view(index)
        pixels = np.asarray(image)
        arbitrary, background, negatives = self.shares
        kinds = rng.choice(
            ["keypoint", "arbitrary", "background", "negative"],
            size=self.points_per_photo,
            p=[1 - arbitrary - background - negatives, arbitrary, background, negatives],
        )
        keypoints = self._keypoints(scene, rng)
        points, texts = [], []
        for i, kind in enumerate(kinds):
            if kind == "negative":
                point, text = (0.5, 0.5), self._foreign_text(scene, rng)
                if text is None:
                    kinds[i] = kind = "keypoint"
            if kind != "negative":
                point, text = self._own(scene, pixels, kind, keypoints[i % len(keypoints)], rng)
            points.append(point)
            texts.append(text)
        presence = (kinds != "negative").astype(np.float32)
        return PointExample(image=image, points=np.array(points, np.float32), texts=texts, presence=presence)

    def view(self, index: int) -> tuple[Image.Image, Scene]:
        """The augmented photo of example ``index`` and its scene, without points and texts."""
        return self._view(index)[:2]

    def _view(self, index: int) -> tuple[Image.Image, Scene, np.random.Generator]:
        """The same, and the source of the example's further chance."""
        number, place = divmod(index, len(self.rows))
        order = np.random.default_rng((self.seed, 0, number)).permutation(len(self.rows))
        rng = np.random.default_rng((self.seed, 1, index))
        return *self._photo(int(order[place]), rng), rng

    def _photo(self, photo: int, rng: np.random.Generator) -> tuple[Image.Image, Scene]:
        """A photo and its scene, augmented."""
        if photo not in self._pixels:  # decoded once: 224 px photos take 0.1 MB each
            self._pixels[photo] = np.asarray(self.dataset[self.rows[photo]]["image"].convert("RGB"))
        image, scene = Image.fromarray(self._pixels[photo]), self.scenes[photo]
        return (image, scene) if self.augmentation is None else augment(image, scene, self.augmentation, rng)

    def _keypoints(self, scene: Scene, rng: np.random.Generator) -> list[tuple[int, int]]:
        """(object, keypoint) indices in random order."""
        pairs = [(o, k) for o, item in enumerate(scene.objects) for k in range(len(item.keypoints))]
        return [pairs[i] for i in rng.permutation(len(pairs))]

    def _own(
        self, scene: Scene, pixels: np.ndarray, kind: str, pair: tuple[int, int], rng: np.random.Generator
    ) -> tuple[tuple[float, float], str]:
        """A point of this photo and a text for it."""
        index: int | None = pair[0]
        part: str | None = None
        item = scene.objects[pair[0]]
        if kind == "keypoint":
            keypoint = item.keypoints[pair[1]]
            point, part = (keypoint.x, keypoint.y), keypoint.name
        elif kind == "arbitrary":
            point = point_on(item, rng)
        else:
            point = tuple(rng.uniform(0, 1, size=2))
            index = next((i for i, other in enumerate(scene.objects) if _inside(point, other.box)), None)
        return point, self._write(scene, point, pixels, index, part, rng)

    def _foreign_text(self, scene: Scene, rng: np.random.Generator) -> str | None:
        """A text of another photo that shares no label with this one, None if a few draws find no such photo."""
        labels = {item.label for item in scene.objects}
        for _ in range(8):
            photo = int(rng.integers(len(self.rows)))
            if labels.isdisjoint(item.label for item in self.scenes[photo].objects):
                image, other = self._photo(photo, rng)
                index, k = self._keypoints(other, rng)[0]
                keypoint = other.objects[index].keypoints[k]
                return self._write(other, (keypoint.x, keypoint.y), np.asarray(image), index, keypoint.name, rng)
        return None

    def _write(
        self,
        scene: Scene,
        point: tuple[float, float],
        pixels: np.ndarray,
        index: int | None,
        part: str | None,
        rng: np.random.Generator,
    ) -> str:
        weights = np.array(list(self.styles.values()), dtype=np.float64)
        style = list(self.styles)[rng.choice(len(weights), p=weights / weights.sum())]
        return write(point_facts(scene, point, pixels, index, part), style, random.Random(int(rng.integers(2**31))))


def point_on(item: SceneObject, rng: np.random.Generator) -> tuple[float, float]:
    """A random point between two or three of an object's keypoints, which nearly always lies on the object."""
    corners = rng.choice(len(item.keypoints), size=min(3, len(item.keypoints)), replace=False)
    weights = rng.dirichlet(np.ones(len(corners)))
    x = sum(w * item.keypoints[k].x for w, k in zip(weights, corners, strict=True))
    y = sum(w * item.keypoints[k].y for w, k in zip(weights, corners, strict=True))
    return float(np.clip(x, 0, 1)), float(np.clip(y, 0, 1))


def _inside(point: tuple[float, float], box: tuple[float, float, float, float]) -> bool:
    return box[0] <= point[0] <= box[2] and box[1] <= point[1] <= box[3]
