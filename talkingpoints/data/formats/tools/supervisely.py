"""Supervisely: ``meta.json``, and for each data set ``DATASET/ann/PHOTO.json`` beside ``DATASET/img/PHOTO``.

Layout (developer.supervisely.com, annotation format): ``objects[{geometryType: "point", classTitle, points: {exterior:
[[x, y]], interior: []}, description, tags}]``; of a graph ``nodes{uuid: {loc: [x, y]}}``, whose names are in meta.json
under ``classes[].geometry_config.nodes{uuid: {label}}``. Pixels.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from talkingpoints.data.formats.interface import SPLITS, Format, ReadOptions, files_below, words
from talkingpoints.data.formats.records import (
    UNLABELLED,
    Annotations,
    Losses,
    PhotoRecord,
    PointRecord,
    Skeleton,
    no_label_note,
    skeletons,
    without_lone_groups,
)
from talkingpoints.data.validation.fields import Number, Side, checked, shown
from talkingpoints.data.validation.files import read_json, read_object
from talkingpoints.data.validation.paths import below

_META = "meta.json"
_COLOUR = "#D0021B"


def fits(path: Path) -> bool:
    """Whether it is a folder with ``meta.json`` and a folder ``ann``."""
    return path.is_dir() and (path / _META).is_file() and any(path.glob("**/ann"))


def read(path: Path, options: ReadOptions) -> Annotations:
    """Points and graphs of all data sets; other geometries are left out."""
    found = Annotations([], str(path))
    nodes = _node_names(read_object(path / _META, ("classes",)))
    row = 0
    for folder in sorted(path.glob("**/ann")):
        for file in files_below(folder, ".json"):
            with found.findings.entry(str(file), 0):
                content = read_json(file)
                if not isinstance(content, Mapping) or not isinstance(content.get("objects"), list):
                    raise ValueError("needs 'size' and a list 'objects'")
                size = content.get("size") or {}
                sides = checked(Side, size.get("height")), checked(Side, size.get("width"))
                inner = (folder.parent / "img" / file.name.removesuffix(".json")).relative_to(path).as_posix()
                photo = PhotoRecord(inner, sides, split=SPLITS.get(folder.parent.name, ""), row=row, folder=path)
                for number, one in enumerate(content["objects"]):
                    with found.findings.entry(str(file), number):
                        photo.points += _points(one, number + 1, nodes, found)
                photo.points = without_lone_groups(photo.points)
                found.photos.append(photo)
                row += 1
    return found


def _node_names(meta: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """For each class the names of its nodes by their ids."""
    names: dict[str, dict[str, str]] = {}
    for one in meta["classes"]:
        config = one.get("geometry_config") if isinstance(one, Mapping) else None
        nodes = config.get("nodes") if isinstance(config, Mapping) else None
        if isinstance(nodes, Mapping):
            names[words(one.get("title"))] = {
                str(key): words(node.get("label")) if isinstance(node, Mapping) else "" for key, node in nodes.items()
            }
    return names


def _points(one: Any, group: int, nodes: Mapping[str, dict[str, str]], found: Annotations) -> list[PointRecord]:
    if not isinstance(one, Mapping):
        raise ValueError(f"an object must be an object, got {shown(one)}")
    label, text, kind = words(one.get("classTitle")), words(one.get("description")), one.get("geometryType")
    attributes = {words(tag.get("name")): words(tag.get("value")) for tag in one.get("tags") or []}
    if kind == "point":
        exterior = one["points"].get("exterior") if isinstance(one.get("points"), Mapping) else None
        if not isinstance(exterior, list) or len(exterior) != 1:
            raise ValueError(f"points.exterior must be [[x, y]], got {shown(exterior)}")
        return [PointRecord(*_pair(exterior[0]), text, label, attributes=attributes)]
    if kind != "graph":
        found.left_out[f"objects of type {kind}"] += 1
        return []
    points = []
    for key, node in (one.get("nodes") or {}).items():
        if node.get("disabled"):
            found.left_out["keypoints that are marked as not there"] += 1
            continue
        name = nodes.get(label, {}).get(key, "")
        points.append(PointRecord(*_pair(node.get("loc")), text, label, name, group, attributes=attributes))
    return points


def _pair(value: Any) -> tuple[float, float]:
    pair = checked(list[Number], value)
    if len(pair) != 2:
        raise ValueError(f"a point must be [x, y], got {shown(value)}")
    return pair[0], pair[1]


def write(photos: Sequence[PhotoRecord], folder: Path) -> Losses:
    """Write ``meta.json``, and a data set for each split (``photos`` where there is none)."""
    losses = Losses()
    classes: dict[tuple[str, str], list[str]] = {}
    tags: set[str] = set()
    for photo in photos:
        objects = []
        for one in (part for whole in skeletons(photo.points) for part in _writable(whole)):
            kind = "graph" if one.names else "point"
            label = _title(one, photos)
            known = classes.setdefault((label, kind), [])
            known += [name for name in one.names if name not in known]
            objects.append(_object(one, label, kind))
            tags |= set(one.points[0].attributes)
            losses.count(one.points, "occluded", "score")
            losses.count([] if one.names else one.points, "group", "name")
        height, width = photo.size or (0, 0)
        content = {"description": "", "tags": [], "size": {"height": height, "width": width}, "objects": objects}
        file = below(folder, photo_place(photo).replace("/img/", "/ann/", 1) + ".json")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    meta = {
        "classes": [_class(label, kind, names) for (label, kind), names in classes.items()],
        "tags": [{"name": tag, "value_type": "any_string", "color": _COLOUR} for tag in sorted(tags)],
        "projectType": "images",
    }
    (folder / _META).write_text(json.dumps(meta, ensure_ascii=False), encoding="utf-8")
    losses.count_photos(photos, "absent")
    no_label_note(losses, photos)
    return losses


def _writable(one: Skeleton) -> list[Skeleton]:
    """A graph has one text and its own tags: keypoints with different ones become points."""
    first = one.points[0]
    if len(one.points) > 1 and all((p.text, p.attributes) == (first.text, first.attributes) for p in one.points):
        return [one]
    return [Skeleton(one.label, (), (point,)) for point in one.points]


def _title(one: Skeleton, photos: Sequence[PhotoRecord]) -> str:
    """A class has one geometry, so points of a label that has graphs, too, get a class of their own."""
    label = one.label or UNLABELLED
    if one.names:
        return label
    graphs = {
        w.label or UNLABELLED for p in photos for whole in skeletons(p.points) for w in _writable(whole) if w.names
    }
    return f"{label} (point)" if label in graphs else label


def _object(one: Skeleton, label: str, kind: str) -> dict[str, Any]:
    first = one.points[0]
    places = [[round(point.x, 3), round(point.y, 3)] for point in one.points]
    tags = [{"name": name, "value": value} for name, value in first.attributes.items()]
    shape: dict[str, Any] = {"classTitle": label, "geometryType": kind, "description": first.text, "tags": tags}
    if kind == "graph":
        return shape | {"nodes": {name: {"loc": place} for name, place in zip(one.names, places, strict=True)}}
    return shape | {"points": {"exterior": places, "interior": []}}


def _class(label: str, kind: str, names: Sequence[str]) -> dict[str, Any]:
    nodes = {name: {"label": name, "loc": [10 * i, 10 * i], "color": _COLOUR} for i, name in enumerate(names)}
    config = {"nodes": nodes, "edges": []} if kind == "graph" else {}
    return {"title": label, "shape": kind, "color": _COLOUR, "geometry_config": config}


def photo_place(photo: PhotoRecord) -> str:
    """``DATASET/img/PHOTO``; folders of the photo's name become part of it."""
    return f"{photo.split or 'photos'}/img/{photo.file_name.replace('/', '_')}"


FORMAT = Format(
    "supervisely",
    "Supervisely",
    "a folder with meta.json, and ann/ beside img/ in a folder for each data set",
    fits,
    read,
    write,
    photo_place,
    needs_photos=True,
)
