"""Points for FiftyOne and supervision, in memory, where these packages are installed.

FiftyOne has points from 0 to 1 and takes further words as attributes; ``supervision.KeyPoints`` has pixels, and words
in its ``data``.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from talkingpoints.data.formats.records import Annotations, PhotoRecord, PointRecord, skeletons, without_lone_groups
from talkingpoints.points import to_pixels, to_unit

_WORDS = ("text", "group", "occluded", "names")


def to_fiftyone(photos: Iterable[PhotoRecord], field: str = "points") -> list[Any]:
    """Photos -> ``fiftyone.Sample`` each, with ``Keypoints`` in ``field``; ``Dataset.add_samples`` takes them.

    Args:
        photos: at hand (``path``), with sizes.
        field: of the samples.

    Raises:
        ImportError: If fiftyone is not installed.
        ValueError: If a photo has no path or no size.
    """
    import fiftyone

    samples = []
    for photo in photos:
        if photo.path is None or photo.size is None:
            raise ValueError(f"{photo.file_name!r} is not at hand; FiftyOne needs the file")
        sample = fiftyone.Sample(filepath=str(photo.path), tags=[photo.split] if photo.split else [])
        sample[field] = fiftyone.Keypoints(keypoints=[_keypoint(one, photo.size) for one in photo.points])
        samples.append(sample)
    return samples


def _keypoint(point: PointRecord, size: tuple[int, int]) -> Any:
    import fiftyone

    x, y = to_unit((point.x, point.y), size).tolist()
    score = {} if point.score is None else {"confidence": [point.score]}
    further: dict[str, Any] = {"text": point.text, "keypoint": point.name, "occluded": point.occluded}
    further |= {} if point.group is None else {"group": point.group}
    return fiftyone.Keypoint(label=point.label or None, points=[(x, y)], **score, **further, **point.attributes)


def from_fiftyone(samples: Iterable[Any], field: str = "points") -> Annotations:
    """FiftyOne's samples -> photos with points; ``text``, ``keypoint``, ``group`` and ``occluded`` are read if there.

    Args:
        samples: a dataset, a view or a list; with metadata (``compute_metadata``), or photos that can be read.
        field: of ``Keypoints``.

    Raises:
        ValueError: If a sample's field holds no ``Keypoints``.
    """
    from pathlib import Path

    from talkingpoints.data.validation.photos import seen_size

    found = Annotations([], "FiftyOne samples")
    for row, sample in enumerate(samples):
        keypoints = sample[field]
        if keypoints is not None and type(keypoints).__name__ != "Keypoints":
            raise ValueError(f"sample {row}: {field!r} holds {type(keypoints).__name__}; it must hold Keypoints")
        path = Path(sample["filepath"])
        size = seen_size(path)
        photo = PhotoRecord(path.name, size, row=row, folder=path.parent, path=path)
        photo.split = next((tag for tag in sample["tags"] or [] if tag in ("train", "val", "test")), "")
        for number, one in enumerate(keypoints.keypoints if keypoints is not None else ()):
            photo.points += _points(one, size, -number - 1)
        photo.points = without_lone_groups(photo.points)
        found.photos.append(photo)
    return found


def _points(one: Any, size: tuple[int, int], alone: int) -> list[PointRecord]:
    known = {name: one[name] for name in one.field_names if name in ("text", "keypoint", "group", "occluded")}
    scores = one.confidence or [None] * len(one.points)
    scores = scores if isinstance(scores, Sequence) else [scores] * len(one.points)
    points = []
    for place, score in zip(one.points, scores, strict=True):
        if np.isnan(place).any():  # how FiftyOne marks keypoints that are not there
            continue
        x, y = to_pixels(place, size).tolist()
        group = known.get("group") or alone
        words = known.get("text") or "", one.label or "", known.get("keypoint") or ""
        points.append(PointRecord(x, y, *words, group, bool(known.get("occluded")), score))
    return points


def to_supervision(photo: PhotoRecord) -> Any:
    """A photo's points -> ``supervision.KeyPoints`` in pixels: (objects, keypoints, 2), places of missing ones 0.

    ``data`` holds ``text``, ``label`` and ``name``, arrays (objects, keypoints); ``class_id`` counts the labels in
    alphabetical order.

    Raises:
        ImportError: If supervision is not installed.
    """
    import supervision

    objects = skeletons(photo.points)
    if not objects:
        return supervision.KeyPoints.empty()
    names = list(dict.fromkeys(name for one in objects for name in one.names or ("",)))
    xy = np.zeros((len(objects), len(names), 2), np.float32)
    scores = np.zeros((len(objects), len(names)), np.float32)
    words = np.full((2, len(objects), len(names)), "", dtype=object)
    for row, one in enumerate(objects):
        for name, point in zip(one.names or ("",), one.points, strict=True):
            column = names.index(name)
            xy[row, column] = point.x, point.y
            scores[row, column] = 1.0 if point.score is None else point.score
            words[:, row, column] = point.text, name
    labels = sorted({one.label for one in objects})
    class_id = np.array([labels.index(one.label) for one in objects])
    data = {"text": words[0], "name": words[1], "label": np.array([one.label for one in objects], dtype=object)}
    return supervision.KeyPoints(xy=xy, class_id=class_id, confidence=scores, data=data)
