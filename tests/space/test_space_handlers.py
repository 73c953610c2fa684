"""What the app does, without a browser: photos of every kind, points in the right frame, messages."""

import dataclasses
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from space import handlers, photos
from space.drawing import SHOWN_SIDE, draw, shown_size
from space.kept import KeptPoint
from tests.helpers.fake_pair import FakePair


def photo_of(height: int = 300, width: int = 400, size: tuple[int, int] | None = None) -> photos.Photo:
    """A grey photo; ``size`` is what it had when it was uploaded."""
    return photos.Photo(Image.new("RGB", (width, height), "grey"), size or (height, width))


def saved(tmp_path, image: Image.Image, name: str, **options) -> str:
    path = tmp_path / name
    image.save(path, **options)
    return str(path)


def left_red(width: int = 60, height: int = 40) -> Image.Image:
    """Left half red, right half blue."""
    image = Image.new("RGB", (width, height), (0, 0, 255))
    image.paste((255, 0, 0), (0, 0, width // 2, height))
    return image


# --- photos -------------------------------------------------------------------------------------------------


def test_a_rotated_upload_is_kept_as_a_person_sees_it(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    photo = photos.open_photo(saved(tmp_path, left_red(), "turned.jpg", exif=exif, quality=95))
    assert photo.size == (60, 40)
    red, _, blue = photo.image.getpixel((20, 10))
    assert (red > 200, blue > 60) == (True, False), "the left half of the file is the upper half of the photo"


@pytest.mark.parametrize("mode", ["RGBA", "P", "L", "LA", "1", "CMYK", "I;16"])
def test_every_pixel_format_becomes_rgb(tmp_path, mode):
    deep = Image.fromarray(np.full((40, 60), 40_000, dtype=np.uint16))
    image = deep if mode == "I;16" else left_red().convert(mode)
    name = "photo.tif" if mode == "CMYK" else "photo.png"
    photo = photos.open_photo(saved(tmp_path, image, name))
    assert photo.image.mode == "RGB"
    assert photo.size == (40, 60)


def test_an_animation_gives_its_first_frame(tmp_path):
    frames = [Image.new("RGB", (30, 20), colour) for colour in ("red", "blue")]
    path = saved(tmp_path, frames[0], "two.gif", save_all=True, append_images=frames[1:])
    assert photos.open_photo(path).image.getpixel((5, 5)) == (255, 0, 0)


def test_a_large_photo_is_kept_small_with_its_own_size_beside_it():
    photo = photos.open_photo(Image.new("RGB", (4000, 3000)))
    assert photo.size == (3000, 4000)
    assert (photo.image.height, photo.image.width) == (960, SHOWN_SIDE)


def test_an_unreadable_upload_gets_a_message_without_paths_of_the_server(tmp_path):
    path = tmp_path / "holiday.png"
    path.write_bytes(b"this is no image")
    with pytest.raises(ValueError, match="This photo cannot be used") as caught:
        photos.open_photo(str(path))
    assert str(tmp_path) not in str(caught.value)


def test_photos_are_read_one_at_a_time(monkeypatch):
    """Each may take some hundred megabytes while it is read."""
    running, most = [], []

    def slow(source, longest):
        running.append(source)
        most.append(len(running))
        time.sleep(0.05)
        running.remove(source)
        return source, (4, 4)

    monkeypatch.setattr(photos, "load_shrunk", slow)
    with ThreadPoolExecutor(4) as visitors:
        list(visitors.map(photos.open_photo, [Image.new("RGB", (4, 4))] * 4))
    assert max(most) == 1


def test_examples_come_with_an_installed_package():
    sizes = [photos.example_photo(index).size for index in range(len(photos.EXAMPLES))]
    assert sizes == [(300, 451), (512, 512)]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("cat.jpg", "cat.jpg"),
        ("C:\\photos\\cat.jpg", "cat.jpg"),
        ("../../etc/passwd", "passwd"),
        ("a\nb\x00.png", "ab.png"),
        ("", photos.UNNAMED),
        (None, photos.UNNAMED),
        ("x" * 300 + ".jpg", "x" * 116 + ".jpg"),
    ],
)
def test_a_photo_has_the_name_of_its_file_without_folders(given, kept):
    assert photos.open_photo(Image.new("RGB", (4, 4)), given).name == kept


# --- points -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(300, 451), (451, 300), (3000, 4000), (1, 1)])
@pytest.mark.parametrize("share", [(0.0, 0.0), (0.5, 0.25), (1.0, 1.0)])
def test_a_click_comes_back_in_pixels_of_the_upload(size, share):
    photo = photos.open_photo(Image.new("RGB", (size[1], size[0])))
    shown = shown_size(size)
    point = handlers.clicked_point(photo, (share[0] * shown[1], share[1] * shown[0]))
    assert photo.point_px(point) == pytest.approx((share[0] * size[1], share[1] * size[0]))


def test_a_typed_point_is_in_pixels_of_the_upload():
    assert handlers.typed_point(photo_of(size=(600, 800)), 200, 450) == pytest.approx((0.25, 0.75))


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (None, 3, "both x and y"),
        (3, None, "both x and y"),
        (-1, 3, "outside"),
        (3, 300.5, "outside"),
        (float("nan"), 3, "outside"),
    ],
)
def test_a_typed_point_must_lie_in_the_photo(x, y, message):
    with pytest.raises(ValueError, match=message):
        handlers.typed_point(photo_of(), x, y)


