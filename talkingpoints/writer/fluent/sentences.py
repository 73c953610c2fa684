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
        return FluentText(framed_text(say, text, rng), tuple(say.claims), style)
    return FluentText(_sentence(text), tuple(say.claims), style)


def _whole(say: Phrasing) -> str:
    """The thing with its place in the photo, in plain words."""
    thing = say.thing()
    if say.several:
        return f"{thing}, {say.place()}"
    return f"{thing} {say.extent() if say.seen.extent == 'fills' else say.place()}"


def _plain(say: Phrasing, placed: bool) -> str:
    whole = _whole(say)
    if say.seen.part is None:
        head = whole if say.bare else f"a spot on {whole}"
        return _joined([head, "" if say.bare and not placed else say.fifths(), say.near()], say.look())
    head = say.part_of(whole)
    sides = [say.piece() or say.view_side(), say.within(), say.fifths() if placed else ""]
    return _joined([head, *sides], _listed([say.near(), say.look()]))


def _fluent(say: Phrasing) -> str:
    say.choose_noun(casual=False)
    seen, thing_first = say.seen, say.seen.part is not None and say.chance(0.5)
    form = say.pick(("{w}: {f}", "look at {w}; the point is on {f}", "there is {w}, and the point is on {f}"))
    article = "a" if thing_first and form.startswith("there") else "the"
    whole = say.thing(colours=say.chance(0.35), article=article)
    if say.chance(0.25):
        whole = f"{whole} {say.bearing()}".strip()
    place = ""
    if seen.extent == "fills" and say.chance(0.6) and not say.several:
        whole = f"{whole} {say.extent()}"
    elif seen.ambiguous or say.chance(0.75):
        place = say.place()
    details = [say.near() if say.chance(0.7) else "", say.fifths() if say.chance(0.3) and not say.bare else ""]
    look = say.look(texture=say.chance(0.6)) if say.chance(0.75) else ""
    if seen.part is None:
        if not say.bare and not any(details):
            details = [say.fifths()]
        spot = whole if say.bare else say.pick(say.words["spot_on"]).format(thing=whole)
        return _ordered(say, [f"{spot} {place}".strip(), *details], look)
    sides = [say.piece() or (say.view_side() if say.chance(0.5) else ""), say.within()]
    sides.append(say.touching() if say.chance(0.15) else "")
    comma = ", " if say.several else " "
    whole = f"{whole}{comma}{place}" if place else whole
    part = say.part("their" if seen.kind == "person" else "its") if thing_first else say.part_of(whole)
    sides.append(say.not_other() if say.chance(0.12) else "")
    if thing_first:
        return _joined([form.format(w=whole, f=_listed([part, *sides, *details]))], look)
    return _ordered(say, [part, *sides, *details], look)


def _brief(say: Phrasing) -> str:
    say.choose_noun(casual=False)
    thing = say.thing(colours=say.chance(0.2))
    place = f" {say.place()}" if say.seen.ambiguous or (not say.several and say.chance(0.35)) else ""
    if say.seen.part is None:
        if say.bare:
            return f"{thing}{place or ' ' + say.place()}"
        spot = say.pick(say.words["spot_on"]).format(thing=f"{thing}{place}")
        return _listed([spot, say.near() if say.chance(0.4) else say.fifths()])
    part = say.part_of(f"{thing}{place}")
    return _listed([part, say.piece() or (say.view_side() if say.chance(0.3) else "") or say.within()])


def _look(say: Phrasing) -> str:
    """Thing, part and look without any place."""
    seen, before, behind = say.seen, "", ""
    say.kind()
    if seen.tell and seen.tell in seen.colours:
        say.claim("which", "tell", seen.tell)
        colours: tuple[str, ...] = (seen.tell,)
    else:
        colours = seen.colours if say.chance(0.4) else ()
        if colours:
            say.claim("look", "thing colour", *colours)
    if colours:
        names = say.colour_names(colours)
        before, behind = ("", f" in {names}") if seen.kind == "person" else (f"{names} ", "")
    thing = f"the {before}{say.noun}{behind}"
    if seen.posture and (seen.tell == seen.posture or say.chance(0.3)):
        say.claim("look", "posture", seen.posture)
        thing += f" {say.pick(say.words['posture'][seen.posture])}"
    if seen.part is not None:
        return _joined([say.part_of(thing)], say.look())
    return _joined([thing if say.bare else say.pick(say.words["spot_on"]).format(thing=thing)], say.look())


def _typed(say: Phrasing) -> str:
    """A few facts in everyday words; part with its own side, its side in the photo, or none."""
    say.choose_noun(casual=True)
    seen, details = say.seen, []
    thing = say.thing(colours=say.chance(0.3))
    bearing = f" {say.bearing()}" if say.chance(0.15) and (seen.posture or seen.facing) else ""
    place = f" {say.place()}" if seen.ambiguous or say.chance(0.2) else ""
    if seen.part is None:
        if say.bare:
            head = thing
        else:
            head = say.pick(say.words["spot_on"]).format(thing=thing) if say.chance(0.5) else thing
            details = [say.near() if say.chance(0.5) else say.fifths()]
    else:
        sided = say.chance(0.6)
        head = say.part_of(f"{thing}{bearing}", sided)
        details.append(say.touching() if say.chance(0.12) else "")
        if not sided or say.chance(0.15):
            details.append(say.piece() or say.view_side())
        details.append(say.not_other() if say.chance(0.12) else "")
        details.append(say.within() if seen.within is not None and say.chance(0.5) else "")
        details.append(say.near() if say.chance(0.15) else "")
    details.append(say.look(texture=False) if say.chance(0.15) else "")
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


def framed_text(say: Phrasing, text: str, rng: random.Random) -> str:
    """The text as typed: in a question, a command or a statement, a clause before or behind it, and with noise."""
    typed = say.words["typed"]
    kind = rng.choice(("bare", "bare", "bare", "questions", "commands", "statements"))
    if kind != "bare":
        text = rng.choice(typed[kind]).format(x=text) + ("?" if kind == "questions" and rng.random() < 0.7 else "")
    if rng.random() < 0.1:
        text = f"{rng.choice(typed['before'])} {text}"
    if rng.random() < 0.1 and not text.endswith("?"):
        text = f"{text}, {rng.choice(typed['after'])}"
    return typed_noise(text, rng)


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
