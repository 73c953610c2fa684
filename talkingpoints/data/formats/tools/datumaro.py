"""Datumaro JSON: ``annotations/SUBSET.json``.

Layout (CVAT's and Datumaro's format pages): ``items[{id, image{path, size: [HEIGHT, WIDTH]}, annotations[{type:
"points", points: [x0, y0, ..], visibility: [0/1/2, ..], label_id, group}]}]``; labels under
``categories.label.labels``, names of keypoints under ``categories.points.items``. Pixels; visibility 0 says "not
there", 1 "hidden". A text is a ``caption`` of the same group: one for all its points, or one for each.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NotRequired

from typing_extensions import TypedDict

from talkingpoints.data.formats.interface import (
    Format,
    ReadOptions,
    any_json_fits,
    folder_of,
    json_contents,
    words,
)
from talkingpoints.data.formats.records import UNLABELLED, Annotations, PhotoRecord, PointRecord, without_lone_groups
from talkingpoints.data.formats.tools.datumaro_items import ABSENT, HIDDEN, SEEN, WHOLE_SUBSET, write
from talkingpoints.data.validation.fields import Name, Number, Side, Whole, checked


class _Image(TypedDict):
    path: NotRequired[str | None]
    size: NotRequired[list[Side] | None]


class _Item(TypedDict):
    id: Name
    image: NotRequired[_Image | None]
    annotations: NotRequired[list[dict[str, Any]] | None]


class _Points(TypedDict):
    points: list[Number]
    label_id: NotRequired[Whole | None]
    group: NotRequired[Whole | None]
    visibility: NotRequired[list[Whole] | None]
    attributes: NotRequired[dict[str, Any] | None]


def _is_datumaro(content: Any) -> bool:
    return isinstance(content, dict) and isinstance(content.get("items"), list) and "categories" in content


def fits(path: Path) -> bool:
    """Whether there is a JSON file with ``items`` and ``categories``."""
    return any_json_fits(path, _is_datumaro)


def read(path: Path, options: ReadOptions) -> Annotations:
    """Points with their captions; other annotations are left out."""
    found = Annotations([], str(path))
    for file, content in json_contents(path, _is_datumaro, found):
        labels, names = _categories(content["categories"])
        root = folder_of(path) if file.parent.name != "annotations" else file.parent.parent
        split = "" if file.stem == WHOLE_SUBSET else file.stem
        for row, entry in enumerate(content["items"]):
            where = f"{file}, items (row 0 is the first)"
            with found.findings.entry(where, row):
                item = checked(_Item, entry)
                image = item.get("image") or {}
                name = words(image.get("path")) or item["id"]
                size = image.get("size")
                if size is not None and len(size) != 2:
                    raise ValueError(f"image.size must be [height, width], got {size}")
                photo = PhotoRecord(name, (size[0], size[1]) if size else None, split=split, row=row, folder=root)
                photo.points = _points_of(item.get("annotations") or [], labels, names, found)
                found.photos.append(photo)
    return found


def _categories(categories: Any) -> tuple[list[str], dict[int, list[str]]]:
    """Labels in order, and names of keypoints by number of label."""
    try:
        labels = [words(label["name"]) for label in categories.get("label", {}).get("labels", [])]
        items = categories.get("points", {}).get("items", [])
        names = {item["label_id"]: [words(name) for name in item["labels"]] for item in items}
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(
            f"categories must hold label.labels[{{name}}], points.items[{{label_id}}]: {error!r}"
        ) from None
    return labels, names


def _points_of(
    annotations: Sequence[dict[str, Any]], labels: list[str], names: dict[int, list[str]], found: Annotations
) -> list[PointRecord]:
    captions: dict[int, list[str]] = {}
    given: list[PointRecord] = []
    largest = max((one.get("group") or 0 for one in annotations if isinstance(one.get("group"), int)), default=0)
    for number, one in enumerate(annotations):
        if one.get("type") == "caption":
            captions.setdefault(one.get("group") or 0, []).append(words(one.get("caption")))
        elif one.get("type") == "points":
            shape = checked(_Points, one)
            group = shape.get("group") or largest + 1 + number
            given += _shape_points(shape, group, labels, names, found)
        else:
            found.left_out[f"annotations of type {one.get('type')}"] += 1
    return without_lone_groups(_with_texts(given, captions, found))


def _shape_points(
    shape: _Points, group: int, labels: list[str], names: dict[int, list[str]], found: Annotations
) -> list[PointRecord]:
    values, label_id = shape["points"], shape.get("label_id")
    if len(values) % 2:
        raise ValueError(f"points must be [x0, y0, x1, y1, ...], got {len(values)} numbers")
    if label_id is not None and not 0 <= label_id < len(labels):
        raise ValueError(f"label_id {label_id} is not in categories.label, which has {len(labels)} labels")
    pairs = list(zip(values[::2], values[1::2], strict=True))
    visibility = shape.get("visibility") or [SEEN] * len(pairs)
    if len(visibility) != len(pairs):
        raise ValueError(f"{len(visibility)} visibilities for {len(pairs)} points")
    keypoints = names.get(label_id, []) if label_id is not None else []
    label = "" if label_id is None else labels[label_id]
    attributes = {name: words(value) for name, value in (shape.get("attributes") or {}).items()}
    points = []
    for position, ((x, y), visible) in enumerate(zip(pairs, visibility, strict=True)):
        if visible == ABSENT:
            found.left_out["keypoints that are marked as not there"] += 1
            continue
        name = keypoints[position] if len(keypoints) == len(pairs) else ""
        name = "" if name == UNLABELLED else name
        hidden = visible == HIDDEN
        points.append(PointRecord(x, y, "", label, name, group, hidden, attributes=attributes))
    return points


def _with_texts(points: list[PointRecord], captions: dict[int, list[str]], found: Annotations) -> list[PointRecord]:
    members: dict[int | None, int] = {}
    for point in points:
        members[point.group] = members.get(point.group, 0) + 1
    taken: dict[int | None, int] = {}
    texts = []
    for point in points:
        said = captions.get(point.group or 0, [])
        position = taken[point.group] = taken.get(point.group, -1) + 1
        one_each = len(said) == members[point.group]
        if said and not one_each and len(said) != 1:
            raise ValueError(f"group {point.group} has {members[point.group]} points and {len(said)} captions")
        texts.append((said[position] if one_each else said[0]) if said else "")
    found.left_out["captions of no point"] += sum(len(said) for key, said in captions.items() if key not in members)
    return [PointRecord(**{**vars(point), "text": text}) for point, text in zip(points, texts, strict=True)]


FORMAT = Format(
    "datumaro",
    "Datumaro JSON",
    'annotations/default.json with "categories" and "items" of "points" annotations',
    fits,
    read,
    write,
    lambda photo: f"images/{photo.split or WHOLE_SUBSET}/{photo.file_name}",
)
