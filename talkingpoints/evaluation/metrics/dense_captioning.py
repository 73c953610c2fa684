"""Mean average precision of segments with captions, over thresholds of overlap and of METEOR, in two modes.

``corrected`` is what the measure means (Johnson et al., DenseCap, 2016, with masks in place of boxes): predictions are
taken by falling score, each may find one annotated segment of its category that is still free, and counts against
precision if it does not; captions are compared with the annotated ones as candidates with references.

``released`` computes what the public evaluator of Pix2Cap does, to be compared with figures made with it. It differs
in five ways, each shown by a test: records are never sorted by score; every overlapping pair is a record, so that one
segment may be found twice and a neighbour's accidental pixel is a false positive; predictions that overlap nothing of
their category do not count; METEOR gets annotation and prediction the wrong way round, and the prediction letter by
letter; crowds, which cannot be found, are among the segments to be found.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from talkingpoints.data.readers.coco_panoptic import Segment
from talkingpoints.evaluation.metrics.panoptic_quality import Overlaps

IOUS = (0.3, 0.4, 0.5, 0.6, 0.7)
METEORS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25)
MODES = ("released", "corrected")
_NO_METEOR = -1.0

Meteor = Callable[[Sequence[Sequence[str]], Sequence[str]], list[float]]
"""(references of each candidate, candidates) -> a score for each, 0 to 1."""


@dataclass(frozen=True)
class MeanPrecision:
    """Results, 0 to 1.

    Args:
        map: mean over all thresholds; None where METEOR was not given.
        detection: mean over the thresholds of overlap, whatever the captions say.
        by_threshold: by (IoU, METEOR); METEOR is -1 for `detection`.
    """

    map: float | None
    detection: float
    by_threshold: dict[tuple[float, float], float] = field(default_factory=dict)


@dataclass(frozen=True)
class _Pair:
    """An annotated and a predicted segment of one category that overlap."""

    photo: int
    truth: Segment
    predicted: Segment
    iou: float


def dense_captioning(photos: Iterable[Overlaps], mode: str, meteor: Meteor | None) -> MeanPrecision:
    """Evaluate.

    Args:
        photos: annotated and predicted segments; descriptions are the texts, None counts as "".
        mode: one of `MODES`.
        meteor: compares captions; None leaves the captions out. The public evaluator takes nltk's with WordNet.

    Raises:
        ValueError: an unknown mode, no segment to be found, or some predictions with a score and some without.
    """
    if mode not in MODES:
        raise ValueError(f"mode: {mode!r}; allowed: {MODES}")
    listed = list(photos)
    truth = [segment for photo in listed for segment in photo.truth.values()]
    to_find = len(truth) if mode == "released" else sum(not segment.is_crowd for segment in truth)
    if not to_find:
        raise ValueError("there is no segment to be found")
    pairs = [
        _Pair(number, photo.truth[one], photo.predicted[other], photo.iou(one, other))
        for number, photo in enumerate(listed)
        for one, other in photo.same_category()
    ]
    if mode == "released":
        return _released(pairs, to_find, meteor)
    return _corrected(listed, pairs, to_find, meteor)


def _mean(precision: Callable[[float, float], float], with_meteor: bool, ious: Sequence[float] = IOUS) -> MeanPrecision:
    values = {(iou, _NO_METEOR): precision(iou, _NO_METEOR) for iou in ious}
    detection = float(np.mean(list(values.values())))
    if not with_meteor:
        return MeanPrecision(None, detection, values)
    described = {(iou, score): precision(iou, score) for iou in ious for score in METEORS}
    return MeanPrecision(float(np.mean(list(described.values()))), detection, {**values, **described})


def _released(pairs: Sequence[_Pair], to_find: int, meteor: Meteor | None) -> MeanPrecision:
    captions = [pair.predicted.description or "" for pair in pairs]
    scores = np.zeros(len(pairs))
    if meteor is not None and pairs:
        # The annotation is the candidate, and the letters of the predicted caption are the references.
        candidates = [pair.truth.description or "" for pair in pairs]
        scores = np.array(meteor([list(caption) or [""] for caption in captions], candidates))
    ious, said = np.array([pair.iou for pair in pairs]), np.array([bool(caption) for caption in captions], dtype=bool)

    def precision(min_iou: float, min_score: float) -> float:
        right = said & (ious >= min_iou) & (scores > min_score)
        found, wrong = np.cumsum(right), np.cumsum(~right)
        recall, precisions = found / to_find, found / np.maximum(found + wrong, 1)
        return _interpolated(recall, precisions, np.arange(0, 1.01, 0.01))

    return _mean(precision, meteor is not None)


def _corrected(
    photos: Sequence[Overlaps], pairs: Sequence[_Pair], to_find: int, meteor: Meteor | None
) -> MeanPrecision:
    near = [pair for pair in pairs if pair.iou >= min(IOUS)]
    scores = [0.0] * len(near)
    if meteor is not None and near:
        scores = meteor(
            [[pair.truth.description or ""] for pair in near], [p.predicted.description or "" for p in near]
        )
    chances: dict[tuple[int, int], list[tuple[float, float, int]]] = {}
    for pair, score in zip(near, scores, strict=True):
        chances.setdefault((pair.photo, pair.predicted.id), []).append((pair.iou, score, pair.truth.id))
    predictions = [
        (number, segment, photo.uncounted(segment.id))
        for number, photo in enumerate(photos)
        for segment in photo.predicted.values()
    ]
    scored = [segment.score is not None for _, segment, _ in predictions]
    if any(scored) and not all(scored):
        raise ValueError(f"{sum(scored)} of {len(scored)} predictions have a score; give it to all or to none")
    predictions.sort(key=lambda item: -(item[1].score or 0.0))

    def precision(min_iou: float, min_score: float) -> float:
        free = {(number, i) for number, photo in enumerate(photos) for i in photo.truth}
        found, seen, certainty = [], [], []
        for number, segment, uncounted in predictions:
            reachable = [
                (iou, truth_id)
                for iou, score, truth_id in chances.get((number, segment.id), ())
                if iou >= min_iou and score > min_score and (number, truth_id) in free
            ]
            if reachable:
                free.discard((number, max(reachable)[1]))
            elif uncounted:
                continue
            found.append(bool(reachable))
            seen.append(True)
            certainty.append(segment.score or 0.0)
        if not found:
            return 0.0
        # Predictions of one score have no order: a threshold takes all of them or none.
        last = np.append(np.diff(certainty) != 0, True)
        hits, taken = np.cumsum(found)[last], np.cumsum(seen)[last]
        return _interpolated(hits / to_find, hits / taken, np.linspace(0, 1, 101) - 1e-9)

    return _mean(precision, meteor is not None)


def _interpolated(recall: np.ndarray, precision: np.ndarray, at: np.ndarray) -> float:
    """Mean of the best precision at each recall or beyond it."""
    return float(np.mean([precision[recall >= t].max(initial=0.0) for t in at]))
