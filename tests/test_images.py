"""Photos of every kind come out as RGB the way a person sees them; what is no photo is refused."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from talkingpoints import images
from talkingpoints.images import load_image


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    photo = Image.new("RGB", (40, 20), "red")
    photo.paste("blue", (0, 0, 10, 20))  # blue at the left as stored
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn clockwise to be seen upright
    photo.save(tmp_path / "turned.png", exif=exif)
    seen = load_image(tmp_path / "turned.png")
    assert seen.size == (20, 40)
    assert seen.getpixel((10, 2)) == (0, 0, 255)
    assert seen.getpixel((10, 38)) == (255, 0, 0)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "LA", "1", "CMYK", "I;16", "YCbCr"])
def test_modes_become_rgb(tmp_path: Path, mode: str) -> None:
    if mode == "I;16":
        image = Image.fromarray(np.full((8, 9), 65535, dtype=np.uint16))
    else:
        image = Image.new("RGB", (9, 8), "white").convert(mode)
    seen = load_image(image)
    assert (seen.mode, seen.size) == ("RGB", (9, 8))
    assert seen.getpixel((4, 4)) == (255, 255, 255)


def test_transparency_lies_on_white() -> None:
    assert load_image(Image.new("RGBA", (2, 2), (0, 0, 0, 0))).getpixel((0, 0)) == (255, 255, 255)


def test_arrays(tmp_path: Path) -> None:
    grey = np.full((3, 5), 128, dtype=np.uint8)
    assert load_image(grey).size == (5, 3)
    assert load_image(grey[..., None]).getpixel((0, 0)) == (128, 128, 128)
    assert load_image(np.full((3, 5, 3), 0.5)).getpixel((0, 0)) == (128, 128, 128)
    assert load_image(np.full((3, 5), 65535, dtype=np.uint16)).getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 5, 2), np.uint8), "shape"),
        (np.zeros((0, 5, 3), np.uint8), "shape"),
        (np.full((3, 5), 2.0), r"\[0, 1\]"),
        (np.zeros((3, 5), np.int32), "uint8, uint16 or float"),
    ],
)
def test_bad_arrays_are_refused(array: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_image(array)


def test_what_is_no_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(ValueError, match=r"cannot read 'text\.png' as an image"):
        load_image(tmp_path / "text.png")
    with pytest.raises(ValueError, match=r"cannot read 'missing\.png'"):
        load_image(tmp_path / "missing.png")
    with pytest.raises(TypeError, match="got int"):
        load_image(3)


def test_a_cut_off_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.jpg"
    Image.effect_noise((200, 200), 50).save(path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ValueError, match="cannot read"):
        load_image(path)


def test_huge_images_are_refused_before_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_IMAGE_PIXELS", 99)
    Image.new("RGB", (10, 10)).save(tmp_path / "large.png")
    with pytest.raises(ValueError, match="at most 99"):
        load_image(tmp_path / "large.png")


def test_one_pixel() -> None:
    assert load_image(Image.new("RGB", (1, 1))).size == (1, 1)
