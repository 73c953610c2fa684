"""A few visitors for a few seconds on a stand-in for the model pair; tests/helpers/load.py runs more for longer."""

import pytest

from space import ui
from tests.helpers import load
from tests.helpers.browser import served
from tests.helpers.fake_pair import FakePair


def test_every_request_of_several_visitors_ends_as_it_should(monkeypatch):
    monkeypatch.setattr(load, "PAUSE_S", (0.0, 0.1))
    with served(ui.build(FakePair(seconds_per_word=0.01)), **ui.launch_options()) as url:
        report = load.run(url.rstrip("/"), visitors=6, seconds=5)
    assert (report["wrong"], report["lost"], report["troubles"]) == (0, 0, [])
    assert report["answered"] > 5
    assert report["refused"] > 5


@pytest.mark.parametrize(
    ("url", "visitors", "seconds", "message"),
    [
        ("http://example.com:80", 1, 1, "only an app on 127.0.0.1"),
        ("http://127.0.0.1:1", 61, 1, "at most 60 visitors"),
        ("http://127.0.0.1:1", 1, 1000, "300 seconds"),
    ],
)
def test_it_is_bounded_to_this_machine_in_visitors_and_in_time(url, visitors, seconds, message):
    with pytest.raises(ValueError, match=message):
        load.run(url, visitors, seconds)
