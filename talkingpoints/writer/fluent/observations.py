"""What is true at a point of an annotated scene, before it is put into words.

Whatever is not certain is left open: a thing is told from its equals only if all of them are annotated, a part only if
the point is on it, and of a thing that the lexicon does not know only place and look are noted.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from talkingpoints.writer.facts import (
    APART,
    LARGER,
    MAX_COUNTED,
    VIEW_APART,
    place_among,
)
from talkingpoints.writer.fluent.annotated_scene import NOTHING, OTHER_SIDE, AnnotatedScene, Box, ScenePart, Thing
from talkingpoints.writer.fluent.lexicon import UNKNOWN, lexicon
from talkingpoints.writer.fluent.neighbours import Near, beside_thing, longer_side, near_part, touching_part
from talkingpoints.writer.fluent.point_colours import spot_look, thing_colours

FILLS = 0.6
"""Share of the photo from which a thing's box fills it."""
SMALL = 0.03
"""Share of the photo below which a thing is small in it."""
ONE_COLOUR = 1
LYING, STANDING = "lying", "standing"


@dataclass(frozen=True)
class Observation:
    """Everything that may be said about a point.

    Args:
        kind: The lexicon's kind of the thing, `UNKNOWN`, or None where no thing is.
        noun: A more special word, "" if there is none.
        counted: Whether `number` is known to be right.
        number: Annotated things of this kind.
        which: By place among its equals, as `facts.PointFacts.which`.
        size: "larger", "smaller", "largest", "smallest", or None.
        colours: Of the whole thing; none where that cannot be said.
        tell: A word that holds for this thing and for none of its equals: a colour, "lying" or "standing"; or None.
        posture: "lying", "standing" or None.
        facing: "left" or "right" in the photo, or None.
        extent: "fills" the photo, "small" in it, or "".
        column, row: Third of the photo of the thing's middle; of the point where the thing is stuff, unknown or none.
        part, side: Of the point, or None.
        piece_view: Which of several parts of one name and side, by place in the photo; or None.
        view_side: "left", "right", "upper", "lower": the part as seen from its counterpart of the other side, or None.
        has_other: Whether the counterpart of the other side is annotated too.
        fifths: (column, row) in the thing's box, 0 to 4, or None.
        within: (column, row) third of the part's box, or None: only for points that are not the part's own.
        near: One neighbour, two with "between", or none.
        touching: A part that the part touches or nearly does, or None.
        spot, texture: Colours and texture around the point.
    """

    kind: str | None
    noun: str = ""
    counted: bool = False
    number: int = 0
    which: str | None = None
    size: str | None = None
    colours: tuple[str, ...] = ()
    tell: str | None = None
    posture: str | None = None
    facing: str | None = None
    extent: str = ""
    column: int = 1
    row: int = 1
    part: str | None = None
    side: str | None = None
    piece_view: str | None = None
    view_side: str | None = None
    has_other: bool = False
    fifths: tuple[int, int] | None = None
    within: tuple[int, int] | None = None
    near: tuple[Near, ...] = ()
    touching: tuple[str, str | None] | None = None
    spot: tuple[str, ...] = ()
    texture: str = ""

    @property
    def ambiguous(self) -> bool:
        """Whether the photo has others of the kind, and nothing but its place tells the thing from them."""
        return self.number > 1 and (not self.counted or not (self.which or self.tell or self.size))


@dataclass
class PhotoView:
    """A photo's scene and pixels, with what is measured once for all of its points.

    Args:
        scene: What is annotated.
        pixels: uint8 (height, width, 3), RGB, in the same frame.
    """

    scene: AnnotatedScene
    pixels: np.ndarray
    _colours: dict[int, tuple[str, ...]] = field(default_factory=dict)

    def colours(self, index: int) -> tuple[str, ...]:
        """Colours of a thing, see `thing_colours`."""
        if index not in self._colours:
            scene, thing = self.scene, self.scene.things[index]
            mask = None if scene.owners is None or thing.solid else scene.owners == index + 1
            piece = scene.piece if len(scene.things) == 1 and scene.piece is not None and scene.piece.any() else None
            self._colours[index] = thing_colours(self.pixels, thing, mask, piece)
        return self._colours[index]


