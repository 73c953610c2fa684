"""JSON, JSON lines and CSV from outside, and tables of points written so that they are read back as they were.

Lines of JSON end at "\\n" only: a text may hold U+2028, U+2029 or U+0085, at which ``str.splitlines`` cuts. Cells of a
CSV that a spreadsheet would run as a formula get an apostrophe in front, which is taken off when they are read.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from talkingpoints.data.validation.fields import shown

Row = dict[str, Any]
Numbered = Iterator[tuple[int, Row | ValueError]]
"""Rows with the numbers under which a person finds them; an error in place of a row that cannot be read."""

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_ESCAPED = re.compile(r"'+[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?\d+,\d+")  # with a decimal comma
_BREAKS = {ord(c): f"\\u{ord(c):04x}" for c in "\u0085\u2028\u2029"}


def read_text(file: Path) -> str:
    """The text of a UTF-8 file, without a byte order mark.

    Raises:
        ValueError: No such file, or other bytes.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            return opened.read()
    except (OSError, UnicodeDecodeError) as error:
        said = "is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else f"cannot be read: {error}"
        raise ValueError(f"{file} {said}") from error


def parsed(text: str | bytes, hook: Callable[[Row], Row] | None = None) -> Any:
    """JSON -> its value.

    Args:
        text: of one value.
        hook: changes each of its objects as it is read.

    Raises:
        ValueError: No JSON, lists in too many lists, or a number of thousands of digits.
    """
    try:
        return json.loads(text, object_hook=hook)
    except RecursionError as error:
        raise ValueError("no valid JSON: too many lists or objects inside each other") from error
    except ValueError as error:
        raise ValueError(f"no valid JSON: {error}") from error


def read_json(file: Path, hook: Callable[[Row], Row] | None = None) -> Any:
    """What a JSON file holds; ``hook`` as for :func:`parsed`.

    Raises:
        ValueError: No such file, or no JSON; names the file.
    """
    text = read_text(file)
    try:
        return parsed(text, hook)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error


def read_object(file: Path, lists: Sequence[str] = (), hook: Callable[[Row], Row] | None = None) -> Row:
    """A JSON file that holds an object.

    Args:
        file: to read.
        lists: keys whose values must be lists.
        hook: as for :func:`parsed`.

    Raises:
        ValueError: What :func:`read_json` refuses, no object, or a list is missing.
    """
    content = read_json(file, hook)
    if not isinstance(content, dict):
        raise ValueError(f"{file} holds a {type(content).__name__}; it must be an object with {', '.join(lists)}")
    missing = [name for name in lists if not isinstance(content.get(name), list)]
    if missing:
        raise ValueError(f"{file} has no list {missing[0]!r}; it needs {', '.join(lists)}")
    return content


def json_line(row: Mapping[str, Any]) -> str:
    """A row as one line of JSON, with its end. No other character in it ends a line, in whatever program.

    Raises:
        ValueError: A text holds half of a surrogate pair, which no file can.
    """
    line = json.dumps(row, ensure_ascii=False).translate(_BREAKS) + "\n"
    try:
        line.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"broken characters in {shown(row)}") from error
    return line


def json_rows(text: str) -> Numbered:
    """Rows of JSON lines, numbered from 1; empty lines are passed over."""
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                row = parsed(line)
                yield number, row if isinstance(row, dict) else ValueError(f"no JSON object: {shown(row)}")
            except ValueError as error:
                yield number, error


def csv_text(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows as CSV with a header."""
    cells = [{name: _escaped(value) for name, value in row.items()} for row in rows]
    broken = any("\r" in value for row in cells for value in row.values() if isinstance(value, str))
    file = io.StringIO()  # csv quotes no "\r" by itself, at which it ends lines when it reads
    writer = csv.DictWriter(file, columns, lineterminator="\n", quoting=csv.QUOTE_ALL if broken else csv.QUOTE_MINIMAL)
    writer.writeheader()
    writer.writerows(cells)
    return file.getvalue()


def csv_rows(text: str) -> tuple[list[str], Numbered]:
    """The columns of a CSV, and its rows, numbered from 2.

    Columns are parted by commas, or by semicolons or tabs where the header has no comma; where by semicolons, decimal
    commas are read.

    Raises:
        ValueError: The header cannot be read, or has a column twice.
    """
    header = text.partition("\n")[0]
    delimiter = next((mark for mark in ",;\t" if mark in header), ",")
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        columns = [name.strip() for name in reader.fieldnames or ()]
    except csv.Error as error:
        raise ValueError(f"no valid CSV: {error} (line 1)") from error
    reader.fieldnames = columns
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise ValueError(f"row 1 names the column {', '.join(map(shown, twice))} twice")
    return columns, _numbered(reader, delimiter == ";")


def table_rows(file: Path) -> tuple[list[str] | None, Numbered]:
    """The columns (of a CSV; None of JSON lines) and the rows of a table of points.

    Raises:
        ValueError: It cannot be read, or its header is wrong; names the file.
    """
    text = read_text(file)
    try:
        return csv_rows(text) if file.suffix.lower() == ".csv" else (None, json_rows(text))
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error


def _numbered(reader: csv.DictReader, decimal_commas: bool) -> Numbered:
    number = 1
    try:
        for number, row in enumerate(reader, start=2):
            more: Any = row.pop(None, None)
            if more is not None:  # a text with commas that is not quoted: part of it would be lost
                yield number, ValueError(f"more values than columns, from {shown(more[0])} on; quote what holds commas")
                continue
            values: Row = {name: _read_cell(value) for name, value in row.items()}
            for name in ("x", "y") if decimal_commas else ():
                if _NUMBER.fullmatch(values.get(name) or ""):
                    values[name] = values[name].replace(",", ".")
            yield number, values
    except csv.Error as error:
        raise ValueError(f"no valid CSV: {error} (after row {number})") from error


def _escaped(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


def _read_cell(value: str | None) -> str | None:
    return value[1:] if value and _ESCAPED.match(value) else value
