"""Points that a visitor keeps on a photo, with their words, and the files that hold them.

The files are ``metadata.csv`` and ``metadata.jsonl`` as fine-tuning reads them next to the photos: one row a point
with ``file_name``, ``x``, ``y`` (pixels of the photo as a person sees it), ``text`` and ``label``. What is wrong with
a file is said by row: in a CSV row 1 is the header, in JSON it is the first point. Nothing here knows about models.
"""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from space.drawing import UnitPoint
from space.hosting.limits import MAX_KEPT, MAX_LABEL, MAX_POINTS_FILE, MAX_TEXT
from space.photos import Photo, file_name, pair
from talkingpoints.data.validation.fields import Cell, Text, checked_field
from talkingpoints.data.validation.files import (
    Numbered,
    Row,
    csv_rows,
    csv_text,
    json_line,
    json_rows,
    parsed,
    read_text,
)
from talkingpoints.points import check_points_px, to_unit

COLUMNS = ("file_name", "x", "y", "text", "label")
NEEDED = COLUMNS[:3]
SUFFIXES = (".csv", ".jsonl", ".json")

_SHOWN_PROBLEMS = 3

_keys = itertools.count(1)


@dataclass(frozen=True)
class KeptPoint:
    """A point of a photo as unit (x, y), the words for it, and a label, such as its kind. ``key`` stays the same when
    the point is edited or gets another number; it is not written to files.
    """

    point: UnitPoint
    text: str = ""
    label: str = ""
    key: int = field(default_factory=lambda: next(_keys), compare=False)


Kept = tuple[KeptPoint, ...]
"""All points kept on one photo; the first is number 1."""


def add(kept: Kept, point: UnitPoint, text: str | None) -> Kept:
    """One point more; ValueError where there are as many as may be."""
    return _bounded((*kept, KeptPoint(point, _words("text", text or "", MAX_TEXT))))


def edit(kept: Kept, key: int, column: str, value: str) -> Kept:
    """Another text or label for the point of this key, if it is still there; ValueError for any other column."""
    if column not in ("text", "label"):
        raise ValueError(f"only text and label of a kept point can be edited, not {column!r}")
    words: dict[str, Any] = {column: _words(column, value, MAX_TEXT if column == "text" else MAX_LABEL)}
    return tuple(replace(one, **words) if one.key == key else one for one in kept)


def remove(kept: Kept, key: int) -> Kept:
    """All points but the one of this key, which may be gone already."""
    return tuple(one for one in kept if one.key != key)


def to_rows(kept: Kept, photo: Photo) -> list[Row]:
    """The points as rows of ``COLUMNS``, pixels to a hundredth."""
    rows = []
    for one in kept:
        x, y = (round(value, 2) for value in photo.point_px(one.point))
        rows.append(dict(zip(COLUMNS, (photo.name, x, y, one.text, one.label), strict=True)))
    return rows


def to_csv(kept: Kept, photo: Photo) -> str:
    """The content of a ``metadata.csv``."""
    return csv_text(COLUMNS, to_rows(kept, photo))


def to_jsonl(kept: Kept, photo: Photo) -> str:
    """The content of a ``metadata.jsonl``: one JSON object a line."""
    return "".join(map(json_line, to_rows(kept, photo)))


def read_file(path: str | Path, kept: Kept, photo: Photo) -> tuple[Kept, int]:
    """Add the points of a file to those kept; points that are there already are not added again.

    Args:
        path: a .csv, .jsonl or .json file (a list of objects); UTF-8.
        kept: the points so far.
        photo: the photo they lie on; rows of other photos are counted and left out.

    Returns:
        All points, and the number of rows for other photos.

    Raises:
        ValueError: anything wrong with the file, with row numbers; then nothing is to be imported.
    """
    rows = list(_rows(Path(path)))
    problems: list[str] = []
    added: list[KeptPoint] = []
    others: list[str] = []
    for number, row in rows:
        try:
            if isinstance(row, ValueError):
                raise row
            _check_columns(row)
            name = checked_field(Text, row, "file_name")
            if file_name(name) == photo.name:
                added.append(_read_row(row, photo))
            else:
                others.append(name)
        except ValueError as error:
            problems.append(f"row {number}: {error}")
    if problems:
        more = len(problems) - _SHOWN_PROBLEMS
        shown = "; ".join(problems[:_SHOWN_PROBLEMS]) + (f"; and {more} more rows" if more > 0 else "")
        raise ValueError(f"nothing was imported. {shown[:1].upper()}{shown[1:]}.")
    if not added:
        named = f"it is for {others[0]!r}" if others else "it has no rows"
        raise ValueError(f"the file has no point for the open photo, {photo.name!r}: {named}.")
    there = [tuple(row.values()) for row in to_rows(kept, photo)]
    new = [one for one in added if tuple(to_rows((one,), photo)[0].values()) not in there]
    return _bounded((*kept, *new)), len(others)


def _rows(path: Path) -> Numbered:
    """The rows of a file with the numbers under which a person finds them."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"a file of points must end in {', '.join(SUFFIXES)}, got {path.name!r}.")
    size = path.stat().st_size
    if size > MAX_POINTS_FILE:
        raise ValueError(f"the file has {size:,} bytes; at most {MAX_POINTS_FILE:,} are read.")
    try:
        content = read_text(path)
    except ValueError as error:
        raise ValueError("the file is not UTF-8 text; save it as CSV UTF-8.") from error
    if suffix == ".jsonl":
        return json_rows(content)
    if suffix == ".csv":
        columns, rows = csv_rows(content)
        _check_columns(columns)
        return rows
    listed = parsed(content)
    if not isinstance(listed, list):
        raise ValueError("a .json file of points must be a list of objects; use .jsonl for one object a line.")
    return (
        (number, row if isinstance(row, dict) else ValueError(f"no JSON object with {', '.join(NEEDED)}"))
        for number, row in enumerate(listed, start=1)
    )


def _check_columns(columns: Iterable[str]) -> None:
    missing = [name for name in NEEDED if name not in columns]
    if missing:
        raise ValueError(f"missing: {', '.join(missing)}; the columns are {', '.join(COLUMNS)}")


def _read_row(row: Row, photo: Photo) -> KeptPoint:
    point_px = checked_field(Cell, row, "x"), checked_field(Cell, row, "y")
    point = pair(to_unit(check_points_px(point_px, photo.size), photo.size))
    text, label = (checked_field(Text | None, row, name) or "" for name in ("text", "label"))
    return KeptPoint(point, _words("text", text, MAX_TEXT), _words("label", label, MAX_LABEL))


def check_characters(column: str, words: str) -> None:
    """ValueError where a text cannot be written to a file: halves of surrogate pairs, which JSON can hold."""
    try:
        words.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"the {column} holds broken characters; write it again.") from error


def _words(column: str, words: str, longest: int) -> str:
    words = words.strip()
    check_characters(column, words)
    if len(words) > longest:
        raise ValueError(f"{column} has {len(words):,} characters; at most {longest:,} are kept")
    return words


def _bounded(kept: Kept) -> Kept:
    if len(kept) > MAX_KEPT:
        raise ValueError(f"at most {MAX_KEPT} points can be kept on a photo, these are {len(kept)}.")
    return kept
