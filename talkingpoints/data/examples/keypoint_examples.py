"""Annotated photos -> training examples: one photo, several of its points, and a text for each.

A map-style dataset that the ``Trainer`` takes as it is. Example ``i`` is always the same, whatever process or worker
asks for it, which is what makes an interrupted training resume exactly.
"""

import random
from collections.abc import Mapping
from typing import NamedTuple, TypedDict

import numpy as np
from datasets import Dataset
from PIL import Image

from talkingpoints.data.examples.augmentation import Augmentation, augment
from talkingpoints.data.examples.photo_passes import PhotoPasses
from talkingpoints.images import load_image
from talkingpoints.writer.object_colours import object_colours_of
from talkingpoints.writer.scene import Scene, SceneObject, scene_of
from talkingpoints.writer.styles import PointFacts, point_facts, write_told

BLIND_GREY = 127
"""Grey value of :func:`blind_image`."""


def blind_image() -> Image.Image:
    """What a blind listener is shown in place of any photo: constant grey, the same shape whatever the photo's."""
    return Image.new("RGB", (64, 64), (BLIND_GREY, BLIND_GREY, BLIND_GREY))


class PointExample(TypedDict):
    """One photo and n of its points: ``image`` RGB, ``points`` float32 (n, 2) in the unit square, ``texts`` n,
    ``presence`` float32 (n,): 0 where the text speaks of another photo (its point is then meaningless). ``facts`` n:
    what is true of each point, and ``told`` n: the names of the facts that its text tells."""

    image: Image.Image
    points: np.ndarray
    texts: list[str]
    presence: np.ndarray
    facts: list[PointFacts]
    told: list[frozenset[str]]


class _Point(NamedTuple):
    """A point of a photo, its text, and what that tells."""

    point: tuple[float, float]
    text: str
    told: frozenset[str]
    facts: PointFacts


