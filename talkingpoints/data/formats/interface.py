"""What each format's module gives to the conversion, and what the modules share: finding files, splits, texts."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from talkingpoints.data.formats.records import Annotations, Losses, PhotoRecord
from talkingpoints.data.validation.files import read_json

DEEPEST = 4
"""Annotation files are looked for in so many levels of folders."""
SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


@dataclass(frozen=True)
class ReadOptions:
    """How a reader reads.

    Attributes:
        text_attribute: name of the attribute that holds a point's text, for formats with free attributes.
        label_attribute: the same of its label, for VIA.
    """

    text_attribute: str = "text"
    label_attribute: str = "label"


@dataclass(frozen=True)
class Format:
    """A format.

    Attributes:
        name: as the command line calls it.
        title: as its tool calls it.
        expected: its files and what is in them, for error messages.
        fits: whether a file or folder looks like it.
        read: a file or folder -> its photos, with what is wrong and what is left out.
        write: photos -> files in a folder; gives what is lost. None where the format is only read.
        photo_place: where below that folder the layout has a photo.
        needs_photos: whether its tool wants the photos there, beside the annotations.
    """

    name: str
    title: str
    expected: str
    fits: Callable[[Path], bool]
    read: Callable[[Path, ReadOptions], Annotations]
    write: Callable[[Sequence[PhotoRecord], Path], Losses] | None
    photo_place: Callable[[PhotoRecord], str] = lambda photo: f"images/{photo.file_name}"
    needs_photos: bool = False


def files_below(path: Path, *suffixes: str) -> Iterator[Path]:
    """The file itself, or the files of a folder with one of the endings, in order of their names; hidden ones apart."""
    if path.is_file():
        yield path
        return
    for file in sorted(path.rglob("*")):
        parts = file.relative_to(path).parts
        hidden = any(part[0] == "." for part in parts)
        if len(parts) <= DEEPEST and not hidden and file.suffix.lower() in suffixes and file.is_file():
            yield file


def json_contents(path: Path, fits: Callable[[Any], bool], found: Annotations) -> Iterator[tuple[Path, Any]]:
    """The JSON files of one kind at a path; others are counted as left out.

    Raises:
        ValueError: If a file is no JSON, or the path is a file of another kind.
    """
    for file in files_below(path, ".json"):
        content = read_json(file)
        if fits(content):
            yield file, content
        elif path.is_file():
            raise ValueError(f"{file} is JSON of another kind")
        else:
            found.left_out["JSON files of another kind"] += 1


def any_json_fits(path: Path, fits: Callable[[Any], bool], most: int = 20) -> bool:
    """Whether one of the first JSON files at a path is of a kind; a file that is broken is none."""
    if path.is_file() and path.suffix.lower() != ".json":
        return False
    for number, file in enumerate(files_below(path, ".json")):
        if number >= most:
            return False
        try:
            if fits(read_json(file)):
                return True
        except ValueError:
            if path.is_file():
                raise
    return False


def split_of(file: Path, root: Path) -> str:
    """The split that a file's name or folder speaks of, such as ``valid/`` or ``person_keypoints_val2017.json``."""
    parts = file.relative_to(root).parts if file.is_relative_to(root) and file != root else (file.name,)
    for part in reversed(parts):
        for word in re.findall(r"[a-z]+", Path(part).stem.lower()):
            if word in SPLITS:
                return SPLITS[word]
    return ""


def words(value: Any) -> str:
    """A text of a file as a record holds it: trimmed, its lines ended by "\\n"; empty for None.

    Raises:
        ValueError: If it is no text.
    """
    if value is None:
        return ""
    if not isinstance(value, str | int | float | bool):
        raise ValueError(f"must be a text, got {type(value).__name__}")
    return str(value).replace("\r\n", "\n").replace("\r", "\n").strip()


def folder_of(path: Path) -> Path:
    """The folder itself, or that of a file."""
    return path.parent if path.is_file() else path
