import numpy as np
import pytest

from talkingpoints.evaluation.metrics.bootstrap import Interval, bootstrap_difference, bootstrap_mean


def test_interval_of_a_constant_has_no_width():
    assert bootstrap_mean([70.0] * 12, [0, 0, 0, 1, 1, 2, 2, 2, 2, 3, 4, 5]) == Interval(70.0, 70.0, 70.0)


def test_one_image_has_nothing_to_draw():
    assert bootstrap_mean([0.0, 100.0, 50.0], [7, 7, 7]) == Interval(50.0, 50.0, 50.0)


def test_independent_images_give_the_normal_interval():
    # Mean of 400 images of one point each, half 0 and half 100: standard error 50 / sqrt(400) = 2.5.
    interval = bootstrap_mean([0.0, 100.0] * 200, range(400), resamples=20000)
    assert interval.mean == 50.0
    assert interval.low == pytest.approx(50 - 1.96 * 2.5, abs=0.3)
    assert interval.high == pytest.approx(50 + 1.96 * 2.5, abs=0.3)


def test_points_of_one_image_do_not_narrow_the_interval():
    once = bootstrap_mean([0.0, 100.0] * 50, range(100))
    ten_points_each = bootstrap_mean(np.repeat([0.0, 100.0] * 50, 10), np.repeat(range(100), 10))
    assert [ten_points_each.low, ten_points_each.high] == pytest.approx([once.low, once.high])


def test_points_are_weighted_not_images():
    # One image of three points at 100, one of a point at 0. Draws: twice the first, twice the second, mixed.
    interval = bootstrap_mean([100.0, 100.0, 100.0, 0.0], [0, 0, 0, 1], resamples=1000)
    assert interval == Interval(75.0, 0.0, 100.0)


def test_against_drawing_images_one_by_one():
    generator = np.random.default_rng(3)
    images = generator.integers(0, 30, size=200)
    scores = generator.choice([0.0, 50.0, 100.0], size=200) + images  # images differ
    by_image = [scores[images == image] for image in np.unique(images)]
    means = []
    for _ in range(4000):
        drawn = generator.integers(0, len(by_image), size=len(by_image))
        means.append(np.concatenate([by_image[image] for image in drawn]).mean())
    interval = bootstrap_mean(scores, images, resamples=4000)
    assert [interval.low, interval.high] == pytest.approx(np.quantile(means, [0.025, 0.975]).tolist(), abs=0.5)


def test_seed_fixes_the_interval():
    scores, images = np.arange(50.0), np.arange(50) // 3
    assert bootstrap_mean(scores, images, seed=1) == bootstrap_mean(scores, images, seed=1)
    assert bootstrap_mean(scores, images, seed=1) != bootstrap_mean(scores, images, seed=2)


def test_a_lower_level_is_narrower():
    scores, images = np.arange(50.0), np.arange(50)
    wide, narrow = bootstrap_mean(scores, images, level=0.95), bootstrap_mean(scores, images, level=0.5)
    assert wide.low < narrow.low < narrow.high < wide.high


def test_paired_difference_takes_out_what_images_share():
    # The second system is 10 below the first on every point, however hard the image: no doubt about 10.
    scores = np.linspace(0.0, 100.0, 60)
    images = np.arange(60) // 2
    assert bootstrap_difference(scores, scores - 10.0, images).mean == pytest.approx(10.0)
    interval = bootstrap_difference(scores, scores - 10.0, images)
    assert [interval.low, interval.high] == pytest.approx([10.0, 10.0])
    assert bootstrap_mean(scores, images).high - bootstrap_mean(scores, images).low > 10.0


def test_difference_of_equal_systems_is_zero():
    scores = np.array([0.0, 50.0, 100.0])
    assert bootstrap_difference(scores, scores, [0, 1, 2]) == Interval(0.0, 0.0, 0.0)


def test_error_messages():
    with pytest.raises(ValueError, match=r"n >= 1; got \(0,\) and \(0,\)"):
        bootstrap_mean([], [])
    with pytest.raises(ValueError, match=r"got \(2,\) and \(3,\)"):
        bootstrap_mean([1.0, 2.0], [0, 0, 1])
    with pytest.raises(ValueError, match="must be finite"):
        bootstrap_mean([1.0, np.inf], [0, 1])
    with pytest.raises(ValueError, match=r"got 0 and 0\.95"):
        bootstrap_mean([1.0], [0], resamples=0)
    with pytest.raises(ValueError, match=r"got 1000 and 1\.0"):
        bootstrap_mean([1.0], [0], level=1.0)
    with pytest.raises(ValueError, match=r"same points twice; got \(2,\) and \(1,\)"):
        bootstrap_difference([1.0, 2.0], [1.0], [0, 1])
