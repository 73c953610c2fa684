"""Connected pieces and depths of masks: one rule for annotated and for predicted things.

Two objects of one class that touch are one piece, and one that something cuts in two is two.
"""

import numpy as np
from scipy import ndimage

EIGHT = np.ones((3, 3), dtype=bool)
"""A pixel and its neighbours, those along the diagonals too."""


def connected_pieces(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The 8-connected pieces of a mask.

    Args:
        mask: bool (height, width).

    Returns:
        Each pixel's piece, int32 (height, width), 0 outside the mask, and the pieces' areas in pixels, int64 (n,): that
        of piece 1 first. Pieces are numbered as they come, row by row.
    """
    pieces, n = ndimage.label(mask, structure=EIGHT)
    return pieces.astype(np.int32, copy=False), np.bincount(pieces.ravel(), minlength=n + 1)[1:]


def depths(mask: np.ndarray) -> np.ndarray:
    """How far each pixel of a mask is from the nearest pixel outside it, in pixels; the array's border is outside.

    Args:
        mask: (height, width), bool, or 0 and 1.

    Returns:
        float32 (height, width), 0 outside the mask.
    """
    return ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1].astype(np.float32)


def deepest_point(mask: np.ndarray) -> tuple[float, float]:
    """The point of a mask that is farthest from its edge, unit (x, y): in a ring it lies on the ring.

    Args:
        mask: bool (height, width), not empty; the photo's border is an edge too.
    """
    depth = depths(mask)
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return (float(x) + 0.5) / mask.shape[1], (float(y) + 0.5) / mask.shape[0]
