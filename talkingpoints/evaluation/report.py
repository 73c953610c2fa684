"""Points and what was predicted for them -> the figures of the report, as plain JSON values.

Pure functions over arrays: predictions that were saved earlier can be summarised again.

Leaves out: how predictions come about (protocol.py), metrics (pck.py), intervals (bootstrap.py), printing
(training/evaluate.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from talkingpoints.evaluation.metrics import bootstrap, pck
from talkingpoints.writer.facts import split_side

CORRECT_WITHIN = 0.1  # a confidence is read as the chance that the unit error is at most this
DIFFERENCES = (
    ("reference", "blind"),
    ("descriptor", "reference"),
    ("descriptor", "wrong_photo"),
)


@dataclass(frozen=True)
class LabelledPoint:
    """One labelled keypoint of the split.

    Attributes:
        row: row of the dataset.
        image_id: id of the photo.
        object_index: which object of the scene it belongs to.
        label: the object's category.
        name: the keypoint's name.
        point: unit point (x, y).
        box: the object's box (x0, y0, x1, y1), unit.
        size: the photo's (height, width) in pixels.
        photo_labels: categories of all objects of the photo.
    """

    row: int
    image_id: int
    object_index: int
    label: str
    name: str
    point: tuple[float, float]
    box: tuple[float, float, float, float]
    size: tuple[int, int]
    photo_labels: frozenset[str]


@dataclass(frozen=True)
class RowPredictions:
    """What came back for each point, in the order of the points.

    Attributes:
        predictions: (n, 2) unit points (x, y); NaN where the text was empty.
        confidence: (n,) in [0, 1]; NaN where no listener was asked, or all NaN where the listener has none.
        presence: (n,) in [0, 1]; NaN where no listener was asked.
        found: (n,) booleans; False where no listener was asked.
        texts: the n texts, or None for a row without text.
    """

    predictions: NDArray[np.float64]
    confidence: NDArray[np.float64]
    presence: NDArray[np.float64]
    found: NDArray[np.bool_]
    texts: tuple[str, ...] | None

    def of(self, chosen: Sequence[int]) -> "RowPredictions":
        """The same for some of the points, by their indices."""
        arrays = (self.predictions, self.confidence, self.presence, self.found)
        texts = None if self.texts is None else tuple(self.texts[i] for i in chosen)
        return RowPredictions(*(array[list(chosen)] for array in arrays), texts)


def joined(parts: Sequence[RowPredictions]) -> RowPredictions:
    """One row out of the rows of several photos, one after the other; all of them with texts."""
    arrays = ("predictions", "confidence", "presence", "found")
    texts = tuple(text for part in parts for text in part.texts or ())
    return RowPredictions(*(np.concatenate([getattr(part, name) for part in parts]) for name in arrays), texts)


def summarise(
    points: Sequence[LabelledPoint],
    rows: Mapping[str, RowPredictions],
    *,
    seed: int = 0,
    resamples: int = 1000,
) -> dict[str, Any]:
    """All figures that need nothing but points and predictions.

    Args:
        points: the n points.
        rows: by name, predictions on these points.
        seed: of the bootstrap.
        resamples: bootstrap resamples.

    Returns:
        `n_images`, `n_points`; `rows`: by name, as `row_figures`; `differences`: for the pairs of
        `DIFFERENCES` that were both measured, {"mpck_img", "ci95"} of the first minus the second, paired over
        images; `by_label` and `by_keypoint`: by category and by keypoint without its side, `n_points` and the
        mpck_img of reference and descriptor; `calibration`: by row that has a confidence, its expected
        calibration error `ece` and the reliability `curve`; `listeners`: by name, the mpck_img of the texts
        through a further listener, the `ratio` of descriptor to reference, and their `difference` with `ci95`;
        `mirroring`: see `mirror_figures`; `n_empty`: by row, how many texts were empty and count as misses.
    """
    images = np.array([point.row for point in points])
    scores = {name: image_scores(points, row) for name, row in rows.items()}
    options = {"seed": seed, "resamples": resamples}
    report: dict[str, Any] = {
        "n_images": len(np.unique(images)),
        "n_points": len(points),
        "rows": {name: row_figures(points, row, **options) for name, row in rows.items()},
        "differences": {},
        "by_label": _by_group(scores, np.array([point.label for point in points])),
        "by_keypoint": _by_group(scores, np.array([split_side(point.name)[1] for point in points])),
        "calibration": {},
        "listeners": _by_listener(scores, images, options),
        "mirroring": mirror_figures(rows),
        "n_empty": {name: len(row.texts) - _answered(row).sum().item() for name, row in rows.items() if row.texts},
    }
    for first, second in DIFFERENCES:
        if first in rows and second in rows:
            interval = bootstrap.bootstrap_difference(scores[first], scores[second], images, **options)
            difference = {"mpck_img": interval.mean, "ci95": [interval.low, interval.high]}
            report["differences"][f"{first}_minus_{second}"] = difference
    for name in ("reference", "descriptor"):
        if name in rows and np.isfinite(rows[name].confidence).any():
            given = np.isfinite(rows[name].confidence)
            correct = _unit_errors(points, rows[name])[given] <= CORRECT_WITHIN
            confidence = rows[name].confidence[given]
            report["calibration"][name] = {
                "ece": pck.expected_calibration_error(confidence, correct),
                "curve": pck.reliability_curve(confidence, correct),
            }
    return report


def mirror_figures(rows: Mapping[str, RowPredictions]) -> dict[str, float | None] | None:
    """Whether the point moves along when the photo is mirrored, None where this was not measured.

    Read off the semantic texts: they say nothing about places (and of the mirrored photo the same, but for the
    animal's own left and right), so that only the photo can move the point.

    Returns:
        `same_place`: share (0..1) of the answers that, mirrored back, lie within 0.1 of the unmirrored photo's;
        `flips`: of the answers at least 0.2 from their own mirror image, the share whose counterpart lies nearer to
        that than to themselves: 1 for a listener that looks, 0 for one that only reads, about 0.5 for one that guesses
        (None if there are none).
    """
    if not {"semantic", "mirrored_semantic"} <= rows.keys():
        return None
    answered = _answered(rows["semantic"]) & _answered(rows["mirrored_semantic"])
    plain, back = (rows[name].predictions[answered] for name in ("semantic", "mirrored_semantic"))
    moved, stayed = pck.unit_errors(back, plain), pck.unit_errors(back * (-1, 1) + (1, 0), plain)
    apart = np.abs(2 * plain[:, 0] - 1) >= 2 * CORRECT_WITHIN
    return {"same_place": _mean(moved <= CORRECT_WITHIN), "flips": _mean((moved < stayed)[apart])}


def _by_group(scores: Mapping[str, NDArray[np.float64]], groups: NDArray[Any]) -> dict[str, dict[str, float]]:
    """Points and mpck_img of reference and descriptor by group."""
    figures = {}
    for group in np.unique(groups).tolist():
        inside = groups == group
        own = {name: float(scores[name][inside].mean()) for name in ("reference", "descriptor") if name in scores}
        figures[group] = {"n_points": int(inside.sum()), **own}
    return figures


def _by_listener(
    scores: Mapping[str, NDArray[np.float64]], images: NDArray[np.int64], options: Mapping[str, int]
) -> dict[str, dict[str, Any]]:
    """mpck_img of each text through each further listener, and how the descriptor's compare with the reference."""
    figures: dict[str, dict[str, Any]] = {}
    for name, own in scores.items():
        source, _, listener = name.partition("@")
        if listener:
            figures.setdefault(listener, {})[source] = float(own.mean())
    for listener, heard in figures.items():
        if not {"descriptor", "reference"} <= heard.keys():
            continue
        heard["ratio"] = heard["descriptor"] / heard["reference"] if heard["reference"] else None
        both = (scores[f"{source}@{listener}"] for source in ("descriptor", "reference"))
        interval = bootstrap.bootstrap_difference(*both, images, **options)
        heard |= {"difference": interval.mean, "ci95": [interval.low, interval.high]}
    return figures


def row_figures(
    points: Sequence[LabelledPoint], row: RowPredictions, *, seed: int = 0, resamples: int = 1000
) -> dict[str, Any]:
    """One row of the table.

    Returns:
        `mpck_img` (0..100), its `ci95` [low, high] by bootstrap over images, `pck_img` by threshold (0..100),
        `mpck_bbox` (0..100), `median_error_px` (pixels of the photo as it lies in the dataset; None if more
        than half of the points have no answer) and `auc` (0..100).
    """
    errors = _unit_errors(points, row)
    sizes = np.array([point.size for point in points], dtype=np.float64)
    errors_px = pck.pixel_errors(row.predictions, _truths(points), sizes)
    boxes = np.array([point.box for point in points])
    sides_px = ((boxes[:, 2:] - boxes[:, :2]) * sizes[:, ::-1]).max(axis=1)
    images = np.array([point.row for point in points])
    interval = bootstrap.bootstrap_mean(image_scores(points, row), images, seed=seed, resamples=resamples)
    median = float(np.median(errors_px))
    return {
        "mpck_img": interval.mean,
        "ci95": [interval.low, interval.high],
        "pck_img": {f"{threshold:g}": pck.pck(errors, threshold) for threshold in pck.PCK_IMG_THRESHOLDS},
        "mpck_bbox": pck.mean_pck(errors_px / sides_px, pck.MPCK_BBOX_THRESHOLDS),
        "median_error_px": median if np.isfinite(median) else None,
        "auc": pck.auc(errors),
    }


def image_scores(points: Sequence[LabelledPoint], row: RowPredictions) -> NDArray[np.float64]:
    """(n,) what each point adds to mpck_img, 0..100: what bootstrap and paired differences work on."""
    return pck.point_scores(_unit_errors(points, row), pck.MPCK_IMG_THRESHOLDS)


def presence_summary(
    points: Sequence[LabelledPoint],
    reference: RowPredictions | None,
    shuffled: RowPredictions | None,
    donors: Sequence[int],
) -> dict[str, Any]:
    """How well the presence tells texts of the photo from texts of a category that the photo does not show.

    Present: the reference texts. Absent: those shuffled texts whose donor's category the photo does not show.

    Returns:
        `presence_roc_auc` in 0..1 and `presence`: `n_present`, `n_absent`, mean presence and share found on
        both, and `balanced_accuracy`, the mean of the two shares told right; the area, the accuracy and the absent
        figures are None where the split has one category only. Both are None where a row was not measured.
    """
    if reference is None or shuffled is None:
        return {"presence_roc_auc": None, "presence": None}
    absent = np.array(
        [points[donor].label not in point.photo_labels for donor, point in zip(donors, points, strict=True)]
    )
    absent &= _answered(shuffled)
    present = _answered(reference)
    area = accuracy = None
    if present.any() and absent.any():
        accuracy = float(reference.found[present].mean() + 1 - shuffled.found[absent].mean()) / 2
        area = pck.roc_auc(reference.presence[present], shuffled.presence[absent])
    return {
        "presence_roc_auc": area,
        "presence": {
            "n_present": int(present.sum()),
            "n_absent": int(absent.sum()),
            "mean_present": _mean(reference.presence[present]),
            "mean_absent": _mean(shuffled.presence[absent]),
            "found_present": _mean(reference.found[present]),
            "found_absent": _mean(shuffled.found[absent]),
            "balanced_accuracy": accuracy,
        },
    }


def _answered(row: RowPredictions) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(row.predictions).all(axis=1), dtype=bool)


def _truths(points: Sequence[LabelledPoint]) -> NDArray[np.float64]:
    return np.array([point.point for point in points], dtype=np.float64)


def _unit_errors(points: Sequence[LabelledPoint], row: RowPredictions) -> NDArray[np.float64]:
    return pck.unit_errors(row.predictions, _truths(points))


def _mean(values: NDArray[Any]) -> float | None:
    return float(values.mean()) if len(values) else None
