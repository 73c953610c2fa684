"""Label files of YOLO-pose and their ``data.yaml``; see ``yolo_pose`` for the layout."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from talkingpoints.data.formats.records import (
    UNLABELLED,
    Losses,
    PhotoRecord,
    Skeleton,
    keypoint_names,
    no_label_note,
    skeletons,
)
from talkingpoints.data.validation.paths import below

SMALLEST_BOX = 0.02
"""Smallest side of a box that is drawn around points, as a share of the photo's."""
ABSENT, HIDDEN, SEEN = 0, 1, 2
"""Visibilities."""


def write(photos: Sequence[PhotoRecord], folder: Path) -> Losses:
    """Write ``data.yaml`` and ``labels/SPLIT/``."""
    losses = Losses()
    by_label = keypoint_names(photos)
    names = list(dict.fromkeys(name for rows in by_label.values() for name in rows))
    labels = {label: number for number, label in enumerate(by_label)}
    for photo in photos:
        file = below(folder, photo_place(photo).replace("images", "labels", 1))
        file.parent.mkdir(parents=True, exist_ok=True)
        lines = [_object(one, labels[one.label or UNLABELLED], names, photo, losses) for one in skeletons(photo.points)]
        file.with_suffix(".txt").write_text("".join(lines), encoding="utf-8")
        lone = [point for one in skeletons(photo.points) if not one.names for point in one.points]
        losses.count(lone, "group")
    splits = dict.fromkeys(photo.split or "train" for photo in photos)
    content: dict[str, Any] = {
        "path": ".",
        **{split: f"images/{split}" for split in splits},
        "names": {number: label for label, number in labels.items()},
        "kpt_shape": [len(names), 3],
        "flip_idx": [
            names.index(mirrored) if (mirrored := _mirrored(name)) in names else i for i, name in enumerate(names)
        ],
        "kpt_names": dict.fromkeys(labels.values(), names),
    }
    if "val" not in content:
        content["val"] = content.get("train", content.get("test"))  # the trainer wants one
        losses["splits for validation (the training photos are named in its place)"] += 1
    (folder / "data.yaml").write_text(yaml.safe_dump(content, allow_unicode=True, sort_keys=False), encoding="utf-8")
    losses.count((point for photo in photos for point in photo.points), "text", "score", "attributes")
    losses.count_photos(photos, "absent")
    no_label_note(losses, photos)
    return losses


def _mirrored(name: str) -> str:
    swap = {"left": "right", "right": "left", "Left": "Right", "Right": "Left"}
    return next((name.replace(one, other) for one, other in swap.items() if one in name), name)


def _object(one: Skeleton, number: int, names: Sequence[str], photo: PhotoRecord, losses: Losses) -> str:
    height, width = photo.size or (1, 1)
    given = dict(zip(one.names or (UNLABELLED,), one.points, strict=True))
    values: list[float] = []
    for axis, side in (("x", width), ("y", height)):
        places = [getattr(point, axis) / side for point in one.points]
        low, high = min(places), max(places)
        grow = max(0.0, SMALLEST_BOX - (high - low)) / 2
        values += [max(0.0, low - grow), min(1.0, high + grow)]
    losses["boxes of objects (drawn around their points, since each object needs one)"] += 1
    x0, x1, y0, y1 = values
    row = [(x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0]
    line = [str(number), *(f"{value:.8f}" for value in row)]
    for name in names:
        point = given.get(name)
        seen = ABSENT if point is None else HIDDEN if point.occluded else SEEN
        x, y = (point.x / width, point.y / height) if point else (0.0, 0.0)
        line += [f"{x:.8f}", f"{y:.8f}", str(seen)]
    return " ".join(line) + "\n"


def photo_place(photo: PhotoRecord) -> str:
    """``images/SPLIT/PHOTO``."""
    return f"images/{photo.split or 'train'}/{photo.file_name}"