def test_a_click_outside_the_shown_photo_is_refused():
    with pytest.raises(ValueError, match="outside"):
        handlers.clicked_point(photo_of(), (SHOWN_SIDE + 1, 0))


# --- both directions ----------------------------------------------------------------------------------------


def test_a_description_grows():
    texts = list(handlers.describe(FakePair(), photo_of(), (0.26, 0.71)))
    assert texts == ["column", "column f", "column f row", "column f row o"]


def test_the_model_gets_the_shrunk_photo_and_the_unit_point():
    pair = FakePair()
    photo = photos.open_photo(Image.new("RGB", (4000, 3000)))
    list(handlers.describe(pair, photo, (0.25, 0.5)))
    assert pair.asked == [((960, 1280), (0.25, 0.5))]


def test_what_was_described_is_found_again():
    pair, photo = FakePair(), photo_of()
    *_, text = handlers.describe(pair, photo, (0.26, 0.71))
    assert handlers.find(pair, photo, text).unit == pytest.approx((0.26, 0.71), abs=0.5 / 20)


def test_round_trip_is_both_ways_at_once():
    text, found = handlers.round_trip(FakePair(), photo_of(), (0.26, 0.71))
    assert text == "column f row o"
    assert found.unit == pytest.approx((0.275, 0.725))


@pytest.mark.parametrize("text", ["", "   \n", None])
def test_an_empty_text_is_refused(text):
    with pytest.raises(ValueError, match="Write where the point is"):
        handlers.find(FakePair(), photo_of(), text)


def test_a_long_text_is_refused_with_both_numbers():
    with pytest.raises(ValueError, match="10,000 characters; at most 1,000"):
        handlers.find(FakePair(), photo_of(), "a" * 10_000)


def test_without_a_photo_nothing_runs():
    pair = FakePair()
    for call in (
        lambda: list(handlers.describe(pair, None, (0.5, 0.5))),
        lambda: handlers.find(pair, None, "the ear"),
        lambda: handlers.round_trip(pair, None, (0.5, 0.5)),
        lambda: handlers.clicked_point(None, (5, 5)),
        lambda: handlers.typed_point(None, 5, 5),
    ):
        with pytest.raises(ValueError, match="Choose a photo first"):
            call()


def test_without_a_click_there_is_nothing_to_describe():
    with pytest.raises(ValueError, match="Click a point"):
        list(handlers.describe(FakePair(), photo_of(), None))
    with pytest.raises(ValueError, match="Click a point"):
        handlers.round_trip(FakePair(), photo_of(), None)


# --- what is shown ------------------------------------------------------------------------------------------


def test_without_a_photo_no_picture():
    assert handlers.picture(None, None, None, 0.5) is None


def test_a_text_that_points_nowhere_leaves_no_mark_and_no_heat():
    pair, photo = FakePair(), photo_of()
    absent = handlers.find(pair, photo, "a unicorn")
    assert handlers.picture(photo, None, absent, 1.0).tobytes() == draw(photo.image).tobytes()


def test_marks_do_not_pile_up_on_the_photo():
    photo = photo_of()
    first = handlers.picture(photo, (0.2, 0.2), None, 0.5)
    handlers.picture(photo, (0.8, 0.8), None, 0.5)
    assert handlers.picture(photo, (0.2, 0.2), None, 0.5).tobytes() == first.tobytes()


