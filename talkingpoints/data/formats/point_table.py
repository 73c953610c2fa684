"""Our own folder: photos with ``metadata.csv`` or ``metadata.jsonl``; written as CSV.

A row is a point: ``file_name``, ``x``, ``y`` (pixels), ``text``, ``label``. Further columns (``name``, ``group``,
``occluded``, ``score``, ``attributes`` as JSON) are written where points have them; training does not read them.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from talkingpoints.data.formats.interface import SPLITS, Format, ReadOptions, words
from talkingpoints.data.formats.records import (
    Annotations,
    Losses,
    PhotoRecord,
    PointRecord,
    is_given,
    without_lone_groups,
)
from talkingpoints.data.validation.fields import Cell, Name, checked, checked_field, shown
from talkingpoints.data.validation.files import csv_text, parsed, table_rows

FILES = ("metadata.csv", "metadata.jsonl")
_COLUMNS = ("file_name", "x", "y", "text", "label")
_FURTHER = ("name", "group", "occluded", "score", "attributes")


def _tables(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if path.name in FILES else []
    folders = [path, *(path / name for name in SPLITS)]
    return [folder / name for folder in folders for name in FILES if (folder / name).is_file()]


def fits(path: Path) -> bool:
    """Whether there is ``metadata.csv`` or ``metadata.jsonl``, in the folder or in one of a split."""
    return bool(_tables(path))


def read(path: Path, options: ReadOptions) -> Annotations:
    """The points of all splits."""
    found = Annotations([], str(path))
    for table in _tables(path):
        columns, rows = table_rows(table)
        missing = {"file_name", "x", "y"} - set(columns or ("file_name", "x", "y"))
        if missing:
            raise ValueError(f"{table} has no column {', '.join(sorted(missing))}; row 1 names the columns: {columns}")
        photos: dict[str, PhotoRecord] = {}
        for number, row in rows:
            with found.findings.entry(str(table), number):
                if isinstance(row, ValueError):
                    raise row
                name = checked_field(Name, row, "file_name")
                split = SPLITS.get(table.parent.name, "") if table.parent != path else ""
                photo = photos.setdefault(name, PhotoRecord(name, split=split, row=number, folder=table.parent))
                photo.points.append(_point(row))
        for photo in photos.values():
            photo.points = without_lone_groups(photo.points)
        found.photos += photos.values()
    return found


def _point(row: Mapping[str, Any]) -> PointRecord:
    attributes = row.get("attributes") or {}
    attributes = parsed(attributes) if isinstance(attributes, str) else attributes
    if not isinstance(attributes, Mapping):
        raise ValueError(f"attributes must be a JSON object, got {shown(attributes)}")
    group, score = row.get("group"), row.get("score")
    return PointRecord(
        checked_field(Cell, row, "x"),
        checked_field(Cell, row, "y"),
        words(row.get("text")),
        words(row.get("label")),
        words(row.get("name")),
        None if group in (None, "") else int(checked(Cell, group)),
        row.get("occluded") in ("1", 1, True),
        None if score in (None, "") else checked(Cell, score),
        {name: words(value) for name, value in attributes.items()},
    )


def write(photos: Sequence[PhotoRecord], folder: Path) -> Losses:
    """Write ``metadata.csv``, in a subfolder for each split where there are splits."""
    points = [point for photo in photos for point in photo.points]
    used = [name for name in _FURTHER if any(is_given(getattr(point, name)) for point in points)]
    for split in dict.fromkeys(photo.split for photo in photos):
        target = folder / split
        target.mkdir(parents=True, exist_ok=True)
        rows = (_row(photo, point) for photo in photos if photo.split == split for point in photo.points)
        columns = (*_COLUMNS, *used)
        kept = ({name: row[name] for name in columns} for row in rows)
        with (target / FILES[0]).open("w", encoding="utf-8", newline="") as file:
            file.write(csv_text(columns, kept))
    losses = Losses()
    losses.count_photos(photos, "absent")
    if empty := sum(not photo.points for photo in photos):
        losses["photos without a point"] += empty
    return losses


def _row(photo: PhotoRecord, point: PointRecord) -> dict[str, Any]:
    optional = {
        "name": point.name,
        "group": "" if point.group is None else point.group,
        "occluded": int(point.occluded),
        "score": "" if point.score is None else round(point.score, 6),
        "attributes": json.dumps(dict(point.attributes), ensure_ascii=False) if point.attributes else "",
    }
    place = {"file_name": photo.file_name, "x": round(point.x, 3), "y": round(point.y, 3)}
    return {**place, "text": point.text, "label": point.label, **optional}


FORMAT = Format(
    "points",
    "Talking Points folder",
    "photos with metadata.csv or metadata.jsonl (file_name, x, y, text, label)",
    fits,
    read,
    write,
    lambda photo: f"{photo.split}/{photo.file_name}" if photo.split else photo.file_name,
    needs_photos=True,
)
