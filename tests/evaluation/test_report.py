from dataclasses import replace

import numpy as np
import pytest

from talkingpoints.evaluation.metrics.bootstrap import bootstrap_difference, bootstrap_mean
from talkingpoints.evaluation.report import (
    LabelledPoint,
    RowPredictions,
    image_scores,
    joined,
    mirror_figures,
    presence_summary,
    row_figures,
    summarise,
)

# Photos 200 px wide and 100 px high; the box is 100 x 50 px, so box errors are pixels / 100.
DOG = LabelledPoint(
    row=0,
    image_id=10,
    object_index=0,
    label="dog",
    name="nose",
    point=(0.5, 0.5),
    box=(0.25, 0.25, 0.75, 0.75),
    size=(100, 200),
    photo_labels=frozenset({"dog"}),
)
CAT = replace(DOG, row=3, image_id=13, label="cat", photo_labels=frozenset({"cat"}))
POINTS = [DOG, replace(DOG, name="left eye"), CAT, replace(CAT, name="left eye")]


def answers(offsets, confidence=0.5, presence=0.5, found=True):
    """A row whose predictions are off by these unit (dx, dy); None for no answer."""
    predictions = np.array([(np.nan, np.nan) if offset is None else np.add((0.5, 0.5), offset) for offset in offsets])
    shape = len(offsets)
    return RowPredictions(
        predictions,
        np.where(np.isnan(predictions[:, 0]), np.nan, np.broadcast_to(confidence, shape)),
        np.where(np.isnan(predictions[:, 0]), np.nan, np.broadcast_to(presence, shape)),
        np.broadcast_to(found, shape) & ~np.isnan(predictions[:, 0]),
        tuple("" if offset is None else "a text" for offset in offsets),
    )


# Unit errors 0, 0.0625, 0.14, 0.25; pixels 0, 12.5, 14, 50.
BY_HAND = answers([(0, 0), (0.0625, 0), (0, 0.14), (-0.25, 0)])


def test_row_figures_by_hand():
    figures = row_figures(POINTS, BY_HAND)
    assert figures["pck_img"] == {"0.02": 25.0, "0.05": 25.0, "0.1": 50.0, "0.2": 75.0}
    assert figures["mpck_img"] == pytest.approx(62.5)
    # Box errors 0, 0.125, 0.14, 0.5 meet 5, 3, 3 and 0 of the five thresholds.
    assert figures["mpck_bbox"] == pytest.approx(100 * 11 / 20)
    assert figures["median_error_px"] == pytest.approx((12.5 + 14) / 2)
    assert figures["auc"] == pytest.approx(100 * (1 + 0.6875 + 0.3 + 0) / 4)
    interval = bootstrap_mean([100.0, 100.0, 50.0, 0.0], [0, 0, 3, 3])
    assert figures["ci95"] == [interval.low, interval.high] == [25.0, 100.0]


def test_a_row_without_answers():
    figures = row_figures(POINTS, answers([None, None, None, (0, 0)]))
    assert figures["mpck_img"] == 25.0
    assert figures["median_error_px"] is None
    assert figures["auc"] == 25.0


def test_summary_by_hand():
    rows = {
        "descriptor": answers([(0, 0), None, (0.15, 0), (0.15, 0)]),
        "reference": BY_HAND,
        "blind": answers([(0.5, 0)] * 4),
    }
    report = summarise(POINTS, rows)
    assert (report["n_images"], report["n_points"]) == (2, 4)
    assert report["n_empty"] == {"descriptor": 1, "reference": 0, "blind": 0}
    # Point scores: reference 100, 100, 50, 0; descriptor 100, 0, 50, 50; blind 0.
    assert image_scores(POINTS, rows["descriptor"]).tolist() == [100.0, 0.0, 50.0, 50.0]
    assert report["by_label"] == {
        "cat": {"n_points": 2, "reference": 25.0, "descriptor": 50.0},
        "dog": {"n_points": 2, "reference": 100.0, "descriptor": 50.0},
    }
    assert report["differences"]["reference_minus_blind"] == {"mpck_img": 62.5, "ci95": [25.0, 100.0]}
    paired = bootstrap_difference([100, 0, 50, 50], [100, 100, 50, 0], [0, 0, 3, 3])
    expected = {"mpck_img": -12.5, "ci95": [paired.low, paired.high]}
    assert report["differences"]["descriptor_minus_reference"] == expected
    # Confidence 0.5 throughout; correct (error at most 0.1): 2 of 4, and 1 of the 3 that were answered.
    assert report["calibration"] == {
        "reference": {"ece": pytest.approx(0.0), "curve": [{"n": 4, "confidence": 0.5, "accuracy": 0.5}]},
        "descriptor": {
            "ece": pytest.approx(0.5 - 1 / 3),
            "curve": [{"n": 3, "confidence": 0.5, "accuracy": pytest.approx(1 / 3)}],
        },
    }
    assert report["by_keypoint"] == {
        "eye": {"n_points": 2, "reference": 50.0, "descriptor": 25.0},
        "nose": {"n_points": 2, "reference": 75.0, "descriptor": 75.0},
    }
    assert report["listeners"] == {} and report["mirroring"] is None


