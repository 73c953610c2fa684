"""Verdicts -> figures: gated precision by type, all-true share, false claims, coverage, with intervals over photos.

Gating follows DSG (Cho et al., 2024): a claim whose parent is false is worthless and counts as false; one whose parent
cannot be judged is not judged either. Texts that were not read are counted apart, never as right or wrong.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from talkingpoints.evaluation.metrics.bootstrap import bootstrap_mean, resampled_counts
from talkingpoints.evaluation.truth.claims import PARENTS, TYPES

Verdict = bool | None


@dataclass(frozen=True)
class JudgedText:
    """A text that was judged.

    Attributes:
        photo: Which photo it is about.
        key: Which point; equal in all rows that describe the same points.
        types, slots: Of its claims.
        verdicts: Of its claims, each by itself.
        read: Whether every word was understood.
    """

    photo: str
    key: str
    types: tuple[str, ...]
    slots: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    read: bool = True

    @property
    def gated(self) -> tuple[Verdict, ...]:
        """Verdicts that count: false where a parent is false, None where a parent is not judged."""
        counted: list[Verdict] = []
        for kind, verdict in zip(self.types, self.verdicts, strict=True):
            above = [
                v for t, s, v in zip(self.types, self.slots, self.verdicts, strict=True)
                if t in PARENTS[kind] and s != "count"
            ]  # fmt: skip
            counted.append(False if False in above else None if None in above else verdict)
        return tuple(counted)


def figures(
    texts: Sequence[JudgedText], reference: Sequence[JudgedText] = (), *, seed: int = 0, resamples: int = 1000
) -> dict[str, Any]:
    """The figures of one row.

    Args:
        texts: Of one describer.
        reference: The reference texts of the same points, for coverage.
        seed: Of the bootstrap.
        resamples: Of the bootstrap.

    Returns:
        `n_texts`, `n_unread`, `n_undecided` claims; `precision`: by type, gated, {"mean", "ci95", "n"} in 0..100, None
        without a claim; `ungated`: the same where only claims with true parents count; `all_true`: share of texts
        without a false claim; `false_claims`: per text; `coverage`: by type, share of the reference's claims that are
        made at all.
    """
    read = [text for text in texts if text.read]
    options = {"seed": seed, "resamples": resamples}
    decided = [(text, t, v) for text in read for t, v in zip(text.types, text.gated, strict=True) if v is not None]
    alone = [(text, t, v) for text, t, v in _with_true_parents(read) if v is not None]
    false = [(text.photo, float(sum(v is False for v in text.gated))) for text in read]
    judged = [text for text in read if any(v is not None for v in text.gated)]
    return {
        "n_texts": len(texts),
        "n_unread": len(texts) - len(read),
        "n_undecided": sum(v is None for text in read for v in text.gated),
        "precision": {t: _mean([(text.photo, 100.0 * v) for text, k, v in decided if k == t], options) for t in TYPES},
        "ungated": {t: _mean([(text.photo, 100.0 * v) for text, k, v in alone if k == t], options) for t in TYPES},
        "all_true": _mean([(text.photo, 100.0 * (False not in text.gated)) for text in judged], options),
        "false_claims": _mean(false, options),
        "coverage": coverage(read, reference),
    }


def coverage(texts: Sequence[JudgedText], reference: Sequence[JudgedText]) -> dict[str, float | None]:
    """Share (0..100) of the reference's claims, by type, of which the text about the same point makes one in the same
    slot, true or not: silence must not win."""
    said = {text.key: Counter(zip(text.types, text.slots, strict=True)) for text in texts}
    made: Counter[str] = Counter()
    wanted: Counter[str] = Counter()
    for text in reference:
        if text.key in said:
            for claim, number in Counter(zip(text.types, text.slots, strict=True)).items():
                wanted[claim[0]] += number
                made[claim[0]] += min(number, said[text.key][claim])
    return {kind: 100.0 * made[kind] / wanted[kind] if wanted[kind] else None for kind in TYPES}


def differences(
    first: Sequence[JudgedText], second: Sequence[JudgedText], *, seed: int = 0, resamples: int = 1000
) -> dict[str, Any]:
    """How much more precise one row is than another, gated, by type and for whole texts, paired over photos.

    Returns:
        By type and for "all_true", {"difference", "ci95"} in points of percent; None where a row has no such claim.
    """
    names = (*TYPES, "all_true")
    found: dict[str, Any] = dict.fromkeys(names)
    photos = sorted({text.photo for text in (*first, *second)})
    draws = resampled_counts(len(photos), resamples, seed)
    for name in names:
        shares = []
        for row in (first, second):
            true, all_ = _tally(row, name, photos)
            shares.append((true.sum() / max(all_.sum(), 1), (draws @ true) / np.maximum(draws @ all_, 1), all_.sum()))
        if shares[0][2] and shares[1][2]:
            low, high = np.quantile(100 * (shares[0][1] - shares[1][1]), (0.025, 0.975)).tolist()
            found[name] = {"difference": float(100 * (shares[0][0] - shares[1][0])), "ci95": [low, high]}
    return found


def _tally(row: Sequence[JudgedText], name: str, photos: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """By photo, true and decided claims of a type, or texts without a false claim and texts."""
    place = {photo: i for i, photo in enumerate(photos)}
    true, decided = np.zeros(len(photos)), np.zeros(len(photos))
    for text in row:
        if not text.read:
            continue
        gated = [v for t, v in zip(text.types, text.gated, strict=True) if v is not None and name in (t, "all_true")]
        if gated:
            i = place[text.photo]
            decided[i] += 1 if name == "all_true" else len(gated)
            true[i] += all(gated) if name == "all_true" else sum(gated)
    return true, decided


def _with_true_parents(texts: Iterable[JudgedText]) -> Iterable[tuple[JudgedText, str, Verdict]]:
    for text in texts:
        for i, kind in enumerate(text.types):
            above = [
                v for t, s, v in zip(text.types, text.slots, text.verdicts, strict=True)
                if t in PARENTS[kind] and s != "count"
            ]  # fmt: skip
            if all(above):
                yield text, kind, text.verdicts[i]


def _mean(values: Sequence[tuple[str, float]], options: Mapping[str, int]) -> dict[str, Any] | None:
    if not values:
        return None
    photos, scores = zip(*values, strict=True)
    interval = bootstrap_mean(scores, photos, **options)
    return {"mean": interval.mean, "ci95": [interval.low, interval.high], "n": len(values)}
