"""VGG Image Annotator 2: JSON (annotations or a project) and CSV are read, JSON is written.

Layout: ``{KEY: {filename, size, regions[{shape_attributes: {name: "point", cx, cy}, region_attributes}]}}``, in a
project below ``_via_img_metadata``; the CSV has seven columns with JSON inside. Pixels. Text and label are attributes
that the user names.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from talkingpoints.data.formats.interface import (
    Format,
    ReadOptions,
    any_json_fits,
    files_below,
    folder_of,
    json_contents,
    words,
)
from talkingpoints.data.formats.records import Annotations, Losses, PhotoRecord, PointRecord, without_lone_groups
from talkingpoints.data.validation.fields import Name, Number, checked, shown
from talkingpoints.data.validation.files import parsed, read_text, table_rows

_SHAPE, _ATTRIBUTES = "region_shape_attributes", "region_attributes"
_LABELS = ("label", "class", "type", "name")


def _images(content: Any) -> Any:
    return content.get("_via_img_metadata", content) if isinstance(content, dict) else None


def _is_via(content: Any) -> bool:
    images = _images(content)
    first = next(iter(images.values()), None) if isinstance(images, dict) else None
    return isinstance(first, dict) and "filename" in first and "regions" in first


def _csv_files(path: Path) -> Iterator[Path]:
    for file in files_below(path, ".csv"):
        if file.suffix.lower() == ".csv" and _SHAPE in read_text(file).partition("\n")[0]:
            yield file


def fits(path: Path) -> bool:
    """Whether there is VIA's JSON or CSV."""
    if path.is_file() and path.suffix.lower() == ".csv":
        return next(_csv_files(path), None) is not None
    return any_json_fits(path, _is_via) or next(_csv_files(path), None) is not None


def read(path: Path, options: ReadOptions) -> Annotations:
    """Points of all files; other shapes are left out."""
    found = Annotations([], str(path))
    csv_only = path.is_file() and path.suffix.lower() == ".csv"
    for file, content in () if csv_only else json_contents(path, _is_via, found):
        images = _images(content)
        for row, (key, image) in enumerate(images.items()):
            where = f"{file} (row 0 is the first photo)"
            with found.findings.entry(where, row, f", {shown(key)}"):
                if not isinstance(image, Mapping):
                    raise ValueError("must be an object")
                photo = PhotoRecord(checked(Name, image.get("filename")), row=row, folder=folder_of(path))
                regions = image.get("regions") or []
                found.photos.append(photo)
                for number, region in enumerate(regions.values() if isinstance(regions, Mapping) else regions):
                    with found.findings.entry(where, row, f", {shown(key)}, region {number}"):
                        if not isinstance(region, Mapping):
                            raise ValueError(f"must be an object, got {shown(region)}")
                        shape, attributes = region.get("shape_attributes"), region.get(_ATTRIBUTES)
                        photo.points += _points(shape, attributes, options, found)
                photo.points = without_lone_groups(photo.points)
    for file in _csv_files(path):
        _read_csv(file, folder_of(path), options, found)
    return found


def _read_csv(file: Path, folder: Path, options: ReadOptions, found: Annotations) -> None:
    photos: dict[str, PhotoRecord] = {}
    for number, row in table_rows(file)[1]:
        with found.findings.entry(str(file), number):
            if isinstance(row, ValueError):
                raise row
            name = checked(Name, row.get("filename"))
            photo = photos.setdefault(name, PhotoRecord(name, row=number, folder=folder))
            shape, attributes = parsed(row.get(_SHAPE) or "{}"), parsed(row.get(_ATTRIBUTES) or "{}")
            if shape:  # photos without regions have a row, too
                photo.points += _points(shape, attributes, options, found)
    for photo in photos.values():
        photo.points = without_lone_groups(photo.points)
    found.photos += photos.values()


def _points(shape: Any, attributes: Any, options: ReadOptions, found: Annotations) -> list[PointRecord]:
    if not isinstance(shape, Mapping):
        raise ValueError(f"shape_attributes must be an object, got {shown(shape)}")
    if shape.get("name") != "point":
        found.left_out[f"regions of shape {shape.get('name')}"] += 1
        return []
    if not isinstance(attributes or {}, Mapping):
        raise ValueError(f"region_attributes must be an object, got {shown(attributes)}")
    given = {words(name): _value(value) for name, value in (attributes or {}).items()}
    text = given.pop(options.text_attribute, "")
    named = options.label_attribute
    label = given.pop(named if named in given else next((one for one in _LABELS if given.get(one)), ""), "")
    group, score = given.pop("group", ""), given.pop("score", "")
    point = PointRecord(
        checked(Number, shape.get("cx")),
        checked(Number, shape.get("cy")),
        text,
        label,
        given.pop("name", ""),
        int(group) if group.isdecimal() else None,
        given.pop("occluded", "") == "1",
        float(score) if score.replace(".", "", 1).isdecimal() else None,
        {name: value for name, value in given.items() if value},
    )
    return [point]


def _value(value: Any) -> str:
    """A text; of a checkbox {option: true} the chosen options."""
    if isinstance(value, Mapping):
        return ", ".join(words(option) for option, chosen in value.items() if chosen)
    return words(value)


def write(photos: Sequence[PhotoRecord], folder: Path) -> Losses:
    """Write ``via_region_data.json``, with texts and labels in the attributes ``text`` and ``label``."""
    losses = Losses()
    images = {}
    for photo in photos:
        size = photo.path.stat().st_size if photo.path else -1
        regions = [
            {"shape_attributes": {"name": "point", "cx": round(p.x, 3), "cy": round(p.y, 3)}, _ATTRIBUTES: _words_of(p)}
            for p in photo.points
        ]
        entry = {"filename": photo.file_name, "size": size, "regions": regions, "file_attributes": {}}
        images[f"{photo.file_name}{size}"] = entry
    (folder / "via_region_data.json").write_text(json.dumps(images, ensure_ascii=False), encoding="utf-8")
    losses.count_photos(photos, "absent", "split")
    return losses


def _words_of(point: PointRecord) -> dict[str, str]:
    """The attributes of a point; a label always, since readers would else take another attribute for it."""
    ours = {
        "text": point.text,
        "label": point.label,
        "name": point.name,
        "group": "" if point.group is None else str(point.group),
        "occluded": "1" if point.occluded else "",
        "score": "" if point.score is None else f"{point.score:.6f}",
    }
    return {**point.attributes, **{name: value for name, value in ours.items() if value or name == "label"}}


FORMAT = Format(
    "via",
    "VGG Image Annotator 2",
    'JSON with "regions" that have "shape_attributes", or a CSV with a column region_shape_attributes',
    fits,
    read,
    write,
)
