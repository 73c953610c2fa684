"""All words of the style "free": the common ones of free_parts.json and free_phrases.json, and the further ones of
free_words.json, by several writers apart from each other, merged table by table at the first use.

A table's own words are the common ones: they keep about half of its weight. A table of the further words has the shape
of the one that it widens.
"""

from functools import cached_property
from typing import Any

from talkingpoints.writer.phrases import tables

BY_PLACE = ("PHOTO_ROWS", "FIFTH_ROWS", "THIRD_ROWS")
"""Tables whose entries are tables themselves, one for each place."""


class FreeWords:
    """The tables of a vocabulary file with their further words, as attributes.

    Args:
        name: Of the file in vocabulary/, without its ending.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    @cached_property
    def _tables(self) -> dict[str, Any]:
        found = widened(tables(self._name))
        if "ANIMAL_PARTS" in found:
            animal = found["ANIMAL_PARTS"]
            found["ANIMAL_PARTS"] = {**animal, "root of tail": animal["tailbase"]}
        return found

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._tables:
            raise AttributeError(f"{self._name}.json has no table {name!r}")
        self.__dict__[name] = self._tables[name]
        return self.__dict__[name]


parts = FreeWords("free_parts")
words = FreeWords("free_phrases")


def widened(own: dict[str, Any]) -> dict[str, Any]:
    """Tables with their further words, if they have any: for each key, place by place, or added to them.

    Args:
        own: By name; words, words by key, or words by place.
    """
    more = tables("free_words")
    return {
        name: _merged(table, more[name], name in BY_PLACE) if name in more else table for name, table in own.items()
    }


def _merged(table: Any, more: Any, by_place: bool) -> Any:
    if isinstance(table, dict):
        added = {key: value for key, value in more.items() if key not in table}
        return {**{key: _merged(value, more.get(key, ()), False) for key, value in table.items()}, **added}
    if isinstance(table, str):
        return table
    if by_place:
        return tuple(_merged(*pair, False) for pair in zip(table, more, strict=True))
    merged = table * max(1, round(len(more) / len(table))) + more
    nothing, said = table.count(""), tuple(entry for entry in merged if entry != "")
    if not nothing:
        return merged
    return said + ("",) * round(len(said) * nothing / (len(table) - nothing))  # to say nothing stays as likely
