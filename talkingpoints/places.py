"""What callers point at in a photo, checked: points and boxes in pixels or in [0, 1], and masks.

The one boundary at which pixels become the unit square that everything behind it works in.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .masks import check_mask, mask_box
from .points import check_box_px, check_points, check_points_px, to_pixels, to_unit
from .results import Point


@dataclass(frozen=True)
class Regions:
    """Checked masks or boxes.

    Attributes:
        kind: "masks" or "boxes".
        places: masks, bool (height, width), or unit boxes (4,).
        boxes_px: around each (x0, y0, x1, y1) in pixels.
        single: whether one was given, and not a sequence.
    """

    kind: str
    places: list[np.ndarray]
    boxes_px: list[tuple[float, float, float, float]]
    single: bool


def one_of(**given: Any) -> str:
    """The name of the only argument that is not None.

    Raises:
        ValueError: If none or several are given.
    """
    names = [name for name, value in given.items() if value is not None]
    if len(names) != 1:
        *first, last = given
        raise ValueError(f"give one of {', '.join(first)} and {last}, got {names or 'none of them'}")
    return names[0]


def points_of(
    points_px: npt.ArrayLike | None, points: npt.ArrayLike | None, size: tuple[int, int]
) -> tuple[list[Point], bool]:
    """Points that come in pixels or in [0, 1].

    Args:
        points_px: (x, y) or a sequence of them in pixels, or None.
        points: the same in [0, 1], or None.
        size: (height, width) of the photo in pixels.

    Returns:
        The points, and whether a single one was given.

    Raises:
        ValueError: If not exactly one of the two is given, or a point is outside the photo or none.
    """
    if one_of(point_px=points_px, point=points) == "point":
        units = check_points(np.asarray(points, dtype=np.float64))
        pixels = to_pixels(units, size)
    else:
        pixels = check_points_px(np.asarray(points_px, dtype=np.float64), size)
        units = to_unit(pixels, size)
    if pixels.ndim > 2:
        raise ValueError(f"a point is (x, y), several are a sequence of them; got shape {pixels.shape}")
    rows = zip(pixels.reshape(-1, 2).tolist(), units.reshape(-1, 2).tolist(), strict=True)
    return [Point(x, y, (u, v)) for (x, y), (u, v) in rows], pixels.ndim == 1


def point_of(point_px: npt.ArrayLike | None, point: npt.ArrayLike | None, size: tuple[int, int]) -> Point:
    """One point; arguments and errors as for :func:`points_of`."""
    points, single = points_of(point_px, point, size)
    if not single:
        raise ValueError(f"give one point (x, y), got a sequence of {len(points)}")
    return points[0]


def masks_of(mask: np.ndarray | Sequence[np.ndarray], size: tuple[int, int]) -> Regions:
    """One mask (height, width) of a photo of ``size``, or a sequence of them.

    Raises:
        ValueError: If a mask has another size, other values than 0 and 1, or no pixel in it.
    """
    single = np.ndim(mask[0]) < 2
    masks = [check_mask(row, size) for row in ([mask] if single else mask)]
    return Regions("masks", masks, [mask_box(one) for one in masks], single)


def boxes_of(box: npt.ArrayLike, size: tuple[int, int]) -> Regions:
    """One box (x0, y0, x1, y1) in pixels of a photo of ``size`` (height, width), or a sequence of them.

    Raises:
        ValueError: If a box is outside the photo, has no area, or is none.
    """
    rows: Any = box
    single = np.ndim(rows[0]) < 1
    checked = [check_box_px(row, size) for row in ([rows] if single else rows)]
    units = [to_unit(row.reshape(2, 2), size).reshape(4) for row in checked]
    boxes_px = [(x0, y0, x1, y1) for x0, y0, x1, y1 in (row.tolist() for row in checked)]
    return Regions("boxes", units, boxes_px, single)
