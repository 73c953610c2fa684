"""Fluent texts about a point, from coarse to fine, in several styles and lengths, with the claims of each.

Every text says only what its `Observation` holds. Leaves out single phrases (phrasing.py) and texts that are false of a
photo (absent_texts.py).
"""

import random
import re
from collections.abc import Iterable

from talkingpoints.writer.fluent.lexicon import UNKNOWN, lexicon
from talkingpoints.writer.fluent.observations import Observation
from talkingpoints.writer.fluent.phrasing import Phrasing
from talkingpoints.writer.fluent.text_claims import FluentText
from talkingpoints.writer.fluent.typing_noise import typed_noise

PLAIN, PLACED, FLUENT, BRIEF, LOOK, TYPED = "plain", "placed", "fluent", "brief", "look", "typed"
STYLES = (PLAIN, PLACED, FLUENT, BRIEF, LOOK, TYPED)
"""Plain: one wording, thing, place, part, side, neighbour and look, for a describer to learn. Placed: the same with
the place in the thing. Fluent: every fact, in many wordings and lengths. Brief: a phrase. Look: without places. Typed:
as people type, with typing noise."""


def write_fluent(seen: Observation, style: str, rng: random.Random) -> FluentText:
    """Describe a point.

    Args:
        seen: What `observe` found.
        style: One of `STYLES`.
        rng: Source of the variation; "plain" and "placed" do not draw from it.

    Returns:
        One English sentence or phrase with its claims. On a thing that the lexicon does not know it says so.

    Raises:
        ValueError: If the style is unknown.

    Example:
        >>> write_fluent(seen, "plain", random.Random(0)).text
        'The right eye of the cat that fills the photo, on the left as you look at it; just above and to the left of
        the nose, olive and smooth.'
    """
    if style not in STYLES:
        raise ValueError(f"style: {style!r} is unknown; allowed: {STYLES}.")
    say = Phrasing(seen, None if style in (PLAIN, PLACED) else rng)
    if seen.kind is None or seen.kind == UNKNOWN or not lexicon().is_thing(seen.kind):
        text = _no_thing(say, style)
    elif style in (PLAIN, PLACED):
        text = _plain(say, style == PLACED)
    elif style == BRIEF:
        text = _brief(say)
    elif style == LOOK:
        text = _look(say)
    elif style == TYPED:
        text = _typed(say)
    else:
        text = _fluent(say)
    if style == TYPED:
        return FluentText(typed_noise(_framed(say, text), rng), tuple(say.claims), style)
    return FluentText(_sentence(text), tuple(say.claims), style)


def _whole(say: Phrasing) -> str:
    """The thing with its place in the photo, in plain words."""
    thing = say.thing()
    if say.seen.extent == "fills" and not (say.seen.counted and say.seen.number > 1):
        return f"{thing} {say.extent()}"
    if say.seen.counted and say.seen.number > 1:
        return f"{thing}, {say.place()}"
    return f"{thing} {say.place()}"


def _plain(say: Phrasing, placed: bool) -> str:
    whole, seen = _whole(say), say.seen
    its = "it"
    if seen.part is None:
        bare = not lexicon().kinds[seen.kind or ""].get("parts") and seen.extent != "fills"
        head = whole if bare else f"a spot on {whole}"
        finer = [say.fifths(its) if not bare or placed else "", say.near()]
        return _joined([head, *finer], say.look())
    head = say.part_of(whole)
    sides = [say.piece() or say.view_side(), say.within(), say.fifths(f"the {say.noun}") if placed else ""]
    return _joined([head, *sides], _listed([say.near(), say.look()]))


def _fluent(say: Phrasing) -> str:
    say.choose_noun(casual=False)
    seen = say.seen
    several = seen.counted and seen.number > 1
    thing = say.thing(colours=say.chance(0.35))
    clauses = [say.bearing() if say.chance(0.25) else ""]
    if seen.extent and say.chance(0.5) and not several:
        clauses.append(say.extent())
    elif say.chance(0.75):
        clauses.append(say.place())
    whole = " ".join(filter(None, [thing, *clauses[:1]]))
    place = clauses[1] if len(clauses) > 1 else ""
    details = [say.near() if say.chance(0.7) else "", say.fifths("it") if say.chance(0.3) else ""]
    look = say.look(texture=say.chance(0.6)) if say.chance(0.75) else ""
    if seen.part is None:
        details = details if any(details) else [say.fifths("it")]
        spot = say.pick(say.words["spot_on"]).format(thing=whole)
        return _ordered(say, [spot, place, *details], look)
    sides = [say.piece() or (say.view_side() if say.chance(0.5) else ""), say.within()]
    if say.chance(0.15):
        sides.append(say.touching())
    if say.chance(0.5):  # thing first
        part = say.part("its" if seen.kind != "person" else "their")
        sides.append(say.not_other() if say.chance(0.12) else "")
        finer = _listed([part, *sides, *details])
        form = say.pick(("{w}{p}: {f}", "look at {w}{p}; the point is on {f}", "there is {w}{p}, and the point is {f}"))
        if form.startswith("there"):
            finer = f"on {finer}"
        text = form.format(w=whole, p=f" {place}" if place else "", f=finer)
        return _joined([text], look)
    part = say.part_of(whole)
    sides.append(say.not_other() if say.chance(0.12) else "")
    return _ordered(say, [f"{part} {place}".strip() if not several else part, place if several else "", *sides, *details],
                    look)  # fmt: skip


