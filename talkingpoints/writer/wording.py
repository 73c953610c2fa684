"""Words for each single fact about a point, chosen at random or canonically.

Leaves out sentences: writer.py puts these pieces together.
"""

import random
from collections.abc import Sequence
from typing import TypeVar

from talkingpoints.writer import phrases
from talkingpoints.writer.facts import PointFacts, split_side

T = TypeVar("T")


class Wording:
    """Words for each fact about a point.

    Args:
        facts: What `point_facts` found.
        rng: Source of the variation; None always takes the first choice.

    Attributes:
        told: Names of the fields of `facts` that went into words so far.
    """

    def __init__(self, facts: PointFacts, rng: random.Random | None) -> None:
        self.facts = facts
        self.rng = rng
        self.label = facts.label or ""
        self.told: set[str] = {"label"}  # no sentence leaves it out

    def pick(self, options: Sequence[T]) -> T:
        """One of the options."""
        return options[0] if self.rng is None else self.rng.choice(options)

    def chance(self, probability: float) -> bool:
        """Whether to say something optional."""
        return self.rng is None or self.rng.random() < probability

    def place(self) -> str:
        """Third of the photo."""
        self.told |= {"image_column", "image_row"}
        options = phrases.PLACES[self.facts.image_row][self.facts.image_column]
        return self.pick(options).format(photo=self.pick(phrases.PHOTO))

    def object(self) -> str:
        """First mention: "a dog", "the left one of two dogs"."""
        facts, label = self.facts, self.label
        self.told |= {"n_same", "which" if facts.which else "size"}
        if facts.n_same == 1:
            return self.pick((phrases.with_article(label), f"the {label}", f"one {label}"))
        group = phrases.counted(facts.n_same, phrases.plural(label))
        which = facts.which or facts.size
        if which is None:
            return f"one of {group}"
        order, _, end = which.partition(" ")
        if end:
            return self.pick((f"the {order} from the {end} of {group}", f"of {group}, the {order} from the {end}"))
        return self.pick((f"the {which} one of {group}", f"the {which} of {group}", f"of {group}, the {which} one"))

    def owner(self, label: str, place: bool = True) -> str:
        """The object in a phrase: "the dog", "the left dog"; `place` False leaves out its place."""
        which = (self.facts.which if place else None) or self.facts.size
        self.told.add("which" if place and self.facts.which else "size")
        if which is None:
            return f"the {label}"
        order, _, end = which.partition(" ")
        return f"the {order} {label} from the {end}" if end else f"the {which} {label}"

    def part(self, its: str, casual: bool = False, place: bool = True, held: bool = False) -> str:
        """The part with its owner in front: "its left ear"; `place` False avoids names such as "top of", but for those
        of the data ("upper arm"); `held` takes the words of the held-back styles."""
        self.told |= {"part", "side"}
        side, name = split_side(self.facts.part or "")
        templates = phrases.part_templates(name, self.label, casual, held)
        if not place:
            templates = tuple(t for t in templates if not phrases.has_position(t.replace(name, "")))
        return self.pick(templates).format(its=its, side=f"{side} " if side else "")

    def part_of(self, owner: str, casual: bool = False, place: bool = True) -> str:
        """The part with its owner: "the dog's left ear" or "the left ear of the dog"."""
        if self.facts.part is None:
            return self.pick(phrases.ARBITRARY_PART).format(owner=owner)
        if " from " not in owner and self.chance(0.5):
            return self.part(phrases.possessive(owner), casual, place)
        return f"{self.part('the', casual, place)} of {owner}"

    def position(self) -> str:
        """Fifth of the object's box."""
        self.told |= {"column", "row"}
        column, row, label = self.facts.column or 0, self.facts.row or 0, self.label
        adjectives = f"{phrases.ROW_ADJECTIVES[row]}, {phrases.COLUMN_ADJECTIVES[column]}"
        plain = f"{phrases.COLUMNS[column]}, {phrases.ROWS[row]} of the {label}"
        if column == row == 2:
            plain = f"very centre of the {label}"
        return self.pick(
            (
                plain,
                f"at the {plain}",
                f"in the {adjectives} part of the {label}",
                f"{phrases.ROW_ADVERBS[row]}, {phrases.COLUMN_ADVERBS[column]} of the {label}",
                f"{phrases.COLUMN_ADVERBS[column]} of the {label}, {phrases.ROW_ADVERBS[row]}",
            )
        )

    def third(self) -> str:
        """Third of the object's box."""
        self.told |= {"third_column", "third_row"}
        column, row = self.facts.third_column or 0, self.facts.third_row or 0
        if column == row == 1:
            return f"in the middle of the {self.label}"
        return f"in the {phrases.THIRD_ROWS[row]} {phrases.THIRD_COLUMNS[column]} of the {self.label}"

    def held_place(self) -> str:
        """Third of the photo, in words that only the held-back styles use."""
        self.told |= {"image_column", "image_row"}
        column, row = phrases.HELD_PHOTO_COLUMNS[self.facts.image_column], phrases.HELD_PHOTO_ROWS[self.facts.image_row]
        frame = self.pick(phrases.HELD_FRAMES)
        return self.pick((f"{row} and {column} {frame}", f"{column} and {row} {frame}"))

    def held_position(self) -> str:
        """Fifth of the object's box, likewise."""
        self.told |= {"column", "row"}
        column, row = phrases.HELD_COLUMNS[self.facts.column or 0], phrases.HELD_ROWS[self.facts.row or 0]
        return self.pick((f"{row}, {column}", f"{column}, {row}"))

    def near(self) -> str:
        """Direction from a neighbouring keypoint, or an empty text."""
        self.told.add("near")
        near = self.facts.near
        if not near:
            return ""
        names = [self._neighbour(item.name) for item in near]
        if near[0].direction == "between":
            return f"between {names[0]} and {names[1]}"
        if near[0].direction == "at":
            return f"at {names[0]}"
        direction = self.pick(phrases.DIRECTION_PHRASES[near[0].direction])
        return f"{'just ' if near[0].close else ''}{direction} {names[0]}"

    def _neighbour(self, name: str) -> str:
        side, part = split_side(name)
        template = self.pick(phrases.part_templates(part, self.label))
        return template.format(its="the", side=f"{side} " if side else "")

    def colours(self) -> str:
        """One or two colours: "black and white"."""
        self.told.add("colours")
        words = [self.pick(phrases.COLOUR_WORDS.get(colour, (colour,))) for colour in self.facts.colours]
        return " and ".join(words)

    def look(self) -> str:
        """Colours and texture: "dark brown, smooth"."""
        self.told.add("texture")
        texture = self.pick(phrases.TEXTURE_WORDS[self.facts.texture])
        colours = self.colours()
        if texture.startswith("with"):
            return self.pick((f"{colours}, {texture}", f"{colours} {texture}"))
        joint = ", " if " and " in colours else " and "
        return self.pick((f"{colours}, {texture}", f"{texture}, {colours}", f"{colours}{joint}{texture}"))