def observe(view: PhotoView, point: tuple[float, float], thing: int | None, part: int | None = None,
            exact: bool = True) -> Observation:  # fmt: skip
    """Find out what can be said about a point.

    Args:
        view: The photo.
        point: Unit (x, y).
        thing: Index of the thing that the point is on; None for none.
        part: Index among the thing's parts; None for a point on no named part.
        exact: Whether the point is the part's own; if not, it lies anywhere on the part.

    Raises:
        ValueError: If the point is outside the photo, or an index does not fit.
    """
    scene = view.scene
    if not (0 <= point[0] <= 1 and 0 <= point[1] <= 1):
        raise ValueError(f"point: {point} is outside the photo; both must be in [0, 1].")
    if thing is None:
        if part is not None:
            raise ValueError(f"part: {part} was given without a thing.")
        spot, texture = spot_look(view.pixels, point, scene.owners, NOTHING)
        column, row = _cell(point[0], 3), _cell(point[1], 3)
        return Observation(None, column=column, row=row, near=beside_thing(scene, point), spot=spot, texture=texture)
    item = scene.things[thing]
    if part is not None and not 0 <= part < len(item.parts):
        raise ValueError(f"part: {part} of {len(item.parts)} parts; give None or a valid index.")
    spot, texture = spot_look(view.pixels, point, *_labels(scene, thing, part, point))
    if item.kind == UNKNOWN or not lexicon().is_thing(item.kind):
        column, row = _cell(point[0], 3), _cell(point[1], 3)
        return Observation(item.kind, item.noun, column=column, row=row, spot=spot, texture=texture)
    named = None if part is None else item.parts[part]
    counted = item.kind in scene.counted
    same = [i for i, other in enumerate(scene.things) if other.kind == item.kind]
    which, size = _which(scene, same, thing) if counted else (None, None)
    x0, y0, x1, y1 = item.box
    area = (x1 - x0) * (y1 - y0)
    middle = ((x0 + x1) / 2, (y0 + y1) / 2)
    return Observation(
        kind=item.kind,
        noun=item.noun,
        counted=counted,
        number=len(same),
        which=which,
        size=size,
        colours=view.colours(thing),
        tell=_tell(view, same, thing) if counted and len(same) > 1 else None,
        posture=posture(item, scene.size),
        facing=facing(item),
        extent="fills" if area >= FILLS else "small" if area < SMALL else "",
        column=_cell(middle[0], 3),
        row=_cell(middle[1], 3),
        part=None if named is None else named.name,
        side=None if named is None else named.side,
        piece_view=None if named is None else _piece_view(item, named),
        view_side=None if named is None else _view_side(item, named, scene.size),
        has_other=named is not None and _other(item, named) is not None,
        fifths=(_cell((point[0] - x0) / (x1 - x0), 5), _cell((point[1] - y0) / (y1 - y0), 5)),
        within=None if named is None or exact or named.box is None else _within(named.box, point, scene.size),
        near=near_part(item, named, point, scene.size),
        touching=None if named is None or not exact else touching_part(item, named, scene.size),
        spot=spot,
        texture=texture,
    )


def posture(thing: Thing, size: tuple[int, int]) -> str | None:
    """Whether an animal seen from the side stands or lies, None where its legs do not tell.

    It stands if a front and a back paw are well below withers and tail, and lies if none of its paws are.
    """
    points = _named(thing, size)
    top = [points[n] for n in (("withers", None), ("tailbase", None)) if n in points]
    paws = {end: [p for (n, _), p in points.items() if n == f"{end} paw"] for end in ("front", "back")}
    if len(top) < 2 or not paws["front"] or not paws["back"]:
        return None
    length = math.dist(top[0], top[1])
    if abs(top[0][1] - top[1][1]) > 0.5 * max(length, 1e-6) or length < 0.25 * longer_side(thing, size):
        return None  # it sits, rears, or is seen from the front
    drops = [max(p[1] for p in paws[end]) - top[i][1] for i, end in enumerate(("front", "back"))]
    if min(drops) > 0.75 * length:
        return STANDING if facing(thing) else None  # from an end, a lying one's back is as short as its legs
    return LYING if max(drops) < 0.4 * length else None


def facing(thing: Thing) -> str | None:
    """To which side of the photo an animal's body points from tail to head, None where it is seen from an end."""
    points = {(part.name, part.side): part.point for part in thing.parts}
    head = points.get(("nose", None)) or points.get(("beak", None))
    rump = points.get(("tailbase", None)) or points.get(("tail", None))
    if head is None or rump is None:
        return None
    across = (head[0] - rump[0]) / max(thing.box[2] - thing.box[0], 1e-6)
    return None if abs(across) < 0.5 else "left" if across < 0 else "right"


def _named(thing: Thing, size: tuple[int, int]) -> dict[tuple[str, str | None], tuple[float, float]]:
    """The parts' points in pixels."""
    return {(p.name, p.side): (p.point[0] * size[1], p.point[1] * size[0]) for p in thing.parts}


