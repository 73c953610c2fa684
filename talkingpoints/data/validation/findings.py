"""What is wrong with data from outside, entry by entry: collected by the readers, then refused or left out."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

_SHOWN_PROBLEMS = 20
_log = logging.getLogger(__name__)


class Problem(NamedTuple):
    """What is wrong with a row (an entry of a list, a line of a file)."""

    row: int
    message: str

    def __str__(self) -> str:
        return f"row {self.row}{self.message}"


class Findings(dict[str, list[Problem]]):
    """Problems by source (a file, a list of a file, a split), in the order in which they were found.

    Example:
        >>> findings = Findings()
        >>> for number, entry in enumerate(content["images"]):
        ...     with findings.entry(f"{file}, images", number):
        ...         images.append(checked(CocoImage, entry))
        >>> findings.settle(skip_bad_rows=False)
    """

    def add(self, where: str, row: int, message: str) -> None:
        """Take down one problem."""
        self.setdefault(where, []).append(Problem(row, message))

    @contextmanager
    def entry(self, where: str, row: int, about: str = "") -> Iterator[None]:
        """Take down a ``ValueError`` of the block, which then ends.

        Args:
            where: the source.
            row: of the entry.
            about: what to name beside its row, for example its id.
        """
        try:
            yield
        except ValueError as error:
            self.add(where, row, f"{about}: {error}")

    def settle(self, skip_bad_rows: bool) -> None:
        """Refuse wrong rows, or log each of them.

        Raises:
            ValueError: there are some and they are not to be skipped; lists up to 20 of each source.
        """
        reports = [
            [f"{where}: {len(wrong)} wrong rows", *map(str, sorted(wrong, key=lambda problem: problem.row))]
            for where, wrong in self.items()
            if wrong
        ]
        if skip_bad_rows:
            for lines in reports:
                _log.warning("%s\nthese rows are left out", "\n".join(lines))
        elif reports:
            for lines in reports:
                hidden = len(lines) - 1 - _SHOWN_PROBLEMS
                if hidden > 0:
                    lines[1 + _SHOWN_PROBLEMS :] = [f"and {hidden} more"]
            raise ValueError("\n".join(line for lines in reports for line in lines))
