"""Percentile bootstrap over images: intervals for a mean over points, and for the difference of two systems.

Points of one image are not independent (one misread dog moves all its keypoints), so whole images are drawn,
with replacement, and the mean over points is taken anew: a cluster bootstrap. For a difference both systems
are read on the same drawn images (paired), which takes out what makes an image hard for both.

Leaves out: the scores themselves (pck.py).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Interval:
    """A mean with its percentile interval, all in the unit of the scores.

    Attributes:
        mean: mean over points.
        low: lower end of the interval.
        high: upper end of the interval.
    """

    mean: float
    low: float
    high: float


def bootstrap_mean(
    scores: ArrayLike, images: ArrayLike, *, resamples: int = 1000, level: float = 0.95, seed: int = 0
) -> Interval:
    """Interval of the mean of `scores` over points, images resampled.

    Args:
        scores: (n,) one finite number a point.
        images: (n,) which image each point lies in; any labels that compare.
        resamples: how many times the images are drawn.
        level: share of the resampled means inside the interval, between 0 and 1.
        seed: the same seed draws the same images.

    Returns:
        The mean and its interval. With one image there is nothing to draw: the interval has no width.

    Raises:
        ValueError: if the lengths differ, there are no points, a score is not finite, or resamples or level
            are out of range.
    """
    values = np.asarray(scores, dtype=np.float64)
    names = np.asarray(images)
    if values.ndim != 1 or len(values) == 0 or names.shape != values.shape:
        raise ValueError(f"scores and images must be (n,) with n >= 1; got {values.shape} and {names.shape}")
    if not np.isfinite(values).all():
        raise ValueError("scores must be finite; got NaN or inf")
    if resamples < 1 or not 0.0 < level < 1.0:
        raise ValueError(f"resamples must be at least 1 and level in (0, 1); got {resamples} and {level}")

    _, image_index = np.unique(names, return_inverse=True)
    sums = np.bincount(image_index, weights=values)
    counts = np.bincount(image_index)
    draws = resampled_counts(len(counts), resamples, seed)
    means = (draws @ sums) / (draws @ counts)
    low, high = np.quantile(means, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return Interval(float(values.mean()), float(low), float(high))


def bootstrap_difference(
    scores: ArrayLike,
    other_scores: ArrayLike,
    images: ArrayLike,
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Paired interval of mean(scores) - mean(other_scores), both on the same points and the same drawn
    images.

    Args:
        scores: (n,) one number a point, of the first system.
        other_scores: (n,) the second system's, of the same points in the same order.
        images: (n,) which image each point lies in.
        resamples: how many times the images are drawn.
        level: share of the resampled differences inside the interval.
        seed: the same seed draws the same images.

    Raises:
        ValueError: as `bootstrap_mean`, and if the two systems were not scored on the same number of points.
    """
    first, second = np.asarray(scores, dtype=np.float64), np.asarray(other_scores, dtype=np.float64)
    if first.shape != second.shape:
        raise ValueError(f"a paired difference needs the same points twice; got {first.shape} and {second.shape}")
    return bootstrap_mean(first - second, images, resamples=resamples, level=level, seed=seed)


def resampled_counts(images: int, resamples: int, seed: int) -> NDArray[np.float64]:
    """(resamples, images): how often each image was drawn; a row sums to the number of images."""
    generator = np.random.default_rng(seed)
    return generator.multinomial(images, np.full(images, 1.0 / images), size=resamples).astype(np.float64)
