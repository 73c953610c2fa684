"""COCO segmentations -> masks: polygons, run lengths, and run lengths as COCO's text; and the middle of a mask."""

from typing import Any

import cv2
import numpy as np

_SHIFT = 4  # fractional bits of polygon corners


def compact(values: dict[str, Any]) -> dict[str, Any]:
    """An object hook for `json`: polygons become float32 arrays, an eighth of the memory of lists."""
    polygons = values.get("segmentation")
    if isinstance(polygons, list):
        values["segmentation"] = [np.asarray(polygon, dtype=np.float32) for polygon in polygons]
    return values


def mask_of(segmentation: Any, size: tuple[int, int], where: str) -> np.ndarray:
    """A segmentation as a mask.

    Args:
        segmentation: list of polygons (x, y, x, y, ... in pixels), or `{"counts": ..., "size": [height, width]}`.
        size: (height, width) of the photo.
        where: what to name in an error.

    Returns:
        bool (height, width).

    Raises:
        ValueError: it is neither, or of another size.
    """
    if isinstance(segmentation, list) and all(len(p) >= 6 and len(p) % 2 == 0 for p in segmentation):
        mask = np.zeros(size, np.uint8)
        for polygon in segmentation:
            corners = np.asarray(polygon, dtype=np.float64).reshape(-1, 2) - 0.5  # cv2 counts from pixels' middles
            cv2.fillPoly(mask, [np.round(corners * (1 << _SHIFT)).astype(np.int32)], 1, shift=_SHIFT)
        return mask.astype(bool)
    if isinstance(segmentation, dict) and "counts" in segmentation:
        counts = segmentation["counts"]
        runs = _runs(counts) if isinstance(counts, str) else list(counts)
        if sum(runs) != size[0] * size[1]:
            raise ValueError(f"{where}: the run lengths cover {sum(runs)} pixels, the photo has {size[0] * size[1]}")
        flat = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
        return flat.reshape(size, order="F")
    raise ValueError(f"{where}: segmentation must be polygons of 3 or more corners or run lengths")


def depths(mask: np.ndarray) -> np.ndarray:
    """How far each pixel of a mask, bool or 0 and 1 (height, width), is from its edge, in pixels, float32 (height,
    width); the border of the array is an edge too."""
    padded = np.pad(mask.astype(np.uint8), 1)
    return cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]


def deepest_point(mask: np.ndarray) -> tuple[float, float]:
    """The point of a mask that is farthest from its edge, unit (x, y): in a ring it lies on the ring.

    Args:
        mask: bool (height, width), not empty; the photo's border is an edge too.
    """
    depth = depths(mask)
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return (float(x) + 0.5) / mask.shape[1], (float(y) + 0.5) / mask.shape[0]


def _runs(text: str) -> list[int]:
    """COCO's text of run lengths: five bits a character; from the fourth run on, differences to the last but one."""
    runs: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            if bits & 16:
                value -= 1 << shift
            runs.append(value + runs[-2] if len(runs) > 2 else value)
            value = shift = 0
    return runs
