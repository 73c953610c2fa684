"""The skeleton of a point from masks: object in the photo, part in the object, point in the part, what is beside it.

Says nothing that the masks and the pixels around the point do not show, and never a number. Measuring the object and
the look is facts.py's, single words are wording.py's; here are the parts.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property

import numpy as np

from talkingpoints.dataset_builder.points.part_masks import Piece, Texture, pieces_of, point_piece
from talkingpoints.dataset_builder.points.tasks import BoxPx, PartObject, PartPhoto, Skeleton
from talkingpoints.masks import mask_box
from talkingpoints.points import to_unit
from talkingpoints.writer import phrases
from talkingpoints.writer.facts import CLOSE, Neighbour, direction, place_among, point_facts, split_side
from talkingpoints.writer.scene import Keypoint, Scene, SceneObject
from talkingpoints.writer.wording import Wording

NEAR_EDGE = 0.3  # of the piece's greatest depth, and at most
NEAR_EDGE_SHARE = 0.04  # of the object's longer side: nearer to the outline is "close to the edge"
MAX_OUTLINE = 256  # places of an outline that distances are measured to
NEIGHBOUR_SHARE = 0.25  # of the object's longer side: parts farther away are not beside the point


class MeasuredObject:
    """An object with its parts measured: made once, asked for each point.

    Args:
        item: with its masks.
    """

    def __init__(self, item: PartObject):
        self.label = item.label
        self.box: BoxPx = mask_box(item.mask)
        self.pieces = {name: found for name, part in item.parts.items() if (found := pieces_of(part))}
        self.pieces |= {name: [point_piece(x, y)] for name, (x, y) in item.points.items()}
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
        gaps = {
            name: min(float(np.hypot(*(self._outlines[name, i] - (x, y)).T).min()) for i in range(len(pieces)))
            for name, pieces in self.pieces.items()
            if name != part
        }
        found = []
        for name, gap in sorted(gaps.items(), key=lambda item: item[1])[:2]:
            if gap <= NEIGHBOUR_SHARE * self.longer_side:
                # of several pieces the one that point_facts takes too
                steps = [(x - piece.middle[0], y - piece.middle[1]) for piece in self.pieces[name]]
                where = direction(*min(steps, key=lambda step: math.hypot(*step)))
                found.append(Neighbour(name, where, gap <= CLOSE / 2 * self.longer_side))
        return tuple(found)


class MeasuredPhoto:
    """A photo with its objects measured: made once, asked for each point.

    Args:
        photo: with its masks.
        pixels: uint8 (height, width, 3), RGB.
    """

    def __init__(self, photo: PartPhoto, pixels: np.ndarray):
        self.pixels, self.size = pixels, photo.size
        self.objects = [MeasuredObject(item) for item in photo.objects]
        self.scene = Scene(tuple(item.scene_object(photo.size) for item in self.objects), photo.size)

    @cached_property
    def texture(self) -> Texture:
        """Of the photo; measured when first asked for."""
        return Texture(self.pixels)

    def skeleton(self, object_index: int, part: str, piece_index: int, point_px: tuple[float, float]) -> Skeleton:
        """What is true of one point.

        Args:
            object_index: whose point it is.
            part: its part.
            piece_index: the piece of it that the point lies in.
            point_px: (x, y) in pixels of the photo.
        """
        item = self.objects[object_index]
        pieces = item.pieces[part]
        piece = pieces[piece_index]
        x, y = point_px
        unit = to_unit(point_px, self.size)
        facts = point_facts(self.scene, (float(unit[0]), float(unit[1])), self.pixels, object_index, part)
        middle = piece.middle
        bare = Skeleton(
            facts=facts,
            part_column=_third(middle[0], item.box[0], item.box[2]),
            part_row=_third(middle[1], item.box[1], item.box[3]),
            n_pieces=len(pieces),
            which_piece=_which_piece(pieces, piece_index, item),
            spot_column=_third(x, piece.box[0], piece.box[2]),
            spot_row=_third(y, piece.box[1], piece.box[3]),
            edge=_edge(piece, x, y, item.longer_side),
            neighbours=item.beside(part, x, y),
            text="",
        )
        if piece.point is not None:
            bare = replace(bare, spot_column=None, spot_row=None, edge=None)
        return replace(bare, text=skeleton_text(bare))


def unit_box(box: BoxPx, size: tuple[int, int]) -> BoxPx:
    """A box in pixels -> unit coordinates."""
    (x0, y0), (x1, y1) = to_unit([box[:2], box[2:]], size).tolist()
    return (x0, y0, x1, y1)


def spot_phrase(part: str, column: int, row: int, edge: str | None) -> str:
    """The point's place in its part: "in the upper left of the hood, close to its left edge"."""
    where = _third_words(part, column, row)
    return f"{where}, {edge_phrase(edge)}" if edge else where


