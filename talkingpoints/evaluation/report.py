"""Points and what was predicted for them -> the figures of the report, as plain JSON values.

Pure functions over arrays: predictions that were saved earlier can be summarised again.

Leaves out: how predictions come about (protocol.py), metrics (pck.py), intervals (bootstrap.py), printing
(training/evaluate.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from talkingpoints.evaluation.figures import (
    GroupFigures,
    ListenerFigures,
    MirrorFigures,
    PresenceSummary,
    Report,
    RowFigures,
)
from talkingpoints.evaluation.labelled_points import LabelledPoint
from talkingpoints.evaluation.metrics import bootstrap, pck
from talkingpoints.writer.facts import split_side

CORRECT_WITHIN = 0.1  # a confidence is read as the chance that the unit error is at most this
DIFFERENCES = (
    ("reference", "blind"),
    ("descriptor", "reference"),
    ("descriptor", "wrong_photo"),
)

_Source = Literal["descriptor", "reference", "shuffled"]


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
        at = list(chosen)
        texts = None if self.texts is None else tuple(self.texts[i] for i in at)
        return RowPredictions(self.predictions[at], self.confidence[at], self.presence[at], self.found[at], texts)


def joined(parts: Sequence[RowPredictions]) -> RowPredictions:
    """One row out of the rows of several photos, one after the other; all of them with texts."""
    return RowPredictions(
        predictions=np.concatenate([part.predictions for part in parts]),
        confidence=np.concatenate([part.confidence for part in parts]),
        presence=np.concatenate([part.presence for part in parts]),
        found=np.concatenate([part.found for part in parts]),
        texts=tuple(text for part in parts for text in part.texts or ()),
    )


def summarise(
    points: Sequence[LabelledPoint],
    rows: Mapping[str, RowPredictions],
    *,
    seed: int = 0,
    resamples: int = 1000,
) -> Report:
    """All figures that need nothing but points and predictions.

    Args:
        points: the n points.
        rows: by name, predictions on these points.
        seed: of the bootstrap.
        resamples: bootstrap resamples.

    Returns:
        The report without the figures of `presence_summary`.
    """
    images = np.array([point.row for point in points])
    scores = {name: image_scores(points, row) for name, row in rows.items()}
    options = {"seed": seed, "resamples": resamples}
    report: Report = {
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
            report["differences"][f"{first}_minus_{second}"] = {
                "mpck_img": interval.mean,
                "ci95": [interval.low, interval.high],
            }
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


def mirror_figures(rows: Mapping[str, RowPredictions]) -> MirrorFigures | None:
    """Whether the point moves along when the photo is mirrored, None where this was not measured.

    Read off the semantic texts: they say nothing about places (and of the mirrored photo the same, but for the
    animal's own left and right), so that only the photo can move the point.
    """
    if not {"semantic", "mirrored_semantic"} <= rows.keys():
        return None
    answered = _answered(rows["semantic"]) & _answered(rows["mirrored_semantic"])
    plain, back = (rows[name].predictions[answered] for name in ("semantic", "mirrored_semantic"))
    moved, stayed = pck.unit_errors(back, plain), pck.unit_errors(back * (-1, 1) + (1, 0), plain)
    apart = np.abs(2 * plain[:, 0] - 1) >= 2 * CORRECT_WITHIN
    return {"same_place": _mean(moved <= CORRECT_WITHIN), "flips": _mean((moved < stayed)[apart])}


def _by_group(scores: Mapping[str, NDArray[np.float64]], groups: NDArray[Any]) -> dict[str, GroupFigures]:
    """Points and mpck_img of reference and descriptor by group."""
    figures: dict[str, GroupFigures] = {}
    for group in np.unique(groups).tolist():
        inside = groups == group
        own: GroupFigures = {"n_points": int(inside.sum())}
        if "reference" in scores:
            own["reference"] = float(scores["reference"][inside].mean())
        if "descriptor" in scores:
            own["descriptor"] = float(scores["descriptor"][inside].mean())
        figures[group] = own
    return figures


def _by_listener(
    scores: Mapping[str, NDArray[np.float64]], images: NDArray[np.int64], options: Mapping[str, int]
) -> dict[str, ListenerFigures]:
    """mpck_img of each text through each further listener, and how the descriptor's compare with the reference."""
    figures: dict[str, ListenerFigures] = {}
    for name, own in scores.items():
        source, _, listener = name.partition("@")
        if listener:
            figures.setdefault(listener, {})[cast(_Source, source)] = float(own.mean())
    for listener, heard in figures.items():
        if "descriptor" not in heard or "reference" not in heard:
            continue
        heard["ratio"] = heard["descriptor"] / heard["reference"] if heard["reference"] else None
        descriptor, reference = scores[f"descriptor@{listener}"], scores[f"reference@{listener}"]
        interval = bootstrap.bootstrap_difference(descriptor, reference, images, **options)
        heard["difference"], heard["ci95"] = interval.mean, [interval.low, interval.high]
    return figures


def row_figures(
    points: Sequence[LabelledPoint], row: RowPredictions, *, seed: int = 0, resamples: int = 1000
) -> RowFigures:
    """One row of the table."""
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
) -> PresenceSummary:
    """How well the presence tells texts of the photo from texts of a category that the photo does not show.

    Present: the reference texts. Absent: those shuffled texts whose donor's category the photo does not show.
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
