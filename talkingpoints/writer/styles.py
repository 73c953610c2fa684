"""Puts the facts about a point into words, coarse to fine, in several styles.

Object in the photo, which one, part, place in the object, what is next to it, how it looks. The text never
holds a digit or a coordinate: thirds of the photo and fifths of the object are the finest places. Here are
the styles and their sentences; leaves out measuring (facts.py, look.py) and words (wording.py, phrases.py).
"""

import random
import re
from typing import NamedTuple

from talkingpoints.writer import phrases
from talkingpoints.writer.facts import PointFacts, point_facts
from talkingpoints.writer.free_style import write_free
from talkingpoints.writer.wording import Wording

__all__ = ["ALL_STYLES", "CANONICAL", "FREE", "STYLES", "PointFacts", "PointText", "point_facts", "write", "write_told"]

STYLES = ("full", "short", "colloquial", "reordered", "semantic")
CANONICAL = "canonical"
HELD_STYLES = ("terse", "guiding")
"""Styles with words of their own for places and parts, which the bundled pair is not trained on: for listeners of
another dialect, and to see what is left when somebody speaks otherwise. (The style "free" has some of the words.)"""
FREE = "free"
"""As people type it, for listeners to be trained on: see free.py. What it says beyond the facts is made up."""
ALL_STYLES = (*STYLES, CANONICAL, *HELD_STYLES, FREE)


class PointText(NamedTuple):
    """A description: ``text``, and ``told``, the names of the fields of `PointFacts` that it puts into words."""

    text: str
    told: frozenset[str]


def write(facts: PointFacts, style: str, rng: random.Random) -> str:
    """Describe a point.

    Args:
        facts: What `point_facts` found.
        style: "full" (varied, every level), "short" (part, object, one place in the object), "colloquial"
            (casual, often without a place), "reordered" (every level, other order), "semantic" (part, object
            and look, no place at all), "canonical" ("full" with the first wording of every choice), one of
            `HELD_STYLES`: "terse" (notes) and "guiding" (directions), with other words for places, or "free" (as
            people type it: any words for part and object, few places or none, and made-up detail such as breed,
            clothes or surroundings that may be WRONG: for training a listener only, never as a reference).
        rng: Source of the variation; "canonical" does not draw from it.

    Returns:
        One or a few English sentences; "free" also a mere phrase.

    Raises:
        ValueError: If the style is unknown.

    Example:
        >>> write(facts, "canonical", random.Random(0))
        'A dog in the centre of the photo. Its left ear, far right, top of the dog, just above the left eye.
        Dark brown, smooth.'
    """
    return write_told(facts, style, rng).text


def write_told(facts: PointFacts, style: str, rng: random.Random) -> PointText:
    """Describe a point as `write` does, and keep account of what was said.

    Example:
        >>> sorted(write_told(facts, "semantic", random.Random(0)).told)
        ['colours', 'label', 'part', 'side', 'texture']
    """
    if style not in ALL_STYLES:
        raise ValueError(f"style: {style!r} is unknown; allowed: {ALL_STYLES}.")
    say = Wording(facts, None if style == CANONICAL else rng)
    if style == FREE:
        return PointText(write_free(say), frozenset(say.told))
    if facts.label is None:
        text = _background(say, style)
    elif style == "short":
        text = _short(say)
    elif style == "colloquial":
        text = _colloquial(say)
    elif style == "semantic":
        text = _semantic(say)
    elif style == "terse":
        text = _terse(say)
    elif style == "guiding":
        text = _guiding(say)
    elif style == "reordered":
        text = _reordered(say)
    else:
        text = _full(say)
    if not any(word in text for word in phrases.TEXTURE_WORDS[facts.texture]):
        say.told.discard("texture")  # some frames name the colour alone
    return PointText(_finish(text), frozenset(say.told))


def _full(say: Wording) -> str:
    place, position, look = say.place(), say.position(), say.look()
    near = say.near() if say.facts.part is None or say.chance(0.75) else ""
    its = phrases.pronoun(say.label)
    first = say.object()
    spot = (f"on {phrases.object_pronoun(say.label)}", f"on the {say.label}")
    part = say.pick(spot) if say.facts.part is None else say.part(its)
    tail = f", {near}" if near else ""
    on = part if say.facts.part is None else f"on {part}"
    return say.pick(
        (
            f"{first} {place}. {part}, {position}{tail}. {look}.",
            f"there is {first} {place}. The point is {on}, {position}{tail}. It looks {look}.",
            f"look at {first} {place}: {on}, {position}{tail}. The spot is {look}.",
            f"{place}, {first}. {part}, {position}{tail}; {look} there.",
            f"{first} {place}; the point lies {on}, {position}{tail}, where it is {look}.",
        )
    )


def _reordered(say: Wording) -> str:
    place, position, look = say.place(), say.position(), say.look()
    near = say.near() if say.facts.part is None or say.chance(0.75) else ""
    first = say.object()
    part = say.part_of(f"the {say.label}")
    part_of_first = f"a spot on {first}" if say.facts.part is None else f"{say.part('the')} of {first}"
    tail = f", {near}" if near else ""
    return say.pick(
        (
            f"{part}, {position}{tail}. {look}. It is {first} {place}.",
            f"{look}: {part}{tail}, {position}. This is {first} {place}.",
            f"{position}{tail}: {part}, {look}. That is {first} {place}.",
            f"{phrases.with_article(say.colours())} spot {position}{tail}: {part_of_first} {place}.",
            f"the point is {position}{tail}. It is {part_of_first} {place}, and looks {look}.",
        )
    )


