"""The writer's vocabulary: the tables of vocabulary/phrases.json, and the small grammar that they need.

`phrases.PLACES` and so on are read at the first use. Leaves out sentence frames: see styles.py.
"""

import json
import re
from functools import lru_cache
from importlib import resources
from typing import Any


def __getattr__(name: str) -> Any:
    """A table of vocabulary/phrases.json."""
    if name not in tables("phrases"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return globals().setdefault(name, tables("phrases")[name])


@lru_cache(maxsize=8)
def tables(name: str) -> dict[str, Any]:
    """The tables of a vocabulary file, lists as tuples.

    Args:
        name: Of the file in vocabulary/, without its ending.
    """
    file = resources.files(__package__) / "vocabulary" / f"{name}.json"
    content: dict[str, Any] = frozen(json.loads(file.read_text(encoding="utf-8")))
    content.pop("about", None)
    return content


def frozen(value: Any) -> Any:
    """A JSON value with tuples for its lists."""
    if isinstance(value, dict):
        return {key: frozen(item) for key, item in value.items()}
    return tuple(map(frozen, value)) if isinstance(value, list) else value


def plural(label: str) -> str:
    """Plural of a label, for example "dogs", "people", "polar bears"."""
    first, _, last = label.rpartition(" ")
    last = tables("phrases")["IRREGULAR_PLURALS"].get(last) or last + "s"
    return f"{first} {last}" if first else last


def counted(n: int, nouns: str) -> str:
    """How many of a kind, for example "two dogs", "several dogs"."""
    numbers = tables("phrases")["NUMBERS"]
    return f"{numbers[n] if n < len(numbers) else 'several'} {nouns}"


def with_article(noun: str) -> str:
    """The noun with "a" or "an"."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def possessive(noun: str) -> str:
    """The owner form, for example "the dog's"."""
    return f"{noun}'" if noun.endswith("s") else f"{noun}'s"


def pronoun(label: str) -> str:
    """Possessive pronoun for a label: "their" for a person, else "its"."""
    return "their" if label == "person" else "its"


def object_pronoun(label: str) -> str:
    """Pronoun for a label after a preposition: "them" for a person, else "it"."""
    return "them" if label == "person" else "it"


def part_templates(part: str, label: str, casual: bool = False, held: bool = False) -> tuple[str, ...]:
    """Wordings of a part.

    Args:
        part: Keypoint name without its side, for example "front paw".
        label: Label of the object; hoofed animals have hooves.
        casual: Whether everyday words are wanted.
        held: Whether the words of the held-back styles are wanted, beside the canonical one.

    Returns:
        Templates with `{its}` and `{side}`, the canonical one first.
    """
    words = tables("phrases")
    if label.rpartition(" ")[2] in words["HOOFED"]:
        part = part.replace("paw", "hoof")
    if held:
        return (part_templates(part, label)[0], *words["HELD_PART_WORDS"].get(part, ()))
    if label == "person" and part in words["PERSON_PART_WORDS"]:
        return words["PERSON_PART_WORDS"][part]
    if casual and part in words["CASUAL_PART_WORDS"]:
        return words["CASUAL_PART_WORDS"][part]
    return words["PART_WORDS"].get(part, (f"{{its}} {{side}}{part}",))


def has_position(text: str) -> bool:
    """Whether a text, sides of parts apart, says where something is."""
    return not _position_words().isdisjoint(re.findall(r"[a-z]+(?:-[a-z]+)*", text.lower()))


@lru_cache(maxsize=1)
def _position_words() -> frozenset[str]:
    return frozenset(tables("phrases")["POSITION_WORDS"])
