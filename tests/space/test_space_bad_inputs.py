"""What visitors and programs should not send, and the message that each of it gets: one row a case.

The messages are compared as a whole: they are what a person reads, so they name what is wrong and what to do, and
nothing of the server. After every case the app answers a good request.
"""

import contextlib
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from space import photos
from space.events import EXPIRED, Events, Session
from space.hosting.serving import ServedPair
from space.hosting.uploads import NOT_UPLOADED
from space.kept import KeptPoint
from space.segment_events import SegmentEvents
from space.segments import Segments
from tests.helpers.fake_pair import FOREVER, FakePair
from tests.helpers.hostile import EPS, many_scans

NO_IMAGE = "An image is needed"
NUMBERS = "Give both x and y as numbers, in pixels of the photo."
WRITE = "Write where the point is, for example: the left ear of the cat."
A_TEXT = "The text has to be a text, not a number or a list."
A_MAP = "Say true or false for id_map: whether to send the map of the segments."
CHOOSE = "Choose a photo first."


def unreadable(name: str) -> str:
    return f"This photo cannot be used: cannot read &#x27;{name}&#x27; as an image."


def outside(x: str, y: str) -> str:
    return f"Point ({x}, {y}) is outside the image: x must be in [0, 400], y in [0, 300]"


def too_long(count: str) -> str:
    return f"The text has {count} characters; at most 1,000 are read."