def _brief(say: Phrasing) -> str:
    say.choose_noun(casual=False)
    thing = say.thing(colours=say.chance(0.2))
    single = not (say.seen.counted and say.seen.number > 1)
    place = f" {say.place()}" if single and say.chance(0.35) else ""
    if say.seen.part is None:
        return f"{say.fifths(thing)}{place}" if say.chance(0.6) else f"{thing}, {_listed([say.near() or say.look()])}"
    part = say.part_of(f"{thing}{place}")
    side = say.piece() or (say.view_side() if say.chance(0.3) else "") or say.within()
    return _listed([part, side])


def _look(say: Phrasing) -> str:
    """Thing, part and look without any place."""
    seen = say.seen
    colours = say.chance(0.4)
    say.kind()
    adjective = ""
    if seen.tell in seen.colours and seen.tell:
        say.claim("which", "tell", seen.tell)
        adjective = f"{say.colour_names((seen.tell,))} "
    elif colours and seen.colours:
        say.claim("look", "thing colour", *seen.colours)
        adjective = f"{say.colour_names(seen.colours)} "
    thing = f"the {adjective}{say.noun}"
    if seen.posture and say.chance(0.3):
        say.claim("look", "posture", seen.posture)
        thing += f" {say.pick(say.words['posture'][seen.posture])}"
    head = say.pick(say.words["spot_on"]).format(thing=thing) if seen.part is None else say.part_of(thing)
    return _joined([head], say.look())


def _typed(say: Phrasing) -> str:
    """A few facts in everyday words; part with its own side, its side in the photo, or none."""
    say.choose_noun(casual=True)
    seen = say.seen
    thing = say.thing(colours=say.chance(0.3))
    several = seen.counted and seen.number > 1
    bearing = f" {say.bearing()}" if say.chance(0.15) and (seen.posture or seen.facing) else ""
    place = f" {say.place()}" if say.chance(0.15 if several else 0.25) else ""
    details = []
    if seen.part is None:
        head = say.pick(say.words["spot_on"]).format(thing=thing) if say.chance(0.5) else thing
        details = [say.fifths("it") if say.chance(0.5) else say.near()]
    else:
        sided = say.chance(0.6)
        head = say.part_of(f"{thing}{bearing}", sided)
        if say.chance(0.12):
            details.append(say.touching())
        if not sided or say.chance(0.15):
            details.append(say.piece() or say.view_side())
        if say.chance(0.12):
            details.append(say.not_other())
        if seen.within is not None and say.chance(0.5):
            details.append(say.within())
        if say.chance(0.15):
            details.append(say.near())
    if say.chance(0.15):
        details.append(say.look(texture=False))
    pieces = [f"{head}{place}", *filter(None, details)]
    if len(pieces) > 1 and say.chance(0.12):
        pieces = [*pieces[1:], pieces[0]]
    return ", ".join(pieces)


def _no_thing(say: Phrasing, style: str) -> str:
    """A point on stuff, on a thing that the lexicon does not know, or on nothing."""
    seen = say.seen
    say.kind()
    if seen.kind is None:
        head = say.pick(say.words["background"] if style != TYPED else ["background", "the background", "empty ground"])
    elif seen.kind == UNKNOWN:
        head = say.pick(say.words["unknown"])
    else:
        say.choose_noun(casual=style == TYPED)
        head = f"the {say.noun}"
    if style == LOOK:
        return _joined([head], say.look())
    near = say.near() if style not in (BRIEF, TYPED) or say.chance(0.3, plain=False) else ""
    if style in (BRIEF, TYPED):
        return _listed([f"{head} {say.place()}", near, say.look(texture=False) if say.chance(0.3) else ""])
    comma = "," if seen.kind == UNKNOWN else ""
    return _joined([f"{head}{comma} {say.place()}", near], say.look())


def _framed(say: Phrasing, text: str) -> str:
    """The text in a question, a command or a statement, with a clause before or behind, or bare."""
    typed, rng = say.words["typed"], say.rng or random.Random(0)
    kind = rng.choice(("bare", "bare", "bare", "questions", "commands", "statements"))
    if kind != "bare":
        text = rng.choice(typed[kind]).format(x=text) + ("?" if kind == "questions" and rng.random() < 0.7 else "")
    if rng.random() < 0.1:
        text = f"{rng.choice(typed['before'])} {text}"
    if rng.random() < 0.1 and not text.endswith("?"):
        text = f"{text}, {rng.choice(typed['after'])}"
    return text


def _listed(pieces: Iterable[str]) -> str:
    return ", ".join(filter(None, pieces))


def _joined(pieces: Iterable[str], finest: str) -> str:
    return "; ".join(filter(None, [_listed(pieces), finest]))


def _ordered(say: Phrasing, pieces: list[str], look: str) -> str:
    """Coarse to fine with the look last, or now and then the look first."""
    body = _listed(pieces)
    if look and say.chance(0.15, plain=False):
        return f"{look}: {body}"
    if not look:
        return body
    return f"{body}; {look}" if say.chance(0.6) else f"{body}, {say.pick(say.words['look_frames']).format(look=look)}"


def _sentence(text: str) -> str:
    """Capital letter and full stop."""
    text = re.sub(r"\s+", " ", text).strip()
    return f"{text[:1].upper()}{text[1:]}."
