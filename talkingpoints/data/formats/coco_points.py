"""COCO keypoints, and Roboflow's flavour of it.

Layout: ``images``, ``categories[keypoints]``, ``annotations[keypoints: [x, y, v] * K]``; pixels; v is 0 for "not
there", 1 for "hidden", 2 for "seen". Roboflow's exports have ``train|valid|test/_annotations.coco.json`` beside the
photos, and a root category without keypoints. A point alone is an object with the one keypoint ``point``. Three keys
are our own: ``text`` (of the object, or one for each keypoint), ``group`` and ``attributes``.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NotRequired

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
    Skeleton,
    keypoint_names,
    no_label_note,
    skeletons,
    without_lone_groups,
)
from talkingpoints.data.validation.coco import (
    CocoAnnotation,
    CocoCategory,
    about,
    coco_categories,
    coco_images,
    image_of,
    listed_ids,
    source,
)
from talkingpoints.data.validation.fields import Number, Text, Whole, checked

_ABSENT, _HIDDEN, _SEEN = 0, 1, 2


class _Category(CocoCategory):
    keypoints: NotRequired[list[Text] | None]


class _Annotation(CocoAnnotation):
    keypoints: list[Number]
    text: NotRequired[Text | list[Text] | None]
    group: NotRequired[Whole | None]
    attributes: NotRequired[dict[str, Any] | None]
    score: NotRequired[Number | None]


def _is_coco(content: Any) -> bool:
    return isinstance(content, dict) and all(
        isinstance(content.get(name), list) for name in ("images", "annotations", "categories")
    )


def fits(path: Path) -> bool:
    """Whether there is a JSON file with ``images``, ``annotations`` and ``categories``, one of them with keypoints."""

    def keypoints(content: Any) -> bool:
        return _is_coco(content) and any(isinstance(one, dict) and "keypoints" in one for one in content["annotations"])

    return any_json_fits(path, keypoints)


def read(path: Path, options: ReadOptions) -> Annotations:
    """Keypoints of all files; annotations without keypoints are left out."""
    found = Annotations([], str(path))
    for file, content in json_contents(path, _is_coco, found):
        images = coco_images(file, content["images"], found.findings)
        listed = listed_ids(content["images"])
        categories = coco_categories(file, content["categories"], _Category)
        folder = file.parent if file.name.startswith("_annotations") else folder_of(path)
        if folder.name == "annotations":
            folder = folder.parent
        photos = {
            key: PhotoRecord(image["file_name"], (image["height"], image["width"]), row=row, folder=folder)
            for key, (row, image) in images.items()
        }
        for row, entry in enumerate(content["annotations"]):
            if isinstance(entry, Mapping) and "keypoints" not in entry:
                found.left_out["annotations without keypoints (boxes, masks)"] += 1
                continue
            with found.findings.entry(source(file, "annotations"), row, about(entry)):
                annotation = checked(_Annotation, entry)
                photo = image_of(annotation, photos, listed)
                category = categories.get(annotation["category_id"])
                if category is None:
                    raise ValueError(f"category_id {annotation['category_id']} is not in 'categories'")
                if photo is not None:
                    photo.points += _points(annotation, category, row + 1, found)
        for photo in photos.values():
            photo.split = split_of(file, path)
            photo.points = without_lone_groups(photo.points)
        found.photos += photos.values()
    return found


def _points(annotation: _Annotation, category: _Category, row: int, found: Annotations) -> list[PointRecord]:
    names = [words(name) for name in category.get("keypoints") or []]
    values = annotation["keypoints"]
    if len(values) % 3 or (names and len(values) != 3 * len(names)):
        wanted = f"3 * {len(names)}, as category {category['name']!r} says" if names else "a multiple of 3"
        raise ValueError(f"keypoints: {len(values)} numbers, must be {wanted}")
    count = len(values) // 3
    text = annotation.get("text") or ""
    texts = text if isinstance(text, list) else [text] * count
    if len(texts) != count:
        raise ValueError(f"text: {len(texts)} texts for {count} keypoints")
    attributes = {name: words(value) for name, value in (annotation.get("attributes") or {}).items()}
    group = annotation.get("group") or -row  # never that of another annotation
    points = []
    for i, (x, y, v) in enumerate(zip(values[::3], values[1::3], values[2::3], strict=True)):
        if v == _ABSENT:
            found.left_out["keypoints that are marked as not there"] += 1
            continue
        name = names[i] if names else ""
        name = "" if name == UNLABELLED else name
        score = annotation.get("score")
        label = words(category["name"])
        points.append(PointRecord(x, y, words(texts[i]), label, name, group, v == _HIDDEN, score, attributes))
    return points


def write(photos: Sequence[PhotoRecord], folder: Path) -> Losses:
    """Write ``annotations/SPLIT.json`` for each split."""
    losses = Losses()
    names = keypoint_names(photos)
    labels = {name: number for number, name in enumerate(names, start=1)}
    categories = [
        {"id": number, "name": name, "supercategory": "", "keypoints": names[name], "skeleton": []}
        for name, number in labels.items()
    ]
    target = folder / "annotations"
    target.mkdir(parents=True, exist_ok=True)
    for split in dict.fromkeys(photo.split or "train" for photo in photos):
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for number, photo in enumerate(photo for photo in photos if (photo.split or "train") == split):
            height, width = photo.size or (0, 0)
            images.append({"id": number, "file_name": photo.file_name, "width": width, "height": height})
            for one in skeletons(photo.points):
                numbers = {"id": len(annotations), "image_id": number, "category_id": labels[one.label or UNLABELLED]}
                annotations.append({**numbers, **_annotation(one, names[one.label or UNLABELLED], losses)})
        content = {"images": images, "categories": categories, "annotations": annotations}
        (target / f"{split}.json").write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    losses.count_photos(photos, "absent")
    no_label_note(losses, photos)
    return losses


def _annotation(one: Skeleton, names: list[str], losses: Losses) -> dict[str, Any]:
    given = dict(zip(one.names or (UNLABELLED,), one.points, strict=True))
    keypoints: list[float] = []
    for name in names:
        point = given.get(name)
        keypoints += (
            [0.0, 0.0, _ABSENT]
            if point is None
            else [round(point.x, 3), round(point.y, 3), _HIDDEN if point.occluded else _SEEN]
        )
    xs, ys = [point.x for point in one.points], [point.y for point in one.points]
    box = [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)]
    annotation: dict[str, Any] = {
        "keypoints": keypoints,
        "num_keypoints": len(one.points),
        "bbox": [round(value, 3) for value in box],
        "area": round(box[2] * box[3], 3),
        "iscrowd": 0,
    }
    if any(point.text for point in one.points):
        texts = [given[name].text if name in given else "" for name in names]
        annotation["text"] = texts if len(names) > 1 else texts[0]
    optional = {name: one.shared(name, losses) for name in ("attributes", "score")}
    annotation |= {name: value for name, value in optional.items() if value not in (None, {})}
    return annotation | ({} if one.group is None else {"group": one.group})


FORMAT = Format(
    "coco",
    "COCO keypoints (and Roboflow's)",
    'JSON with "images", "categories" and "annotations" that have "keypoints"; annotations/SPLIT.json, or '
    "train|valid|test/_annotations.coco.json",
    fits,
    read,
    write,
)
