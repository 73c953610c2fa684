"""A file of JSON lines that only grows, from which a run that was killed goes on.

A line is written in one piece and handed to the system at once, so it outlives the process. A last line that was cut
off is removed at the next start, and at once where the disk is full. Only one process may write to a file.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from talkingpoints.data.validation.files import json_line, parsed


class AppendedLines:
    """The file, open for reading and appending.

    Args:
        path: of the file; made if it is not there, with its folders.
        header: first line, which says what the others depend on; None for a file without one.

    Raises:
        ValueError: The file begins with another header.
    """

    def __init__(self, path: Path, header: Mapping[str, Any] | None = None):
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        self.end = os.fstat(self._file).st_size
        if self.end and os.pread(self._file, 1, self.end - 1) != b"\n":  # cut off
            self.end = sum(len(raw) for _, raw in whole_lines(path))
            os.ftruncate(self._file, self.end)
        self.start = 0
        if header is not None:
            line = header_line(header)
            if not self.end:
                self._write(line)
            check_header(path, line)
            self.start = len(line)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)

    def append(self, row: Mapping[str, Any]) -> tuple[int, int]:
        """Write a row; its start and length in bytes.

        Raises:
            OSError: It could not be written, for example as the disk is full; then nothing of it is in the file.
        """
        return self._write(json_line(row).encode())

    def read(self, start: int, length: int) -> dict[str, Any]:
        """The row that :meth:`append` wrote there."""
        return parsed(os.pread(self._file, length, start))

    def __iter__(self) -> Iterator[tuple[int, int, dict[str, Any]]]:
        """Start, length and content of each row.

        Raises:
            ValueError: A line is no JSON object; names it.
        """
        for start, raw in whole_lines(self.path, self.start):
            yield start, len(raw), row_of(self.path, start, raw)

    def _write(self, content: bytes) -> tuple[int, int]:
        written = 0
        try:
            while written < len(content):  # a full disk or a signal can cut a write short
                written += os.write(self._file, content[written:])
        except OSError:
            os.ftruncate(self._file, self.end)
            raise
        self.end += len(content)
        return self.end - len(content), len(content)


def header_line(header: Mapping[str, Any]) -> bytes:
    """A header as it is written."""
    return json_line(dict(sorted(header.items()))).encode()


def check_header(path: Path, line: bytes) -> None:
    """Hold the first line of a file against :func:`header_line`.

    Raises:
        ValueError: It is another one: what the file holds was made with other options.
    """
    with path.open("rb") as file:
        first = file.readline()
    if first != line:
        raise ValueError(
            f"{path} was made with other options:\n{first.decode(errors='replace').strip()}\nnot\n"
            f"{line.decode().strip()}\ntake another folder, or remove it to start anew"
        )


def whole_lines(path: Path, start: int = 0) -> Iterator[tuple[int, bytes]]:
    """The whole lines of a file from a byte on, each with its start; another process may still write to it."""
    with path.open("rb") as file:
        file.seek(start)
        for raw in file:
            if not raw.endswith(b"\n"):
                return
            yield start, raw
            start += len(raw)


def row_of(path: Path, start: int, raw: bytes) -> dict[str, Any]:
    """A line's row.

    Raises:
        ValueError: It is no JSON object; names the file and the line.
    """
    try:
        row = parsed(raw)
        if not isinstance(row, dict):
            raise ValueError("no JSON object")
    except ValueError as error:
        number = path.read_bytes()[:start].count(b"\n") + 1
        raise ValueError(f"{path}, line {number}: {error}; remove the line, or did two runs share the file?") from None
    return row
