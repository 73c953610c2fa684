"""Point metrics: errors, PCK and what is counted from it, and how far a confidence or a presence can be
trusted.

Two distances are in use. The *unit* error divides each axis by its side of the image, so it is the distance
between unit points; the *box* error is the distance in pixels divided by the longer side of the object's box.
Names say which: `mpck_img` and `mpck_bbox` are different numbers, and the second is the stricter one for
small objects.

A prediction of NaN means "no answer" and counts as infinitely far away.

Leaves out: intervals (bootstrap.py) and what is compared with what (protocol.py).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

PCK_IMG_THRESHOLDS = (0.02, 0.05, 0.1, 0.2)
MPCK_IMG_THRESHOLDS = (0.1, 0.2)  # Talking Points, arXiv 2510.14583
MPCK_BBOX_THRESHOLDS = (0.05, 0.1, 0.15, 0.2, 0.25)  # CapeX; ours counts points, not objects or categories
AUC_LIMIT = 0.2


def _point_pairs(predictions: ArrayLike, truths: ArrayLike) -> tuple[Array, Array]:
    predicted, true = np.asarray(predictions, dtype=np.float64), np.asarray(truths, dtype=np.float64)
    if predicted.shape != true.shape or true.ndim != 2 or true.shape[1] != 2:
        raise ValueError(
            f"predictions and truths must both have shape (points, 2); got {predicted.shape} and {true.shape}"
        )
    return predicted, true


def _distances(differences: Array) -> Array:
    distances = np.hypot(differences[:, 0], differences[:, 1])
    return np.where(np.isnan(distances), np.inf, distances)


def unit_errors(predictions: ArrayLike, truths: ArrayLike) -> Array:
    """Distance in unit coordinates: sqrt((dx / width)^2 + (dy / height)^2).

    Args:
        predictions: (n, 2) unit points (x, y) in [0, 1] of the image; NaN for no answer.
        truths: (n, 2) unit points.

    Returns:
        (n,) distances, inf where there is no answer.

    Raises:
        ValueError: if the shapes differ or are not (n, 2).

    Example:
        >>> unit_errors([[0.5, 0.5]], [[0.2, 0.1]])
        array([0.5])
    """
    predicted, true = _point_pairs(predictions, truths)
    return _distances(predicted - true)


def pixel_errors(predictions: ArrayLike, truths: ArrayLike, sizes: ArrayLike) -> Array:
    """Distance in pixels of the image that each point lies in.

    Args:
        predictions: (n, 2) unit points (x, y); NaN for no answer.
        truths: (n, 2) unit points.
        sizes: (n, 2) image sizes (height, width) in pixels.

    Returns:
        (n,) distances in pixels, inf where there is no answer.

    Raises:
        ValueError: if the shapes differ or are not (n, 2).
    """
    predicted, true = _point_pairs(predictions, truths)
    height_width = np.asarray(sizes, dtype=np.float64)
    if height_width.shape != true.shape:
        raise ValueError(f"sizes must have shape {true.shape}, (height, width) a point; got {height_width.shape}")
    return _distances((predicted - true) * height_width[:, ::-1])


def pck(errors: ArrayLike, threshold: float) -> float:
    """Percentage of correct keypoints: the share of errors that are at most `threshold`, in 0..100.

    Args:
        errors: (n,) errors, in the unit of the threshold.
        threshold: largest error that still counts as correct.

    Raises:
        ValueError: if there are no errors to count.
    """
    return 100.0 * float(np.mean(_nonempty(errors) <= threshold))


def mean_pck(errors: ArrayLike, thresholds: Sequence[float]) -> float:
    """Mean of `pck` over thresholds: `MPCK_IMG_THRESHOLDS` of unit, `MPCK_BBOX_THRESHOLDS` of box errors."""
    return float(np.mean(point_scores(errors, thresholds)))


def point_scores(errors: ArrayLike, thresholds: Sequence[float]) -> Array:
    """What each point adds to `mean_pck`: its share of thresholds met, in 0..100; their mean is `mean_pck`.

    Bootstrap and paired differences work on these.
    """
    met = _nonempty(errors)[:, None] <= np.asarray(thresholds, dtype=np.float64)[None, :]
    return 100.0 * np.asarray(met.mean(axis=1), dtype=np.float64)


def auc(errors: ArrayLike, limit: float = AUC_LIMIT) -> float:
    """Area under the PCK curve between threshold 0 and `limit`, in 0..100 (100: every error is zero).

    Exact, not sampled: a point with error e is correct on the thresholds from e to `limit`, which is a share
    max(0, 1 - e / limit) of the axis, and the area is the mean of these shares.
    """
    return 100.0 * float(np.mean(np.clip(1.0 - _nonempty(errors) / limit, 0.0, None)))


def expected_calibration_error(confidences: ArrayLike, correct: ArrayLike, bins: int = 10) -> float:
    """Mean gap between confidence and accuracy over bins of equal width, weighted by their points, in 0..1.

    Args:
        confidences: (n,) probabilities in [0, 1] that the point is correct.
        correct: (n,) booleans; here "the unit error is at most 0.1".
        bins: number of bins between 0 and 1.

    Returns:
        sum over bins of |bin| / n * |accuracy - mean confidence| (Guo et al., 2017).

    Raises:
        ValueError: if the lengths differ, there are no points, or a confidence lies outside [0, 1].
    """
    curve = reliability_curve(confidences, correct, bins)
    total = sum(point["n"] for point in curve)
    return sum(point["n"] * abs(point["accuracy"] - point["confidence"]) for point in curve) / total


def reliability_curve(confidences: ArrayLike, correct: ArrayLike, bins: int = 10) -> list[dict[str, float]]:
    """How often points of like confidence are correct: on the diagonal, a confidence can be taken at its word.

    Args:
        confidences, correct, bins: as for `expected_calibration_error`.

    Returns:
        For each bin that holds a point: how many `n`, their mean `confidence`, and the share that is correct,
        `accuracy`.

    Raises:
        ValueError: likewise.
    """
    confidence, hit = _nonempty(confidences), np.asarray(correct, dtype=bool)
    if hit.shape != confidence.shape:
        raise ValueError(f"confidences and correct must have one length; got {confidence.shape} and {hit.shape}")
    if not (np.all(confidence >= 0.0) and np.all(confidence <= 1.0)):
        raise ValueError("confidences must lie in [0, 1] and must not be NaN")
    index = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    inside = [index == i for i in range(bins)]
    return [
        {"n": int(own.sum()), "confidence": float(confidence[own].mean()), "accuracy": float(hit[own].mean())}
        for own in inside
        if own.any()
    ]


def roc_auc(positives: ArrayLike, negatives: ArrayLike) -> float:
    """Area under the ROC curve: the chance that a positive scores above a negative, ties counted half, in
    0..1.

    Args:
        positives: (n,) scores of cases that are present.
        negatives: (m,) scores of cases that are absent.

    Raises:
        ValueError: if either is empty or holds a NaN.

    Example:
        >>> roc_auc([0.9, 0.4], [0.4, 0.1])
        0.875
    """
    present, absent = _nonempty(positives), np.sort(_nonempty(negatives))
    if np.isnan(present).any() or np.isnan(absent).any():
        raise ValueError("scores must not be NaN")
    below = np.searchsorted(absent, present, side="left")
    not_above = np.searchsorted(absent, present, side="right")
    return float((below + not_above).sum() / (2.0 * len(present) * len(absent)))


def _nonempty(values: ArrayLike) -> Array:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or len(array) == 0:
        raise ValueError(f"expected one number a point and at least one point; got shape {array.shape}")
    return array
