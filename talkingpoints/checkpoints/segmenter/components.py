"""Connected pieces of masks: the one rule by which annotated and predicted things are told apart.

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
