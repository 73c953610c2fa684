"""Photos, points, masks and texts in whatever form a caller has them, and messages that say what to do instead."""

import base64
import io
import warnings
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import torch
from PIL import Image

from talkingpoints import Point, TalkingPoints, images, load_image
from tests.helpers.tiny import photo

pytestmark = pytest.mark.usefixtures("short_texts")


@pytest.fixture(scope="module")
def tp(pair: tuple[Path, Path]) -> TalkingPoints:
    return TalkingPoints.from_pretrained(*pair)


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    photo().save(tmp_path / "photo.png")
    (tmp_path / "page.html").write_text("<html>")
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    handler.log_message = lambda *_: None  # type: ignore[attr-defined]
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_every_kind_of_image_gives_the_same_pixels(tmp_path: Path, served: str) -> None:
    image = photo()
    array = np.asarray(image)
    data = "data:image/png;base64," + base64.b64encode(png(image)).decode()
    kinds = {
        "url": f"{served}/photo.png",
        "data url": data,
        "bytes": png(image),
        "bytearray": bytearray(png(image)),
        "BytesIO": io.BytesIO(png(image)),
        "array": array,
        "tensor, channels first": torch.from_numpy(array.copy()).permute(2, 0, 1),
        "tensor, channels last": torch.from_numpy(array.copy()),
        "float tensor": torch.from_numpy(array.copy()).permute(2, 0, 1) / 255,
    }
    for name, kind in kinds.items():
        assert load_image(kind).tobytes() == image.tobytes(), name
    with (tmp_path / "photo.png").open("rb") as file:
        assert load_image(file).tobytes() == image.tobytes()
    assert load_image(torch.zeros(1, 4, 5, dtype=torch.bfloat16)).size == (5, 4)


def test_images_that_are_none(served: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for url, message in (
        (f"{served}/none.png", "404"),
        (f"{served}/page.html", "cannot read"),
        ("http://", "cannot read"),
    ):
        with pytest.raises(ValueError, match=message):
            load_image(url)
    empty = io.BytesIO(b"x")
    empty.read()
    with pytest.raises(ValueError, match=r"seek\(0\)"):
        load_image(empty)
    (tmp_path / "text").write_text("words")
    with (tmp_path / "text").open() as file, pytest.raises(TypeError, match='"rb"'):
        load_image(file)
    with pytest.raises(ValueError, match=r"transpose\(1, 2, 0\)"):
        load_image(np.zeros((3, 8, 9), np.uint8))
    with pytest.raises(ValueError, match="not a batch"):
        load_image(torch.zeros(1, 3, 8, 9))
    with pytest.raises(ValueError, match="undo a processor's normalization"):
        load_image(torch.full((3, 8, 9), -1.0))
    with pytest.raises(TypeError, match="got None"):
        load_image(None)
    monkeypatch.setattr(images, "MAX_FILE_BYTES", 10)
    with pytest.raises(ValueError, match="more than 10 bytes"):
        load_image(f"{served}/photo.png")


def test_points_as_objects(tp: TalkingPoints) -> None:
    point = Point.at((0.25, 0.5), (64, 96))
    wanted = tp.describe(photo(), (24, 32))
    assert tp.describe(photo(), point) == wanted == tp.describe(photo(), point=point)
    assert tp.describe(photo(), [point, (3, 4)])[0].text == wanted.text
    found = tp.localize(photo(), wanted.text)
    assert tp.describe(photo(), found).point.unit == pytest.approx(found.unit)
    assert tp.describe(photo(), torch.tensor([24.0, 32.0])) == wanted
    assert tp.describe(photo(), []) == []


def test_masks_as_images(tp: TalkingPoints) -> None:
    mask = np.zeros((64, 96), bool)
    mask[10:40, 20:70] = True
    wanted = tp.describe(photo(), mask=mask)
    grey = Image.fromarray(mask.astype(np.uint8) * 255)
    assert tp.describe(photo(), mask=grey) == wanted == tp.describe(photo(), mask=grey.convert("1"))
    assert tp.describe(photo(), mask=[grey, mask]) == [wanted, wanted]
    assert tp.describe(photo(), mask=torch.from_numpy(mask)) == wanted
    with pytest.raises(ValueError, match="mode RGB"):
        tp.describe(photo(), mask=grey.convert("RGB"))
    with pytest.raises(ValueError, match=r"np\.asarray\(mask\) == 3"):
        tp.describe(photo(), mask=Image.fromarray(np.arange(64 * 96, dtype=np.uint8).reshape(64, 96)))


def test_swapped_and_missing_arguments_are_named(tp: TalkingPoints) -> None:
    for call, arguments, message in (
        (tp.describe, ((24, 32), photo()), "the image comes first, then the point"),
        (tp.describe, (photo(), photo()), "point_px must be .* got Image"),
        (tp.describe, (photo(), "24, 32"), "point_px must be .* got str"),
        (tp.describe, (photo(), (24, None)), r"point_px must be .* got \(24, None\)|got \[24, None\]"),
        (tp.describe, (None, (24, 32)), "image must be .* got None"),
        (tp.localize, ("a dog", photo()), "text must be .* got Image; the image comes first"),
        (tp.localize, (photo(), None), "text must be .* got None"),
        (tp.localize, (photo(), ["a dog", None]), "text must be .* got None"),
        (tp.localize, (None, "a dog"), "image must be .* got None"),
    ):
        with pytest.raises(TypeError, match=message):
            call(*arguments)


def test_points_that_look_normalized_get_a_warning(tp: TalkingPoints) -> None:
    with pytest.warns(
        UserWarning, match=r"first pixel of a photo of 96 x 64 pixels; points in \[0, 1\] are given as point="
    ):
        tp.describe(photo(), (0.25, 0.5))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tp.describe(photo(), (0, 1))
        tp.describe(photo(), [(0.5, 0.5), (30, 20)])
