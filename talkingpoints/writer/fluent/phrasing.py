"""Words for each single thing that an `Observation` holds, with account of what was said.

Leaves out sentences, which sentences.py puts together from these phrases.
"""

import json
import random
from collections.abc import Sequence
from functools import lru_cache
from importlib import resources
from typing import Any, TypeVar

from talkingpoints.writer.fluent.annotated_scene import OTHER_SIDE
from talkingpoints.writer.fluent.lexicon import UNKNOWN, lexicon
from talkingpoints.writer.fluent.neighbours import Near
from talkingpoints.writer.fluent.observations import Observation
from talkingpoints.writer.fluent.text_claims import TextClaim
from talkingpoints.writer.phrases import possessive, with_article

T = TypeVar("T")
COLUMN_NAMES = ("left", "centre", "right")
ROW_NAMES = ("top", "middle", "bottom")
_OPPOSITE = {"left": "right", "right": "left", "upper": "lower", "lower": "upper"}


@lru_cache(maxsize=1)
def sentence_words() -> dict[str, Any]:
    """The tables of vocabulary/sentences.json."""
    file = resources.files("talkingpoints.writer") / "vocabulary" / "sentences.json"
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return content


class Phrasing:
    """Phrases for one observation.

    Args:
        seen: What is true of the point.
        rng: Source of the variation; None always takes the plain words.

    Attributes:
        claims: What has been said so far.
    """

    def __init__(self, seen: Observation, rng: random.Random | None) -> None:
        self.seen, self.rng, self.words = seen, rng, sentence_words()
        self.claims: list[TextClaim] = []
        self.said_kind = seen.kind or "background"
        entry = lexicon().kinds.get(seen.kind or "")
        self.noun, self.plural = lexicon().nouns(seen.kind or "")[0] if entry else ("thing", "things")

    def pick(self, options: Sequence[T]) -> T:
        """One of the options; half of the time the plain one."""
        return options[0] if self.rng is None or self.rng.random() < 0.4 else self.rng.choice(options)

    def chance(self, probability: float, plain: bool = True) -> bool:
        """Whether to say something optional; `plain` is the answer without variation."""
        return plain if self.rng is None else self.rng.random() < probability

    @property
    def several(self) -> bool:
        """Whether the thing has to be told from others of its kind."""
        return self.seen.counted and self.seen.number > 1

    @property
    def bare(self) -> bool:
        """Whether the point is spoken of as the thing itself: one that is small and has no parts with names."""
        kind = lexicon().kinds.get(self.seen.kind or "", {})
        return self.seen.part is None and not kind.get("parts") and self.seen.extent != "fills"

    def claim(self, kind: str, slot: str, *values: str, targets: tuple[tuple[str, str], ...] = ()) -> None:
        """Note a claim, once."""
        claim = TextClaim(kind, slot, values, targets)
        if claim not in self.claims:
            self.claims.append(claim)

    def photo(self) -> str:
        """The photo's name."""
        return self.pick(self.words["photo"])

    def choose_noun(self, casual: bool) -> None:
        """Take another word for the kind: a special one if there is one, an everyday one, or a wider one."""
        if self.seen.kind is None or self.seen.kind == UNKNOWN or self.rng is None:
            return
        if self.seen.noun and self.chance(0.25):
            self.noun, self.plural = self.seen.noun, f"{self.seen.noun}s"
            return
        nouns = lexicon().nouns(self.seen.kind)
        if casual:
            wider = lexicon().kinds[self.seen.kind].get("is_a", ())
            if wider and self.seen.number < 2 and self.chance(0.08):
                self.said_kind = wider[0]
                self.noun = lexicon().wider[wider[0]]["words"][0]
            else:
                self.noun, self.plural = self.rng.choice([nouns[0], *nouns])

    def kind(self) -> None:
        """Note that the kind was said."""
        self.claim("object", "kind", self.said_kind)

    def place(self) -> str:
        """Third of the photo."""
        column, row = self.seen.column, self.seen.row
        self.claim("place", "photo", COLUMN_NAMES[column], ROW_NAMES[row])
        return self.pick(self.words["places"][3 * row + column]).format(photo=self.photo())

    def extent(self) -> str:
        """How much of the photo the thing takes, "" if that is nothing special."""
        if not self.seen.extent:
            return ""
        self.claim("place", "extent", self.seen.extent)
        return self.pick(self.words[self.seen.extent]).format(photo=self.photo())

    def thing(self, colours: bool = False, article: str = "the") -> str:
        """The thing: "the dog", "the black dog", "the left one of two dogs"."""
        self.kind()
        seen, adjective, dressed = self.seen, "", ""
        if colours and seen.colours and not self.several:
            self.claim("look", "thing colour", *seen.colours)
            said = self.colour_names(seen.colours)
            adjective, dressed = ("", f" in {said}") if seen.kind == "person" else (f"{said} ", "")
        if not self.several:
            noun = f"{adjective}{self.noun}{dressed}"
            return with_article(noun) if article == "a" else f"{article} {noun}"
        number = self.words["numbers"][min(seen.number, 7)]
        form = self._told_apart()
        if form is None:
            self.claim("which", "count", str(seen.number))
            return f"one of {number} {self.plural}"
        order, end = form
        if seen.kind == "person" and order == seen.tell and order in seen.colours:
            order, dressed = "", f" in {order}"
        order = f"{order} " if order else ""
        if self.rng is not None and self.chance(0.4):
            noun = f"{order}{self.noun}{dressed}"
            return f"the {noun} from the {end}" if end else f"the {noun}"
        self.claim("which", "count", str(seen.number))
        if end:
            return f"the {order}from the {end} of {number} {self.plural}"
        return f"the {order}one{dressed if not order else ''} of {number} {self.plural}"

    def _told_apart(self) -> tuple[str, str] | None:
        """What tells the thing from its equals, (word, end): by place, a colour or posture, or size."""
        seen = self.seen
        ways = [("order", seen.which), ("tell", seen.tell), ("size", seen.size)]
        there = [(slot, word) for slot, word in ways if word is not None]
        if not there:
            return None
        slot, word = there[0] if self.rng is None else self.rng.choice(there)
        self.claim("which", slot, word)
        order, _, end = word.partition(" ")
        return (order, end) if slot == "order" else (word, "")

    def part(self, its: str, template: str | None = None) -> str:
        """The part with its owner in front: "its left ear", "the left ear"."""
        name, side = self.seen.part or "", self.seen.side
        options = lexicon().part_templates(name, self.seen.kind or "")
        self.claim("part", "part", name)
        chosen = template or self.pick(options)
        said = side if side and "{side}" in chosen else None
        if said:
            self.claim("side", "own", said)
        return chosen.format(its=its, side=f"{said} " if said else "")

    def sideless_part(self, its: str) -> str:
        """The part without its own side."""
        self.claim("part", "part", self.seen.part or "")
        chosen = self.pick(lexicon().part_templates(self.seen.part or "", self.seen.kind or ""))
        return chosen.format(its=its, side="")

    def part_of(self, thing: str, sided: bool = True) -> str:
        """ "the left ear of the dog", or "the dog's left ear" where that reads well."""
        name = self.part if sided else self.sideless_part
        if self.rng is not None and len(thing.split()) < 4 and self.chance(0.4):
            return name(possessive(thing))
        return f"{name('the')} of {thing}"

    def view_side(self) -> str:
        """Where the part is in the photo, seen from its counterpart; "" if that is not known."""
        view = self.seen.view_side
        if view is None:
            return ""
        self.claim("side", "view", view)
        options = self.words["view_heights"].get(view) or self.words["view_sides"]
        return self.pick(options).format(view=view, photo=self.photo())

    def piece(self) -> str:
        """Which of several parts of one name: "the left one"."""
        view = self.seen.piece_view
        if view is None:
            return ""
        self.claim("side", "piece", view)
        order, _, end = view.partition(" ")
        return f"the {order} from the {end}" if end else self.pick(self.words["piece_views"]).format(view=view)

    def not_other(self) -> str:
        """ "not the right one"; "" where there is no other."""
        seen = self.seen
        if not seen.has_other or seen.side is None:
            return ""
        own = any(claim.slot == "own" for claim in self.claims)
        if not own and seen.view_side in ("left", "right"):
            return self.pick(self.words["not_view"]).format(other=_OPPOSITE[seen.view_side])
        return self.pick(self.words["not_other"]).format(other=OTHER_SIDE[seen.side]) if own else ""

    def fifths(self) -> str:
        """Place in the thing's box."""
        if self.seen.fifths is None:
            return ""
        of = f"the {self.noun}"
        column, row = self.seen.fifths
        self.claim("place", "object", str(column), str(row))
        across, down = self.pick(self.words["columns"][column]), self.pick(self.words["rows"][row]).format(of=of)
        if column == row == 2:
            return f"in the very middle of {of}"
        if column == 2:
            return down
        return f"{down}, {across}" if self.chance(0.5) else f"{across}, {down}"

    def within(self) -> str:
        """Place in the part, "" if the part is too small."""
        if self.seen.within is None:
            return ""
        column, row = self.seen.within
        self.claim("place", "within", COLUMN_NAMES[column], ROW_NAMES[row])
        return self.pick(self.words["within"][3 * row + column])

    def near(self) -> str:
        """Direction from a neighbour; "" without one."""
        near = self.seen.near
        if not near:
            return ""
        targets = tuple((n.name, "kind" if n.is_kind else n.side or "") for n in near)
        self.claim("place", "near", near[0].direction, targets=targets)
        names = [self.neighbour(item) for item in near]
        if near[0].direction == "between":
            return f"between {names[0]} and {names[1]}"
        return f"{'just ' if near[0].close else ''}{self.pick(self.words['directions'][near[0].direction])} {names[0]}"

    def neighbour(self, near: Near) -> str:
        """A neighbour's name with "the"."""
        if near.is_kind:
            return f"the {lexicon().nouns(near.name)[0][0]}"
        template = lexicon().part_templates(near.name, self.seen.kind or "")[0]
        return template.format(its="the", side=f"{near.side} " if near.side else "")

    def touching(self) -> str:
        """What the hand is at; "" without anything."""
        if self.seen.touching is None:
            return ""
        name, side = self.seen.touching
        self.claim("place", "touching", name, targets=((name, side or ""),))
        part = self.neighbour(Near(name, side, "", True))
        return self.pick(self.words["touching"]).format(part=part)

    def bearing(self) -> str:
        """Posture or facing of the thing; "" where neither is known."""
        options = []
        if self.seen.posture:
            options.append(("posture", self.seen.posture))
        if self.seen.facing:
            options.append(("facing", self.seen.facing))
        if not options:
            return ""
        slot, value = options[0] if self.rng is None else self.rng.choice(options)
        self.claim("look", slot, value)
        if slot == "posture":
            return self.pick(self.words["posture"][value])
        return self.pick(self.words["facing"]).format(view=value)

    def colour_names(self, colours: tuple[str, ...]) -> str:
        """One or two colours: "black and white"."""
        return " and ".join(self.pick(self.words["colour_words"].get(colour, [colour])) for colour in colours)

    def look(self, texture: bool = True) -> str:
        """Colours and texture of the spot: "dark brown and smooth"."""
        self.claim("look", "colour", *self.seen.spot)
        colours = self.colour_names(self.seen.spot)
        if not texture:
            return colours
        self.claim("look", "texture", self.seen.texture)
        said = self.pick(self.words["textures"][self.seen.texture])
        if said.startswith("with"):
            return f"{colours} {said}"
        return f"{colours}, {said}" if len(self.seen.spot) > 1 else f"{colours} and {said}"