def edge_phrase(edge: str) -> str:
    """ "close to its upper left edge"; `edge` is one of `DIRECTIONS`."""
    words = edge.replace("above", "upper").replace("below", "lower")
    return f"close to its {words} edge"


def skeleton_text(skeleton: Skeleton) -> str:
    """The skeleton in plain words, always the same words for the same facts."""
    facts, say = skeleton.facts, Wording(skeleton.facts, None)
    part = facts.part or ""
    first = part_words(part, say.label, phrases.pronoun(say.label))
    if skeleton.n_pieces > 1:
        group, which = phrases.counted(skeleton.n_pieces, f"separate pieces of {first}"), skeleton.which_piece
        first = f"one of {group}" if which is None else f"of {group}, the {which} one in the photo"
    in_object = _third_words(say.label, skeleton.part_column, skeleton.part_row)
    sentences = [f"{say.object()} {say.place()}", f"{first}, {in_object}"]
    if skeleton.spot_column is not None and skeleton.spot_row is not None:
        spot = spot_phrase(part, skeleton.spot_column, skeleton.spot_row, skeleton.edge)
        sentences.append(f"the point is {spot}")
    if skeleton.neighbours:
        places = [
            f"{'just ' if near.close else ''}{phrases.DIRECTION_PHRASES[near.direction][0]} "
            f"{part_words(near.name, say.label, 'the')}"
            for near in skeleton.neighbours
        ]
        sentences.append(f"it lies {' and '.join(places)}")
    sentences.append(f"the spot looks {say.look()}")
    return " ".join(f"{sentence[0].upper()}{sentence[1:]}." for sentence in sentences)


def part_words(part: str, label: str, its: str) -> str:
    """A part with its owner in front, in the first of the writer's wordings: "the base of its tail"."""
    side, name = split_side(part)
    return phrases.part_templates(name, label)[0].format(its=its, side=f"{side} " if side else "")


def _third_words(name: str, column: int, row: int) -> str:
    if column == row == 1:
        return f"in the middle of the {name}"
    return f"in the {phrases.THIRD_ROWS[row]} {phrases.THIRD_COLUMNS[column]} of the {name}"


def _which_piece(pieces: list[Piece], index: int, item: MeasuredObject) -> str | None:
    if len(pieces) < 2 or len(pieces) > 6:
        return None
    side = item.longer_side
    which = place_among([piece.middle[0] / side for piece in pieces], index, ("left", "right"))
    return which or place_among([piece.middle[1] / side for piece in pieces], index, ("upper", "lower"))


def _edge(piece: Piece, x: float, y: float, longer_side: float) -> str | None:
    """The side on which the nearest outline lies, None well inside."""
    column, row = int(x) - piece.left, int(y) - piece.top
    if piece.depth[row, column] > min(NEAR_EDGE * float(piece.depth.max()), NEAR_EDGE_SHARE * longer_side):
        return None
    rows, columns = np.nonzero(~np.pad(piece.inside, 1))
    dx, dy = columns - 1 - column, rows - 1 - row
    nearest = int(np.argmin(dx**2 + dy**2))
    return direction(float(dx[nearest]), float(dy[nearest]))


def _outline(piece: Piece) -> np.ndarray:
    """(n, 2) x, y in pixels of the photo along the outline, n at most `MAX_OUTLINE`."""
    ys, xs = np.nonzero(piece.inside & (piece.depth <= 1.0))
    step = max(1, math.ceil(len(xs) / MAX_OUTLINE))
    return np.stack([xs[::step] + piece.left + 0.5, ys[::step] + piece.top + 0.5], axis=1)


def _third(value: float, low: float, high: float) -> int:
    return min(2, max(0, int(3 * (value - low) / max(high - low, 1e-9))))
