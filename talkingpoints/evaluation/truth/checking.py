"""Claims -> verdicts at a point: true, false, or None where the annotation does not tell.

All tolerances stand here; they were fixed before any model was measured. A claim is called false only where a person
who looks at the photo would call it so: neighbouring shades, directions and stretches count as true.
"""

import math
from collections.abc import Callable, Sequence

from talkingpoints.evaluation.truth.annotations import Named
from talkingpoints.evaluation.truth.claims import BACKGROUND, UNKNOWN, Claim, Range
from talkingpoints.evaluation.truth.places import PointTruth, boxes_of
from talkingpoints.evaluation.truth.vocabulary import vocabulary
from talkingpoints.writer.colours import COLOURS, colour_shares, texture_of, window_at
from talkingpoints.writer.facts import DIRECTIONS
from talkingpoints.writer.scene import Box

STRETCH = 0.1
"""Places: this share of the photo's or the box's side beyond the stretch that was named."""
ANGLE = 67.5
"""Directions: degrees off the named one; the next of the eight directions still counts."""
BETWEEN_ALONG, BETWEEN_OFF = 0.15, 0.5
"""Between two points: this far beyond either, and this far off the line, in shares of their distance."""
AT = 0.1
"""At a named point: at most so far from it, in longer sides of the object."""
INNER, THING_SHARE = 0.2, 0.2
"""Colour of a thing: its box without this share of a side at each edge, and the least share of that with the shade."""
FILLS, SMALL, LENIENT = 0.6, 0.03, 1.5
"""Extent: shares of the photo from which a box fills it and below which it is small, by this factor either way."""
COLOUR_SHARE = 0.25
"""Colours: the least share of the pixels around the point that have the named shade or a neighbouring one."""
COLOUR_WINDOWS = (0.05, 0.1)
"""Colours: sides of the windows around the point that are looked at, in longer sides of the photo; one is enough."""
OFTEN_UNMARKED = frozenset({"person", "animal", "vehicle"})
"""Kinds that photos show without an annotation; that one is absent is not said of an incomplete annotation."""

Verdict = bool | None


def judge(claims: Sequence[Claim], truth: PointTruth, known: frozenset[str] = frozenset()) -> list[Verdict]:
    """Judge each claim by itself; gating is for scores.py.

    Args:
        claims: Of one text.
        truth: What the annotation says at the point.
        known: Kinds that the describer knows; of others it may truly say that it does not know them.

    Returns:
        A verdict for each claim.
    """
    checks: dict[tuple[str, str], Callable[[Claim, PointTruth], Verdict]] = {
        ("which", "order"): _order,
        ("which", "size"): _size,
        ("which", "count"): _count,
        ("part", "part"): _part,
        ("place", "photo"): _in_photo,
        ("place", "object"): _in_object,
        ("place", "extent"): _extent,
        ("place", "near"): _near,
        ("look", "colour"): _colour,
        ("look", "texture"): _texture_word,
        ("look", "thing colour"): _thing_colour,
    }
    verdicts: list[Verdict] = []
    for claim in claims:
        if claim.type == "object":
            verdicts.append(_object(claim, truth, known))
        elif (claim.type, claim.slot) == ("side", "view"):
            verdicts.append(_view_side(claim, truth))
        elif claim.type == "side":
            verdicts.append(_side(claim, truth, [other for other in claims if other.type == "part"]))
        else:
            check = checks.get((claim.type, claim.slot))  # of posture and the like no annotation tells
            verdicts.append(None if check is None else check(claim, truth))
    return verdicts


def _object(claim: Claim, truth: PointTruth, known: frozenset[str]) -> Verdict:
    if truth.kinds is None:
        return None
    words = vocabulary()
    if BACKGROUND in claim.values:
        return not any(words.is_thing(kind) for kind in truth.kinds)
    if UNKNOWN in claim.values:
        return truth.kinds.isdisjoint(known)
    return not truth.kinds.isdisjoint(claim.values)


