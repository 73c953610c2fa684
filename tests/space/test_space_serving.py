"""Calls of the models within a time limit, and on a GPU where a Space lends one."""

import contextlib
import gc
import sys
import threading
import time
import types
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

from space.events import Events
from space.hosting import hardware
from space.hosting.encodings import Encodings
from space.hosting.serving import ModelError, ServedPair, Turn, in_time
from space.photos import Photo
from talkingpoints.encoded_photo import EncodedPhoto
from tests.helpers.fake_pair import FOREVER, FakePair

GREY = Image.new("RGB", (400, 300), "grey")
POINT = (0.26, 0.71)


def test_answers_in_time_are_those_of_the_pair():
    pair, served = FakePair(), ServedPair(FakePair())
    assert list(served.stream(GREY, point=POINT)) == list(pair.stream(GREY, point=POINT))
    assert served.localize(GREY, "column f row o").unit == pair.localize(GREY, "column f row o").unit
    assert (served.window((0.5, 0.5)) == pair.window((0.5, 0.5))).all()


def test_whatever_the_pair_raises_is_a_failure_of_the_model():
    with pytest.raises(ModelError, match="RuntimeError: out of <b>memory"):
        ServedPair(FakePair()).localize(GREY, "boom")
    with pytest.raises(ModelError, match="ValueError: unit points"):
        list(ServedPair(FakePair()).stream(GREY, point=(1.01, 0.1)))
    with pytest.raises(ModelError, match="Error"):
        ServedPair(FakePair()).window("nowhere")


def test_a_call_that_takes_too_long_is_given_up_and_others_hear_that_the_models_are_busy():
    served = ServedPair(FakePair(), seconds=0.2)
    start = time.monotonic()
    with pytest.raises(TimeoutError, match=r"longer than 0\.2 seconds\. Try again"):
        served.localize(GREY, "forever")
    for ask in (lambda: served.localize(GREY, "ear"), lambda: list(served.stream(GREY, point=POINT))):
        asked = time.monotonic()
        with pytest.raises(TimeoutError, match="busy"):
            ask()
        assert time.monotonic() - asked < 0.1, "at once"
    assert time.monotonic() - start < FOREVER / 2
    while time.monotonic() < start + 2 * FOREVER:
        time.sleep(0.1)
        with contextlib.suppress(TimeoutError):
            assert served.localize(GREY, "ear").found
            return
    raise AssertionError("the models are busy for ever")


def test_a_stream_that_takes_too_long_is_stopped_at_its_next_word():
    pair = FakePair(seconds_per_word=0.3)
    served = ServedPair(pair, seconds=0.4)
    with pytest.raises(TimeoutError):
        list(served.stream(GREY, point=POINT))
    time.sleep(0.4)  # four words would take 0.8 s more
    assert served.localize(GREY, "column f row o").found


def test_who_comes_while_a_description_stops_waits_for_that():
    """A second click stops the words for the first; that it has to wait for one of them is no reason to refuse it."""
    served = ServedPair(FakePair(seconds_per_word=0.1), seconds=5)
    first = served.stream(GREY, point=POINT)
    next(first)
    first.close()
    assert "".join(served.stream(GREY, point=(0.01, 0.01))) == "column a row a"


def test_a_photo_is_encoded_once_while_its_session_holds_it():
    pair, encoded = FakePair(), []
    encode = pair.encode
    pair.encode = lambda image: encoded.append(image.size) or encode(image)
    served, photo = ServedPair(pair), Image.new("RGB", (40, 30))
    for _ in range(2):
        list(served.stream(photo, point=POINT))
        served.localize(photo, "ear")
        served.caption_segments(photo)
    served.localize(GREY, "ear")
    assert encoded == [(40, 30), (400, 300)]