class PointExamples(PhotoPasses):
    """Endless views of annotated photos, cut off after ``passes`` over them.

    Args:
        dataset: rows of :func:`load_keypoints`.
        points_per_photo: n, points (and texts) per example.
        styles: style of the writer -> weight.
        passes: how often each photo is shown; each pass shows all photos once, in another order.
        crowded: how often a pass shows a photo with two or more objects that have keypoints: the choice among several
            has to be learned from few photos.
        augmentation: None for none.
        arbitrary: share of points that are no keypoints but lie somewhere on the object.
        background: share of points outside all boxes, where there is room for them.
        negatives: share of texts that speak of another photo, of objects that this one does not show. Where rows
            have a column ``known_labels`` (what the annotators looked for), only of those: that nobody marked the
            rider of a horse does not mean that there is no person.
        seed: of everything random.

    Raises:
        ValueError: no photo holds a keypoint, the shares are no shares, or ``crowded`` is below 1.
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
        crowded: int = 1,
    ):
        if crowded < 1:
            raise ValueError(f"crowded must be 1 or more, got {crowded}")
        if min(arbitrary, background, negatives) < 0 or arbitrary + background + negatives > 1:
            raise ValueError(f"shares must be 0 or more and at most 1 together: {arbitrary}, {background}, {negatives}")
        self.scenes: list[Scene] = []
        self.rows: list[int] = []
        self.known_labels: list[frozenset[str] | None] = []
        for i, row in enumerate(dataset.remove_columns("image")):
            scene = scene_of(row)
            if any(item.keypoints for item in scene.objects):
                self.scenes.append(scene)
                self.known_labels.append(frozenset(row["known_labels"]) if "known_labels" in row else None)
                self.rows.append(i)
        if not self.rows:
            raise ValueError("no photo of the dataset holds a keypoint")
        several = [sum(bool(item.keypoints) for item in scene.objects) > 1 for scene in self.scenes]
        shown = [photo for photo, more in enumerate(several) for _ in range(crowded if more else 1)]
        super().__init__(shown, passes, seed)
        self.dataset = dataset
        self.points_per_photo = points_per_photo
        self.styles = dict(styles or {"full": 1.0})
        self.augmentation = augmentation
        self.shares = (arbitrary, background, negatives)
        self._pixels: dict[int, np.ndarray] = {}

    def __getitem__(self, index: int) -> PointExample:
        image, scene, rng = self._view(index)
        known = self.known_labels[self.photo_of(index)]
        pixels = np.asarray(image)
        arbitrary, background, negatives = self.shares
        kinds = rng.choice(
            ["keypoint", "arbitrary", "background", "negative"],
            size=self.points_per_photo,
            p=[1 - arbitrary - background - negatives, arbitrary, background, negatives],
        )
        keypoints = self._keypoints(scene, rng)
        looks = [object_colours_of(pixels, item) for item in scene.objects]  # once, not for each point
        points = []
        for i, kind in enumerate(kinds):
            point = self._foreign(scene, known, rng) if kind == "negative" else None
            if point is None:
                kinds[i] = "keypoint" if kind == "negative" else kind
                point = self._own(scene, pixels, looks, kinds[i], keypoints[i % len(keypoints)], rng)
            points.append(point)
        return PointExample(
            image=image,
            points=np.array([p.point for p in points], np.float32),
            texts=[p.text for p in points],
            presence=(kinds != "negative").astype(np.float32),
            facts=[p.facts for p in points],
            told=[p.told for p in points],
        )

    def view(self, index: int) -> tuple[Image.Image, Scene]:
        """The augmented photo of example ``index`` and its scene, without points and texts."""
        return self._view(index)[:2]

    def _view(self, index: int) -> tuple[Image.Image, Scene, np.random.Generator]:
        """The same, and the source of the example's further chance."""
        rng = self.chance(index)
        return *self._photo(self.photo_of(index), rng), rng

    def _photo(self, photo: int, rng: np.random.Generator) -> tuple[Image.Image, Scene]:
        """A photo and its scene, augmented."""
        if photo not in self._pixels:  # decoded once: 224 px photos take 0.1 MB each
            self._pixels[photo] = np.asarray(load_image(self.dataset[self.rows[photo]]["image"]))
        image, scene = Image.fromarray(self._pixels[photo]), self.scenes[photo]
        return (image, scene) if self.augmentation is None else augment(image, scene, self.augmentation, rng)

    def _keypoints(self, scene: Scene, rng: np.random.Generator) -> list[tuple[int, int]]:
        """(object, keypoint) indices in random order."""
        pairs = [(o, k) for o, item in enumerate(scene.objects) for k in range(len(item.keypoints))]
        return [pairs[i] for i in rng.permutation(len(pairs))]

    def _own(
        self,
        scene: Scene,
        pixels: np.ndarray,
        looks: list[tuple[str, ...]],
        kind: str,
        pair: tuple[int, int],
        rng: np.random.Generator,
    ) -> _Point:
        """A point of this photo and a text for it."""
        index: int | None = pair[0]
        part: str | None = None
        item = scene.objects[pair[0]]
        background = point_off(scene, rng) if kind == "background" else None
        if background is not None:
            point, index = background, None
        elif kind == "arbitrary":
            point = point_on(item, rng)
        else:
            keypoint = item.keypoints[pair[1]]
            point, part = (keypoint.x, keypoint.y), keypoint.name
        return self._write(scene, point, pixels, index, part, rng, None if index is None else looks[index])

    def _foreign(self, scene: Scene, known: frozenset[str] | None, rng: np.random.Generator) -> _Point | None:
        """A point of another photo that shares no label with this one, None if a few draws find no such photo."""
        labels = {item.label for item in scene.objects}
        for _ in range(8):
            photo = int(rng.integers(len(self.rows)))
            others = {item.label for item in self.scenes[photo].objects}
            if labels.isdisjoint(others) and (known is None or others <= known):
                image, other = self._photo(photo, rng)
                index, k = self._keypoints(other, rng)[0]
                keypoint = other.objects[index].keypoints[k]
                point = keypoint.x, keypoint.y
                written = self._write(other, point, np.asarray(image), index, keypoint.name, rng)
                return written if "label" in written.told else None  # "the animal" may well be in this photo
        return None

    def _write(
        self,
        scene: Scene,
        point: tuple[float, float],
        pixels: np.ndarray,
        index: int | None,
        part: str | None,
        rng: np.random.Generator,
        look: tuple[str, ...] | None = None,
    ) -> _Point:
        weights = np.array(list(self.styles.values()), dtype=np.float64)
        style = list(self.styles)[rng.choice(len(weights), p=weights / weights.sum())]
        facts = point_facts(scene, point, pixels, index, part, look)
        return _Point(point, *write_told(facts, style, random.Random(int(rng.integers(2**31)))), facts)


def point_on(item: SceneObject, rng: np.random.Generator) -> tuple[float, float]:
    """A random point between two or three of an object's keypoints, which nearly always lies on the object."""
    corners = rng.choice(len(item.keypoints), size=min(3, len(item.keypoints)), replace=False)
    weights = rng.dirichlet(np.ones(len(corners)))
    x = sum(w * item.keypoints[k].x for w, k in zip(weights, corners, strict=True))
    y = sum(w * item.keypoints[k].y for w, k in zip(weights, corners, strict=True))
    return float(np.clip(x, 0, 1)), float(np.clip(y, 0, 1))


def point_off(scene: Scene, rng: np.random.Generator) -> tuple[float, float] | None:
    """A random point outside all boxes, None if eight draws find none."""
    for x, y in rng.uniform(0, 1, size=(8, 2)).tolist():
        if not any(b[0] <= x <= b[2] and b[1] <= y <= b[3] for b in (item.box for item in scene.objects)):
            return x, y
    return None