class Desk:
    """The app without a browser: uploads lie in a folder, and what is said to a visitor is collected."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        monkeypatch.setenv("GRADIO_TEMP_DIR", str(folder))
        monkeypatch.setattr("space.events.gr.Warning", lambda message, title: self.said.append(message))
        self.said: list[str] = []
        self.events = Events(ServedPair(FakePair(), seconds=0.3))
        self.segments = SegmentEvents(self.events.tp, self.events)
        self.photo = photos.Photo(Image.new("RGB", (400, 300), "grey"), (300, 400), "cat.png")
        Image.new("RGB", (400, 300), "grey").save(folder / "cat.png")
        self.cat = {"path": str(folder / "cat.png")}

    def wait_for_the_model(self) -> None:
        """Where a call was given up that still runs, until it has ended."""
        deadline = time.monotonic() + 2 * FOREVER
        while time.monotonic() < deadline:
            with contextlib.suppress(gr.Error):
                return self.text("ear")
            time.sleep(0.1)

    def upload(self, name: str, content: bytes | str) -> dict[str, str]:
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return {"path": str(path), "orig_name": name}

    def image(self, file: Any) -> None:
        self.events.api_describe(file, 1, 1)

    def point(self, x: Any, y: Any) -> None:
        self.events.api_round_trip(self.cat, x, y)

    def text(self, text: Any) -> None:
        self.events.api_localize(self.cat, text)

    def segment_click(self, photo: Any, x: Any, y: Any) -> None:
        self.segments.choose(photo, None, None, SimpleNamespace(x=x, y=y))

    def points(self, name: str, content: bytes | str) -> None:
        self.events.import_kept(self.upload(name, content), self.photo, ())


def png(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds no pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


CASES: list[tuple[str, Callable[[Desk], Any], str]] = [
    # files in the place of a photo
    ("no image", lambda desk: desk.image(None), NO_IMAGE),
    ("an empty object", lambda desk: desk.image({}), NO_IMAGE),
    ("an object with an empty path", lambda desk: desk.image({"path": ""}), NO_IMAGE),
    ("a string", lambda desk: desk.image("cat.png"), NOT_UPLOADED),
    ("a number", lambda desk: desk.image(5), NOT_UPLOADED),
    ("a list", lambda desk: desk.image([desk.cat]), NOT_UPLOADED),
    ("a path that is a number", lambda desk: desk.image({"path": 5}), NOT_UPLOADED),
    ("a file of the server", lambda desk: desk.image({"path": "/etc/passwd"}), NOT_UPLOADED),
    ("a photo of the server", lambda desk: desk.image({"path": __file__}), NOT_UPLOADED),
    ("out of the uploads", lambda desk: desk.image({"path": f"{desk.folder}/../cat.png"}), NOT_UPLOADED),
    ("an address", lambda desk: desk.image({"path": "http://127.0.0.1/cat.png"}), NOT_UPLOADED),
    ("a path too long", lambda desk: desk.image({"path": f"{desk.folder}/{'a' * 5000}"}), NOT_UPLOADED),
    ("a path with a zero byte", lambda desk: desk.image({"path": f"{desk.folder}/a\0b"}), NOT_UPLOADED),
    ("an upload that is gone", lambda desk: desk.image({"path": f"{desk.folder}/gone.png"}), NOT_UPLOADED),
    ("the folder of the uploads", lambda desk: desk.image({"path": str(desk.folder)}), NOT_UPLOADED),
    ("an empty file", lambda desk: desk.image(desk.upload("a.png", b"")), unreadable("a.png")),
    ("a text", lambda desk: desk.image(desk.upload("a.png", "no image")), unreadable("a.png")),
    ("a drawing with a script", lambda desk: desk.image(desk.upload("a.svg", "<svg/>")), unreadable("a.svg")),
    ("a PDF", lambda desk: desk.image(desk.upload("a.pdf", b"%PDF-1.7\n")), unreadable("a.pdf")),
    ("an archive", lambda desk: desk.image(desk.upload("a.zip", b"PK\x03\x04")), unreadable("a.zip")),
    ("markup in a name", lambda desk: desk.image(desk.upload("<b>.png", b"")), unreadable("&lt;b&gt;.png")),
    (
        "a photo cut short",
        lambda desk: desk.image(desk.upload("a.png", (desk.folder / "cat.png").read_bytes()[:60])),
        "This photo cannot be used: cannot read the image.",
    ),
    (
        "a photo too large",
        lambda desk: desk.image(desk.upload("a.png", png(8_000, 6_300))),
        "This photo cannot be used: the image has 8000 x 6300 pixels; at most 50,000,000 are read.",
    ),
    (
        "a photo of too many scans",
        lambda desk: desk.image(desk.upload("a.jpg", many_scans(100))),
        "This photo cannot be used: the JPEG has more than 64 scans; save it again as an ordinary one.",
    ),
    ("a file for other programs", lambda desk: desk.image(desk.upload("a.eps", EPS)), unreadable("a.eps")),
    (
        "a decompression bomb",
        lambda desk: desk.image(desk.upload("a.png", png(100_000, 100_000))),
        "This photo cannot be used: the image has too many pixels; at most 50,000,000 are read.",
    ),
    # points
    ("no x", lambda desk: desk.point(None, 3), NUMBERS),
    ("no y", lambda desk: desk.point(3, None), NUMBERS),
    ("a word for x", lambda desk: desk.point("left", 3), NUMBERS),
    ("a number as text", lambda desk: desk.point("12", 3), NUMBERS),
    ("a truth value", lambda desk: desk.point(True, 3), NUMBERS),
    ("a list for y", lambda desk: desk.point(3, [4]), NUMBERS),
    ("left of the photo", lambda desk: desk.point(-0.01, 3), outside("-0.01", "3")),
    ("right of the photo", lambda desk: desk.point(401, 3), outside("401", "3")),
    ("under the photo", lambda desk: desk.point(3, 300.5), outside("3", "300.5")),
    ("not a number", lambda desk: desk.point(float("nan"), 3), outside("nan", "3")),
    ("infinity", lambda desk: desk.point(3, float("inf")), outside("3", "inf")),
    ("a number too large", lambda desk: desk.point(10**400, 3), NUMBERS),
    # texts
    ("no text", lambda desk: desk.text(None), WRITE),
    ("an empty text", lambda desk: desk.text(""), WRITE),
    ("only space", lambda desk: desk.text(" \n\t "), WRITE),
    ("10,000 letters", lambda desk: desk.text("a" * 10_000), too_long("10,000")),
    ("10,000 emoji", lambda desk: desk.text("🐈" * 10_000), too_long("10,000")),
    ("1,001 letters from right to left", lambda desk: desk.text("א" * 1001), too_long("1,001")),
    ("half a character", lambda desk: desk.text("ear \ud83d"), "The text holds broken characters; write it again."),
    ("a number for text", lambda desk: desk.text(5), A_TEXT),
    ("a list for text", lambda desk: desk.text(["ear"]), A_TEXT),
    (
        "what makes the model fail",
        lambda desk: desk.text("boom"),
        "The model failed on this request. Try another point, text or photo.",
    ),
    (
        "what keeps the model busy",
        lambda desk: desk.text("forever"),
        "The model took longer than 0.3 seconds. Try again in a moment.",
    ),
    (
        "what a model finds wrong",
        lambda desk: desk.text("wrong"),
        "The model failed on this request. Try another point, text or photo.",
    ),
    # the screen
    (
        "an upload that is no photo",
        lambda desk: desk.events.upload(desk.upload("a.png", b""), None, ()),
        unreadable("a.png"),
    ),
    ("words without a photo", lambda desk: desk.events.find(None, None, (), 60, True, "ear"), CHOOSE),
    ("a click without a photo", lambda desk: desk.events.click(None, (), True, SimpleNamespace(index=(1, 1))), CHOOSE),
    (
        "a click beside the photo",
        lambda desk: desk.events.click(desk.photo, (), True, SimpleNamespace(index=(1281, 1))),
        "Point (1281, 1) is outside the image: x must be in [0, 1280], y in [0, 960]",
    ),
    ("a point typed without a photo", lambda desk: desk.events.type_point(None, (), True, 1, 1), CHOOSE),
    (
        "a round trip without a click",
        lambda desk: desk.events.round_trip(desk.photo, None, (), 60, True),
        "Click a point of the photo first.",
    ),
    # segments
    ("segments of no image", lambda desk: desk.segments.api_segments(None, True), NO_IMAGE),
    (
        "segments of a file of the server",
        lambda desk: desk.segments.api_segments({"path": __file__}, True),
        NOT_UPLOADED,
    ),
    (
        "segments of a text",
        lambda desk: desk.segments.api_segments(desk.upload("a.png", "no image"), True),
        unreadable("a.png"),
    ),
    ("a map asked for in words", lambda desk: desk.segments.api_segments(desk.cat, "yes"), A_MAP),
    ("a map asked for by a number", lambda desk: desk.segments.api_segments(desk.cat, 1), A_MAP),
    ("a click on a segment without a photo", lambda desk: desk.segment_click(None, 1, 1), CHOOSE),
    (
        "a click beside the segments",
        lambda desk: desk.segment_click(desk.photo, 3, 961),
        "Point (3, 961) is outside the image: x must be in [0, 1280], y in [0, 960]",
    ),
    (
        "a click before the segments are there",
        lambda desk: desk.segment_click(desk.photo, 3, 4),
        "The segments of this photo have not been found yet. Press Find segments.",
    ),
    (
        "describing a point of a segment without a click",
        lambda desk: desk.segments.describe(desk.photo, Segments(desk.photo, (), np.zeros((1, 1))), (), True, None),
        "Click a point of the photo first.",
    ),
    ("segments once the session is gone", lambda desk: desk.segments.open(Session.LOST, None), EXPIRED),
    ("a search once the session is gone", lambda desk: desk.segments.seek(Session.LOST), EXPIRED),
    # kept points
    (
        "keeping nothing",
        lambda desk: desk.events.keep(desk.photo, None, (), "ear"),
        "Click a point, or find one, before you keep it.",
    ),
    (
        "keeping a text too long",
        lambda desk: desk.events.keep(desk.photo, (0.5, 0.5), (), "a" * 10_000),
        "Text has 10,000 characters; at most 1,000 are kept",
    ),
    (
        "keeping one too many",
        lambda desk: desk.events.keep(desk.photo, (0.5, 0.5), (KeptPoint((0.1, 0.1)),) * 100, "ear"),
        "At most 100 points can be kept on a photo, these are 101.",
    ),
    (
        "anything once the session is gone",
        lambda desk: desk.events.find(Session.LOST, None, (), 60, True, "ear"),
        EXPIRED,
    ),
    (
        "exporting nothing",
        lambda desk: desk.events.export_csv(desk.photo, ()),
        "Keep a point first: there is nothing to export.",
    ),
    ("importing nothing", lambda desk: desk.events.import_kept(None, desk.photo, ()), "A file is needed"),
    (
        "importing a photo",
        lambda desk: desk.points("a.png", png(4, 4)),
        "A file of points must end in .csv, .jsonl, .json, got &#x27;a.png&#x27;.",
    ),
    (
        "importing a point outside the photo",
        lambda desk: desk.points("a.csv", "file_name,x,y\ncat.png,1,2\ncat.png,401,2\n"),
        "Nothing was imported. Row 3: point (401, 2) is outside the image: x must be in [0, 400], y in [0, 300].",
    ),
]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    folder = tmp_path / "uploads"
    folder.mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "cat.png")
    return Desk(folder, monkeypatch)


def test_there_are_as_many_cases_as_promised():
    assert len(CASES) >= 40
    assert len({name for name, _, _ in CASES}) == len(CASES)


@pytest.mark.parametrize(("send", "message"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_the_message_is(desk: Desk, send: Callable[[Desk], Any], message: str) -> None:
    try:
        send(desk)
    except gr.Error as error:
        desk.said.append(error.message)
    assert desk.said == [message]
    assert str(desk.folder) not in desk.said[0]
    assert "secret" not in desk.said[0]
    desk.wait_for_the_model()
    assert desk.events.api_localize(desk.cat, "column f row o")["found"], "the app lives on"


@pytest.mark.parametrize("error", [None, RuntimeError("in /secret/place")])
def test_a_bad_upload_brings_back_the_photo_before(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Whatever is wrong: left on the screen, it would be clicked in the place of the photo that the server has."""

    def fail(*args: Any) -> None:
        raise error

    if error:
        monkeypatch.setattr(photos, "open_photo", fail)
    points = (KeptPoint((0.1, 0.1), "ear"),)
    photo, kept, _, clicked, _, _, picture, *_ = desk.events.upload(
        desk.upload("a.png", b"no photo"), desk.photo, points
    )
    assert (photo, kept, clicked) == (desk.photo, points, None)
    assert picture.size == (1280, 960)
    assert len(desk.said) == 1
    assert "secret" not in desk.said[0]
    assert desk.events.upload(None, Session.LOST, ())[0] is None
