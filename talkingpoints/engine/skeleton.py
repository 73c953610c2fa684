"""The skeleton of a point from masks: object in the photo, part in the object, point in the part, what is beside it.

Says nothing that the masks and the pixels around the point do not show, and never a number. Measuring the object and
the look is facts.py's, single words are wording.py's; here are the parts.
"""

import math
from collections.abc import Iterator

import numpy as np

from talkingpoints.data import phrases
from talkingpoints.data.facts import CLOSE, DIRECTIONS, Neighbour, PointFacts, direction, place_among, point_facts
from talkingpoints.data.scenes import Keypoint, Scene, SceneObject
from talkingpoints.data.wording import Wording
from talkingpoints.engine.masks import Piece, mask_box, pieces_of
from talkingpoints.engine.tasks import BoxPx, PartPhoto, Skeleton
from talkingpoints.points import to_unit

NEAR_EDGE = 0.3  # of the piece's greatest depth, and at most
NEAR_EDGE_SHARE = 0.04  # of the object's longer side: nearer to the outline is "close to the edge"
MAX_OUTLINE = 256  # places of an outline that distances are measured to
NEIGHBOUR_SHARE = 0.25  # of the object's longer side: parts farther away are not beside the point


class MeasuredObject:
    """An object with its parts measured: made once, asked for each point.

    Args:
        label: of the object.
        mask: bool (height, width).
        parts: name -> bool (height, width).
    """

    def __init__(self, label: str, mask: np.ndarray, parts: dict[str, np.ndarray]):
        self.label = label
        self.box: BoxPx = mask_box(mask)
        self.pieces = {name: found for name, part in parts.items() if (found := pieces_of(part))}
        self._outlines = {(name, i): _outline(piece) for name, i, piece in self._all()}

    def _all(self) -> Iterator[tuple[str, int, Piece]]:
        for name, pieces in self.pieces.items():
            for i, piece in enumerate(pieces):
                yield name, i, piece

    @property
    def longer_side(self) -> float:
        x0, y0, x1, y1 = self.box
        return max(x1 - x0, y1 - y0)

    def scene_object(self, size: tuple[int, int]) -> SceneObject:
        """The object with the middle of each piece as a keypoint, in unit coordinates."""
        middles = [(name, to_unit(piece.middle, size).tolist()) for name, _, piece in self._all()]
        return SceneObject(self.label, unit_box(self.box, size), tuple(Keypoint(n, x, y) for n, (x, y) in middles))

    def beside(self, part: str, x: float, y: float) -> tuple[Neighbour, ...]:
        """The two nearest other parts, and where the point (pixels) lies as seen from them."""
        nearest: dict[str, tuple[float, Piece]] = {}
        for name, i, piece in self._all():
            if name != part:
                gap = float(np.sqrt(((self._outlines[name, i] - (x, y)) ** 2).sum(axis=1).min()))
                if name not in nearest or gap < nearest[name][0]:
                    nearest[name] = (gap, piece)
        found = []
        for name, (gap, piece) in sorted(nearest.items(), key=lambda item: item[1][0])[:2]:
            if gap <= NEIGHBOUR_SHARE * self.longer_side:
                middle = piece.middle
                where = direction(x - middle[0], y - middle[1])
                found.append(Neighbour(name, where, gap <= CLOSE / 2 * self.longer_side))
        return tuple(found)


def measured_objects(photo: PartPhoto) -> list[MeasuredObject]:
    """The objects of a photo, measured, in its order."""
    return [MeasuredObject(item.label, item.mask, item.parts) for item in photo.objects]


def scene_from(objects: list[MeasuredObject], size: tuple[int, int]) -> Scene:
    """All objects as the writer knows them."""
    return Scene(tuple(item.scene_object(size) for item in objects), size)


def skeleton_of(
    scene: Scene,
    objects: list[MeasuredObject],
    object_index: int,
    part: str,
    piece_index: int,
    point_px: tuple[float, float],
    pixels: np.ndarray,
) -> Skeleton:
    """What is true of one point.

    Args:
        scene: of `scene_from`.
        objects: the measured objects.
        object_index: whose point it is.
        part: its part.
        piece_index: the piece of it that the point lies in.
        point_px: (x, y) in pixels of the photo.
        pixels: the photo, uint8 (height, width, 3), RGB.
    """
    item = objects[object_index]
    pieces = item.pieces[part]
    piece = pieces[piece_index]
    x, y = point_px
    unit = to_unit(point_px, scene.size)
    facts = point_facts(scene, (float(unit[0]), float(unit[1])), pixels, object_index, part)
    middle = piece.middle
    column, row = _third(middle[0], item.box[0], item.box[2]), _third(middle[1], item.box[1], item.box[3])
    spot = _third(x, piece.box[0], piece.box[2]), _third(y, piece.box[1], piece.box[3])
    which = _which_piece(pieces, piece_index, item)
    edge = _edge(piece, x, y, item.longer_side)
    beside = item.beside(part, x, y)
    return Skeleton(
        facts,
        column,
        row,
        len(pieces),
        which,
        *spot,
        edge,
        beside,
        _text(facts, column, row, len(pieces), which, spot, edge, beside),
    )


