"""COCO segmentations -> masks: polygons, run lengths, and run lengths as COCO's text."""

from typing import Any

import numpy as np
from pycocotools import mask as coco

from talkingpoints.data.validation.fields import Side, Whole, checked_field


def compact(values: dict[str, Any]) -> dict[str, Any]:
    """An object hook for `json`: polygons become float32 arrays, an eighth of the memory of lists."""
    polygons = values.get("segmentation")
    if isinstance(polygons, list):
        values["segmentation"] = [_array(polygon) for polygon in polygons]
    return values


def check_segmentation(segmentation: Any, size: tuple[int, int] | None) -> None:
    """Check a segmentation without drawing it; arguments as for :func:`mask_of`, ``size`` None if nobody knows it.

    Raises:
        ValueError: It is no list of polygons and no run lengths; no polygon has an area, or one lies far outside the
            photo; or run lengths are of another size, for example of the turned photo.
    """
    if isinstance(segmentation, dict):
        _runs_of(segmentation, size)
    else:
        _polygons_of(segmentation, size)


def mask_of(segmentation: Any, size: tuple[int, int], where: str) -> np.ndarray:
    """A segmentation as a mask.

    Args:
        segmentation: list of polygons (x, y, x, y, ... in pixels), or `{"counts": ..., "size": [height, width]}`.
        size: (height, width) of the photo.
        where: what to name in an error.

    Returns:
        bool (height, width).

    Raises:
        ValueError: what :func:`check_segmentation` refuses.
    """
    try:
        if isinstance(segmentation, dict):
            runs = _runs_of(segmentation, size)
            return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(size, order="F")
        polygons = [corners.ravel().tolist() for corners in _polygons_of(segmentation, size)]
        return coco.decode(coco.merge(coco.frPyObjects(polygons, *size))).astype(bool)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _array(polygon: Any) -> Any:
    try:
        return np.asarray(polygon, dtype=np.float32) if isinstance(polygon, list) else polygon
    except (TypeError, ValueError, OverflowError):
        return polygon  # no numbers: refused where it is drawn, with its place


def _polygons_of(segmentation: Any, size: tuple[int, int] | None) -> list[np.ndarray]:
    """The polygons that have an area, float64 (corners, 2) in pixels."""
    if not isinstance(segmentation, list) or not all(
        isinstance(p := _array(polygon), np.ndarray) and p.ndim == 1 and p.size >= 6 and p.size % 2 == 0
        for polygon in segmentation
    ):
        raise ValueError("segmentation must be polygons of 3 or more corners or run lengths")
    polygons = [np.asarray(polygon, dtype=np.float64).reshape(-1, 2) for polygon in segmentation]
    for corners in polygons:
        if not np.isfinite(corners).all():
            raise ValueError("segmentation: corners must be finite numbers")
        if size is not None and not (np.abs(corners) <= 2 * max(size)).all():
            raise ValueError(f"segmentation: a polygon lies far outside the photo, which is {size[1]} x {size[0]}")
    found = [corners for corners in polygons if _area(corners) > 0]
    if not found:
        raise ValueError("segmentation: no polygon has an area")
    return found


def _area(corners: np.ndarray) -> float:
    """The shoelace formula, for corners (n, 2)."""
    x, y = corners.T
    return abs(float(x @ np.roll(y, 1) - y @ np.roll(x, 1))) / 2


def _runs_of(segmentation: dict[str, Any], size: tuple[int, int] | None) -> list[int]:
    """Lengths of runs of 0 and of 1, by turns, that cover the photo column by column."""
    given = segmentation.get("size")
    if given is None and size is None:
        raise ValueError("segmentation: size is missing")
    height, width = size or (0, 0)
    if given is not None:
        sides = tuple(checked_field(list[Side], segmentation, "size"))
        if sides != (size or sides) or len(sides) != 2:
            raise ValueError(f"segmentation: size is {sides}; the photo's (height, width) is {size}")
        height, width = sides
    if isinstance(segmentation.get("counts"), str):
        runs = _runs(segmentation["counts"], height * width)
    else:
        runs = checked_field(list[Whole], segmentation, "counts")
    if any(run < 0 for run in runs) or sum(runs) != height * width:
        raise ValueError(f"the run lengths cover {sum(runs)} pixels, the photo has {height * width}")
    return runs


def _runs(text: str, most: int) -> list[int]:
    """COCO's text of run lengths: five bits a character; from the fourth run on, differences to the last but one.

    Raises:
        ValueError: Another character, or a run of more than ``most`` pixels.
    """
    runs: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or value > most:
            raise ValueError("counts is no text of run lengths")
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            if bits & 16:
                value -= 1 << shift
            runs.append(value + runs[-2] if len(runs) > 2 else value)
            value = shift = 0
    if shift:
        raise ValueError("counts is cut off")
    return runs
