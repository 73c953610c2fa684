"""What is near a point: a part in some direction, two that it lies between, what a hand touches, the nearest thing."""

import math
from collections import Counter
from dataclasses import dataclass

from talkingpoints.writer.facts import BETWEEN_WIDTH, CLOSE, NEIGHBOUR_RANGE, direction
from talkingpoints.writer.fluent.annotated_scene import AnnotatedScene, ScenePart, Thing
from talkingpoints.writer.fluent.lexicon import UNKNOWN, lexicon

TOUCHES = 0.06
"""Of the thing's longer side: two parts that are nearer touch or nearly do."""
_REACHING = frozenset({"wrist", "hand", "front paw", "elbow"})
_REACHED = frozenset({
    "nose", "ear", "hip", "knee", "ankle", "shoulder", "hat", "bag", "throat", "top of the head", "face",
})  # fmt: skip


@dataclass(frozen=True)
class Near:
    """Something near the point.

    Args:
        name: A part, or for a point on no thing a kind.
        side: The part's own side, or None.
        direction: Where the POINT lies as seen from it, as in facts.py, or "between" (of two).
        close: Whether the two are close together.
        is_kind: Whether `name` is a kind.
    """

    name: str
    side: str | None
    direction: str
    close: bool
    is_kind: bool = False


def longer_side(thing: Thing, size: tuple[int, int]) -> float:
    x0, y0, x1, y1 = thing.box
    return max((x1 - x0) * size[1], (y1 - y0) * size[0], 1e-6)


def near_part(
    thing: Thing, part: ScenePart | None, point: tuple[float, float], size: tuple[int, int]
) -> tuple[Near, ...]:
    """The nearest part with another name and side; or two that the point is between."""
    longer, x, y = longer_side(thing, size), point[0] * size[1], point[1] * size[0]
    own = None if part is None else (part.name, part.side)
    counts = Counter((p.name, p.side) for p in thing.parts)
    placed = []
    for other in thing.parts:
        key = (other.name, other.side)
        # "the wheel" of two says nothing
        if key == own or counts[key] > 1 or (part is not None and other.name == part.name and other.side is None):
            continue
        if part is not None and (other.name in lexicon().same_part(part.name)) and other.box is not None:
            continue  # above the head that it is a part of
        dx, dy = x - other.point[0] * size[1], y - other.point[1] * size[0]
        placed.append((math.hypot(dx, dy) / longer, dx, dy, other))
    placed.sort(key=lambda entry: entry[0])
    placed = [entry for entry in placed if entry[0] <= NEIGHBOUR_RANGE[1]]
    if part is not None:  # the counterpart last: the side in the photo says that already
        placed.sort(key=lambda entry: entry[3].name == part.name)
    if not placed:
        return ()
    if part is None and len(placed) > 1 and placed[0][0] >= CLOSE / 2:
        for entry in placed[1:4]:
            if _between(placed[0], entry):
                return tuple(Near(e[3].name, e[3].side, "between", False) for e in (placed[0], entry))
    for distance, dx, dy, other in placed:
        if distance >= NEIGHBOUR_RANGE[0]:
            return (Near(other.name, other.side, direction(dx, dy), distance < CLOSE),)
    return ()


def _between(one: tuple[float, float, float, ScenePart], two: tuple[float, float, float, ScenePart]) -> bool:
    """Whether the point lies between two parts, given what lies between it and each."""
    bx, by = one[1] - two[1], one[2] - two[2]  # from the one to the two
    length = math.hypot(bx, by)
    if length < 1e-6:
        return False
    along = (one[1] * bx + one[2] * by) / length**2
    off = abs(one[1] * by - one[2] * bx) / length**2
    return 0.2 < along < 0.8 and off < BETWEEN_WIDTH


def touching_part(thing: Thing, part: ScenePart, size: tuple[int, int]) -> tuple[str, str | None] | None:
    """What a hand or an elbow is at, if that is clear."""
    if thing.kind != "person" or part.name not in _REACHING:
        return None
    best: tuple[float, ScenePart] | None = None
    for other in thing.parts:
        if other.name in _REACHED:
            dx, dy = (part.point[0] - other.point[0]) * size[1], (part.point[1] - other.point[1]) * size[0]
            distance = math.hypot(dx, dy) / longer_side(thing, size)
            if distance < TOUCHES and (best is None or distance < best[0]):
                best = (distance, other)
    return None if best is None else (best[1].name, best[1].side)


def beside_thing(scene: AnnotatedScene, point: tuple[float, float]) -> tuple[Near, ...]:
    """The nearest thing of a known kind that is one of its kind, as seen from a point on no thing."""
    best: tuple[float, float, float, Thing] | None = None
    kinds = [thing.kind for thing in scene.things]
    for thing in scene.things:
        if thing.kind == UNKNOWN or not lexicon().is_thing(thing.kind) or thing.kind in lexicon().held_out:
            continue
        if kinds.count(thing.kind) > 1:
            continue
        x0, y0, x1, y1 = thing.box
        dx = (point[0] - min(max(point[0], x0), x1)) * scene.size[1]
        dy = (point[1] - min(max(point[1], y0), y1)) * scene.size[0]
        gap = math.hypot(dx, dy)
        if gap > 0 and (best is None or gap < best[0]):
            best = (gap, dx, dy, thing)
    if best is None:
        return ()
    close = best[0] < CLOSE * longer_side(best[3], scene.size)
    return (Near(best[3].kind, None, direction(best[1], best[2]), close, is_kind=True),)
