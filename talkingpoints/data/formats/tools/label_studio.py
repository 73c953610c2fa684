"""Label Studio JSON: tasks are read, predictions are written.

Layout (labelstud.io, export and result format): ``{data: {image}, annotations: [{result, was_cancelled}], predictions:
[{model_version, score, result}]}``; a result is ``{id, type: "keypointlabels", original_width, original_height,
image_rotation, value: {x, y, width, keypointlabels}}``, in percent of the photo. Free text is a second result of the
same id, ``type: "textarea"``. The raw JSON is read, since Label Studio's own COCO export merges the points of a task.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NotRequired
from urllib.parse import parse_qs, unquote, urlsplit

from typing_extensions import TypedDict

from talkingpoints.data.formats.interface import (
    Format,
    ReadOptions,
    any_json_fits,
    folder_of,
    json_contents,
    words,
)
from talkingpoints.data.formats.records import Annotations, PhotoRecord, PointRecord
from talkingpoints.data.formats.tools.label_studio_predictions import write
from talkingpoints.data.validation.fields import Number, Side, checked, shown

_UPLOADED = re.compile(r"^[0-9a-f]{8}-(?=.)")
_POINTS = ("keypointlabels", "keypoint")


class _Value(TypedDict):
    x: Number
    y: Number
    keypointlabels: NotRequired[list[str] | None]


class _Result(TypedDict):
    original_width: Side
    original_height: Side
    image_rotation: NotRequired[Number | None]
    score: NotRequired[Number | None]
    value: _Value


def _is_tasks(content: Any) -> bool:
    tasks = content if isinstance(content, list) else [content]
    return bool(tasks) and all(
        isinstance(task, dict)
        and isinstance(task.get("data"), dict)
        and ("annotations" in task or "predictions" in task or "completions" in task)
        for task in tasks[:20]
    )


def fits(path: Path) -> bool:
    """Whether there is a JSON file with tasks that have ``data`` and ``annotations`` or ``predictions``."""
    return any_json_fits(path, _is_tasks)


def read(path: Path, options: ReadOptions) -> Annotations:
    """The points of all tasks: of the last annotation that was not skipped, or of the best prediction."""
    found = Annotations([], str(path))
    for file, content in json_contents(path, _is_tasks, found):
        for row, task in enumerate(content if isinstance(content, list) else [content]):
            where = f"{file} (row 0 is the first task)"
            number = shown(task.get("id")) if isinstance(task, Mapping) else ""
            with found.findings.entry(where, row, f", task {number}"):
                photo = _photo(task, row, folder_of(path), found)
                if photo is not None:
                    found.photos.append(photo)
    return found


def _photo(task: Any, row: int, folder: Path, found: Annotations) -> PhotoRecord | None:
    if not isinstance(task, Mapping) or not isinstance(task.get("data"), Mapping):
        raise ValueError("a task must be an object with 'data'")
    results = _chosen(task, found)
    if results is None:
        found.left_out["tasks that were skipped or not annotated"] += 1
        return None
    data = task["data"]
    name = data.get("image") or next((v for v in data.values() if isinstance(v, str) and "." in v), None)
    if not isinstance(name, str):
        raise ValueError("data: names no photo; it must hold 'image'")
    photo = PhotoRecord(_file_name(name), row=row, folder=folder)
    last = unquote(urlsplit(name).path).rpartition("/")[2]  # as Label Studio's own folder of uploads has it
    photo.other_names = (last, photo.file_name.rpartition("/")[2])
    words_of: dict[str, list[Mapping[str, Any]]] = {}
    for result in results:
        if result.get("type") not in _POINTS and result.get("id") is not None:
            words_of.setdefault(str(result["id"]), []).append(result)
    points = set()
    for result in results:
        if result.get("type") in _POINTS:
            photo.points.append(_point(result, words_of.get(str(result.get("id")), []), photo))
            points.add(str(result.get("id")))
    for key, others in words_of.items():
        if key not in points:
            for other in others:
                found.left_out[f"results of type {other.get('type')}"] += 1
    return photo


def _chosen(task: Mapping[str, Any], found: Annotations) -> list[Mapping[str, Any]] | None:
    """The results of one annotation, else of one prediction; None if there is none."""
    groups: dict[str, list[Any]] = {}
    for kind in ("annotations", "completions", "predictions"):
        listed = task.get(kind) or []
        if not isinstance(listed, list) or not all(isinstance(one, Mapping) for one in listed):
            raise ValueError(f"{kind} must be a list of objects; ids alone come with a short export, take 'JSON'")
        groups[kind] = listed
    done = [one for one in groups["annotations"] + groups["completions"] if not one.get("was_cancelled")]
    found.left_out["predictions of annotated tasks"] += len(groups["predictions"]) if done else 0
    if not done and not groups["annotations"] and groups["predictions"]:
        done = sorted(groups["predictions"], key=lambda one: one.get("score") or 0.0)
        found.left_out["predictions with a lower score"] += len(done) - 1
    elif done:
        done.sort(key=lambda one: bool(one.get("ground_truth")))
        found.left_out["other annotators' annotations of a task"] += len(done) - 1
    if not done:
        return None
    results = done[-1].get("result") or []
    if not isinstance(results, list) or not all(isinstance(one, Mapping) for one in results):
        raise ValueError("result must be a list of objects")
    return results


def _point(result: Mapping[str, Any], others: Sequence[Mapping[str, Any]], photo: PhotoRecord) -> PointRecord:
    checked_result = checked(_Result, result)
    value = checked_result["value"]
    if checked_result.get("image_rotation"):
        raise ValueError(
            f"image_rotation is {checked_result['image_rotation']:g}: points of photos that were turned in Label "
            "Studio are not read; turn the photo itself"
        )
    size = checked_result["original_height"], checked_result["original_width"]
    if photo.size not in (None, size):
        raise ValueError(f"original_width, original_height: {size[::-1]}, but {photo.size[::-1]} before in this task")
    photo.size = size
    labels = value.get("keypointlabels") or [""]
    text, attributes = "", {}
    for other in others:
        given = other.get("value")
        given = given if isinstance(given, Mapping) else {}
        said = "\n".join(_strings(given.get(str(other.get("type")), given.get("text"))))
        if other.get("type") == "textarea" and not text:
            text = said
        else:
            attributes[str(other.get("from_name") or other.get("type"))] = said
    point = value["x"] / 100 * size[1], value["y"] / 100 * size[0]
    return PointRecord(*point, words(text), ", ".join(labels), score=checked_result.get("score"), attributes=attributes)


def _strings(value: Any) -> Iterator[str]:
    for one in value if isinstance(value, list) else [value]:
        if one is not None:
            yield words(one)


def _file_name(image: str) -> str:
    """The photo that a task names: a path below the storage, or a URL as it is.

    Uploads lie at ``/data/upload/PROJECT/HASH-NAME``, local files at ``/data/local-files/?d=PATH``.
    """
    parts = urlsplit(image)
    if parts.scheme in ("http", "https"):
        return image
    if "d" in parse_qs(parts.query):
        return parse_qs(parts.query)["d"][0].lstrip("/")
    path = unquote(parts.path) if parts.scheme or image.startswith("/data/") else image
    if path.startswith("/data/upload/"):
        return _UPLOADED.sub("", path.rpartition("/")[2])
    return path.lstrip("/")


FORMAT = Format(
    "label_studio",
    "Label Studio JSON",
    'the export "JSON" (not JSON-MIN): tasks with "data" and "annotations" or "predictions" of type "keypointlabels"',
    fits,
    read,
    write,
)
