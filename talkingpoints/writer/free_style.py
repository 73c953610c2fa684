"""The style "free": a point as people would type it, for listeners to learn from.

Many words for one thing, few facts at a time, sides as the viewer sees them, and detail that is MADE UP (breed, age,
clothes, posture, surroundings) and may be wrong: it teaches a listener to ignore what says nothing about the point, so
these texts are never a reference. Leaves out words (free_words.py) and other styles (writer.py).

Chance never depends on the value of a fact that is not told: otherwise a text would tell it in secret.
"""

import re
from typing import NamedTuple

from talkingpoints.writer import phrases
from talkingpoints.writer.facts import split_side
from talkingpoints.writer.free_words import parts, words
from talkingpoints.writer.wording import Wording

SLIPS = 0.03
"""Share of texts with a typing mistake, and of texts with a dropped article."""
LONGEST = 17
"""Words of a text, without the frame around it: what does not fit is not told."""
PLACING = (
    "where", "along", "halfway", "midway", "between", "beside", "under", "just", "up", "at", "above", "below", "behind",
    "near",
)  # fmt: skip
"""First words of parts that are no noun phrase."""
SMALL_ROOM = 5
"""Words that most places and details fit into."""


class Owner(NamedTuple):
    """The object in words: "terrier", "the old terrier", " lying down", " at the top of the photo", "its".
    ``noun`` and ``phrase`` are empty where the object is not named."""

    noun: str
    phrase: str
    clauses: str
    place: str
    its: str

    @property
    def whole(self) -> str:
        """All of it, in the order of speech."""
        return self.phrase + self.clauses + self.place


class Look(NamedTuple):
    """The object's noun, and its colours before or behind it: "black " or "with black fur". ``whole``: it says already
    which of several is meant."""

    noun: str
    before: str
    behind: str
    whole: bool = False


class Part(NamedTuple):
    """A part in words: a template with `{d}`, and what is to follow it, such as ", the one on the left"."""

    template: str
    tail: str


def write_free(say: Wording) -> str:
    """A text about a point.

    Args:
        say: the facts and the source of chance, which must not be None. Its ``told`` names afterwards what the text
            tells: "label" only if the noun gives it away, "part" or else "region", "side", "view_side" or both.

    Returns:
        A phrase or a sentence of about 3 to 28 words, in lower case or not, with a full stop or not.
    """
    if say.facts.label is None:
        return _finish(say, *_background(say))
    part = Part(say.pick(words.ANYWHERE), "") if say.facts.part is None else _part(say)
    room = LONGEST - len(f"{part.template} {part.tail}".split())
    owner = _owner(say, room)
    room -= len(f"{owner.phrase} {owner.place}".split())
    needed = SMALL_ROOM + 1 if say.facts.part is None else 0  # a point on no part is nowhere without a place
    if len(owner.clauses.split()) > room - needed:
        owner = owner._replace(clauses="")
    room -= len(owner.clauses.split())
    places, details = _places(say, owner, room), []
    room -= len(" ".join(places).split())
    if say.chance(0.1) and room > SMALL_ROOM:
        details = [near for near in (say.near(),) if near]
    elif say.chance(0.1) and room > SMALL_ROOM:
        details = [say.pick(words.SPOT_COLOURS).format(colours=say.colours())]
    whole, sentence = _name(say, owner, part)
    return _finish(say, *_joined(say, whole, places, details, sentence))


def _owner(say: Wording, room: int) -> Owner:
    """The object: noun, colours, which one or where in the photo, made-up adjective and clauses."""
    person, facts = say.label == "person", say.facts
    if say.chance(0.05) and facts.part is not None:
        say.told.discard("label")
        return Owner("", "", "", "", say.pick(("the", "the", "their" if person else "its", "his", "her")))
    noun, its = _noun(say)
    coloured = say.chance(0.5 if facts.n_same > 1 else 0.35)
    look = _look(say, noun) if coloured else Look(noun, "", "")
    noun, named = look.noun, f"{look.before}{look.noun}"
    if say.chance(0.12 if coloured else 0.3) and " " not in noun and noun != "one":
        made_up = words.PERSON_ADJECTIVES if person else words.ANIMAL_ADJECTIVES
        named = f"{say.pick(made_up if person or coloured else (*made_up, *words.PATTERNS))} {named}"
    article, behind, place = say.pick(("the", "the", "the", "the", "the", "that", "a")), "", ""
    if facts.n_same > 1 and not look.whole and say.chance(0.5 if coloured else 0.7):
        named, behind = _which(say, named, coloured)
        article = "the"
    elif say.chance(0.2) and facts.n_same == 1 and room > SMALL_ROOM + 4:
        place = f" {_place(say, ('image_column', 'image_row'), 'photo', '')}"
    article = "the" if noun == "one" or look.whole else article
    phrase = phrases.with_article(named) if article == "a" else f"{article} {named}"
    kinds = [words.PERSON_POSES, words.WORN] if person else [words.ANIMAL_POSES, words.BORNE]
    kinds = [*(kinds[:1] if coloured else kinds), words.PLACES_NEARBY]  # no made-up look beside a true one
    chosen = [kind for kind in kinds if say.chance(0.17)][:2]
    clauses = "".join(f" {say.pick(kind)}" for kind in chosen)
    if clauses:
        clauses = clauses.format(hue=say.pick(words.HUES), garment=say.pick(words.GARMENTS))
    return Owner(noun, " ".join(filter(None, (phrase, behind, look.behind))), clauses, place, its)