def test_mirroring_by_hand():
    """Answers in the middle cannot flip; of three at 0.25 one flips, one stays, one is not answered."""
    plain = answers([(0, 0), (-0.25, 0), (-0.25, 0), (-0.25, 0)])
    back = answers([(0.05, 0), (-0.25, 0), (0.25, 0), None])  # mirrored back, so what stayed is on the other side
    figures = mirror_figures({"semantic": plain, "mirrored_semantic": back})
    assert figures == {"same_place": pytest.approx(2 / 3), "flips": 0.5}
    middle = {"semantic": plain.of([0]), "mirrored_semantic": back.of([0])}
    assert mirror_figures(middle) == {"same_place": 1.0, "flips": None}


def test_listeners_by_hand():
    rows = {
        "reference@one": BY_HAND,
        "descriptor@one": answers([(0, 0), None, (0.15, 0), (0.15, 0)]),
        "shuffled@one": answers([(0.5, 0)] * 4),
    }
    paired = bootstrap_difference([100, 0, 50, 50], [100, 100, 50, 0], [0, 0, 3, 3])
    figures = {"reference": 62.5, "descriptor": 50.0, "shuffled": 0.0, "ratio": 0.8, "difference": -12.5}
    assert summarise(POINTS, rows)["listeners"] == {"one": {**figures, "ci95": [paired.low, paired.high]}}


def test_rows_are_joined_and_taken_apart():
    whole = answers([(0, 0), None, (0.1, 0)], confidence=[0.1, 0.2, 0.3])
    again = joined([whole.of([0]), whole.of([1, 2])])
    for name in ("predictions", "confidence", "presence", "found"):
        assert np.array_equal(getattr(whole, name), getattr(again, name), equal_nan=True)
    assert again.texts == whole.texts


def test_no_calibration_without_a_confidence():
    rows = {"reference": answers([(0, 0)] * 4, confidence=np.nan), "descriptor": answers([None] * 4)}
    assert summarise(POINTS, rows)["calibration"] == {}


def test_no_difference_to_a_row_that_was_not_measured():
    report = summarise(POINTS, {"reference": BY_HAND})
    assert report["differences"] == {}
    assert report["by_label"]["dog"] == {"n_points": 2, "reference": 100.0}


def test_presence_counts_only_categories_that_the_photo_lacks():
    both = frozenset({"dog", "cat"})
    points = [DOG, CAT, replace(DOG, row=5, photo_labels=both), replace(DOG, row=6)]
    donors = [1, 0, 1, 0]  # cat in a dog photo, dog in a cat photo, cat where both are, dog in a dog photo
    reference = answers([(0, 0)] * 4, presence=[0.9, 0.8, 0.7, 0.4])
    shuffled = answers([(0, 0)] * 4, presence=[0.1, 0.6, 1.0, 1.0], found=[False, True, True, True])
    summary = presence_summary(points, reference, shuffled, donors)
    assert summary["presence_roc_auc"] == pytest.approx(7 / 8)  # of 4 x 2 pairs only (0.4, 0.6) is wrong
    assert summary["presence"] == {
        "n_present": 4,
        "n_absent": 2,
        "mean_present": pytest.approx(0.7),
        "mean_absent": pytest.approx(0.35),
        "found_present": 1.0,
        "found_absent": 0.5,
        "balanced_accuracy": 0.75,
    }


def test_presence_with_one_category():
    points = [DOG, replace(DOG, row=1)]
    row = answers([(0, 0)] * 2)
    summary = presence_summary(points, row, row, [1, 0])
    assert summary["presence_roc_auc"] is None
    assert summary["presence"]["n_absent"] == 0
    assert summary["presence"]["mean_absent"] is None
