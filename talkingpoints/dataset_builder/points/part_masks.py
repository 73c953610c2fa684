"""Measuring masks: pieces, boxes, depths, the points of a part that are worth a text.

The paper takes the highest SIFT response inside the eroded part. That leaves smooth parts without a point, and puts
few on thin ones or near outlines; so there are three more kinds, see `tasks.KINDS`. Everything works on the piece's
own crop, in pixel indices; a pixel's middle is half a pixel further.
"""

import dataclasses

import cv2
import numpy as np
from scipy import ndimage
from skimage.morphology import skeletonize

from talkingpoints.dataset_builder.points.tasks import BoxPx
from talkingpoints.mask_pieces import connected_pieces, depths

MIN_PIECE_PX = 24
MIN_PIECE_SHARE = 0.1  # of the part's largest piece: smaller ones are crumbs
ERODED = 0.25  # of the greatest depth: how far the eroded part stays from the outline
BORDER_PX = 2.0
THIN = 4.0  # a piece is thin if its middle line is so many times longer than the part is wide
SMOOTH_BELOW = 12.0  # standard deviation of the grey values (0..255) around a pixel
SMOOTH_WINDOW = 7


@dataclasses.dataclass(frozen=True)
class Piece:
    """A connected piece of a part.

    Args:
        left, top: of its crop, pixels of the photo.
        inside: bool (h, w), the piece in its crop.
        depth: float32 (h, w), distance of each pixel to the outline (the photo's edge is one), 0 outside.
        point: (x, y) in pixels of the photo, where the part is annotated as a point only; the piece is its pixel then.
    """

    left: int
    top: int
    inside: np.ndarray
    depth: np.ndarray
    point: tuple[float, float] | None = None

    @property
    def box(self) -> BoxPx:
        height, width = self.inside.shape
        return (float(self.left), float(self.top), float(self.left + width), float(self.top + height))

    @property
    def middle(self) -> tuple[float, float]:
        """(x, y) of the deepest place nearest to the centre of gravity, in pixels of the photo: always inside."""
        if self.point is not None:
            return self.point
        ys, xs = np.nonzero(self.depth >= 0.9 * self.depth.max())
        all_ys, all_xs = np.nonzero(self.inside)
        best = int(np.argmin((ys - all_ys.mean()) ** 2 + (xs - all_xs.mean()) ** 2))
        return (self.left + float(xs[best]) + 0.5, self.top + float(ys[best]) + 0.5)


def pieces_of(mask: np.ndarray) -> list[Piece]:
    """The connected pieces of a part that are large enough, the largest first."""
    labels, areas = connected_pieces(mask)
    boxes = ndimage.find_objects(labels)
    pieces = []
    for i in np.argsort(-areas, kind="stable"):
        if areas[i] < max(MIN_PIECE_PX, MIN_PIECE_SHARE * areas.max()):
            break
        inside = labels[boxes[i]] == i + 1
        rows, columns = boxes[i]
        pieces.append(Piece(columns.start, rows.start, inside, depths(inside)))
    return pieces


def point_piece(x: float, y: float) -> Piece:
    """A part that is annotated as a point only."""
    one = np.ones((1, 1), dtype=np.float32)
    return Piece(int(x), int(y), one.astype(bool), one, (x, y))


class Texture:
    """What is measured once per photo: SIFT points, and where it is smooth.

    Args:
        pixels: uint8 (height, width, 3), RGB.
    """

    def __init__(self, pixels: np.ndarray):
        grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
        found = cv2.SIFT.create().detect(grey, None)
        self.sift = np.array([(k.pt[0], k.pt[1], k.response) for k in found], dtype=np.float64).reshape(-1, 3)
        values = grey.astype(np.float32)
        window = (SMOOTH_WINDOW, SMOOTH_WINDOW)
        mean, square = cv2.blur(values, window), cv2.blur(values * values, window)
        self.smooth = np.sqrt(np.maximum(square - mean * mean, 0)) < SMOOTH_BELOW


