"""Marks and heat maps: at the right place, on a copy, for photos of every shape."""

import numpy as np
import pytest
from PIL import Image

from space.drawing import CLICKED, FOUND, KEPT, SHOWN_SIDE, draw, shown_size

GREY = (128, 128, 128)


def photo(height: int = 300, width: int = 451) -> Image.Image:
    return Image.new("RGB", (width, height), GREY)


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(int)


def close_to(image: Image.Image, colour: tuple[int, int, int], tolerance: int = 24) -> np.ndarray:
    """Bool (height, width): where the image has this colour."""
    return (np.abs(pixels(image) - colour) <= tolerance).all(axis=-1)


def centre_of(where: np.ndarray) -> tuple[float, float]:
    """(x, y) of the mean true pixel, as a share of width and height."""
    rows, columns = np.nonzero(where)
    return (columns.mean() + 0.5) / where.shape[1], (rows.mean() + 0.5) / where.shape[0]


@pytest.mark.parametrize("size", [(300, 451), (451, 300), (6000, 8000), (1, 1), (1, 5000), (5000, 1), (224, 224)])
def test_every_photo_is_shown_with_the_same_longest_side(size):
    shown = shown_size(size)
    assert max(shown) == SHOWN_SIDE
    assert min(shown) >= 1
    if min(size) > 1:
        assert shown[0] / shown[1] == pytest.approx(size[0] / size[1], rel=2e-3)


def test_draw_without_marks_is_the_enlarged_photo():
    shown = draw(photo())
    assert (shown.height, shown.width) == shown_size((300, 451))
    assert (pixels(shown) == GREY).all()


@pytest.mark.parametrize(("height", "width"), [(300, 451), (451, 300), (1200, 900)])
@pytest.mark.parametrize("point", [(0.25, 0.7), (0.5, 0.5), (0.81, 0.12)])
def test_marks_lie_on_their_points(height, width, point):
    clicked = draw(photo(height, width), clicked=point)
    found = draw(photo(height, width), found=point)
    assert centre_of(close_to(clicked, CLICKED)) == pytest.approx(point, abs=2e-3)
    assert centre_of(close_to(found, FOUND)) == pytest.approx(point, abs=2e-3)


def test_the_two_marks_can_be_told_apart_without_colour():
    clicked, found = (
        np.asarray(draw(photo(), **mark).convert("L")) for mark in ({"clicked": (0.5, 0.5)}, {"found": (0.5, 0.5)})
    )
    touched = [np.abs(image.astype(int) - 128) > 20 for image in (clicked, found)]
    assert (touched[0] & touched[1]).sum() / (touched[0] | touched[1]).sum() < 0.5


def test_a_line_joins_the_two_marks_only_when_both_are_there():
    between = (slice(400, 450), slice(600, 680))  # rows and columns around the middle of the shown photo
    one = draw(photo(), clicked=(0.2, 0.5))
    both = draw(photo(), clicked=(0.2, 0.5), found=(0.8, 0.5))
    assert (pixels(one)[between] == GREY).all()
    assert (pixels(both)[between] > 240).any()


@pytest.mark.parametrize("corner", [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)])
def test_marks_on_the_border_are_cut_off_not_refused(corner):
    shown = draw(photo(), clicked=corner, found=(1 - corner[0], 1 - corner[1]))
    assert close_to(shown, CLICKED).any()
    assert close_to(shown, FOUND).any()


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 3000), (3000, 1)])
def test_photos_of_one_pixel_can_be_marked(height, width):
    shown = draw(photo(height, width), (0.5, 0.5), (0.1, 0.9), np.ones((4, 4), dtype=np.float32))
    assert (shown.height, shown.width) == shown_size((height, width))


def test_both_marks_on_the_same_point():
    shown = draw(photo(), clicked=(0.4, 0.4), found=(0.4, 0.4))
    assert close_to(shown, FOUND).any()