def _order(claim: Claim, truth: PointTruth) -> Verdict:
    if truth.box is None:
        return None
    ordinal, _, end = claim.values[0].rpartition(" ")
    axis = 0 if end in ("left", "right") else 1
    centres = [(box[axis] + box[axis + 2]) / 2 for box in (truth.box, *truth.peers)]
    if len(centres) < 2:
        return False
    before = sum(centre < centres[0] for centre in centres[1:])
    after = len(centres) - 1 - before
    if end == "middle":
        across = [(box[0] + box[2]) / 2 for box in (truth.box, *truth.peers)]
        left = sum(centre < across[0] for centre in across[1:])
        return {before, after} == {1} or left == len(across) - 1 - left
    rank = before if end in ("left", "upper", "top") else after
    return rank == {"": 0, "second": 1, "third": 2}[ordinal]


def _size(claim: Claim, truth: PointTruth) -> Verdict:
    if truth.box is None:
        return None
    if not truth.peers:
        return False
    areas = [(x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in truth.peers]
    own = (truth.box[2] - truth.box[0]) * (truth.box[3] - truth.box[1])
    return own > max(areas) if claim.values[0] in ("larger", "largest") else own < min(areas)


def _count(claim: Claim, truth: PointTruth) -> Verdict:
    if truth.box is None:
        return None
    number, said = len(truth.peers) + 1, int(claim.values[0])
    return number > 6 if said == 7 else number == said


def _part(claim: Claim, truth: PointTruth) -> Verdict:
    """True for the part itself or a larger one that holds it; None for a smaller one that the annotation does not
    tell."""
    if truth.parts is None:
        return None
    words, unsure = vocabulary(), False
    for part, _ in truth.parts:
        for said in claim.values:
            if not words.enclosing(part).isdisjoint(words.same(said)):
                return True
            unsure |= not words.enclosing(said).isdisjoint(words.same(part))
    return None if unsure else False


def _side(claim: Claim, truth: PointTruth, parts: Sequence[Claim]) -> Verdict:
    if truth.parts is None or not parts:
        return None
    words = vocabulary()
    said = {name for part in parts for value in part.values for name in words.same(value)}
    sides = {side for part, side in truth.parts if not words.enclosing(part).isdisjoint(said)}
    if claim.values[0] in sides:
        return True
    return False if sides - {""} else None


def _view_side(claim: Claim, truth: PointTruth) -> Verdict:
    """Where the part lies in the photo, seen from its counterpart of the other side."""
    own = [(part, side) for part, side in truth.parts or () if side]
    others = [n for n in truth.named if any(n.part == part and n.side and n.side != side for part, side in own)]
    if not others or claim.values[0] == "middle":
        return None
    height, width = truth.size
    dx, dy = (truth.point[0] - others[0].x) * width, (truth.point[1] - others[0].y) * height
    ahead = {"left": -dx, "right": dx, "upper": -dy, "lower": dy}[claim.values[0]]
    return ahead > 0


def _extent(claim: Claim, truth: PointTruth) -> Verdict:
    """Whether the thing fills the photo or is small in it."""
    if truth.box is None:
        return None
    share = (truth.box[2] - truth.box[0]) * (truth.box[3] - truth.box[1])
    return share <= SMALL * LENIENT if "small" in claim.words else share * LENIENT >= FILLS


def _in_range(value: float, stretch: Range | None) -> bool:
    return stretch is None or stretch.low - STRETCH <= value <= stretch.high + STRETCH


def _in_photo(claim: Claim, truth: PointTruth) -> Verdict:
    """Of the object or of the point itself: a text does not always say which."""
    places = [truth.point]
    if truth.box is not None:
        x0, y0, x1, y1 = truth.box
        places.append(((x0 + x1) / 2, (y0 + y1) / 2))
    return any(_in_range(x, claim.across) and _in_range(y, claim.down) for x, y in places)


def _in_box(point: tuple[float, float], box: Box, claim: Claim) -> bool:
    x0, y0, x1, y1 = box
    across = min(max((point[0] - x0) / max(x1 - x0, 1e-9), 0.0), 1.0)
    down = min(max((point[1] - y0) / max(y1 - y0, 1e-9), 0.0), 1.0)
    return _in_range(across, claim.across) and _in_range(down, claim.down)


def _in_object(claim: Claim, truth: PointTruth) -> Verdict:
    return None if truth.box is None else _in_box(truth.point, truth.box, claim)


def _near(claim: Claim, truth: PointTruth) -> Verdict:
    kind, names, _ = claim.targets[0]
    if kind == "kind":
        return _near_kind(claim, truth, names)
    height, width = truth.size
    found = [_target(truth, names, side) for _, names, side in claim.targets]
    if any(not targets for targets in found):
        return None
    if claim.values[0] == "at":
        return min(truth.distance(target) for target in found[0]) <= AT
    x, y = truth.point[0] * width, truth.point[1] * height
    if claim.values[0] == "between":
        return any(
            _between((x, y), (a.x * width, a.y * height), (b.x * width, b.y * height))
            for a in found[0] for b in found[1]
        )  # fmt: skip
    return any(_towards(x - t.x * width, y - t.y * height, claim.values[0]) for t in found[0])


def _target(truth: PointTruth, names: frozenset[str], side: str) -> list[Named]:
    return [n for n in truth.named if n.part in names and (not side or not n.side or n.side == side)]


def _between(point: tuple[float, float], a: tuple[float, float], b: tuple[float, float]) -> bool:
    bx, by, px, py = b[0] - a[0], b[1] - a[1], point[0] - a[0], point[1] - a[1]
    square = max(bx * bx + by * by, 1e-9)
    along, off = (px * bx + py * by) / square, abs(px * by - py * bx) / square
    return -BETWEEN_ALONG <= along <= 1 + BETWEEN_ALONG and off <= BETWEEN_OFF


def _towards(dx: float, dy: float, direction: str) -> bool:
    """Whether a shift in pixels goes about in a direction; a point on the spot itself lies in none from it."""
    if math.hypot(dx, dy) < 1.0:
        return False
    off = abs(math.degrees(math.atan2(dy, dx)) - 45.0 * DIRECTIONS.index(direction)) % 360
    return min(off, 360 - off) <= ANGLE


def _near_kind(claim: Claim, truth: PointTruth, kinds: frozenset[str]) -> Verdict:
    boxes = boxes_of(truth, kinds)
    if not boxes:
        return None if not kinds <= truth.complete and kinds & OFTEN_UNMARKED else False
    height, width = truth.size
    x, y = truth.point
    for x0, y0, x1, y1 in boxes:
        dx, dy = (x - min(max(x, x0), x1)) * width, (y - min(max(y, y0), y1)) * height
        inside = dx == dy == 0
        if inside:
            dx, dy = (x - (x0 + x1) / 2) * width, (y - (y0 + y1) / 2) * height
        if claim.values[0] == "around":
            beside = inside or max(abs(dx) / width, abs(dy) / height) <= STRETCH
        else:
            beside = _towards(dx, dy, claim.values[0])
        if beside and _in_box(truth.point, (x0, y0, x1, y1), claim):
            return True
    return False


def _colour(claim: Claim, truth: PointTruth) -> Verdict:
    """Each named colour, or a neighbouring shade of it, is around the point."""
    table = vocabulary().content["colours"]
    for side in COLOUR_WINDOWS:
        shares = dict(zip(COLOURS, colour_shares(window_at(truth.pixels, truth.point, side)).tolist(), strict=True))
        near = [sum(shares.get(shade, 0.0) for shade in (said, *table[said]["near"])) for said in claim.values]
        if min(near) >= COLOUR_SHARE:
            return True
    return False


def _thing_colour(claim: Claim, truth: PointTruth) -> Verdict:
    """Each named colour, or a neighbouring shade, is in the inner part of the thing's box."""
    if truth.box is None:
        return None
    height, width = truth.size
    x0, y0, x1, y1 = truth.box
    across, down = INNER * (x1 - x0), INNER * (y1 - y0)
    rows = slice(int((y0 + down) * height), max(int((y1 - down) * height), int((y0 + down) * height) + 1))
    columns = slice(int((x0 + across) * width), max(int((x1 - across) * width), int((x0 + across) * width) + 1))
    inside = truth.pixels[rows, columns]
    if inside.size == 0:
        return None
    shares = dict(zip(COLOURS, colour_shares(inside).tolist(), strict=True))
    table = vocabulary().content["colours"]
    near = [sum(shares.get(shade, 0.0) for shade in (said, *table[said]["near"])) for said in claim.values]
    return min(near) >= THING_SHARE


def _texture_word(claim: Claim, truth: PointTruth) -> Verdict:
    measured = texture_of(window_at(truth.pixels, truth.point))
    table = vocabulary().content["textures"]
    return any(measured in (said, *table[said]["near"]) for said in claim.values)
