"""All words of the style "free": the common ones of free_parts.py and free_phrases.py, and the further ones of
free_words.json, by several writers apart from each other, merged table by table.

A table's own words are the common ones: they keep about half of its weight. A table of the file has the shape of the
one that it widens.
"""

import json
from importlib import resources
from types import SimpleNamespace
from typing import Any

from talkingpoints.writer import free_parts, free_phrases

BY_PLACE = ("PHOTO_ROWS", "FIFTH_ROWS", "THIRD_ROWS")
"""Tables whose entries are tables themselves, one for each place."""

_FILE = resources.files(__package__) / "vocabulary" / "free_words.json"
MORE: dict[str, Any] = json.loads(_FILE.read_text(encoding="utf-8"))


def widened(tables: dict[str, Any]) -> dict[str, Any]:
    """Tables with their further words, if they have any: for each key, place by place, or added to them.

    Args:
        tables: by name; words, words by key, or words by place.
    """
    return {
        name: _merged(table, MORE[name], name in BY_PLACE) if name in MORE else table for name, table in tables.items()
    }


def _merged(table: Any, more: Any, by_place: bool) -> Any:
    if isinstance(table, dict):
        added = {key: _frozen(value) for key, value in more.items() if key not in table}
        return {**{key: _merged(value, more.get(key, []), False) for key, value in table.items()}, **added}
    if isinstance(table, str):
        return table
    if by_place:
        return tuple(_merged(*pair, False) for pair in zip(table, more, strict=True))
    merged = table * max(1, round(len(more) / len(table))) + _frozen(more)
    nothing, said = table.count(""), tuple(entry for entry in merged if entry != "")
    if not nothing:
        return merged
    return said + ("",) * round(len(said) * nothing / (len(table) - nothing))  # to say nothing stays as likely


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def _tables(module: Any) -> dict[str, Any]:
    return {name: value for name, value in vars(module).items() if name.isupper()}


parts = SimpleNamespace(**widened(_tables(free_parts)))
words = SimpleNamespace(**widened(_tables(free_phrases)))
parts.ANIMAL_PARTS["root of tail"] = parts.ANIMAL_PARTS["tailbase"]