def _labels(
    scene: AnnotatedScene, thing: int, part: int | None, point: tuple[float, float]
) -> tuple[np.ndarray | None, int]:
    """The map and its value on the pixels that the point's colour is of: its part's, or its thing's."""
    if scene.owners is None or scene.piece is None:
        return None, 0
    x, y = min(int(point[0] * scene.size[1]), scene.size[1] - 1), min(int(point[1] * scene.size[0]), scene.size[0] - 1)
    if part is not None and scene.piece[y, x] == scene.part_number(thing, part):
        return scene.piece, int(scene.piece[y, x])
    return (scene.owners, thing + 1) if scene.owners[y, x] == thing + 1 else (None, 0)


def _cell(fraction: float, cells: int) -> int:
    return min(max(math.floor(fraction * cells), 0), cells - 1)


def _middle(box: Box) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _which(scene: AnnotatedScene, same: list[int], index: int) -> tuple[str | None, str | None]:
    """What tells a thing from its equals by place and by size."""
    if len(same) < 2:
        return None, None
    boxes = [scene.things[i].box for i in same]
    at = same.index(index)
    others = [_area(box) for i, box in enumerate(boxes) if i != at]
    area, size = _area(boxes[at]), None
    if area > LARGER * max(others):
        size = "larger" if len(same) == 2 else "largest"
    elif area * LARGER < min(others):
        size = "smaller" if len(same) == 2 else "smallest"
    if len(same) > MAX_COUNTED:
        return None, size
    which = place_among([_middle(box)[0] for box in boxes], at, ("left", "right"))
    if which is None and len(same) <= 3:
        which = place_among([_middle(box)[1] for box in boxes], at, ("upper", "lower"))
    return which, size


def _tell(view: PhotoView, same: list[int], index: int) -> str | None:
    """A colour or a posture that this thing has and none of its equals; nothing where one of them is not known."""
    colours = [view.colours(i) for i in same]
    own = colours[same.index(index)]
    others = {word for i, words in zip(same, colours, strict=True) if i != index for word in words}
    if len(own) == ONE_COLOUR and all(colours) and not _alike(own[0]) & others:
        return own[0]
    postures = [posture(view.scene.things[i], view.scene.size) for i in same]
    mine = postures[same.index(index)]
    return mine if mine and all(postures) and postures.count(mine) == 1 else None


def _alike(colour: str) -> set[str]:
    """Colours that one person calls one and another the other."""
    groups = (
        {"black", "dark brown", "dark grey"}, {"brown", "dark brown", "tan", "orange", "reddish brown"},
        {"white", "tan", "cream", "grey", "light grey"}, {"grey", "dark grey", "black"},
        {"red", "pink", "orange", "purple"}, {"blue", "purple", "teal"}, {"orange", "yellow", "tan"},
    )  # fmt: skip
    return {colour}.union(*(group for group in groups if colour in group))


def _other(thing: Thing, part: ScenePart) -> ScenePart | None:
    """The counterpart of the other side."""
    if part.side is None:
        return None
    return next((p for p in thing.parts if p.name == part.name and p.side == OTHER_SIDE[part.side]), None)


def _view_side(thing: Thing, part: ScenePart, size: tuple[int, int]) -> str | None:
    other = _other(thing, part)
    if other is None:
        return None
    dx, dy = (part.point[0] - other.point[0]) * size[1], (part.point[1] - other.point[1]) * size[0]
    if max(abs(dx), abs(dy)) < VIEW_APART * longer_side(thing, size):
        return None
    if abs(dx) >= abs(dy):
        return "left" if dx < 0 else "right"
    return "upper" if dy < 0 else "lower"


def _piece_view(thing: Thing, part: ScenePart) -> str | None:
    """Which of several parts of one name and side: "left", "second right", ...; None if it is alone."""
    same = [p for p in thing.parts if (p.name, p.side) == (part.name, part.side)]
    if not 2 <= len(same) <= 4:
        return None
    width, height = thing.box[2] - thing.box[0], thing.box[3] - thing.box[1]
    across = [p.point[0] / max(width, 1e-6) for p in same]
    which = place_among([value * APART / 0.1 for value in across], same.index(part), ("left", "right"))
    down = [p.point[1] / max(height, 1e-6) for p in same]
    return which or (place_among(down, same.index(part), ("upper", "lower")) if len(same) == 2 else None)


def _within(box: Box, point: tuple[float, float], size: tuple[int, int]) -> tuple[int, int] | None:
    """Third of a part's box; None where the part is too small for that."""
    if min((box[2] - box[0]) * size[1], (box[3] - box[1]) * size[0]) < 12:
        return None
    across, down = (point[0] - box[0]) / (box[2] - box[0]), (point[1] - box[1]) / (box[3] - box[1])
    return _cell(across, 3), _cell(down, 3)