def unit_box(box: BoxPx, size: tuple[int, int]) -> BoxPx:
    """A box in pixels -> unit coordinates."""
    (x0, y0), (x1, y1) = to_unit([box[:2], box[2:]], size).tolist()
    return (x0, y0, x1, y1)


def spot_phrase(part: str, column: int, row: int, edge: str | None) -> str:
    """The point's place in its part: "in the upper left of the hood, close to its left edge"."""
    name = f"the {part}"
    if column == row == 1:
        where = f"in the middle of {name}"
    else:
        where = f"in the {phrases.THIRD_ROWS[row]} {phrases.THIRD_COLUMNS[column]} of {name}"
    return f"{where}, {edge_phrase(edge)}" if edge else where


def edge_phrase(edge: str) -> str:
    """ "close to its upper left edge"; `edge` is one of `DIRECTIONS`."""
    words = edge.replace("above", "upper").replace("below", "lower")
    return f"close to its {words} edge"


def _text(
    facts: PointFacts,
    column: int,
    row: int,
    n_pieces: int,
    which: str | None,
    spot: tuple[int, int],
    edge: str | None,
    beside: tuple[Neighbour, ...],
) -> str:
    """The skeleton in plain words, always the same words for the same facts."""
    say = Wording(facts, None)
    part = facts.part or ""
    pronoun = phrases.pronoun(say.label)
    if n_pieces > 1:
        known = n_pieces < len(phrases.NUMBERS)
        group = f"{phrases.NUMBERS[n_pieces] if known else 'several'} separate pieces of {pronoun} {part}"
        first = f"one of {group}" if which is None else f"of {group}, the {which} one in the photo"
    else:
        first = f"{pronoun} {part}"
    in_object = f"in the {phrases.THIRD_ROWS[row]} {phrases.THIRD_COLUMNS[column]} of the {say.label}"
    if column == row == 1:
        in_object = f"in the middle of the {say.label}"
    sentences = [
        f"{say.object()} {say.place()}",
        f"{first}, {in_object}",
        f"the point is {spot_phrase(part, *spot, edge)}",
    ]
    if beside:
        places = [
            f"{'just ' if near.close else ''}{phrases.DIRECTION_PHRASES[near.direction][0]} the {near.name}"
            for near in beside
        ]
        sentences.append(f"it lies {' and '.join(places)}")
    sentences.append(f"the spot looks {say.look()}")
    return " ".join(f"{sentence[0].upper()}{sentence[1:]}." for sentence in sentences)


def _which_piece(pieces: list[Piece], index: int, item: MeasuredObject) -> str | None:
    if len(pieces) < 2 or len(pieces) > 6:
        return None
    side = item.longer_side
    which = place_among([piece.middle[0] / side for piece in pieces], index, ("left", "right"))
    return which or place_among([piece.middle[1] / side for piece in pieces], index, ("upper", "lower"))


def _edge(piece: Piece, x: float, y: float, longer_side: float) -> str | None:
    """The side on which the nearest outline lies, None well inside."""
    column, row = int(x) - piece.left, int(y) - piece.top
    depth = float(piece.depth[row, column])
    if depth > min(NEAR_EDGE * float(piece.depth.max()), NEAR_EDGE_SHARE * longer_side):
        return None
    padded = np.pad(piece.inside, 1)
    rows, columns = np.nonzero(~padded)
    nearest = int(np.argmin((rows - row - 1) ** 2 + (columns - column - 1) ** 2))
    dx, dy = columns[nearest] - column - 1, rows[nearest] - row - 1
    return DIRECTIONS[round(math.atan2(dy, dx) / (math.pi / 4)) % 8]


def _outline(piece: Piece) -> np.ndarray:
    """(n, 2) x, y in pixels of the photo along the outline, n at most `MAX_OUTLINE`."""
    ys, xs = np.nonzero(piece.inside & (piece.depth <= 1.0))
    step = max(1, math.ceil(len(xs) / MAX_OUTLINE))
    return np.stack([xs[::step] + piece.left + 0.5, ys[::step] + piece.top + 0.5], axis=1)


def _third(value: float, low: float, high: float) -> int:
    return min(2, max(0, int(3 * (value - low) / max(high - low, 1e-9))))
