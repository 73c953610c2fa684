"""COCO segmentations -> masks: polygons, run lengths, and run lengths as COCO's text."""

from typing import Any

import numpy as np
from pycocotools import mask as coco

_FARTHEST_PX = 100_000  # pycocotools walks along every edge, pixel by pixel


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
        ValueError: If it is neither, of another size, or a corner is no number or far away.
    """
    if isinstance(segmentation, list) and all(len(p) >= 6 and len(p) % 2 == 0 for p in segmentation):
        polygons = [np.asarray(polygon, dtype=np.float64) for polygon in segmentation]
        if not all((np.abs(polygon) <= _FARTHEST_PX).all() for polygon in polygons):
            raise ValueError(f"{where}: a corner of the segmentation is no number within {_FARTHEST_PX} pixels")
        if not polygons:
            return np.zeros(size, dtype=bool)
        return coco.decode(coco.merge(coco.frPyObjects([one.tolist() for one in polygons], *size))).astype(bool)
    if isinstance(segmentation, dict) and "counts" in segmentation:
        counts = segmentation["counts"]
        runs = _runs(counts) if isinstance(counts, str) else list(counts)
        if sum(runs) != size[0] * size[1]:
            raise ValueError(f"{where}: the run lengths cover {sum(runs)} pixels, the photo has {size[0] * size[1]}")
        flat = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
        return flat.reshape(size, order="F")
    raise ValueError(f"{where}: segmentation must be polygons of 3 or more corners or run lengths")


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
