"""The coordinate codec: write then read over corners and non-square images, and what it refuses."""

import numpy as np
import pytest

from talkingpoints import points


@pytest.mark.parametrize("size", [(1, 1), (480, 640), (4000, 30), (149, 224)])
def test_pixels_to_unit_and_back(size: tuple[int, int]) -> None:
    height, width = size
    px = np.array([[0, 0], [width, height], [width / 3, height / 7], [0, height]])
    assert np.allclose(points.to_pixels(points.to_unit(px, size), size), px)
    assert points.to_unit([width, height], size).tolist() == [1.0, 1.0]


def test_location_tokens_are_read_back_within_half_a_bin() -> None:
    grid = np.array([(x, y) for x in (0.0, 0.1, 0.5, 0.999, 1.0) for y in (0.0, 0.3, 1.0)])
    text = "at " + " and ".join(points.location_tokens(p) for p in grid)
    read = points.read_location_tokens(text)
    assert read.shape == grid.shape
    assert np.abs(read - grid).max() <= 1 / 2048 + 1e-12


def test_x_comes_first() -> None:
    assert points.location_tokens((0.5, 0.0)) == "<loc_0512><loc_0000>"


@pytest.mark.parametrize("point", [(-0.5, 3), (11, 3), (3, 8), (float("nan"), 1), (float("inf"), 1)])
def test_points_outside_are_refused_with_the_allowed_range(point: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match=r"outside the image: x must be in \[0, 10\], y in \[0, 7\]"):
        points.check_points_px(point, (7, 10))


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        points.check_points_px([1, 2, 3], (7, 10))
    with pytest.raises(ValueError, match="shape"):
        points.check_points_px(4, (7, 10))


def test_borders_are_inside() -> None:
    assert points.check_points_px([(0, 0), (10, 7)], (7, 10)).shape == (2, 2)


def test_unit_points_outside_have_no_tokens() -> None:
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        points.location_tokens((1.01, 0.5))


def test_flip_and_crop() -> None:
    assert np.allclose(points.flip_horizontal([(0.2, 0.7)]), [(0.8, 0.7)])
    assert np.allclose(points.flip_horizontal(points.flip_horizontal([(0.2, 0.7)])), [(0.2, 0.7)])
    assert np.allclose(points.crop([(0.5, 0.5), (0.25, 0.0)], (0.25, 0.0, 0.75, 0.5)), [(0.5, 1.0), (0.0, 0.0)])


def test_unit_distance_counts_each_axis_by_its_side() -> None:
    assert np.isclose(points.unit_distance((0.1, 0.2), (0.4, 0.6)), 0.5)
