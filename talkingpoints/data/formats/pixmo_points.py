"""PixMo-Points: rows ``{image_url, points: [{x, y}], label, count, collection_method}`` as Parquet, JSON or JSON lines.

The card says that coordinates are pixels; its authors' loader takes them as percent, and so do we. A label of one point
is its text; of several points it is only their label, since it does not say which one is meant. A count of 0 is a text
about what is not in the photo. The photos are found by the last part of their URL, or by ``image_sha256``.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NotRequired

from typing_extensions import TypedDict

from talkingpoints.data.formats.interface import Format, ReadOptions, files_below, folder_of, words
from talkingpoints.data.formats.records import Annotations, PhotoRecord, PointRecord
from talkingpoints.data.validation.fields import Name, Number, Text, Whole, checked
from talkingpoints.data.validation.files import json_rows, read_json, read_text


class _Point(TypedDict):
    x: Number
    y: Number


class _Row(TypedDict):
    image_url: Name
    label: Text
    points: list[_Point] | None
    count: NotRequired[Whole | None]


def _rows(file: Path) -> Iterator[tuple[int, Any]]:
    if file.suffix == ".parquet":
        import pyarrow.parquet as parquet  # comes with datasets; only this format needs it here

        try:
            batches = parquet.ParquetFile(file).iter_batches(1000)
            yield from enumerate(row for batch in batches for row in batch.to_pylist())
        except (OSError, ValueError) as error:
            raise ValueError(f"{file} cannot be read as Parquet: {error}") from error
    elif file.suffix == ".jsonl":
        yield from json_rows(read_text(file))
    else:
        content = read_json(file)
        yield from enumerate(content if isinstance(content, list) else [content])


def _is_pixmo(file: Path) -> bool:
    row = next(_rows(file), (0, None))[1]
    return isinstance(row, Mapping) and {"image_url", "points", "label"} <= set(row)


def _files(path: Path) -> Iterator[Path]:
    for file in files_below(path, ".parquet", ".jsonl", ".json"):
        if file.suffix in (".parquet", ".jsonl", ".json") and _is_pixmo(file):
            yield file


def fits(path: Path) -> bool:
    """Whether there are rows with ``image_url``, ``points`` and ``label``."""
    try:
        return next(_files(path), None) is not None
    except ValueError:
        return False


def read(path: Path, options: ReadOptions) -> Annotations:
    """The points of all rows; rows about one URL are about one photo."""
    found = Annotations([], str(path))
    photos: dict[str, PhotoRecord] = {}
    for file in _files(path):
        for number, entry in _rows(file):
            with found.findings.entry(str(file), number):
                if isinstance(entry, ValueError):
                    raise entry
                row = checked(_Row, entry)
                photo = photos.setdefault(
                    row["image_url"],
                    PhotoRecord(row["image_url"], row=number, folder=folder_of(path), unit="percent"),
                )
                label, points = words(row["label"]), row["points"] or []
                if max((value for point in points for value in (point["x"], point["y"])), default=0) > 100:
                    raise ValueError("points: above 100, but PixMo-Points are in percent; are these pixels?")
                if not points and row.get("count") == 0:
                    photo.absent.append(label)
                one = len(points) == 1
                for point in points:
                    photo.points.append(PointRecord(point["x"], point["y"], label if one else "", "" if one else label))
    found.photos += photos.values()
    return found


FORMAT = Format(
    "pixmo",
    "PixMo-Points",
    "Parquet, JSON or JSON lines of rows with image_url, points and label",
    fits,
    read,
    None,
)
