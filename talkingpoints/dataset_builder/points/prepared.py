"""Prepared photos in a file that only grows: one JSON line a photo, so that a run that was cut goes on.

The first line says with which options the photos were prepared; another question needs another file.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from talkingpoints.data.appended_lines import AppendedLines
from talkingpoints.dataset_builder.points.preparation import PreparedPhoto


class PreparedPhotos:
    """The file.

    Args:
        file: where; made if missing. A last line that was cut off is removed.
        question: what the photos depend on, as JSON values.

    Raises:
        ValueError: the file holds photos that were prepared with other options, or one twice, or is no such file.
    """

    def __init__(self, file: Path, question: Mapping[str, Any]):
        self._lines = AppendedLines(file, question)
        self.keys: set[str] = set()
        for _, _, row in self._lines:
            if row["key"] in self.keys:
                raise ValueError(f"{file}: {row['key']!r} is there twice; remove one of the lines")
            self.keys.add(row["key"])

    def add(self, photo: PreparedPhoto) -> None:
        """Append a photo that is not there yet.

        Raises:
            ValueError: it is there already: two photos of the source have one name.
        """
        if photo.key in self.keys:
            raise ValueError(f"two photos are called {photo.key!r}")
        self.keys.add(photo.key)
        self._lines.append(photo.to_json())

    def __contains__(self, key: str) -> bool:
        return key in self.keys

    def __len__(self) -> int:
        return len(self.keys)

    def __iter__(self) -> Iterator[PreparedPhoto]:
        """The photos, one at a time, in the order in which they came."""
        return (PreparedPhoto.from_json(row) for _, _, row in self._lines)
