"""Masks and their boxes. Pieces and depths of masks are in ``mask_pieces``: they need scipy, the descriptor does not.

A mask is bool (height, width) over the whole photo, a box (x0, y0, x1, y1) around outer edges of pixels.
"""

import numpy as np
import numpy.typing as npt

from .points import to_unit


def mask_box(mask: np.ndarray) -> tuple[float, float, float, float]:
    """The box (x0, y0, x1, y1) around a mask, outer edges of its pixels, in pixels.

    Args:
        mask: bool (height, width).

    Raises:
        ValueError: If the mask is empty.
    """
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    if not len(columns):
        raise ValueError("the mask is empty: no pixel of it is True")
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def mask_unit_box(mask: np.ndarray) -> np.ndarray:
    """The box around a bool mask (h, w), x0, y0, x1, y1 in the unit square.

    Raises:
        ValueError: If it is no mask, or an empty one.
    """
    mask = np.asarray(mask)
    if mask.ndim != 2 or mask.dtype != bool:
        raise ValueError(f"a mask is bool (height, width), got {mask.dtype} of shape {mask.shape}")
    return to_unit(np.reshape(mask_box(mask), (2, 2)), mask.shape).reshape(4)


def check_mask(mask: npt.ArrayLike, size: tuple[int, int]) -> np.ndarray:
    """Check that a mask fits an image of ``size`` (height, width).

    Args:
        mask: (height, width), bool, or integers 0 and 1.

    Returns:
        The mask as bool.

    Raises:
        ValueError: If it has another size, other values, or no pixel in it.
    """
    array = np.asarray(mask)
    if array.shape != tuple(size):
        raise ValueError(f"the mask must have the image's (height, width) {tuple(size)}, got {array.shape}")
    if array.dtype != bool and not (np.issubdtype(array.dtype, np.integer) and np.isin(array, (0, 1)).all()):
        raise ValueError(f"a mask is bool, or integers 0 and 1, got {array.dtype}")
    mask_box(array.astype(bool))
    return array.astype(bool)
