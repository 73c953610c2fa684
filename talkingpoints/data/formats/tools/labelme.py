"""LabelMe JSON: a file for each photo, beside it.

Layout (labelme's ``_label_file.py``): ``shapes[{label, points: [[x, y]], shape_type: "point", group_id,
description}]``, ``imagePath`` (perhaps with backslashes), ``imageHeight``, ``imageWidth``. Pixels, upright by EXIF.
"""

import json
import posixpath
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NotRequired

from typing_extensions import TypedDict

from talkingpoints.data.formats.interface import (
    Format,
    ReadOptions,
    any_json_fits,
    folder_of,
    json_contents,
    split_of,
    words,
)
from talkingpoints.data.formats.records import (
    UNLABELLED,
    Annotations,
    Losses,
    PhotoRecord,
    PointRecord,
    no_label_note,
    without_lone_groups,
)
from talkingpoints.data.validation.fields import Number, Side, Text, Whole, checked, shown
from talkingpoints.data.validation.paths import below

VERSION = "5.5.0"


class _Shape(TypedDict):
    label: Text
    points: list[list[Number]]
    group_id: NotRequired[Whole | None]
    description: NotRequired[Text | None]


class _File(TypedDict):
    shapes: list[dict[str, Any]]
    imagePath: NotRequired[Text | None]
    imageHeight: NotRequired[Side | None]
    imageWidth: NotRequired[Side | None]


def _is_labelme(content: Any) -> bool:
    return isinstance(content, dict) and isinstance(content.get("shapes"), list) and "imagePath" in content


def fits(path: Path) -> bool:
    """Whether there is a JSON file with ``shapes`` and ``imagePath``."""
    return any_json_fits(path, _is_labelme)


def read(path: Path, options: ReadOptions) -> Annotations:
    """The points of all files; boxes, polygons and the like are left out."""
    found = Annotations([], str(path))
    root = folder_of(path)
    for row, (file, content) in enumerate(json_contents(path, _is_labelme, found)):
        where = str(file)
        with found.findings.entry(where, 0):
            given = checked(_File, content)
            name = words(given.get("imagePath")).replace("\\", "/")
            inner = posixpath.normpath((file.parent.relative_to(root) / PurePosixPath(name)).as_posix())
            below(root, inner)
            sides = given.get("imageHeight"), given.get("imageWidth")
            size = (sides[0], sides[1]) if sides[0] and sides[1] else None
            photo = PhotoRecord(inner, size, split=split_of(file, root), row=row, folder=root)
            for number, shape in enumerate(given["shapes"]):
                with found.findings.entry(where, number, f", shape {shown(shape.get('label'))}"):
                    _add(photo, shape, found)
            photo.points = without_lone_groups(photo.points)
            found.photos.append(photo)
    return found


def _add(photo: PhotoRecord, entry: Mapping[str, Any], found: Annotations) -> None:
    if entry.get("shape_type") != "point":
        found.left_out[f"shapes of type {entry.get('shape_type') or 'polygon'}"] += 1
        return
    shape = checked(_Shape, entry)
    if len(shape["points"]) != 1 or len(shape["points"][0]) != 2:
        raise ValueError(f"points must be [[x, y]], got {shown(shape['points'])}")
    x, y = shape["points"][0]
    flags = {name: words(value) for name, value in (entry.get("flags") or {}).items() if value}
    group = shape.get("group_id")
    photo.points.append(
        PointRecord(
            x,
            y,
            words(shape.get("description")),
            words(shape["label"]),
            group=None if group is None else group + 1,
            attributes=flags,
        )
    )


def write(photos: Sequence[PhotoRecord], folder: Path) -> Losses:
    """Write a JSON file for each photo, where the photo lies or is to lie."""
    losses = Losses()
    for photo in photos:
        file = below(folder, photo.file_name).with_suffix(".json")
        if file.exists():
            raise ValueError(f"{file} exists, or belongs to another photo of the same name")
        file.parent.mkdir(parents=True, exist_ok=True)
        height, width = photo.size or (None, None)
        content: dict[str, Any] = {
            "version": VERSION,
            "flags": {},
            "shapes": [
                {
                    "label": point.label or UNLABELLED,
                    "points": [[round(point.x, 3), round(point.y, 3)]],
                    "group_id": None if point.group is None else point.group - 1,
                    "description": point.text,
                    "shape_type": "point",
                    "flags": {},
                    "mask": None,
                }
                for point in photo.points
            ],
            "imagePath": PurePosixPath(photo.file_name).name,
            "imageData": None,
            "imageHeight": height,
            "imageWidth": width,
        }
        file.write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")
    losses.count((point for photo in photos for point in photo.points), "name", "occluded", "score", "attributes")
    losses.count_photos(photos, "absent", "split")
    no_label_note(losses, photos)
    return losses


FORMAT = Format(
    "labelme",
    "LabelMe JSON",
    'a JSON file for each photo with "shapes" and "imagePath"',
    fits,
    read,
    write,
    lambda photo: photo.file_name,
    needs_photos=True,
)