def points_in(
    piece: Piece, texture: Texture, per_kind: int, rng: np.random.Generator
) -> list[tuple[str, float, float]]:
    """Points of one piece: (kind, x, y) in pixels of the photo, up to `per_kind` of each kind.

    Args:
        piece: of a part.
        texture: of the photo that it lies in.
        per_kind: "sift" has always at most one: the highest response in the eroded piece.
        rng: source of chance.

    Returns:
        The points, each well inside a pixel of its own; kinds without a place in this piece are missing.
    """
    if piece.point is not None:
        return [("keypoint", *piece.point)]
    eroded = piece.depth > max(1.0, ERODED * float(piece.depth.max()))
    if not eroded.any():
        eroded = piece.depth >= piece.depth.max()
    chosen: list[tuple[str, float, float]] = []
    strongest = _strongest(piece, texture, eroded)
    if strongest is not None:
        chosen.append(("sift", *strongest))
    height, width = piece.inside.shape
    smooth = texture.smooth[piece.top : piece.top + height, piece.left : piece.left + width]
    regions = {"even": eroded & smooth, "medial": _middle_line(piece), "border": _outline(piece, texture.smooth.shape)}
    taken = {(int(x), int(y)) for _, x, y in chosen}  # a pixel is one point, of the first kind that chose it
    for kind, region in regions.items():
        for y, x in _spread(region, per_kind, rng):
            pixel = (piece.left + x, piece.top + y)
            if pixel not in taken:
                taken.add(pixel)
                chosen.append((kind, pixel[0] + 0.5, pixel[1] + 0.5))
    return chosen


def _strongest(piece: Piece, texture: Texture, eroded: np.ndarray) -> tuple[float, float] | None:
    """The highest SIFT response in the eroded piece."""
    if not len(texture.sift):
        return None
    # SIFT counts from the middle of the first pixel
    xs, ys = texture.sift[:, 0] + 0.5, texture.sift[:, 1] + 0.5
    columns, rows = np.floor(xs).astype(int) - piece.left, np.floor(ys).astype(int) - piece.top
    height, width = eroded.shape
    here = np.flatnonzero((columns >= 0) & (columns < width) & (rows >= 0) & (rows < height))
    here = here[eroded[rows[here], columns[here]]]
    if not len(here):
        return None
    best = here[np.argmax(texture.sift[here, 2])]
    return float(xs[best]), float(ys[best])


def _middle_line(piece: Piece) -> np.ndarray:
    """The middle line of a thin piece without its ends, nothing for any other."""
    line = skeletonize(piece.inside)
    width = 2 * float(np.median(piece.depth[line])) if line.any() else np.inf
    if line.sum() < THIN * width:
        return np.zeros_like(line)
    return line & (piece.depth > min(BORDER_PX, width / 4))


def _outline(piece: Piece, size: tuple[int, int]) -> np.ndarray:
    """Pixels of the piece along its outline, except where the photo ends."""
    region = piece.inside & (piece.depth <= BORDER_PX)
    rows, columns = np.arange(region.shape[0]) + piece.top, np.arange(region.shape[1]) + piece.left
    region &= ((rows >= BORDER_PX) & (rows < size[0] - BORDER_PX))[:, None]
    return region & ((columns >= BORDER_PX) & (columns < size[1] - BORDER_PX))[None]


def _spread(region: np.ndarray, count: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Up to `count` pixels (y, x): the first by chance, each further one the farthest from those before."""
    candidates = np.argwhere(region)
    if not len(candidates) or count < 1:
        return []
    chosen = [int(rng.integers(len(candidates)))]
    gaps = np.full(len(candidates), np.inf)
    while len(chosen) < min(count, len(candidates)):
        gaps = np.minimum(gaps, ((candidates - candidates[chosen[-1]]) ** 2).sum(axis=1))
        chosen.append(int(np.argmax(gaps)))
    return [(int(y), int(x)) for y, x in candidates[chosen]]
