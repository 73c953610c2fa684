"""Prepared photos in a file that only grows: one JSON line a photo, so that a run that was cut goes on.

The first line says with which options the photos were prepared; another question needs another file.
"""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

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
        self.file = file
        header = json.dumps(dict(question), sort_keys=True)
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists() or b"\n" not in _head(file):
            file.write_text(f"{header}\n", encoding="utf-8")
        with file.open("rb+") as content:
            first = content.readline().decode("utf-8").rstrip("\n")
            if first != header:
                raise ValueError(
                    f"{file} was prepared with other options:\n{first}\nnot\n{header}\ntake another folder, or remove "
                    "it to start anew"
                )
            content.seek(0, os.SEEK_SET)
            self.keys: set[str] = set()
            end = 0
            for number, line in enumerate(content):
                if not line.endswith(b"\n"):
                    content.truncate(end)
                    break
                end += len(line)
                if number:
                    key = json.loads(line)["key"]
                    if key in self.keys:
                        raise ValueError(f"{file}, line {number + 1}: {key!r} is there already; remove the line")
                    self.keys.add(key)

    def add(self, photo: PreparedPhoto) -> None:
        """Append a photo that is not there yet.

        Raises:
            ValueError: it is there already: two photos of the source have one name.
        """
        if photo.key in self.keys:
            raise ValueError(f"two photos are called {photo.key!r}")
        self.keys.add(photo.key)
        with self.file.open("a", encoding="utf-8") as content:
            content.write(json.dumps(photo.to_json(), ensure_ascii=False) + "\n")

    def __contains__(self, key: str) -> bool:
        return key in self.keys

    def __len__(self) -> int:
        return len(self.keys)

    def __iter__(self) -> Iterator[PreparedPhoto]:
        """The photos, one at a time, in the order in which they came."""
        with self.file.open(encoding="utf-8") as content:
            next(content)
            for line in content:
                yield PreparedPhoto.from_json(json.loads(line))


def _head(file: Path) -> bytes:
    with file.open("rb") as content:
        return content.readline()
