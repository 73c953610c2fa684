"""Calls of the models within a time limit, and on a GPU where a Space lends one."""

import sys
import threading
import time
import types
from collections.abc import Iterator

import pytest
from PIL import Image

from space import hardware
from space.events import Events
from space.photos import Photo
from space.serving import ServedPair, in_time
from tests.fake_pair import FOREVER, FakePair

GREY = Image.new("RGB", (400, 300), "grey")


def test_answers_in_time_are_those_of_the_pair():
    pair, served = FakePair(), ServedPair(FakePair())
    assert list(served.stream(GREY, (104, 213))) == list(pair.stream(GREY, (104, 213)))
    assert served.describe(GREY, (104, 213)) == pair.describe(GREY, (104, 213))
    assert served.localize(GREY, "column f row o").unit == pair.localize(GREY, "column f row o").unit
    assert served.round_trip(GREY, (104, 213)).error_px == pair.round_trip(GREY, (104, 213)).error_px
    assert (served.window((0.5, 0.5)) == pair.window((0.5, 0.5))).all()


def test_what_the_pair_raises_is_raised():
    with pytest.raises(RuntimeError, match="memory"):
        ServedPair(FakePair()).localize(GREY, "boom")
    with pytest.raises(ValueError, match="outside the image"):
        list(ServedPair(FakePair()).stream(GREY, (401, 3)))


def test_a_call_that_takes_too_long_is_given_up():
    start = time.monotonic()
    with pytest.raises(TimeoutError, match=r"longer than 0\.2 seconds .* Try again"):
        ServedPair(FakePair(), seconds=0.2).localize(GREY, "forever")
    assert time.monotonic() - start < FOREVER / 2


def test_a_stream_that_takes_too_long_gives_what_it_has_and_stops():
    texts = []
    with pytest.raises(TimeoutError):
        for piece in ServedPair(FakePair(seconds_per_word=0.15), seconds=0.4).stream(GREY, (104, 213)):
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

    pieces = in_time(endless, seconds=60)
    assert next(pieces) == 1
    pieces.close()
    assert closed.wait(2)


def test_too_long_is_said_on_the_screen_and_to_programs(monkeypatch):
    shown = []
    monkeypatch.setattr("space.events.gr.Warning", lambda message, title: shown.append((title, message)))
    events = Events(ServedPair(FakePair(), seconds=0.1))
    events.find(Photo(GREY, (300, 400)), None, (), 60, True, "forever")
    assert shown == [
        ("Model failure", "The model took longer than 0.1 seconds and was stopped. Try again in a moment.")
    ]


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
    assert lent == [(name, 30) for name in ("stream", "describe", "localize", "round_trip")]
    assert "".join(served.stream(GREY, (104, 213))) == "column f row o"


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
