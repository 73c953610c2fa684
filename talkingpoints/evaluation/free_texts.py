"""Texts written freely while looking at the photos: read from a file, and measured beside the writer's own.

A listener trained on one writer may know that writer's dialect only. The row ``free_text`` says how much of its skill
is left when somebody else speaks; ``reference`` on the same points says what it was.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NotRequired

import numpy as np
from datasets import Dataset
from typing_extensions import TypedDict

from talkingpoints.data.validation.fields import Name, Number, Text, checked
from talkingpoints.data.validation.files import read_json
from talkingpoints.evaluation.labelled_points import LabelledPoint, OpenedPhotos, by_photo, labelled_points
from talkingpoints.evaluation.metrics.bootstrap import bootstrap_difference
from talkingpoints.evaluation.metrics.pck import unit_errors
from talkingpoints.evaluation.predictions import localized
from talkingpoints.evaluation.protocol import Systems
from talkingpoints.evaluation.report import RowPredictions, image_scores, joined, row_figures
from talkingpoints.evaluation.written_texts import REFERENCE, written_texts
from talkingpoints.points import to_unit

REFERENCE_ROW = "reference"
_SAME_PX = 0.5  # a point of the file is the labelled keypoint that lies this near


@dataclass(frozen=True)
class FreeText:
    """A free text: ``image`` is the photo's file name, ``x``, ``y`` its pixels; ``dataset`` is the name of its folder,
    None if the file is for one dataset only."""

    image: str
    text: str
    x: float
    y: float
    dataset: str | None = None


class _Entry(TypedDict):
    image: Name
    text: Text
    x: Number
    y: Number
    dataset: NotRequired[Name | None]


def read_free_texts(path: Path) -> list[FreeText]:
    """Read a JSON list of {"image", "text", "x", "y"} and, in a file for several datasets, "dataset".

    Raises:
        ValueError: another layout, with the entry's number.
    """
    entries = read_json(path)
    if not isinstance(entries, list):
        raise ValueError(f"{path.name} must hold a list of texts, got {type(entries).__name__}")
    texts = []
    for number, entry in enumerate(entries):
        try:
            text = FreeText(**checked(_Entry, entry))
            if not text.text.strip():
                raise ValueError("the text is empty")
        except ValueError as error:
            raise ValueError(f"{path.name}, entry {number}: {error}") from None
        texts.append(text)
    return texts


def match_points(dataset: Dataset, texts: Sequence[FreeText]) -> list[LabelledPoint]:
    """The labelled keypoint that each text speaks of.

    Raises:
        ValueError: a photo or a keypoint is not in the split.
    """
    rows = {name: row for row, name in enumerate(dataset["file_name"])}
    by_row: dict[int, list[LabelledPoint]] = {}
    for point in labelled_points(dataset):
        by_row.setdefault(point.row, []).append(point)
    matched = []
    for text in texts:
        candidates = by_row.get(rows.get(text.image, -1), [])
        near = [
            point
            for point in candidates
            if np.abs(np.subtract(point.point, to_unit((text.x, text.y), point.size)) * point.size[::-1]).max()
            <= _SAME_PX
        ]
        if not near:
            raise ValueError(f"no labelled keypoint at ({text.x:g}, {text.y:g}) of {text.image!r} in this split")
        matched.append(near[0])
    return matched


def evaluate_free_texts(
    systems: Systems,
    sets: Sequence[tuple[Dataset, Sequence[FreeText]]],
    *,
    seed: int = 0,
    resamples: int = 1000,
) -> dict[str, Any]:
    """Measure free texts and the writer's on the same points, of one or several datasets together.

    Args:
        systems: who listens.
        sets: datasets, each with the texts about its photos.
        seed: of the written texts and the bootstrap.
        resamples: of the bootstrap.

    Returns:
        ``n_points``, the figures of the rows ``free_text`` and ``reference``, as in the report, with ``@NAME``
        behind them through each further listener, the ``difference`` of the first two, paired over photos, their
        ``ratio`` (None if the reference finds nothing), and ``texts``: each with its ``error_img`` (unit distance) and
        whether it was ``found``.
    """
    points: list[LabelledPoint] = []
    predictions: dict[str, list[RowPredictions]] = {}
    photos = 0  # so that photos of different datasets are different
    for dataset, texts in sets:
        own = match_points(dataset, texts)
        for name, row in _heard(systems, dataset, own, texts, seed).items():
            predictions.setdefault(name, []).append(row)
        points += [replace(point, row=point.row + photos) for point in own]
        photos += len(dataset)
    rows = {name: joined(parts) for name, parts in predictions.items()}
    images = np.array([point.row for point in points])
    scores = [image_scores(points, rows[name]) for name in ("free_text", REFERENCE_ROW)]
    interval = bootstrap_difference(scores[0], scores[1], images, seed=seed, resamples=resamples)
    free = rows["free_text"]
    errors = unit_errors(free.predictions, np.array([point.point for point in points]))
    said = [text for _, texts in sets for text in texts]
    return {
        "n_points": len(points),
        "rows": {name: row_figures(points, row, seed=seed, resamples=resamples) for name, row in rows.items()},
        "difference": {"mpck_img": interval.mean, "ci95": [interval.low, interval.high]},
        "ratio": float(scores[0].mean() / scores[1].mean()) if scores[1].any() else None,
        "texts": [
            {"image": text.image, "text": text.text, "error_img": round(error, 4), "found": found}
            for text, error, found in zip(said, errors.tolist(), free.found.tolist(), strict=True)
        ],
    }


def _heard(
    systems: Systems, dataset: Dataset, points: Sequence[LabelledPoint], texts: Sequence[FreeText], seed: int
) -> dict[str, RowPredictions]:
    """Both rows through the pair's localizer and each further listener."""
    opened = OpenedPhotos(dataset, keep=1)
    order: list[int] = []
    parts: list[dict[str, RowPredictions]] = []
    for row, indices in by_photo(points).items():
        photo, here = opened(row), [points[i] for i in indices]
        rows = {
            "free_text": [texts[i].text for i in indices],
            REFERENCE_ROW: written_texts(photo, here, (REFERENCE,), seed)[REFERENCE],
        }
        predictions = localized(systems.pair, photo.image, here, rows)
        for listener, model in systems.listeners.items():
            heard = {f"{name}@{listener}": row_texts for name, row_texts in rows.items()}
            predictions |= localized(model, photo.image, here, heard)
        parts.append(predictions)
        order += indices
    back = np.argsort(order).tolist()
    return {name: joined([part[name] for part in parts]).of(back) for name in parts[0]}
