"""The unit of coordinates: pixels, unless it is stated; a warning where another one is far more likely."""

import math
from collections.abc import Iterable
from typing import Literal

Unit = Literal["pixels", "fraction", "percent"]
TOPS: dict[str, float] = {"fraction": 1.0, "percent": 100.0}
"""Largest coordinate of a unit."""

_CHANCE = 1e-4  # that points of photos all lie in the corner by accident, if they were pixels


def likely_unit(photos: Iterable[tuple[Iterable[tuple[float, float]], tuple[int, int]]]) -> str | None:
    """The unit that points seem to be in, None for pixels.

    Args:
        photos: points (x, y) as they were given, and (height, width) of their photo in pixels.

    Returns:
        "fraction" (0 to 1) or "percent" where all points lie in that square of their photo's upper left corner, and
        one point anywhere in each photo would do so in less than one of 10,000 such sets.
    """
    given = [([max(point) for point in points], size) for points, size in photos]
    for unit, top in TOPS.items():
        chance, here = 0.0, 0
        for largest, (height, width) in given:
            if largest:
                here += 1
                chance += sum(math.log(min(1.0, top / side)) for side in (height, width))
        if here and chance < math.log(_CHANCE) and all(max(largest) <= top for largest, _ in given if largest):
            return unit
    return None


def in_pixels(point: tuple[float, float], unit: str, size: tuple[int, int]) -> tuple[float, float]:
    """A point (x, y) in a unit -> pixels of a photo of ``size`` (height, width).

    Raises:
        ValueError: An unknown unit.
    """
    if unit == "pixels":
        return point
    if unit not in TOPS:
        raise ValueError(f"unit: {unit!r}; allowed: pixels, {', '.join(TOPS)}")
    return point[0] / TOPS[unit] * size[1], point[1] / TOPS[unit] * size[0]
