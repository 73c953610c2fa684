"""Whether a listener answers what is there and refuses what is not: figures by tier, and named operating points.

point-cgF1 follows SAM 3's cgF1 (Carion et al., 2025): the F1 of the answers on present texts, an answer counting as
right within PCK@0.05, times Matthews' correlation of answered and present over all texts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from talkingpoints.evaluation.metrics.bootstrap import bootstrap_mean
from talkingpoints.evaluation.metrics.pck import expected_calibration_error

WITHIN = 0.05
"""An answer counts as right within this unit distance."""
CALIBRATED_WITHIN = 0.1
"""What `confidence` is the chance of."""
FALSE_ANSWERS, CERTAINTY = 0.05, 0.95
"""`careful`: at most this share of absent texts is answered, with this certainty (Clopper and Pearson's bound)."""
TIERS = (1, 2, 3, 4)


@dataclass(frozen=True)
class Heard:
    """What a listener made of one text.

    Attributes:
        photo: Which photo.
        tier: 0 for a present text, else the tier of what is absent.
        presence, confidence: 0..1; confidence may be NaN.
        error: Unit distance from the right place; NaN for absent texts.
        held_out: Whether text or photo are of a kind that no training may see.
    """

    photo: str
    tier: int
    presence: float
    confidence: float
    error: float
    held_out: bool = False


def operating_points(heard: Sequence[Heard]) -> dict[str, float]:
    """Thresholds on `presence` by name, chosen on these texts, which must not be the ones that are reported.

    Returns:
        `default` is 0.5. `balanced` has the greatest Matthews correlation. `careful` is the least threshold of which
        one can be `CERTAINTY` sure that at most `FALSE_ANSWERS` of absent texts pass it; above 1, which answers
        nothing, where no threshold is.

    Raises:
        ValueError: If there are no present or no absent texts, or a held-out kind is among them.
    """
    if any(row.held_out for row in heard):
        raise ValueError("operating points must not be chosen on texts or photos of held-out kinds")
    presence, present = _arrays(heard)
    if present.all() or not present.any():
        raise ValueError(f"needs present and absent texts; got {int(present.sum())} present of {len(present)}")
    candidates = np.unique(presence)
    scores = [matthews(presence >= threshold, present) for threshold in candidates]
    absent = np.sort(presence[~present])
    careful = 1.001
    for threshold in candidates[::-1]:
        if upper_bound(int((absent >= threshold).sum()), len(absent)) > FALSE_ANSWERS:
            break
        careful = float(threshold)
    return {"default": 0.5, "balanced": float(candidates[int(np.argmax(scores))]), "careful": careful}


def upper_bound(hits: int, tries: int) -> float:
    """One-sided upper confidence bound of a share (Clopper and Pearson, 1934)."""
    return 1.0 if hits >= tries else float(beta.ppf(CERTAINTY, hits + 1, tries - hits))


def matthews(answered: NDArray[np.bool_], present: NDArray[np.bool_]) -> float:
    """Matthews' correlation, -1..1; 0 where all texts are answered, or none."""
    tp, tn = float((answered & present).sum()), float((~answered & ~present).sum())
    fp, fn = float((answered & ~present).sum()), float((~answered & present).sum())
    scale = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    return (tp * tn - fp * fn) / scale**0.5 if scale else 0.0


def refusal_figures(
    heard: Sequence[Heard], threshold: float, *, seed: int = 0, resamples: int = 1000
) -> dict[str, Any]:
    """The figures at one threshold.

    Returns:
        `t_acc`: share of present texts answered, `n_acc`: by tier and "all", share of absent texts refused, each
        {"mean", "ci95", "n"} in 0..100 or None; `mcc`, `f1` and `point_cgf1` in 0..100, None without both sorts.
    """
    options = {"seed": seed, "resamples": resamples}
    presence, present = _arrays(heard)
    answered = presence >= threshold
    photos = np.array([row.photo for row in heard])
    tiers = np.array([row.tier for row in heard])
    errors = np.array([row.error for row in heard])

    def share(values: NDArray[np.bool_], of: NDArray[np.bool_]) -> dict[str, Any] | None:
        if not of.any():
            return None
        interval = bootstrap_mean(100.0 * values[of], photos[of], **options)
        return {"mean": interval.mean, "ci95": [interval.low, interval.high], "n": int(of.sum())}

    refused = {str(tier): share(~answered, tiers == tier) for tier in TIERS} | {"all": share(~answered, ~present)}
    found: dict[str, Any] = {"threshold": threshold, "t_acc": share(answered, present), "n_acc": refused}
    both = bool(present.any() and not present.all())
    right = answered & present & (errors <= WITHIN)
    tp, wrong = int(right.sum()), int((answered & present & ~right).sum())
    missed = int((present & ~right).sum())
    f1 = 2 * tp / (2 * tp + wrong + missed) if present.any() else None
    mcc = matthews(answered, present) if both else None
    found |= {"mcc": None if mcc is None else 100 * mcc, "f1": None if f1 is None else 100 * f1}
    found["point_cgf1"] = None if mcc is None or f1 is None else 100 * f1 * mcc
    return found


def calibration(heard: Sequence[Heard]) -> dict[str, float | None]:
    """Expected calibration error, 0..1, of `confidence` on present texts and of `presence` on all; None without any, or
    of presence without both sorts."""
    present = [row for row in heard if row.tier == 0 and np.isfinite(row.confidence)]
    right = [row.error <= CALIBRATED_WITHIN for row in present]
    sorts = {row.tier == 0 for row in heard}
    return {
        "confidence": expected_calibration_error([row.confidence for row in present], right) if present else None,
        "presence": expected_calibration_error([row.presence for row in heard], [row.tier == 0 for row in heard])
        if len(sorts) == 2 else None,
    }  # fmt: skip


def _arrays(heard: Sequence[Heard]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    presence = np.array([row.presence for row in heard], dtype=np.float64)
    return presence, np.array([row.tier == 0 for row in heard], dtype=bool)