def heat_at(column: int, row: int) -> np.ndarray:
    heat = np.zeros((10, 16), dtype=np.float32)
    heat[row, column] = 1.0
    return heat


def test_heat_is_drawn_where_it_is():
    changed = np.abs(pixels(draw(photo(), heatmap=heat_at(12, 2))) - GREY).max(axis=-1) > 40
    assert centre_of(changed) == pytest.approx((12.5 / 16, 2.5 / 10), abs=0.02)


def test_only_the_shape_of_a_heat_map_counts():
    heat = heat_at(3, 3)
    assert draw(photo(), heatmap=heat).tobytes() == draw(photo(), heatmap=heat / 1000).tobytes()


def test_opacity_runs_from_nothing_to_opaque():
    heat = np.ones((4, 4), dtype=np.float32)
    bright, dark = Image.new("RGB", (200, 100), "white"), Image.new("RGB", (200, 100), "black")
    assert (pixels(draw(dark, heatmap=heat, opacity=0.0)) == 0).all()
    assert (
        np.abs(pixels(draw(dark, heatmap=heat, opacity=1.0)) - pixels(draw(bright, heatmap=heat, opacity=1.0))).max()
        <= 1
    )
    half = pixels(draw(dark, heatmap=heat, opacity=0.5)).max()
    assert 90 < half < 160


def test_a_heat_map_of_zeros_leaves_the_photo():
    assert (pixels(draw(photo(), heatmap=np.zeros((4, 4), dtype=np.float32))) == GREY).all()


def test_draw_leaves_its_arguments_alone():
    image, heat = photo(), heat_at(1, 1)
    before = image.tobytes(), heat.tobytes()
    draw(image, (0.5, 0.5), (0.2, 0.2), heat, 0.9)
    assert (image.tobytes(), heat.tobytes()) == before


def disc(radius: float = 0.2, side: int = 64) -> np.ndarray:
    """Bool (side, side): a disc around (0.5, 0.5) in unit coordinates."""
    places = (np.arange(side) + 0.5) / side - 0.5
    return places[None, :] ** 2 + places[:, None] ** 2 <= radius**2


def test_the_window_keeps_its_inside_and_darkens_the_rest():
    shown = pixels(draw(photo(), window=disc()))
    height, width = shown.shape[:2]
    assert (shown[height // 2, width // 2] == GREY).all()
    assert 85 < shown[5, 5, 0] < 115


def test_the_window_has_its_white_outline_where_it_ends():
    shown = draw(photo(), window=disc(0.2))
    rows, columns = np.nonzero(close_to(shown, (255, 255, 255), 40))
    radii = np.hypot(columns / shown.width - 0.5, rows / shown.height - 0.5)
    assert len(radii) > 500
    assert radii.min() > 0.18
    assert radii.max() < 0.22


def test_a_window_at_the_border_is_cut_off_by_it():
    corner = np.zeros((64, 64), dtype=bool)
    corner[:12, :12] = True
    shown = pixels(draw(photo(), window=corner))
    assert (shown[2, 2] == GREY).all(), "no outline along the border of the photo"


@pytest.mark.parametrize("count", [1, 9, 10, 100])
def test_kept_points_lie_on_their_places_with_a_number_each(count):
    points = [(0.5, (number + 0.5) / count) for number in range(count)]
    shown = draw(photo(), kept=points)
    assert centre_of(close_to(shown, KEPT))[0] == pytest.approx(0.5, abs=0.01)
    first, last = draw(photo(), kept=points[:1]), draw(photo(), kept=[points[-1]] * count)
    if count > 1:
        assert close_to(first, KEPT).sum() != close_to(last, KEPT).sum(), "another number"


def test_a_kept_point_on_the_border_is_cut_off_not_refused():
    assert close_to(draw(photo(), kept=[(0.0, 0.0), (1.0, 1.0)]), KEPT).any()
