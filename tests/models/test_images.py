"""Photos of every kind come out as RGB the way a person sees them; what is no photo is refused."""

import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from talkingpoints import images
from talkingpoints.images import load_image, load_shrunk
from tests.helpers.hostile import EPS, many_scans


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


@pytest.mark.parametrize("error", [struct.error("short"), EOFError(), MemoryError(), OverflowError("large")])
@pytest.mark.parametrize("step", ["open", "getexif", "crop"])
def test_whatever_a_hostile_file_brings_about_is_a_value_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, error: Exception
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise error

    Image.new("RGB", (9, 8)).save(tmp_path / "photo.jpg")
    with monkeypatch.context() as patch:
        patch.setattr(Image if step == "open" else Image.Image, step, fail)
        with pytest.raises(ValueError, match="cannot read"):
            load_image(tmp_path / "photo.jpg")


def test_formats_that_start_programs_are_not_even_recognised(tmp_path: Path) -> None:
    (tmp_path / "drawing.eps").write_bytes(EPS)
    with pytest.raises(ValueError, match=r"cannot read 'drawing\.eps' as an image"):
        load_image(tmp_path / "drawing.eps")


def test_a_jpeg_of_many_scans_is_refused_and_a_progressive_one_is_read(tmp_path: Path) -> None:
    (tmp_path / "many.jpg").write_bytes(many_scans(images.MAX_SCANS))
    with pytest.raises(ValueError, match="more than 64 scans"):
        load_image(tmp_path / "many.jpg")
    (tmp_path / "few.jpg").write_bytes(many_scans(0))
    assert load_image(tmp_path / "few.jpg").size == (64, 64)


def test_what_looks_like_a_scan_inside_a_segment_or_after_the_end_does_not_count(tmp_path: Path) -> None:
    Image.new("RGB", (9, 8)).save(tmp_path / "noted.jpg", comment=b"\xff\xda" * 200)
    path = tmp_path / "noted.jpg"
    path.write_bytes(path.read_bytes() + b"\xff\xda" * 200)  # phones append films
    assert load_image(path).size == (9, 8)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "CMYK"])
def test_strips_give_what_the_whole_gives(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    image = Image.merge("RGBA", [Image.effect_noise((30, 50), 90) for _ in "RGBA"]).convert(mode)
    whole = load_image(image)
    monkeypatch.setattr(images, "_STRIP_PIXELS", 100)
    assert load_image(image).tobytes() == whole.tobytes()


def test_deep_images_are_scaled_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dark strips of a bright image stay dark."""
    values = np.linspace(0, 65535, 30 * 50).reshape(50, 30)
    expected = (values.astype(np.uint16) * (255.0 / 65535.0)).astype(np.uint8)
    monkeypatch.setattr(images, "_STRIP_PIXELS", 100)
    for deep in (values.astype(np.uint16), values.astype(np.uint16).astype(np.int32)):
        assert (np.asarray(load_image(Image.fromarray(deep)))[..., 0] == expected).all()
    with_gaps = values.astype(np.float32)
    with_gaps[0, 0] = np.nan
    assert load_image(Image.fromarray(with_gaps)).getpixel((0, 0)) == (0, 0, 0)


# --- shrunk while read --------------------------------------------------------------------------------------


def quarters(width: int, height: int, mode: str) -> Image.Image:
    """Red above left, green above right, blue below left, white below right."""
    image = Image.new("RGB", (2, 2))
    for x, y, colour in ((0, 0, "red"), (1, 0, "lime"), (0, 1, "blue"), (1, 1, "white")):
        image.putpixel((x, y), Image.new("RGB", (1, 1), colour).getpixel((0, 0)))
    return image.resize((width, height), Image.Resampling.NEAREST).convert(mode)


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_shrunk_photo_is_upright_and_comes_with_the_size_of_the_whole(
    tmp_path: Path, suffix: str, orientation: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"photo.{suffix}"
    quarters(1201, 801, "RGB").save(path, exif=exif)
    whole = load_image(path)
    shrunk, size = load_shrunk(path, 150)
    assert size == (whole.height, whole.width) == ((801, 1201) if orientation in (1, 3) else (1201, 801))
    assert shrunk.size == (round(150 * whole.width / 1201), round(150 * whole.height / 1201))
    for x, y in ((0.2, 0.2), (0.8, 0.2), (0.2, 0.8), (0.8, 0.8)):
        small = shrunk.getpixel((int(x * shrunk.width), int(y * shrunk.height)))
        large = whole.getpixel((int(x * whole.width), int(y * whole.height)))
        assert small == pytest.approx(large, abs=12)


def test_borders_stay_where_they_are_when_shrunk(tmp_path: Path) -> None:
    """In a photo whose size no factor divides, the border between two halves is at the same share of the width."""
    path = tmp_path / "halves.jpg"
    quarters(3001, 2003, "L").save(path, quality=95)
    row = np.asarray(load_shrunk(path, 300)[0])[50, :, 0].astype(float)
    dark, bright = row[20], row[-20]
    border = (row < (dark + bright) / 2).sum() if dark < bright else (row > (dark + bright) / 2).sum()
    assert border / len(row) == pytest.approx(0.5, abs=0.005)


@pytest.mark.parametrize("size", [(1, 1), (1, 9000), (9000, 1), (3, 40_000), (40, 30)])
def test_photos_of_any_shape_can_be_shrunk(size: tuple[int, int]) -> None:
    shrunk, (height, width) = load_shrunk(Image.new("RGB", size, "red"), 100)
    assert (width, height) == size
    assert max(shrunk.size) == min(100, max(size))
    assert shrunk.getpixel((0, 0)) == (255, 0, 0)


MEASURE = """
import importlib.util, pathlib, re, sys
spec = importlib.util.spec_from_file_location("images", sys.argv.pop(1))  # alone: the package imports torch
spec.loader.exec_module(images := importlib.util.module_from_spec(spec))
most = lambda: int(re.search(r"VmHWM:\\s*(\\d+)", pathlib.Path("/proc/self/status").read_text())[1]) // 1024
before = most()
for path in sys.argv[1:]:
    image, size = images.load_shrunk(path, 1280)
    assert (size, image.size) == ((6000, 8000), (1280, 960)), (path, size, image.size)
    print(most() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="measures memory as Linux tells it")
def test_a_photo_of_48_megapixels_is_read_in_bounded_memory(tmp_path: Path) -> None:
    """Not more than its decoded pixels, 192 MB, and a little; each kind in turn, in a process of its own."""
    colours = quarters(8000, 6000, "RGB")
    colours.save(tmp_path / "photo.jpg", quality=80)
    colours.convert("RGBA").save(tmp_path / "clear.png", compress_level=1)
    deep = np.tile(np.linspace(0, 65535, 8000, dtype=np.uint16), (6000, 1))
    Image.fromarray(deep).save(tmp_path / "deep.png", compress_level=1)
    paths = [str(tmp_path / name) for name in ("photo.jpg", "deep.png", "clear.png")]
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, images.__file__, *paths], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    megabytes = [int(line) for line in done.stdout.split()]
    print(megabytes)
    assert megabytes[0] < 150, "a JPEG is decoded at half its size"
    assert megabytes[1] < 200, "a 16-bit photo is converted strip by strip"
    assert megabytes[2] < 280
