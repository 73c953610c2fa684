"""evaluate for custom points: how often the localizer finds the texts, and the descriptor's own, beside two controls.

Data with COCO keypoints have the whole protocol with all its control rows: ``training.evaluate``.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from talkingpoints import TalkingPoints
from talkingpoints.data.formats.records import PhotoRecord
from talkingpoints.data.readers.custom_points import VAL_EVERY
from talkingpoints.evaluation.metrics.bootstrap import bootstrap_mean
from talkingpoints.evaluation.metrics.pck import MPCK_IMG_THRESHOLDS, point_scores, unit_errors
from talkingpoints.photo_batches import PhotoQuestions
from talkingpoints.points import to_unit

ROWS = {
    "texts": "the given texts, through the localizer",
    "descriptions": "the descriptor's texts, through the same localizer",
    "control: another point's text": "texts of other points: what the photo alone gives",
    "control: the middle": "the middle of the photo, always",
}


def evaluate_points(tp: TalkingPoints, photos: Sequence[PhotoRecord], progress: bool = True) -> dict[str, Any]:
    """mpck_img with its 95 % interval for each row of :data:`ROWS`.

    Args:
        tp: the pair.
        photos: at hand, with sizes; points with texts are measured.
        progress: show bars.

    Raises:
        ValueError: If no point has a text, or a photo is not at hand.
    """
    asked = [(photo, [point for point in photo.points if point.text]) for photo in photos]
    asked = [(photo, points) for photo, points in asked if points]
    if not asked:
        raise ValueError("no point has a text, so there is nothing to measure")
    away = [photo.file_name for photo, _ in asked if photo.path is None]
    if away:
        raise ValueError(f"{len(away)} photos are not at hand, for example {away[0]!r}; say where the photos are")
    files = [photo.path for photo, _ in asked]
    truth = [
        [tuple(to_unit((point.x, point.y), photo.size or (1, 1)).tolist()) for point in points]
        for photo, points in asked
    ]
    texts = [[point.text for point in points] for _, points in asked]
    described = tp.describe_many(_questions(files, truth, progress, "describe"), unit=True)
    own = [[one.text or "nothing" for one in some] for some in described]
    turned = _turned(texts)
    found = {
        name: [[one.unit for one in some] for some in tp.localize_many(_questions(files, words, progress, name))]
        for name, words in zip(ROWS, (texts, own, turned), strict=False)
    }
    found["control: the middle"] = [[(0.5, 0.5)] * len(some) for some in truth]
    images = np.repeat(np.arange(len(truth)), [len(some) for some in truth])
    flat_truth = [point for some in truth for point in some]
    rows = {}
    for name, answers in found.items():
        scores = point_scores(
            unit_errors([point for some in answers for point in some], flat_truth), MPCK_IMG_THRESHOLDS
        )
        interval = bootstrap_mean(scores, images)
        rows[name] = {
            "mpck_img": round(float(scores.mean()), 2),
            "ci95": [round(interval.low, 2), round(interval.high, 2)],
        }
    return {"photos": len(asked), "points": len(flat_truth), "rows": rows}


def photos_of_split(photos: Sequence[PhotoRecord], split: str | None) -> list[PhotoRecord]:
    """The photos of a split; of photos without splits those that training keeps for validation, or trains on.

    Raises:
        ValueError: If there is no such split.
    """
    if split is None:
        return list(photos)
    if not any(photo.split for photo in photos) and split in ("train", "val"):
        ordered = sorted(photos, key=lambda photo: photo.file_name)
        return [photo for i, photo in enumerate(ordered) if (i % VAL_EVERY == 0) == (split == "val")]
    chosen = [photo for photo in photos if photo.split == split]
    if not chosen:
        splits = sorted({photo.split for photo in photos if photo.split})
        raise ValueError(f"there is no split {split!r}; there are {', '.join(splits) or 'none'}")
    return chosen


def _questions(files: Sequence[Any], asked: Sequence[Any], progress: bool, name: str) -> Iterable[PhotoQuestions[Any]]:
    from tqdm.auto import tqdm

    pairs = tqdm(zip(files, asked, strict=True), total=len(files), unit="photo", desc=name, disable=not progress)
    return (PhotoQuestions(file, some) for file, some in pairs)


def _turned(texts: Sequence[Sequence[str]]) -> list[list[str]]:
    """For each point the text of the next one in the data; of one point alone its own."""
    flat = [text for some in texts for text in some]
    flat = flat[1:] + flat[:1]
    starts = np.cumsum([0, *map(len, texts)])
    return [flat[start:end] for start, end in pairwise(starts)]


def lines(report: dict[str, Any]) -> list[str]:
    """The report as a table for people."""
    shown = [f"{report['points']} points with texts in {report['photos']} photos; mpck_img and its 95 % interval"]
    for name, row in report["rows"].items():
        low, high = row["ci95"]
        shown.append(f"{row['mpck_img']:6.1f}  {low:5.1f} to {high:5.1f}  {name}")
    return shown
