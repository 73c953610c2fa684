"""Items as Datumaro's JSON has them; see ``datumaro`` for the layout."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from talkingpoints.data.formats.records import (
    UNLABELLED,
    Losses,
    PhotoRecord,
    PointRecord,
    keypoint_names,
    no_label_note,
    skeletons,
)

WHOLE_SUBSET = "default"
ABSENT, HIDDEN, SEEN = 0, 1, 2
"""Visibilities."""


def write(photos: Sequence[PhotoRecord], folder: Path) -> Losses:
    """Write ``annotations/SUBSET.json`` for each split."""
    losses = Losses()
    names = keypoint_names(photos)
    labels = list(names)
    items = [{"label_id": labels.index(label), "labels": keypoints, "joints": []} for label, keypoints in names.items()]
    categories = {
        "label": {"labels": [{"name": name, "parent": "", "attributes": []} for name in labels], "attributes": []},
        "points": {"items": items, "attributes": []},
    }
    target = folder / "annotations"
    target.mkdir(parents=True, exist_ok=True)
    for split in dict.fromkeys(photo.split for photo in photos):
        entries = [_item(photo, names, losses) for photo in photos if photo.split == split]
        content = {"info": {}, "categories": categories, "items": entries}
        file = target / f"{split or WHOLE_SUBSET}.json"
        file.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    losses.count((point for photo in photos for point in photo.points), "score")
    losses.count_photos(photos, "absent")
    no_label_note(losses, photos)
    return losses


def _item(photo: PhotoRecord, names: dict[str, list[str]], losses: Losses) -> dict[str, Any]:
    labels = list(names)
    annotations: list[dict[str, Any]] = []
    largest = max((point.group or 0 for point in photo.points), default=0)
    by_group: dict[int, list[PointRecord]] = {}
    for number, one in enumerate(skeletons(photo.points)):
        group = one.group if one.group else largest + 1 + number
        label = one.label or UNLABELLED
        given = dict(zip(one.names or (UNLABELLED,), one.points, strict=True))
        pairs = [(name, given.get(name)) for name in names[label]]
        by_group.setdefault(group, []).extend(point for _, point in pairs if point is not None)
        annotations.append(
            {
                "id": number,
                "type": "points",
                "attributes": dict(one.shared("attributes", losses) or {}),
                "group": group,
                "label_id": labels.index(label),
                "z_order": 0,
                "points": [round(v, 3) for _, point in pairs for v in ((point.x, point.y) if point else (0.0, 0.0))],
                "visibility": [ABSENT if p is None else HIDDEN if p.occluded else SEEN for _, p in pairs],
            }
        )
    for group, points in by_group.items():
        if any(point.text for point in points):
            annotations += [
                {"id": 0, "type": "caption", "attributes": {}, "group": group, "caption": p.text} for p in points
            ]
    height, width = photo.size or (0, 0)
    name = Path(photo.file_name)
    image = {"path": photo.file_name, "size": [height, width]}
    return {"id": name.with_suffix("").as_posix(), "annotations": annotations, "attr": {}, "image": image}