def _look(say: Wording, noun: str) -> Look:
    """The object's colours, of coat or clothes, around its noun; or "the white one" in place of it."""
    facts, person = say.facts, say.label == "person"
    say.told.add("object_colours")
    if not facts.object_colours:
        return Look(noun, "", "")
    said = _colours(say)
    forms = words.WORN_COLOURS if person else words.COAT_COLOURS
    if facts.n_same > 1 and say.chance(0.33):
        forms = words.ONES_COLOURS
    form = say.pick(forms)
    garment = f"{said} {say.pick(words.GARMENTS)}"
    behind = form.format(c=said, g=garment, a=phrases.with_article(garment))
    if form == words.ADJECTIVE:
        return Look(noun, f"{said} ", "")
    if form not in words.ONES_COLOURS:
        return Look(noun, "", behind)
    dressed = say.pick(("in {c}", "dressed in {c}", "wearing {c}")).format(c=said) if person else ""
    before = "" if person else f"{said} "
    if form == words.ONE:
        say.told.discard("label")
        return Look("one", before, dressed)
    say.told.add("n_same")
    several = words.PLURALS.get(noun) or phrases.plural(noun)
    number = say.pick(("two ", "")) if facts.n_same == 2 else ""
    return Look("one", before, f"{dressed} of the {number}{several}".strip(), whole=True)


def _colours(say: Wording) -> str:
    """One or two colours as people call them, two in either order: "black and white"."""
    table = words.CLOTHES if say.label == "person" else words.COATS
    own = words.COATS_OF.get(say.label, {}) if "label" in say.told else {}
    plain = len(say.facts.object_colours) > 1 and say.chance(0.6)
    said = [table[c][0] if plain else say.pick((*table[c], *own.get(c, ()))) for c in say.facts.object_colours]
    return " and ".join(said[::-1] if say.chance(0.4) else said)


def _noun(say: Wording) -> tuple[str, str]:
    """Noun and pronoun; "animal" does not tell the label."""
    if say.label == "person":
        return say.pick(words.PEOPLE)
    its = say.pick(("its",) * 9 + ("his", "her"))
    if say.label not in words.ANIMALS:
        return say.label, its
    if say.chance(0.1):
        say.told.discard("label")
        return say.pick(words.ANY_ANIMAL), its
    return say.pick(words.ANIMALS[say.label]), its


def _which(say: Wording, noun: str, coloured: bool) -> tuple[str, str]:
    """Which of several: the noun phrase without article, and what follows it. Of a coloured one behind the noun only:
    "the second black dog" is the second of the black ones."""
    facts = say.facts
    by_size = say.chance(0.25)
    which = (facts.size or facts.which) if by_size else (facts.which or facts.size)
    say.told.add("which" if which == facts.which else "size")
    if which is None:
        return noun, ""
    order, _, end = which.partition(" ")
    if end:
        options = words.WHICH_SECOND
    elif which in ("left", "right"):
        options = words.WHICH_SIDES
    else:
        options = words.WHICH[which]
    before, behind = say.pick(tuple(o for o in options if o[0] == "{n}") if coloured else options)
    last = noun.rpartition(" ")[2]
    several = words.PLURALS.get(noun) or noun[: len(noun) - len(last)] + words.PLURALS.get(last, phrases.plural(last))
    slots = {"n": noun, "ns": several, "c": end or which, "o": order}
    return before.format(**slots), behind.format(**slots)