def _short(say: Wording) -> str:
    part = say.part_of(say.owner(say.label))
    place = say.third() if say.chance(0.5) else say.position()
    return say.pick((f"{part}, {place}", f"{part} ({place})", f"{place}: {part}"))


def _colloquial(say: Wording) -> str:
    label = say.pick(phrases.CASUAL_LABELS.get(say.label, (say.label,)))
    part = say.part_of(say.owner(label), casual=True)
    if say.chance(0.3):
        part = f"{part}, {say.place()}"
    if say.chance(0.5):
        column, row = say.facts.column or 0, say.facts.row or 0
        say.told |= {"column", "row"}
        spot = say.pick(
            (
                f"{phrases.CASUAL_ROWS[row]}, {phrases.CASUAL_COLUMNS[column]} of the {label}",
                f"the {phrases.ROW_ADJECTIVES[row]} {phrases.COLUMN_ADJECTIVES[column]} bit of the {label}",
                f"{phrases.CASUAL_COLUMNS[column]}, {phrases.CASUAL_ROWS[row]}",
            )
        )
        part = say.pick((f"{part}, {spot}", f"{part} - {spot}"))
    if say.chance(0.4):
        part = say.pick((f"{part}, kind of {say.colours()}", f"{part}, the {say.colours()} bit"))
    return say.pick((part, f"see {part}?", f"right on {part}", f"{part}, there"))


def _semantic(say: Wording) -> str:
    part = say.part_of(say.owner(say.label, place=False), place=False)
    look = say.look()
    return say.pick(
        (
            f"{part}, {look}.",
            f"{look}: {part}.",
            f"{part}; it looks {look}.",
            f"the point is on {part}, which is {look} there.",
            f"{part}, {phrases.with_article(say.colours())} spot.",
        )
    )


def _terse(say: Wording) -> str:
    owner, where = say.owner(say.label), say.held_position()
    part = say.part("the", held=True) if say.facts.part else "anywhere"
    frame = say.pick((f"{owner}, {say.held_place()}", f"{say.held_place()}: {owner}"))
    spot = say.pick((f"{part}, {where}", f"{where}, {part}"))
    return f"{frame}; {spot}; {say.colours()}" if say.chance(0.5) else f"{frame}; {spot}"


def _guiding(say: Wording) -> str:
    its, owner = phrases.pronoun(say.label), say.owner(say.label)
    part = say.part(its, held=True) if say.facts.part else say.pick(("the fur", "the body", "the surface"))
    first = say.pick(("find", "start from", "go to")) + f" {owner} {say.held_place()}"
    second = say.pick(("then move to", "and head for", "and on it pick")) + f" {part}"
    near = say.near() if say.chance(0.3) else ""
    tail = f", {near}" if near else ""
    text = f"{first}, {second}, {say.held_position()}{tail}."
    if say.chance(0.3):
        return f"{text} You will see {say.colours()} there."
    return f"{text} Expect {say.look()}." if say.chance(0.5) else text


def _background(say: Wording, style: str) -> str:
    """A point on no object: relative to the nearest object's box, and how it looks."""
    look = "" if style == "short" else say.look()
    if style == "semantic":
        return say.pick((f"background, {look}.", f"{look}: background.", f"not on any animal or person; {look}."))
    if style in HELD_STYLES:
        return say.pick((f"nothing but background {say.held_place()}", f"{say.held_place()}: backdrop")) + f", {look}"
    place = say.place()
    if style == "colloquial" and say.chance(0.5):
        return f"just background {place}, kind of {look}"
    relation = _background_relation(say)
    tail = f", {relation}" if relation else ""
    if style == "short":
        return f"background {place}{tail}"
    if style == "colloquial":
        return f"nothing much, {look}, {place}{tail}"
    if style == "reordered":
        return say.pick(
            (
                f"{look}. Background{tail}, {place}.",
                f"{phrases.with_article(say.colours())} spot of background{tail}, {place}.",
            )
        )
    return say.pick(
        (
            f"background {place}{tail}. {look}.",
            f"the background {place}{tail}; it looks {look}.",
            f"{place}, a spot of background{tail}. {look}.",
        )
    )


def _background_relation(say: Wording) -> str:
    facts = say.facts
    if not facts.near or facts.column is None or facts.row is None:
        return ""
    near = facts.near[0]
    say.told.add("near")
    column, row = phrases.COLUMNS[facts.column], phrases.ROWS[facts.row]
    if near.direction == "around":
        say.told |= {"column", "row"}
        return f"right beside the {near.name}, by its {column}, {row}"
    direction = say.pick(phrases.DIRECTION_PHRASES[near.direction])
    words = f"{'just ' if near.close else ''}{direction} the {near.name}"
    if near.direction in ("left", "right"):
        say.told.add("row")
        return f"{words}, level with its {row}"
    if near.direction in ("above", "below"):
        say.told.add("column")
        return f"{words}, in line with its {column}"
    return words


def _finish(text: str) -> str:
    """Capitalise sentence starts."""
    return re.sub(r"(^|[.?] )([a-z])", lambda match: match.group(1) + match.group(2).upper(), text)
