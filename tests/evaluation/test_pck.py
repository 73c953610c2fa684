import numpy as np
import pytest

from talkingpoints.evaluation.metrics import pck

TRUTHS = [[0.2, 0.2], [0.5, 0.5], [0.9, 0.1], [0.3, 0.7]]


def test_perfect_predictions():
    errors = pck.unit_errors(TRUTHS, TRUTHS)
    assert errors.tolist() == [0.0] * 4
    assert pck.pck(errors, 0.02) == 100.0
    assert pck.mean_pck(errors, pck.MPCK_IMG_THRESHOLDS) == 100.0
    assert pck.auc(errors) == 100.0


def test_hopeless_predictions():
    errors = pck.unit_errors(np.zeros((4, 2)), np.ones((4, 2)))
    assert pck.pck(errors, 0.2) == 0.0
    assert pck.mean_pck(errors, pck.MPCK_IMG_THRESHOLDS) == 0.0
    assert pck.auc(errors) == 0.0


def test_no_answer_is_infinitely_far():
    predictions = [[np.nan, np.nan], [0.5, 0.5]]
    truths = [[0.5, 0.5], [0.5, 0.5]]
    assert pck.unit_errors(predictions, truths).tolist() == [np.inf, 0.0]
    assert pck.pixel_errors(predictions, truths, [(10, 10), (10, 10)]).tolist() == [np.inf, 0.0]
    assert pck.auc(pck.unit_errors(predictions, truths)) == 50.0


def test_errors_by_hand():
    # One point, off by 0.3 of the width and 0.4 of the height of a photo 200 px wide and 100 px high.
    predictions, truths = [[0.5, 0.5]], [[0.2, 0.1]]
    assert pck.unit_errors(predictions, truths) == pytest.approx([0.5])
    assert pck.pixel_errors(predictions, truths, [(100, 200)]) == pytest.approx([np.hypot(60, 40)])


def test_pck_counts_an_error_on_the_threshold():
    errors = [0.0, 0.05, 0.0625, 0.125, 0.5]
    assert pck.pck(errors, 0.02) == pytest.approx(20.0)
    assert pck.pck(errors, 0.05) == pytest.approx(40.0)
    assert pck.pck(errors, 0.125) == pytest.approx(80.0)


def test_mpck_img_by_hand():
    errors = [0.04, 0.15, 0.15, 0.9]  # PCK@0.1 = 25, PCK@0.2 = 75
    assert pck.point_scores(errors, pck.MPCK_IMG_THRESHOLDS).tolist() == [100.0, 50.0, 50.0, 0.0]
    assert pck.mean_pck(errors, pck.MPCK_IMG_THRESHOLDS) == pytest.approx(50.0)


def test_mpck_bbox_by_hand():
    errors = [0.04, 0.12, 0.24, 0.26]  # thresholds .05 .1 .15 .2 .25 are met 5, 3, 1 and 0 times
    assert pck.mean_pck(errors, pck.MPCK_BBOX_THRESHOLDS) == pytest.approx(100 * 9 / 20)


def test_auc_by_hand_and_against_a_sampled_curve():
    errors = np.array([0.0, 0.05, 0.1, 0.3])  # shares of the axis 0..0.2 on which they count: 1, 3/4, 1/2, 0
    assert pck.auc(errors) == pytest.approx(100 * 2.25 / 4)
    thresholds = np.linspace(0.0, pck.AUC_LIMIT, 20001)
    curve = (errors[:, None] <= thresholds[None, :]).mean(axis=0)
    assert pck.auc(errors) == pytest.approx(100 * curve.mean(), abs=0.02)


def test_expected_calibration_error_by_hand():
    # Bin 0.9..1: 0.95 twice, one correct: gap |0.5 - 0.95|. Bin 0.2..0.3: 0.25 twice, none correct: gap 0.25.
    confidences, correct = [0.95, 0.95, 0.25, 0.25], [True, False, False, False]
    assert pck.expected_calibration_error(confidences, correct) == pytest.approx(0.5 * 0.45 + 0.5 * 0.25)
    assert pck.expected_calibration_error([1.0, 0.0], [True, False]) == 0.0
    assert pck.reliability_curve([0.95, 0.05, 0.99], [True, False, False], bins=2) == [
        {"n": 1, "confidence": pytest.approx(0.05), "accuracy": 0.0},
        {"n": 2, "confidence": pytest.approx(0.97), "accuracy": 0.5},
    ]
    assert pck.expected_calibration_error([1.0, 0.0], [False, True]) == 1.0


def test_roc_auc_by_hand():
    assert pck.roc_auc([0.9, 0.4], [0.4, 0.1]) == pytest.approx((1 + 1 + 0.5 + 1) / 4)
    assert pck.roc_auc([0.9, 0.8], [0.1, 0.2, 0.3]) == 1.0
    assert pck.roc_auc([0.1], [0.2, 0.3]) == 0.0
    assert pck.roc_auc([0.5] * 3, [0.5] * 4) == 0.5


def test_error_messages():
    with pytest.raises(ValueError, match=r"shape \(points, 2\); got \(1, 2\) and \(2, 2\)"):
        pck.unit_errors([[0.5, 0.5]], [[0.5, 0.5], [0.1, 0.1]])
    with pytest.raises(ValueError, match=r"sizes must have shape \(1, 2\)"):
        pck.pixel_errors([[0.5, 0.5]], [[0.5, 0.5]], [100, 200])
    with pytest.raises(ValueError, match="at least one point"):
        pck.pck([], 0.1)
    with pytest.raises(ValueError, match="one length"):
        pck.expected_calibration_error([0.5], [True, False])
    with pytest.raises(ValueError, match=r"lie in \[0, 1\]"):
        pck.expected_calibration_error([1.5], [True])
    with pytest.raises(ValueError, match="must not be NaN"):
        pck.roc_auc([np.nan], [0.5])
