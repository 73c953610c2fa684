"""Words of descriptions as data: kinds and parts of things, places, looks and frames, read from vocabulary.json.

A new kind or part is an entry of the file, not code: a kind has `words`, and may have `plural` (where adding s is
wrong), `is_a` (wider kinds it also is), `names` (further names in annotations) and `thing` (False for stuff). A part
has `words` by owner ("animal", "person", "any"), templates with `{its}` and `{side}`, and may be `within` larger parts.
"""

import json
from collections.abc import Iterable, Mapping
from functools import cached_property, lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from talkingpoints.writer.phrases import plural

FILE = Path(__file__).parent / "vocabulary.json"
OLIVE = ["dark green", "green", "brown", "dark brown"]
"""Shades beside a colour that only the fluent writer names."""
HELD_OUT = ("bee", "kangaroo", "raccoon", "giraffe", "elephant", "zebra", "bear", "umbrella", "kite", "bench")
"""Kinds that no training and no choice of a model may see: texts about them measure what a model does not know."""


class Vocabulary:
    """Words by kind, part, place and look.

    Args:
        content: The JSON object of a vocabulary file.

    Raises:
        ValueError: If `is_a` or `within` names an entry that does not exist.
    """

    def __init__(self, content: Mapping[str, Any]) -> None:
        self.content = content
        self.kinds: dict[str, Any] = content["kinds"]
        self.parts: dict[str, Any] = content["parts"]
        for table, link in ((self.kinds, "is_a"), (self.parts, "within")):
            for name, entry in table.items():
                missing = set(entry.get(link, ())) - set(table)
                if missing:
                    raise ValueError(f"vocabulary: {name!r} has {link} {sorted(missing)}, which have no entry")

    @cached_property
    def kind_words(self) -> dict[str, str]:
        """Kind by each of its words, singular and plural."""
        words: dict[str, str] = {}
        for kind, entry in self.kinds.items():
            for word in (*entry["words"], *entry.get("plural", ()), *map(plural, entry["words"])):
                words.setdefault(word, kind)
        return words

    @cached_property
    def _named(self) -> dict[str, str]:
        return {name: kind for kind, entry in self.kinds.items() for name in entry.get("names", ())}

    @cached_property
    def part_words(self) -> dict[str, frozenset[str]]:
        """Parts by each of their templates, the side left out: "the tip of its nose" -> {"nose"}."""
        words: dict[str, set[str]] = {}
        for part, entry in self.parts.items():
            for templates in entry["words"].values():
                for template in templates:
                    words.setdefault(template.replace("{side}", "").replace("{its}", "its"), set()).add(part)
        return {word: frozenset(parts) for word, parts in words.items()}

    def kind_of(self, name: str) -> str:
        """The kind that an annotation means by a name; a name without an entry is a kind of its own."""
        name = " ".join(name.lower().replace("_", " ").split())
        return self._named.get(name) or self.kind_words.get(name) or name

    def widened(self, kinds: Iterable[str]) -> frozenset[str]:
        """Kinds together with the wider kinds that they also are: {"dog"} -> {"dog", "animal"}."""
        found: set[str] = set()
        todo = list(kinds)
        while todo:
            kind = todo.pop()
            if kind not in found:
                found.add(kind)
                todo += self.kinds.get(kind, {}).get("is_a", ())
        return frozenset(found)

    def is_thing(self, kind: str) -> bool:
        """Whether the kind is a countable thing; stuff such as grass is not."""
        return bool(self.kinds.get(kind, {}).get("thing", True))

    def part_of(self, name: str) -> str:
        """The part that an annotation means by a name without its side."""
        return str(self.content["part_names"].get(name, name))

    def enclosing(self, part: str) -> frozenset[str]:
        """A part with all parts that it is within: "nose" -> {"nose", "muzzle", "face", "head"}."""
        found: set[str] = set()
        todo = [part]
        while todo:
            name = todo.pop()
            if name not in found:
                found.add(name)
                todo += self.parts.get(name, {}).get("within", ())
        return frozenset(found)

    def same(self, part: str) -> frozenset[str]:
        """A part with those that cannot be told from it where both are named by a point: "wrist" and "hand"."""
        return frozenset([part]).union(*(group for group in self.content["same_part"] if part in group))


@lru_cache(maxsize=1)
def vocabulary() -> Vocabulary:
    """The project's own vocabulary: vocabulary.json, with the kinds, parts and colours that the fluent writer has."""
    content = json.loads(FILE.read_text(encoding="utf-8"))
    folder = resources.files("talkingpoints.writer") / "vocabulary"
    kinds, parts, sentences = (
        json.loads((folder / f"{name}.json").read_text(encoding="utf-8")) for name in ("kinds", "parts", "sentences")
    )
    for name, entry in kinds["kinds"].items():
        _add(content["kinds"].setdefault(name, {"words": []}), entry, ("words", "is_a", "names", "plural"))
        if not entry.get("thing", True):
            content["kinds"][name].setdefault("thing", False)
    for name, entry in kinds["wider"].items():
        _add(content["kinds"].setdefault(name, {"words": []}), entry, ("words",))
    for name, entry in parts["parts"].items():
        own = content["parts"].setdefault(name, {"words": {}})
        _add(own, entry, ("within",))
        _add(own["words"], entry["words"], tuple(entry["words"]))
    for name in {part for entry in content["parts"].values() for part in entry.get("within", ())}:
        content["parts"].setdefault(name, {"words": {"any": [f"{{its}} {{side}}{name}"]}})
    content["part_names"] |= {k: v for k, v in parts["part_names"].items() if k not in content["part_names"]}
    content["same_part"] += parts["same_part"]
    content["sentences"] = sentences
    for colour, words in sentences["colour_words"].items():
        _add(content["colours"].setdefault(colour, {"words": [], "near": OLIVE}), {"words": words}, ("words",))
    return Vocabulary(content)


def _add(entry: dict[str, Any], further: Mapping[str, Any], names: Iterable[str]) -> None:
    """Add lists of words to lists of words, each word once."""
    for name in names:
        if name in further:
            entry[name] = list(dict.fromkeys([*entry.get(name, ()), *further[name]]))