def _part(say: Wording) -> Part:
    """The part or only its region, with its own side, its side in the photo, or none."""
    facts = say.facts
    mode = say.pick(("own", "own", "own", "own", "view", "view", "view", "view", "none", "none", "both"))
    region_only = say.chance(0.12) and facts.region is not None
    if region_only:
        say.told.add("region")
        options = parts.REGIONS[facts.region]
        if facts.region in ("head", "body"):
            mode = "none"
    else:
        say.told.add("part")
        name = split_side(facts.part or "")[1]
        if say.label.rpartition(" ")[2] in phrases.HOOFED:
            name = name.replace("paw", "hoof")
        table = parts.PERSON_PARTS if say.label == "person" else parts.ANIMAL_PARTS
        options = table.get(name, ("{d} {s}" + name,))
    template = say.pick(options)
    if mode == "view" and facts.view_side is None:
        mode = "own"
    side, tail, takes_side = "", "", "{s}" in template
    if mode in ("own", "both") and takes_side:
        say.told.add("side")
        if facts.side is not None:
            side, tail = f"{facts.side} ", say.pick(words.OWN_SIDES).format(c=facts.side)
            tail = tail.replace("its own", "their own") if say.label == "person" else tail
        if mode == "both" and facts.view_side in ("left", "right"):
            say.told.add("view_side")
            tail = say.pick(words.BOTH_SIDES).format(c=facts.view_side, p=say.pick(words.PHOTO))
    elif mode == "view":
        side, tail = _view_side(say, takes_side)
        say.told.add("view_side")
    elif takes_side:
        side = say.pick(words.WHICHEVER)
    return Part(template.replace("{s}", side), tail)


def _view_side(say: Wording, before: bool) -> tuple[str, str]:
    """The side as the viewer sees it, before the part's name where it may stand there, or behind it."""
    view = say.facts.view_side or ""
    options = words.VIEW_HEIGHTS.get(view, words.VIEW_SIDES)
    side, tail = say.pick(options if before else tuple(o for o in options if not o[0]))
    photo = say.pick(words.PHOTO)
    return side.format(c=view), tail.format(c=view, p=photo)


def _name(say: Wording, owner: Owner, part: Part) -> tuple[str, bool]:
    """Part and owner in one phrase, and whether that is a sentence already."""
    whole = owner.whole
    if say.facts.part is None:
        return part.template.format(owner=whole), False
    if not whole:
        return part.template.format(d=owner.its) + part.tail, False
    form = say.pick(("possessive", "possessive", "of", "of", "owner first", "part first"))
    plain = not owner.clauses and not owner.place and owner.phrase.endswith(owner.noun)
    if form == "possessive" and not plain:
        form = "of"
    if form in ("of", "part first") and part.tail:
        form = "possessive" if plain else "owner first"
    if form == "possessive":
        return part.template.format(d=phrases.possessive(owner.phrase)) + part.tail, False
    if form == "owner first":
        mine = part.template.format(d=say.pick((owner.its, owner.its, "the"))) + part.tail
        return say.pick(words.OWNER_FIRST).format(owner=whole, part=mine), True
    mine = part.template.format(d="the")
    if form == "part first":
        return f"{mine.removeprefix('the ')}{say.pick((', ', ', ', ' - ', ', on '))}{whole}", True
    return f"{mine} {say.pick(('of', 'of', 'on')) if 'where' not in mine else 'on'} {whole}", False


def _places(say: Wording, owner: Owner, room: int) -> list[str]:
    """Zero to two places of the point, in the photo and in the object, as far as there is room for them."""
    number = max(say.pick((0, 0, 0, 0, 1, 1, 1, 1, 1, 2)), 1 if say.facts.part is None else 0)
    kinds = say.pick(
        (("photo", "fifth"), ("photo", "third"), ("photo", "third"), ("third", "photo"), ("fifth", "photo"))
    )
    fields = {
        "photo": ("point_column", "point_row"),
        "fifth": ("column", "row"),
        "third": ("third_column", "third_row"),
    }
    noun = "body" if owner.noun in ("", "one") else owner.noun
    body = say.pick((f"the {noun}", f"{owner.its} body", "the body")) if owner.noun else "the body"
    places = []
    for kind in kinds[:number]:
        if room > SMALL_ROOM:
            places.append(_place(say, fields[kind], kind, body))
            room -= len(places[-1].split())
    return places


