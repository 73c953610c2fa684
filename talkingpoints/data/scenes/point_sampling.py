"""Which points of a scene examples are made of: named points, anywhere on a thing, and on no thing.

A thing that words could not tell from another of its kind is left out.
"""

from dataclasses import dataclass

import numpy as np

from talkingpoints.writer.facts import MAX_COUNTED
from talkingpoints.writer.fluent.annotated_scene import LEAST_DEPTH, NOTHING, AnnotatedScene, Thing, innermost
from talkingpoints.writer.fluent.lexicon import UNKNOWN, lexicon

UNKNOWN_SHARE = 0.35
"""Of the points on whole things: those on unknown ones, where the photo has some."""
STUFF_SHARE = 0.2
_TRIES = 12


@dataclass(frozen=True)
class DrawnPoint:
    """A point and what it is on.

    Args:
        point: Unit (x, y).
        thing: Index of the thing, None for none.
        part: Index among its parts, None for none.
        exact: Whether it is the part's own point.
    """

    point: tuple[float, float]
    thing: int | None
    part: int | None = None
    exact: bool = True


def draw_named(scene: AnnotatedScene, rng: np.random.Generator) -> DrawnPoint | None:
    """A named part's own point; where nothing has parts, a point on a whole thing; None where nothing can be said."""
    clear = [i for i, thing in enumerate(scene.things) if thing.parts and speakable(scene, i)]
    whole = [i for i, thing in enumerate(scene.things) if not thing.parts]
    if clear and not (whole and rng.random() < 0.15):
        index = int(rng.choice(clear))
        part = int(rng.integers(len(scene.things[index].parts)))
        return DrawnPoint(scene.things[index].parts[part].point, index, part)
    return draw_whole(scene, rng)


def draw_whole(scene: AnnotatedScene, rng: np.random.Generator) -> DrawnPoint | None:
    """A point on a thing without parts: known things by kind, unknown ones, or stuff."""
    groups: dict[str, list[int]] = {"known": [], "unknown": [], "stuff": []}
    for i, thing in enumerate(scene.things):
        if thing.kind == UNKNOWN:
            groups["unknown"].append(i)
        elif not lexicon().is_thing(thing.kind):
            groups["stuff"].append(i)
        elif not thing.parts and speakable(scene, i):
            groups["known"].append(i)
    shares = {"known": 1 - UNKNOWN_SHARE - STUFF_SHARE, "unknown": UNKNOWN_SHARE, "stuff": STUFF_SHARE}
    there = [name for name in groups if groups[name]]
    if not there:
        return None
    weights = np.array([shares[name] for name in there])
    chosen = groups[there[int(rng.choice(len(there), p=weights / weights.sum()))]]
    kinds = sorted({scene.things[i].kind for i in chosen})
    kind = kinds[int(rng.integers(len(kinds)))]
    index = int(rng.choice([i for i in chosen if scene.things[i].kind == kind]))
    return _on(scene, index, rng, middle=rng.random() < 0.4)


def draw_anywhere(scene: AnnotatedScene, rng: np.random.Generator) -> DrawnPoint | None:
    """A point anywhere on a known thing."""
    clear = [i for i, thing in enumerate(scene.things)
             if thing.kind != UNKNOWN and lexicon().is_thing(thing.kind) and speakable(scene, i)]  # fmt: skip
    return _on(scene, int(rng.choice(clear)), rng, middle=False) if clear else draw_whole(scene, rng)


def draw_nothing(scene: AnnotatedScene, rng: np.random.Generator) -> DrawnPoint | None:
    """A point that is known to be on no thing; None where that is known of none."""
    if scene.owners is None:
        return None
    pixel = _inside(scene.owners, NOTHING, rng)
    return None if pixel is None else DrawnPoint(pixel, None)


def speakable(scene: AnnotatedScene, index: int) -> bool:
    """Whether words can tell a thing from the others of its kind: by order among a few, or by the photo's third."""
    thing = scene.things[index]
    same = [other for i, other in enumerate(scene.things) if other.kind == thing.kind and i != index]
    if not same or (thing.kind in scene.counted and len(same) < MAX_COUNTED):
        return True
    return _third(thing) not in {_third(other) for other in same}


def _third(thing: Thing) -> tuple[int, int]:
    x0, y0, x1, y1 = thing.box
    return min(int(1.5 * (x0 + x1)), 2), min(int(1.5 * (y0 + y1)), 2)


def _on(scene: AnnotatedScene, index: int, rng: np.random.Generator, middle: bool) -> DrawnPoint | None:
    """A point on a thing, by its mask, the middle of its box, or the line between two parts that lie close."""
    thing = scene.things[index]
    if scene.owners is not None and not thing.solid:
        if middle:
            point, depth = innermost(scene.owners == index + 1)
            if depth < LEAST_DEPTH:
                return None
        else:
            pixel = _inside(scene.owners, index + 1, rng)
            if pixel is None:
                return None
            point = pixel
        return DrawnPoint(point, index, _part_at(scene, index, point), exact=False)
    if thing.solid and not thing.parts:
        x0, y0, x1, y1 = thing.box
        across, down = (0.5, 0.5) if middle else rng.uniform(0.3, 0.7, size=2).tolist()
        return DrawnPoint((x0 + across * (x1 - x0), y0 + down * (y1 - y0)), index)
    points = np.array([part.point for part in thing.parts if part.box is None]).reshape(-1, 2)
    if len(points) < 3:
        return None
    first = int(rng.integers(len(points)))
    off = np.linalg.norm((points - points[first]) * scene.size[::-1], axis=1)
    off[first] = np.inf
    along = float(rng.uniform(0.25, 0.75))
    x, y = (points[first] * (1 - along) + points[int(off.argmin())] * along).tolist()
    return DrawnPoint((x, y), index)


def _part_at(scene: AnnotatedScene, index: int, point: tuple[float, float]) -> int | None:
    """The part whose mask holds a point."""
    if scene.piece is None:
        return None
    (x, y), (height, width) = point, scene.size
    number = int(scene.piece[min(int(y * height), height - 1), min(int(x * width), width - 1)])
    part = number - scene.part_number(index, 0)
    return part if number and 0 <= part < len(scene.things[index].parts) else None


def _inside(values: np.ndarray, wanted: int, rng: np.random.Generator) -> tuple[float, float] | None:
    """A random pixel of a value, with its neighbours of the same; None if a few draws find none."""
    rows, columns = np.nonzero(values == wanted)
    for _ in range(_TRIES if len(rows) else 0):
        i = int(rng.integers(len(rows)))
        y, x = int(rows[i]), int(columns[i])
        if (values[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3] == wanted).all():
            return (x + 0.5) / values.shape[1], (y + 0.5) / values.shape[0]
    return None
