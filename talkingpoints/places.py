"""What callers point at in a photo, checked: points and boxes in pixels or in [0, 1], and masks.

The one boundary at which pixels become the unit square that everything behind it works in.
"""

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

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


def points_of(points_px: Any, points: Any, size: tuple[int, int]) -> tuple[list[Point], bool]:
    """Points that come in pixels or in [0, 1].

    Args:
        points_px: (x, y), a :class:`Point` or a sequence of them in pixels, or None.
        points: the same in [0, 1], or None; of a :class:`Point` this is its ``unit``.
        size: (height, width) of the photo in pixels.

    Returns:
        The points, and whether a single one was given.

    Raises:
        ValueError: If not exactly one of the two is given, or a point is outside the photo or none.
        TypeError: If something else than numbers is given.

    Warns:
        UserWarning: If all pixels lie in [0, 1] and are no whole numbers: these are most likely unit points.
    """
    if one_of(point_px=points_px, point=points) == "point":
        units = check_points(_numbers("point", points, unit=True))
        pixels = to_pixels(units, size)
    else:
        pixels = check_points_px(_numbers("point_px", points_px, unit=False), size)
        units = to_unit(pixels, size)
        if pixels.size and pixels.max() <= 1 and (pixels % 1).any():
            warnings.warn(
                f"point_px {pixels.tolist()} lies in the first pixel of a photo of {size[1]} x {size[0]} pixels; "
                "points in [0, 1] are given as point=(x, y)",
                stacklevel=4,
            )
    if pixels.ndim > 2:
        raise ValueError(f"a point is (x, y), several are a sequence of them; got shape {pixels.shape}")
    rows = zip(pixels.reshape(-1, 2).tolist(), units.reshape(-1, 2).tolist(), strict=True)
    return [Point(x, y, (u, v)) for (x, y), (u, v) in rows], pixels.ndim == 1


def _numbers(name: str, value: Any, unit: bool) -> np.ndarray:
    """(x, y), a :class:`Point` or a sequence of them as an array."""
    if isinstance(value, str | bytes | Image.Image):
        raise TypeError(
            f"{name} must be (x, y) or a sequence of them, got {type(value).__name__}; the image comes first, then the "
            "point"
        )
    if isinstance(value, Point):
        value = value.unit if unit else (value.x, value.y)
    elif isinstance(value, Sequence):
        value = [(one.unit if unit else (one.x, one.y)) if isinstance(one, Point) else one for one in value]
    try:
        if isinstance(value, Sequence) and None in np.asarray(value, dtype=object).ravel().tolist():
            raise TypeError("None is no number")  # numpy takes it for NaN
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} must be (x, y) or a sequence of them, got {value!r}: {error}") from None


def point_of(point_px: Any, point: Any, size: tuple[int, int]) -> Point:
    """One point; arguments and errors as for :func:`points_of`."""
    points, single = points_of(point_px, point, size)
    if not single:
        raise ValueError(f"give one point (x, y), got a sequence of {len(points)}")
    return points[0]


def texts_of(text: Any) -> list[str]:
    """One text or a sequence of them as a list.

    Raises:
        TypeError: If something else is given.
    """
    texts = [text] if isinstance(text, str) else list(text) if isinstance(text, Iterable) else [text]
    for one in texts:
        if not isinstance(one, str):
            kind = "None" if one is None else type(one).__name__
            raise TypeError(
                f"text must be a str or a sequence of them, got {kind}; the image comes first, then the text"
            )
    return texts


def masks_of(mask: Any, size: tuple[int, int]) -> Regions:
    """One mask (height, width) of a photo of ``size``, or a sequence of them.

    A mask is an array or tensor of 0 and 1, or a PIL image whose pixels are 0 outside and of one other value inside.

    Raises:
        ValueError: If a mask has another size, other values than 0 and 1, or no pixel in it.
    """
    single = isinstance(mask, Image.Image) or (not isinstance(mask[0], Image.Image) and np.ndim(mask[0]) < 2)
    masks = [check_mask(_mask_values(row), size) for row in ([mask] if single else mask)]
    return Regions("masks", masks, [mask_box(one) for one in masks], single)


def _mask_values(mask: Any) -> Any:
    """An image of one mask as bool; anything else as it is."""
    if not isinstance(mask, Image.Image):
        return mask
    values = np.asarray(mask)
    inside = np.unique(values[values > 0])
    if values.ndim != 2 or len(inside) > 1:
        raise ValueError(
            f"a mask image must be of mode 1 or L with 0 outside and one value inside, got mode {mask.mode} with "
            f"values {np.unique(values)[:5].tolist()}; of a map of ids take one, for example np.asarray(mask) == 3"
        )
    return values > 0


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
