"""A photo's annotation as plain values: objects, boxes and named keypoints in unit coordinates.

Everything is frozen; flipping and cropping return a new scene. Leaves out pixels: whoever mirrors or crops a
scene does the same to the photo.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from talkingpoints.points import crop, flip_horizontal, to_unit

Box = tuple[float, float, float, float]
MIN_BOX_LEFT = 0.25


@dataclasses.dataclass(frozen=True)
class Keypoint:
    """A named point of an object.

    Args:
        name: Lower-case name, for example "left front paw"; left and right are the object's own sides.
        x: Unit coordinate in [0, 1] of the photo, from the left.
        y: Unit coordinate in [0, 1] of the photo, from the top.
    """

    name: str
    x: float
    y: float


@dataclasses.dataclass(frozen=True)
class SceneObject:
    """One annotated object.

    Args:
        label: Category, for example "dog".
        box: (x0, y0, x1, y1) in unit coordinates of the photo.
        keypoints: The labelled keypoints.
    """

    label: str
    box: Box
    keypoints: tuple[Keypoint, ...]


@dataclasses.dataclass(frozen=True)
class Scene:
    """Everything annotated in one photo.

    Args:
        objects: The objects, in the order of the dataset.
        size: (height, width) of the photo in pixels.
    """

    objects: tuple[SceneObject, ...]
    size: tuple[int, int]

    def flipped(self) -> "Scene":
        """Mirror the scene left to right.

        Returns:
            The scene of the mirrored photo; an object's own left and right swap with it.
        """
        objects = []
        for item in self.objects:
            x0, y0, x1, y1 = item.box
            corners = flip_horizontal([(x1, y0), (x0, y1)])
            points = flip_horizontal(_points(item))
            names = [swap_sides(keypoint.name) for keypoint in item.keypoints]
            objects.append(SceneObject(item.label, _box(corners), _keypoints(names, points)))
        return Scene(tuple(objects), self.size)

    def cropped(self, box: Box) -> "Scene":
        """Cut the scene to a part of the photo.

        Args:
            box: (x0, y0, x1, y1) of the part, unit coordinates of this scene.

        Returns:
            The scene of the cut-out: points outside are dropped, boxes clipped, and objects dropped of whose
            box less than a quarter is left.

        Raises:
            ValueError: If the box is empty or not inside [0, 1].
        """
        x0, y0, x1, y1 = box
        if not (0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1):
            raise ValueError(f"box: {box} is not a crop; needs 0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1.")
        objects = []
        for item in self.objects:
            corners = np.asarray(crop([item.box[:2], item.box[2:]], box), dtype=np.float64)
            clipped = np.clip(corners, 0.0, 1.0)
            if np.prod(clipped[1] - clipped[0]) < MIN_BOX_LEFT * np.prod(corners[1] - corners[0]):
                continue
            points = np.asarray(crop(_points(item), box), dtype=np.float64)
            kept = np.flatnonzero((np.abs(points - 0.5) <= 0.5).all(axis=-1)).tolist()
            names = [item.keypoints[i].name for i in kept]
            objects.append(SceneObject(item.label, _box(clipped), _keypoints(names, points[kept])))
        height, width = self.size
        size = (max(1, round(height * (y1 - y0))), max(1, round(width * (x1 - x0))))
        return Scene(tuple(objects), size)


def scene_of(row: Mapping[str, Any]) -> Scene:
    """Turn a row of `load_keypoints` into a scene.

    Args:
        row: A row with `width`, `height` and `objects`, all in pixels; `image` is not touched.

    Returns:
        The scene in unit coordinates. Boxes are clipped to the photo; an object whose box has no area there
        is dropped.
    """
    size = (int(row["height"]), int(row["width"]))
    objects = []
    for item in row["objects"]:
        x, y, width, height = item["bbox"]
        box = np.clip(to_unit([(x, y), (x + width, y + height)], size), 0.0, 1.0)
        if not (box[1] > box[0]).all():
            continue
        pixels = np.array([(k["x"], k["y"]) for k in item["keypoints"]], dtype=np.float64).reshape(-1, 2)
        names = [k["name"] for k in item["keypoints"]]
        objects.append(SceneObject(item["label"], _box(box), _keypoints(names, to_unit(pixels, size))))
    return Scene(tuple(objects), size)


def swap_sides(name: str) -> str:
    """Swap the words left and right.

    Args:
        name: A keypoint name such as "left ear"; names without a side are returned as they are.

    Returns:
        The name of the mirrored keypoint.

    Example:
        >>> swap_sides("left front paw")
        'right front paw'
    """
    swapped = {"left": "right", "right": "left"}
    return " ".join(swapped.get(word, word) for word in name.split(" "))


def _points(item: SceneObject) -> np.ndarray:
    return np.array([(k.x, k.y) for k in item.keypoints], dtype=np.float64).reshape(-1, 2)


def _box(corners: Any) -> Box:
    (x0, y0), (x1, y1) = np.asarray(corners, dtype=np.float64).tolist()
    return (x0, y0, x1, y1)


def _keypoints(names: list[str], points: Any) -> tuple[Keypoint, ...]:
    values = np.asarray(points, dtype=np.float64).reshape(-1, 2).tolist()
    return tuple(Keypoint(name, x, y) for name, (x, y) in zip(names, values, strict=True))