def test_facts_give_places_in_pixels_of_the_upload_and_the_distance():
    pair, photo = FakePair(), photo_of(size=(600, 800))
    found = handlers.find(pair, photo, "column f row o")  # (0.275, 0.725)
    shown = handlers.facts(photo, (0.275, 0.775), found)
    for text in ("x 220, y 465 px", "x 220, y 435 px", "confidence 71%", "30.0 px", "5.0% of the image"):
        assert text in shown


def test_a_localizer_without_heat_map_has_a_point_but_no_confidence():
    photo = photo_of()
    found = dataclasses.replace(handlers.find(FakePair(), photo, "the ear"), confidence=float("nan"), heatmap=None)
    assert "confidence" not in handlers.facts(photo, None, found)
    assert handlers.picture(photo, None, found, 0.5).tobytes() == draw(photo.image, found=found.unit).tobytes()


def test_facts_say_when_it_is_not_in_the_image():
    pair, photo = FakePair(), photo_of()
    shown = handlers.facts(photo, (0.2, 0.2), handlers.find(pair, photo, "a unicorn"))
    assert "Not in this image" in shown
    assert "presence 8%" in shown
    assert "Distance" not in shown


def test_facts_say_what_to_do_first():
    assert "Choose a photo" in handlers.facts(None, None, None)
    assert "Click a point" in handlers.facts(photo_of(), None, None)


def test_the_point_is_meant_that_the_words_led_to_or_else_the_clicked_one():
    pair, photo = FakePair(), photo_of()
    assert handlers.meant((0.1, 0.2), handlers.find(pair, photo, "column f row o")) == pytest.approx((0.275, 0.725))
    nowhere = handlers.find(pair, photo, "a unicorn")
    assert handlers.meant((0.1, 0.2), nowhere) == (0.1, 0.2)
    assert handlers.meant(None, nowhere) is None
    assert handlers.to_keep(photo, (0.1, 0.2)) == (0.1, 0.2)
    with pytest.raises(ValueError, match="before you keep it"):
        handlers.to_keep(photo, None)


def test_a_description_is_in_the_facts_for_screen_readers_only():
    shown = handlers.facts(photo_of(), (0.2, 0.2), None, "<b>ear</b>")
    assert '<div class="unseen">&lt;b&gt;ear&lt;/b&gt;</div>' in shown


def test_kept_points_and_the_window_are_drawn():
    photo = photo_of()
    plain = handlers.picture(photo, (0.2, 0.2), None, 0.5).tobytes()
    numbered = handlers.picture(photo, (0.2, 0.2), None, 0.5, kept=(KeptPoint((0.8, 0.8)),)).tobytes()
    window = handlers.picture(photo, (0.2, 0.2), None, 0.5, window=FakePair().window((0.2, 0.2))).tobytes()
    assert len({plain, numbered, window}) == 3


# --- endpoints ----------------------------------------------------------------------------------------------


def test_endpoints_speak_pixels_of_the_upload():
    pair, image = FakePair(), Image.new("RGB", (4000, 3000))
    described = handlers.api_describe(pair, image, 1040, 2130)
    assert described == {
        "text": "column f row o",
        "x": pytest.approx(1040),
        "y": pytest.approx(2130),
        "unit": pytest.approx([0.26, 0.71]),
        "image_size": [3000, 4000],
    }
    localized = handlers.api_localize(pair, image, described["text"])
    assert (localized["x"], localized["y"]) == pytest.approx((1100, 2175))
    assert localized["found"] is True
    trip = handlers.api_round_trip(pair, image, 1040, 2130)
    assert trip["text"] == described["text"]
    assert trip["localization"] == localized
    assert trip["error_px"] == pytest.approx(75.0)
    assert trip["error_img"] == pytest.approx(np.hypot(0.015, 0.015))


def test_endpoints_refuse_with_the_same_messages(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("no image")
    with pytest.raises(ValueError, match="cannot be used"):
        handlers.api_describe(FakePair(), str(path), 1, 1)
    with pytest.raises(ValueError, match="outside"):
        handlers.api_round_trip(FakePair(), Image.new("RGB", (20, 10)), 21, 5)
    with pytest.raises(ValueError, match="Write where"):
        handlers.api_localize(FakePair(), Image.new("RGB", (20, 10)), " ")