def test_encodings_go_with_their_photos_and_where_memory_is_short():
    encodings = Encodings(EncodedPhoto, most_bytes=3 * 100 * 100 + 1)
    first, second, third = (Image.new("RGB", (100, 100)) for _ in range(3))
    kept = weakref.ref(encodings(first))
    assert encodings(first) is kept() and encodings(second) is encodings(second)
    encodings(first)
    encodings(third)  # for which the second has to go: it was not used for longest
    assert encodings(first) is kept() and len(encodings._kept) == 2
    del first
    gc.collect()
    assert kept() is None and len(encodings._kept) == 1


def test_calls_take_turns():
    served = ServedPair(FakePair(seconds_per_word=0.05), seconds=5)
    with ThreadPoolExecutor(4) as callers:
        texts = list(callers.map(lambda x: "".join(served.stream(GREY, point=(x / 400, 0.01))), (10, 30, 50, 70)))
    assert texts == [f"column {letter} row a" for letter in "abcd"]


def test_a_stream_that_takes_too_long_gives_what_it_has_and_stops():
    texts = []
    with pytest.raises(TimeoutError):
        for piece in ServedPair(FakePair(seconds_per_word=0.15), seconds=0.4).stream(GREY, point=POINT):
            texts.append(piece)
    assert texts == ["column", " f"]


def test_who_stops_reading_stops_the_writing():
    closed = threading.Event()

    def endless() -> Iterator[int]:
        try:
            while True:
                time.sleep(0.01)
                yield 1
        finally:
            closed.set()

    pieces = in_time(endless, 60, Turn())
    assert next(pieces) == 1
    pieces.close()
    assert closed.wait(2)


def test_too_long_is_said_on_the_screen_and_to_programs(monkeypatch):
    shown = []
    monkeypatch.setattr("space.events.gr.Warning", lambda message, title: shown.append((title, message)))
    events = Events(ServedPair(FakePair(), seconds=0.1))
    events.find(Photo(GREY, (300, 400)), None, (), 60, True, "forever")
    assert shown == [("Please wait", "The model took longer than 0.1 seconds. Try again in a moment.")]


# --- a GPU on loan ------------------------------------------------------------------------------------------


@pytest.fixture
def lent(monkeypatch) -> list[tuple[str, int]]:
    """A stand-in for package spaces on ZeroGPU; lists what is decorated and for how long."""
    decorated: list[tuple[str, int]] = []

    def gpu(duration):
        def decorate(call):
            decorated.append((call.__name__, duration))
            return call

        return decorate

    stand_in = types.ModuleType("spaces")
    stand_in.GPU = gpu
    stand_in.__spec__ = types.SimpleNamespace(name="spaces")
    monkeypatch.setitem(sys.modules, "spaces", stand_in)
    return decorated


@pytest.mark.parametrize("said", ["true", "1", "True"])
def test_on_zerogpu_every_call_of_the_models_borrows_a_gpu(monkeypatch, lent, said):
    monkeypatch.setenv("SPACES_ZERO_GPU", said)
    served = ServedPair(FakePair(), seconds=30.0)
    assert lent == [(name, 30) for name in ("stream", "localize", "caption_segments")]
    assert "".join(served.stream(GREY, point=POINT)) == "column f row o"


def test_elsewhere_the_package_is_not_even_imported(monkeypatch, lent):
    monkeypatch.delenv("SPACES_ZERO_GPU", raising=False)
    ServedPair(FakePair())
    assert not lent
    assert not hardware.lends_gpu()


def test_without_the_package_the_cpu_it_is(monkeypatch):
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    monkeypatch.setitem(sys.modules, "spaces", None)
    monkeypatch.setattr(hardware.importlib.util, "find_spec", lambda name: None)
    assert not hardware.lends_gpu()
    hardware.prepare()
    assert ServedPair(FakePair()).localize(GREY, "column f row o").found


def test_the_package_is_imported_before_torch_on_zerogpu(monkeypatch, lent):
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    asked = []
    monkeypatch.setattr(hardware.importlib, "import_module", asked.append)
    hardware.prepare()
    assert asked == ["spaces"]
