"""Texts for segments without a model: category, which of several, place in the photo, size, colours and neighbours.

True as far as the masks and pixels are; says nothing of what is done or felt. The words are the rule-based point
writer's.
"""

import dataclasses
import random
from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from talkingpoints.data.readers.coco_names import plain_name
from talkingpoints.data.readers.coco_panoptic import PanopticPhoto, Segment
from talkingpoints.images import load_image
from talkingpoints.writer import phrases
from talkingpoints.writer.colours import colours_of
from talkingpoints.writer.facts import APART, LARGER, direction

NEAR = 0.015
"""Segments are neighbours if so little of the photo's longer side lies between them."""
SURROUNDED = 0.75
"""Of what lies around a segment: so much of one other segment surrounds it."""
UNNAMED = "background"
"""A category that stands for whatever is not named: to lie beside it says nothing."""
_MASS = frozenset({
    "grass", "sky", "sand", "snow", "water", "sea", "river", "gravel", "dirt", "pavement", "railroad", "playing field",
    "food", "fruit", "paper", "cardboard", "stairs", "skis", "scissors", "broccoli",
})  # fmt: skip
"""Names before which "a" sounds wrong."""
_SIZES = ((0.35, "taking up much of {photo}"), (0.12, "large"), (0.02, "of middling size"), (0.004, "small"))
_TINY = "very small"
_ORDINALS = ("second", "third", "fourth", "fifth", "sixth")


@dataclasses.dataclass(frozen=True)
class SegmentFacts:
    """What is true of a segment.

    Args:
        name: in plain words.
        is_thing: whether it can be counted.
        n_same: segments of the category in the photo.
        which: what tells it from its equals by place: "left", "second left", ..., "upper", "second top", "upper-left",
            or None.
        size: "larger", "smallest", ... among its equals, or None.
        column, row: third of the photo in which its middle lies, 0 to 2.
        share: of the photo's pixels, 0 to 1.
        colours: one or two colour words.
        neighbours: (name with its article, where THIS segment lies as seen from it: one of `facts.DIRECTIONS`, or
            "surrounded by"), the longest common border first.
    """

    name: str
    is_thing: bool
    n_same: int
    which: str | None
    size: str | None
    column: int
    row: int
    share: float
    colours: tuple[str, ...]
    neighbours: tuple[tuple[str, str], ...]


def segment_facts(photo: PanopticPhoto, pixels: np.ndarray, ids: np.ndarray) -> dict[int, SegmentFacts]:
    """Facts of all segments of a photo, by segment id.

    Args:
        photo: with its segments.
        pixels: RGB, uint8 (height, width, 3).
        ids: the id map, integers (height, width).

    Raises:
        ValueError: pixels and map have different sizes.
    """
    if pixels.shape[:2] != ids.shape:
        raise ValueError(f"pixels: {pixels.shape[:2]}, ids: {ids.shape}; they must have one (height, width)")
    height, width = ids.shape
    middles = {segment.id: _middle(ids == segment.id) for segment in photo.segments}
    borders = _borders(ids, max(2, round(NEAR * max(height, width))))
    names = {segment.id: plain_name(segment.category) for segment in photo.segments}
    facts = {}
    for segment in photo.segments:
        same = [other for other in photo.segments if other.category_id == segment.category_id]
        which, size = _which(segment, same, middles, (width, height))
        x, y = middles[segment.id]
        facts_near: dict[str, str] = {}
        around = borders.get(segment.id, {})
        for other in sorted(around, key=lambda other: (-around[other], other)):
            if names[other] in (names[segment.id], UNNAMED):
                continue
            alone = sum(name == names[other] for name in names.values()) == 1
            name = f"the {names[other]}" if alone else phrases.with_article(names[other])
            where = direction(x - middles[other][0], y - middles[other][1])
            encloses = around[other] >= SURROUNDED * sum(around.values())
            facts_near.setdefault(name, "surrounded by" if encloses else where)
        facts[segment.id] = SegmentFacts(
            name=names[segment.id],
            is_thing=segment.is_thing,
            n_same=len(same),
            which=which,
            size=size,
            column=min(2, int(3 * x / width)),
            row=min(2, int(3 * y / height)),
            share=float((ids == segment.id).mean()),
            colours=colours_of(pixels[ids == segment.id][:, None, :]),
            neighbours=tuple(facts_near.items())[:2],
        )
    return facts


def segment_texts(photo: PanopticPhoto, seed: int | None = None) -> dict[tuple[int, int], str]:
    """A text for each segment, by its key.

    Args:
        photo: is read.
        seed: of the choice of words; None takes the first of each.

    Raises:
        ValueError: the photo or its map cannot be read, or their sizes differ.
    """
    pixels = np.asarray(load_image(photo.image))
    texts = {}
    for segment_id, facts in segment_facts(photo, pixels, photo.id_map()).items():
        rng = None if seed is None else random.Random(f"{seed} {photo.image_id} {segment_id}")
        texts[photo.image_id, segment_id] = text_of(facts, rng)
    return texts


