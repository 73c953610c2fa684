"""All coordinate code of the package: pixels <-> unit square <-> location tokens, bounds, mirroring, cropping.

Two frames exist, and names say which one is meant:

* ``points_px``: pixels of the photo as a person sees it (EXIF orientation applied), x to the right, y down,
  the outer corners of the image are (0, 0) and (width, height);
* ``points``: the unit square, ``points = points_px / (width, height)``.

Points are always (x, y), sizes always (height, width). Models see the unit square only.
"""

import re

import numpy as np
import numpy.typing as npt

LOCATION_BINS = 1024
LOCATION_TOKENS = tuple(f"<loc_{i:04d}>" for i in range(LOCATION_BINS))

_LOCATION_PAIR = re.compile(r"<loc_(\d{4})><loc_(\d{4})>")


def _floats(values: npt.ArrayLike) -> np.ndarray:
    try:
        return np.asarray(values, dtype=np.float64)
    except OverflowError as error:  # a whole number beyond all floats
        raise ValueError("points must be finite numbers") from error


def check_points_px(points_px: npt.ArrayLike, size: tuple[int, int]) -> np.ndarray:
    """Check that points lie in an image.

    Args:
        points_px: array (..., 2), (x, y) in pixels of the image.
        size: (height, width) of the image in pixels.

    Returns:
        The points as a float64 array of the same shape.

    Raises:
        ValueError: not (..., 2), not finite, or outside [0, width] x [0, height].
    """
    points_px = _floats(points_px)
    if points_px.ndim == 0 or points_px.shape[-1] != 2:
        raise ValueError(f"points_px must have shape (..., 2) with (x, y) last, got shape {points_px.shape}")
    height, width = size
    inside = np.isfinite(points_px) & (points_px >= 0) & (points_px <= (width, height))
    if not inside.all():
        outside = points_px[~inside.all(axis=-1)].reshape(-1, 2)[0]
        raise ValueError(
            f"point ({outside[0]:g}, {outside[1]:g}) is outside the image: "
            f"x must be in [0, {width}], y in [0, {height}]"
        )
    return points_px


def check_points(points: npt.ArrayLike) -> np.ndarray:
    """Unit points (..., 2) as a float64 array of the same shape.

    Raises:
        ValueError: If they are not (..., 2), not finite, or outside [0, 1].
    """
    points = _floats(points)
    if points.ndim == 0 or points.shape[-1] != 2:
        raise ValueError(f"points must have shape (..., 2) with (x, y) last, got shape {points.shape}")
    if not (np.isfinite(points) & (points >= 0) & (points <= 1)).all():
        raise ValueError(f"unit points must lie in [0, 1], got {points.tolist()}")
    return points


def to_unit(points_px: npt.ArrayLike, size: tuple[int, int]) -> np.ndarray:
    """Pixels (..., 2) of an image of ``size`` (height, width) -> unit square. Inverse of :func:`to_pixels`."""
    height, width = size
    return np.asarray(points_px, dtype=np.float64) / (width, height)


def to_pixels(points: npt.ArrayLike, size: tuple[int, int]) -> np.ndarray:
    """Unit square (..., 2) -> pixels of an image of ``size`` (height, width). Inverse of :func:`to_unit`."""
    height, width = size
    return np.asarray(points, dtype=np.float64) * (width, height)


def flip_horizontal(points: npt.ArrayLike) -> np.ndarray:
    """Unit points (..., 2) in the mirrored image."""
    points = np.array(points, dtype=np.float64)
    points[..., 0] = 1.0 - points[..., 0]
    return points


def crop(points: npt.ArrayLike, box: tuple[float, float, float, float]) -> np.ndarray:
    """Unit points (..., 2) of an image -> unit points of its crop ``box``, (x0, y0, x1, y1) in unit coordinates."""
    x0, y0, x1, y1 = box
    return (np.asarray(points, dtype=np.float64) - (x0, y0)) / (x1 - x0, y1 - y0)


def location_bins(points: npt.ArrayLike) -> np.ndarray:
    """Unit points (..., 2) -> integer bins 0..1023; bin ``b`` covers [b, b + 1) / 1024, and 1.0 falls into the last."""
    points = check_points(points)
    return np.minimum((points * LOCATION_BINS).astype(np.int64), LOCATION_BINS - 1)


def from_location_bins(bins: npt.ArrayLike) -> np.ndarray:
    """Bins (..., 2) -> unit points at the bins' centres; at most 1/2048 from what :func:`location_bins` was given."""
    return (np.asarray(bins, dtype=np.float64) + 0.5) / LOCATION_BINS


def location_tokens(point: npt.ArrayLike) -> str:
    """One unit point (x, y) as the two tokens that stand for it in a prompt.

    Example:
        >>> location_tokens((0.5, 0.1))
        '<loc_0512><loc_0102>'
    """
    x, y = location_bins(point)
    return LOCATION_TOKENS[x] + LOCATION_TOKENS[y]


def box_tokens(box: npt.ArrayLike) -> str:
    """One unit box (x0, y0, x1, y1) as the four tokens that stand for it in a prompt."""
    x0, y0, x1, y1 = np.asarray(box, dtype=np.float64).tolist()
    return location_tokens((x0, y0)) + location_tokens((x1, y1))


def pixel_at(point_px: tuple[float, float], size: tuple[int, int]) -> tuple[int, int]:
    """(row, column) of the pixel that a point (x, y) in an image of ``size`` (height, width) lies on; the image's right
    and lower edge belong to its last pixels."""
    (x, y), (height, width) = point_px, size
    return min(int(y), height - 1), min(int(x), width - 1)


def check_box_px(box_px: npt.ArrayLike, size: tuple[int, int]) -> np.ndarray:
    """Check that a box (x0, y0, x1, y1) in pixels has an area and lies in an image of ``size`` (height, width).

    Returns:
        The box, float64 (4,).

    Raises:
        ValueError: four other numbers.
    """
    box = np.asarray(box_px, dtype=np.float64)
    if box.shape != (4,):
        raise ValueError(f"a box is (x0, y0, x1, y1) in pixels, got shape {box.shape}")
    check_points_px(box.reshape(2, 2), size)
    if not (box[2] > box[0] and box[3] > box[1]):
        raise ValueError(f"the box {box.tolist()} has no area: needs x0 < x1 and y0 < y1")
    return box


def read_location_tokens(text: str) -> np.ndarray:
    """All points written by :func:`location_tokens` in a text, as unit points (n, 2)."""
    pairs = [(int(x), int(y)) for x, y in _LOCATION_PAIR.findall(text)]
    return from_location_bins(np.array(pairs, dtype=np.int64).reshape(-1, 2))


def unit_distance(a: npt.ArrayLike, b: npt.ArrayLike) -> np.ndarray:
    """Euclidean distance (...) between unit points (..., 2): each axis counted as a share of the image's side."""
    return np.linalg.norm(np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64), axis=-1)