def _place(say: Wording, fields: tuple[str, str], kind: str, body: str) -> str:
    """One place on one axis or on both, and account of it."""
    axes = say.pick(("column", "row") if kind == "fifth" else ("both", "both", "column", "row"))
    say.told.update(fields if axes == "both" else fields[axes == "row" :][:1])
    column, row = getattr(say.facts, fields[0]), getattr(say.facts, fields[1])
    photo = say.pick(words.PHOTO)
    if kind == "fifth":
        across = (words.FIFTH_ENDS, words.FIFTH_BESIDES, words.FIFTH_CENTRE)[2 - abs(column - 2)]
        options = across if axes == "column" else words.FIFTH_ROWS[row]
        return say.pick(options).format(o=body, c="left" if column < 2 else "right")
    side = words.SIDES[column]
    if axes == "both":
        options = _corner(column, row, kind == "photo")
    elif axes == "column":
        sides = (words.PHOTO_SIDES, words.PHOTO_CENTRE) if kind == "photo" else (words.THIRD_SIDES, words.THIRD_CENTRE)
        options = sides[column == 1]
    else:
        options = (words.PHOTO_ROWS if kind == "photo" else words.THIRD_ROWS)[row]
    ends = {"r": ("top", "", "bottom")[row], "u": ("upper", "", "lower")[row]}
    return say.pick(options).format(c=side, p=photo, o=body, **ends)


def _corner(column: int, row: int, photo: bool) -> tuple[str, ...]:
    """Wordings of a third on both axes."""
    if column == row == 1:
        return words.PHOTO_MIDDLE if photo else words.THIRD_MIDDLE
    if column == 1:
        return words.PHOTO_ENDS if photo else words.THIRD_ENDS
    if row == 1:
        return words.PHOTO_MIDDLE_SIDES if photo else words.THIRD_MIDDLE_SIDES
    return words.PHOTO_CORNERS if photo else words.THIRD_CORNERS


def _background(say: Wording) -> tuple[str, bool]:
    """A point on no object: what is there, where in the photo, and beside which object."""
    ground = say.pick(words.GROUNDS)
    sentence = say.chance(0.2)
    whole = say.pick(words.NO_OBJECT if sentence else words.BACKGROUNDS).format(g=ground)
    places = [_place(say, ("point_column", "point_row"), "photo", "")] if say.chance(0.85) else []
    details = []
    if say.chance(0.4):
        say.told.add("near")
        for near in say.facts.near:
            direction = say.pick(phrases.DIRECTION_PHRASES.get(near.direction, words.BESIDE))
            details.append(f"{'just ' if near.close and near.direction != 'around' else ''}{direction} the {near.name}")
    if say.chance(0.15):
        details.append(say.pick(words.SPOT_COLOURS).format(colours=say.colours()))
    return _joined(say, whole, places, details, sentence)


def _joined(say: Wording, whole: str, places: list[str], details: list[str], sentence: bool) -> tuple[str, bool]:
    """Phrase and places in some order, in a question, a command, a statement or bare; and whether it is a sentence."""
    frames: tuple[str, ...] = ("{x}",)
    if not sentence:
        kind = say.pick(("bare", "bare", "bare", "command", "question", "statement"))
        if kind != "bare":
            frames = {"command": words.COMMANDS, "question": words.QUESTIONS, "statement": words.STATEMENTS}[kind]
        if kind != "bare" and whole.partition(" ")[0] in PLACING:
            whole = f"the spot {whole}"
    length = len(" ".join([whole, *places, *details]).split())
    if length < 3:
        frames = words.COMMANDS
    elif length > LONGEST + 3:
        frames = ("{x}",)
    frame = say.pick(frames)
    first = say.chance(0.25)
    if places and first:
        return f"{places[0]}, {frame.format(x=', '.join([whole, *places[1:], *details]))}", sentence
    return frame.format(x=", ".join([whole, *places, *details])), sentence


def _finish(say: Wording, text: str, sentence: bool) -> str:
    """Full stop, capital letter, and now and then a slip."""
    if say.chance(SLIPS):
        text = re.sub(r"\b(?:the|a|an) ", "", text, count=1)
    if say.chance(SLIPS):
        text = _typo(say, text)
    if say.chance(SLIPS):
        text = text.replace("'s ", "s ", 1)
    if say.chance(SLIPS) and not text.endswith("?") and len(text.split()) < LONGEST:
        text += say.pick(words.AFTERTHOUGHTS)
    if say.chance(0.45) and not text.endswith("?"):
        text += "."
    return text[0].upper() + text[1:] if say.chance(0.5) else text


def _typo(say: Wording, text: str) -> str:
    """Two letters of one word exchanged; words that say which side stay as they are."""
    pieces, sides = text.split(" "), ("left", "right", "centre", "center", "middle")
    long = [i for i, piece in enumerate(pieces) if len(piece) > 4 and piece.isalpha() and not piece.startswith(sides)]
    if not long:
        return text
    i = say.pick(long)
    pieces[i] = pieces[i][0] + pieces[i][2] + pieces[i][1] + pieces[i][3:]
    return " ".join(pieces)
