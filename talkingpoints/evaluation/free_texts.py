"""Texts written freely while looking at the photos: read from a file, and measured beside the writer's own.

A listener trained on one writer may know that writer's dialect only. The row ``free_text`` says how much of its skill
is left when somebody else speaks; ``reference`` on the same points says what it was.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset

from talkingpoints.evaluation.bootstrap import bootstrap_difference
from talkingpoints.evaluation.protocol import (
    REFERENCE,
    LabelledPoint,
    Systems,
    labelled_points,
    localized,
    written_texts,
)
from talkingpoints.evaluation.report import image_scores, row_figures
from talkingpoints.points import to_unit

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


def read_free_texts(path: Path) -> list[FreeText]:
    """Read a JSON list of {"image", "text", "x", "y"} and, in a file for several datasets, "dataset".

    Raises:
        ValueError: another layout, with the entry's number.
    """
    entries = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(entries, list):
        raise ValueError(f"{path.name} must hold a list of texts, got {type(entries).__name__}")
    texts = []
    for number, entry in enumerate(entries):
        try:
            texts.append(FreeText(**entry))
        except TypeError as error:
            raise ValueError(f"{path.name}, entry {number}: {error}") from error
        if not isinstance(texts[-1].text, str) or not texts[-1].text.strip():
            raise ValueError(f"{path.name}, entry {number}: the text is empty or no text")
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
    systems: Systems, dataset: Dataset, texts: Sequence[FreeText], *, seed: int = 0, resamples: int = 1000
) -> dict[str, Any]:
    """Measure free texts and the writer's on the same points.

    Returns:
        ``n_points``, the figures of the rows ``free_text`` and ``reference``, as in the report, with ``@NAME``
        behind them through each further listener, and the ``difference`` of the first two, paired over photos.
    """
    points = match_points(dataset, texts)
    rows = {
        "free_text": [text.text for text in texts],
        "reference": written_texts(dataset, points, (REFERENCE,), seed)[REFERENCE],
    }
    predictions = localized(systems.pair, dataset, points, rows)
    for listener, model in systems.listeners.items():
        heard = {f"{name}@{listener}": row for name, row in rows.items()}
        predictions |= localized(model, dataset, points, heard)
    figures = {name: row_figures(points, row, seed=seed, resamples=resamples) for name, row in predictions.items()}
    images = np.array([point.row for point in points])
    scores = [image_scores(points, predictions[name]) for name in ("free_text", "reference")]
    interval = bootstrap_difference(*scores, images, seed=seed, resamples=resamples)
    difference = {"mpck_img": interval.mean, "ci95": [interval.low, interval.high]}
    return {"n_points": len(points), "rows": figures, "difference": difference}