def text_of(facts: SegmentFacts, rng: random.Random | None = None) -> str:
    """One or two sentences.

    Args:
        facts: what is true.
        rng: chooses among words; None takes the first of each.

    Example:
        >>> text_of(facts)
        'The left one of two dogs, brown and white, large, in the centre of the photo, above the grass.'
    """

    def pick(options: Sequence[str]) -> str:
        return options[0] if rng is None else rng.choice(options)

    photo = pick(phrases.PHOTO)
    colours = " and ".join(pick(phrases.COLOUR_WORDS.get(colour, (colour,))) for colour in facts.colours)
    size = next((words for share, words in _SIZES if facts.share >= share), _TINY).format(photo=f"the {photo}")
    place = pick(phrases.PLACES[facts.row][facts.column]).format(photo=photo)
    text = f"{_first_mention(facts)}, {colours}, {size}, {place}"
    relations: dict[str, list[str]] = {}
    for name, where in facts.neighbours:
        relations.setdefault(where, []).append(name)
    if relations:
        words = (
            f"{pick(phrases.DIRECTION_PHRASES.get(where, (where,)))} {' and '.join(names)}"
            for where, names in relations.items()
        )
        text += f", {' and '.join(words)}"
    return f"{text[0].upper()}{text[1:]}."


def _first_mention(facts: SegmentFacts) -> str:
    if facts.n_same == 1:
        return f"the {facts.name}" if not facts.is_thing or facts.name in _MASS else phrases.with_article(facts.name)
    group = phrases.counted(facts.n_same, _plural(facts.name))
    which = facts.which or facts.size
    if which is None:
        return f"one of {group}"
    order, _, end = which.partition(" ")
    return f"the {order} from the {end} of {group}" if end else f"the {which} one of {group}"


def _plural(name: str) -> str:
    """Plurals that COCO's names need besides those of the point writer."""
    last = name.rpartition(" ")[2]
    if last in ("skis", "broccoli"):
        return name
    if last == "scissors":
        return f"pairs of {name}"
    if last.endswith(("ch", "sh", "ss")):
        return f"{name}es"
    if last == "knife":
        return f"{name[:-2]}ves"
    return phrases.plural(name)


def _middle(inside: np.ndarray) -> tuple[float, float]:
    """(x, y) of the centre of gravity in pixels."""
    ys, xs = np.nonzero(inside)
    return (float(xs.mean()) + 0.5, float(ys.mean()) + 0.5)


def _which(
    segment: Segment,
    same: Sequence[Segment],
    middles: Mapping[int, tuple[float, float]],
    size: tuple[int, int],
) -> tuple[str | None, str | None]:
    """What tells a segment from its equals by place and by size."""
    if len(same) == 1:
        return None, None
    index = [other.id for other in same].index(segment.id)
    others = [other.area for other in same if other.id != segment.id]
    larger = None
    if segment.area > LARGER * max(others):
        larger = "larger" if len(same) == 2 else "largest"
    elif segment.area * LARGER < min(others):
        larger = "smaller" if len(same) == 2 else "smallest"
    points = [(middles[other.id][0] / size[0], middles[other.id][1] / size[1]) for other in same]
    ends = ("upper", "lower") if len(same) <= 3 else ("top", "bottom")
    which = _in_row([x for x, _ in points], index, ("left", "right")) or _in_row([y for _, y in points], index, ends)
    return which or _corner(points, index), larger


def _in_row(values: Sequence[float], index: int, ends: tuple[str, str]) -> str | None:
    """Place of one of several values, counted from the nearer end; None if another is too close, or it is too far in.

    Example:
        >>> _in_row([0.1, 0.3, 0.5, 0.7], 1, ("left", "right"))
        'second left'
    """
    value = values[index]
    if any(abs(value - other) < APART for i, other in enumerate(values) if i != index):
        return None
    before = sum(other < value for other in values)
    after = len(values) - 1 - before
    if before == after:
        return "middle"
    end, steps = (ends[0], before) if before < after else (ends[1], after)
    if steps > len(_ORDINALS):
        return None
    return end if steps == 0 else f"{_ORDINALS[steps - 1]} {end}"


def _corner(points: Sequence[tuple[float, float]], index: int) -> str | None:
    """ "upper-left" and so on, for the only one of several points that lies so from the middle of all; else None."""
    middle = np.mean(points, axis=0)
    corners = [
        tuple(int(np.sign(d)) if abs(d) >= APART / 2 else 0 for d in np.subtract(point, middle)) for point in points
    ]
    column, row = corner = corners[index]
    if not column or not row or corners.count(corner) > 1:
        return None
    return f"{'upper' if row < 0 else 'lower'}-{'left' if column < 0 else 'right'}"


def _borders(ids: np.ndarray, reach: int) -> dict[int, dict[int, int]]:
    """Pixels of each segment within reach of each other segment, by their ids."""
    found: dict[int, dict[int, int]] = {}
    kernel = np.ones((2 * reach + 1, 2 * reach + 1), dtype=np.uint8)
    for segment_id in np.unique(ids[ids > 0]).tolist():
        inside = ids == segment_id
        columns, rows = np.flatnonzero(inside.any(axis=0)), np.flatnonzero(inside.any(axis=1))
        y0, x0 = max(0, rows[0] - reach), max(0, columns[0] - reach)
        crop = (slice(y0, rows[-1] + reach + 1), slice(x0, columns[-1] + reach + 1))
        ring = (cv2.dilate(inside[crop].astype(np.uint8), kernel) > 0) & ~inside[crop]
        others, counts = np.unique(ids[crop][ring], return_counts=True)
        found[segment_id] = {int(o): int(n) for o, n in zip(others, counts, strict=True) if o > 0}
    return found
