"""Kinds and parts of things with their words, from vocabulary/kinds.json and vocabulary/parts.json.

A new kind or part is an entry of a file, not code. Leaves out sentences (sentences.py).
"""

import json
import re
from collections.abc import Iterable
from functools import cached_property, lru_cache
from importlib import resources
from typing import Any

from talkingpoints.writer.phrases import plural

UNKNOWN = "other"
"""Kind of a thing that is annotated, but is none of the lexicon's kinds."""
SIDES = ("left", "right")
_SIDE = re.compile(r"\b(left|right) ")


class Lexicon:
    """Words by kind and part.

    Attributes:
        kinds: Entry of each kind: `words`, and maybe `plural`, `is_a`, `names`, `thing`, `parts`.
        parts: Entry of each part: `words` by owner, and maybe `within`.
        held_out: Words of each kind that no training may see.
        unknown_words: Nouns for things that are none of the kinds.
    """

    def __init__(self, kinds: dict[str, Any], parts: dict[str, Any]) -> None:
        self.kinds: dict[str, dict[str, Any]] = kinds["kinds"]
        self.wider: dict[str, dict[str, Any]] = kinds["wider"]
        self.held_out: dict[str, list[str]] = kinds["held_out"]
        self.unknown_words: list[str] = kinds["unknown_words"]
        self.parts: dict[str, dict[str, Any]] = parts["parts"]
        self.part_names: dict[str, str] = parts["part_names"]
        self._same: list[list[str]] = parts["same_part"]

    @cached_property
    def kind_ids(self) -> dict[str | None, int]:
        """Number of each kind, of `UNKNOWN`, and of None (no thing there), as targets of a classifier."""
        return {kind: i for i, kind in enumerate((*self.kinds, UNKNOWN, None))}

    @cached_property
    def part_ids(self) -> dict[str | None, int]:
        """Number of each part, and of None (no part named)."""
        return {part: i for i, part in enumerate((*self.parts, None))}

    @cached_property
    def _kind_of(self) -> dict[str, str]:
        named = {name: kind for kind, entry in self.kinds.items() for name in entry.get("names", ())}
        return {**{word: kind for kind, entry in self.kinds.items() for word in entry["words"]}, **named}

    @cached_property
    def _held_out_words(self) -> re.Pattern[str]:
        words = {w for group in self.held_out.values() for word in group for w in (word, plural(word))}
        return re.compile(rf"\b(?:{'|'.join(sorted(words))})\b", re.IGNORECASE)

    def kind_of(self, name: str) -> str:
        """The kind that an annotation means: a kind, a held-out kind, or `UNKNOWN`."""
        name = " ".join(name.lower().replace("_", " ").split())
        return self._kind_of.get(name, name if name in self.held_out else UNKNOWN)

    def part_of(self, name: str) -> tuple[str | None, str]:
        """Side and part that an annotation means.

        Args:
            name: For example "left_front_paw" or "outer corner of the right eye".

        Returns:
            ("left" or "right" or None, part); a part without an entry is taken as it is called.

        Example:
            >>> lexicon().part_of("outer corner of the right eye")
            ('right', 'outer corner of the eye')
        """
        name = " ".join(name.lower().replace("_", " ").replace("-", " ").split()).replace("t shirt", "t-shirt")
        side = _SIDE.search(name)
        plain = name if side is None else name.replace(side[0], "", 1)
        return (None if side is None else side[1]), self.part_names.get(plain, plain)

    def names_held_out(self, text: str) -> bool:
        """Whether a text names a held-out kind."""
        return self._held_out_words.search(text) is not None

    def is_thing(self, kind: str) -> bool:
        """Whether things of the kind are counted; stuff such as grass is not."""
        return bool(self.kinds.get(kind, {}).get("thing", True))

    def owner(self, kind: str) -> str:
        """Which words the kind's parts have: a key of a part's `words`."""
        return str(self.kinds.get(kind, {}).get("parts", "any"))

    def nouns(self, kind: str) -> list[tuple[str, str]]:
        """Singular and plural of each word of a kind, the plain one first."""
        entry = self.kinds[kind]
        return list(zip(entry["words"], entry.get("plural") or map(plural, entry["words"]), strict=True))

    def part_templates(self, part: str, kind: str) -> list[str]:
        """Wordings of a part with `{its}` and `{side}`, the plain one first."""
        words = self.parts[part]["words"] if part in self.parts else {}
        return (
            words.get(self.owner(kind)) or words.get("any") or next(iter(words.values()), [f"{{its}} {{side}}{part}"])
        )

    def same_part(self, part: str) -> frozenset[str]:
        """A part with those that a point does not tell apart from it, and all that they are within."""
        found = {part}.union(*(group for group in self._same if part in group))
        return frozenset(found | {wider for name in found for wider in self.parts.get(name, {}).get("within", ())})

    def widened(self, kinds: Iterable[str]) -> frozenset[str]:
        """Kinds together with the wider kinds that they also are: {"dog"} -> {"dog", "animal"}."""
        return frozenset(kinds).union(*(self.kinds.get(kind, {}).get("is_a", ()) for kind in kinds))


@lru_cache(maxsize=1)
def lexicon() -> Lexicon:
    """The project's own lexicon."""
    folder = resources.files("talkingpoints.writer") / "vocabulary"
    kinds, parts = (json.loads((folder / f"{name}.json").read_text(encoding="utf-8")) for name in ("kinds", "parts"))
    return Lexicon(kinds, parts)
