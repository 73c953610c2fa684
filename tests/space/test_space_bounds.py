"""What one caller cannot do to the others: over HTTP, on a stand-in for the model pair."""

import io
import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import pytest
from gradio import route_utils
from PIL import Image

import app
from space import ui
from space.events import EXPIRED
from space.hosting import bounds, uploads
from space.hosting.limits import MAX_BODY, MAX_SESSIONS
from space.photos import Photo
from space.segments import Segments
from tests.helpers.browser import REPOSITORY, served
from tests.helpers.fake_pair import FakePair
from tests.helpers.page import Page

JSON = {"content-type": "application/json"}
FORM = {"content-type": "multipart/form-data; boundary=x"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the app puts uploads."""
    folder = tmp_path_factory.mktemp("uploads")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder))
        yield folder


@pytest.fixture(scope="module")
def blocks(folder: Path) -> gr.Blocks:
    return ui.build(FakePair(seconds_per_word=0.1))


@pytest.fixture(scope="module")
def client(blocks: gr.Blocks) -> Iterator[httpx.Client]:
    with served(blocks, **ui.launch_options()) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def photo() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (400, 300), "grey").save(file, "JPEG")
    return file.getvalue()


def ask(client: httpx.Client, endpoint: str, data: list[Any], **headers: str) -> httpx.Response:
    """A call of a program, not yet answered."""
    return client.post(f"/gradio_api/call/{endpoint}", json={"data": data}, headers=headers)


def uploaded(client: httpx.Client, photo: bytes) -> dict[str, Any]:
    (path,) = client.post("/gradio_api/upload", files={"files": ("grey.jpg", photo)}).json()
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


# --- files and addresses ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "route"), [("GET", "file="), ("HEAD", "file="), ("GET", "file/")])
def test_the_app_is_no_proxy(client, monkeypatch, method, route):
    """Gradio passes on what public addresses answer; for this test, that of a listener here counts as one."""

    async def public(host: str) -> str:
        return "127.0.0.1"

    monkeypatch.setattr(route_utils.safehttpx, "async_validate_url", public)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.5)
        address = f"http://example.com:{listening.getsockname()[1]}/x"
        answer = client.request(method, f"/gradio_api/{route}{address}", timeout=5)
        assert answer.status_code == 403
        with pytest.raises(TimeoutError):
            listening.accept()


@pytest.mark.parametrize("path", ["/etc/passwd", REPOSITORY / "app.py", "app.py", "https://example.com/x"])
def test_files_of_the_server_and_of_others_are_not_handed_out(client, path):
    assert client.get(f"/gradio_api/file={path}").status_code == 403


def test_the_app_has_a_folder_for_uploads_of_its_own(monkeypatch):
    """Elsewhere, what it deletes when it starts could be another app's."""
    monkeypatch.setattr(app.os, "environ", {})
    app.prepare_environment((None, None))
    assert Path(app.os.environ["GRADIO_TEMP_DIR"]).name == "talkingpoints"


def test_uploads_that_a_killed_app_has_left_are_deleted_when_it_starts(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    left, other = tmp_path / ("a1" * 32) / "cat.jpg", tmp_path / "notes" / "cat.jpg"
    for file in (left, other):
        file.parent.mkdir()
        file.write_text("photo")
    uploads.delete_old()
    assert left.exists(), "another app that runs may still need it"
    now = uploads.time.time()
    monkeypatch.setattr(uploads.time, "time", lambda: now + 3700)
    uploads.delete_old()
    assert not left.exists()
    assert other.exists(), "not a folder of Gradio"


# --- the size of a request ----------------------------------------------------------------------------------


def pieces(count: int, before: bytes = b"", after: bytes = b"") -> Iterator[bytes]:
    """A body of so many megabytes that says nothing of its length."""
    yield before
    for _ in range(count):
        yield b" " * 1_000_000
    yield after


@pytest.mark.parametrize("path", ["call/describe", "queue/join", "component_server", "cancel", "run/describe"])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_request_without_a_file_is_small(client, path, chunked):
    body = pieces(2, after=b"{}") if chunked else b" " * (MAX_BODY + 1)
    answer = client.post(f"/gradio_api/{path}", content=body, headers=JSON)
    assert answer.status_code == 413
    assert "1,000,000 bytes" in answer.text


def test_a_request_of_the_largest_size_is_read(client):
    body = json.dumps({"data": [None, "ear"]}).encode()
    assert client.post("/gradio_api/call/localize", content=body.ljust(MAX_BODY), headers=JSON).status_code == 200


def test_an_upload_of_more_than_30_megabytes_is_refused_and_less_is_taken(client):
    answer = client.post("/gradio_api/upload", files={"files": ("large.jpg", b" " * 33_000_000)})
    assert answer.status_code == 413
    assert client.post("/gradio_api/upload", files={"files": ("small.jpg", b" " * 29_000_000)}).status_code == 200


PART = b'--x\r\nContent-Disposition: form-data; name="files"; filename="%d.jpg"\r\n\r\n'


def test_many_files_in_one_upload_are_bounded_together_and_leave_nothing(client, folder):
    def several() -> Iterator[bytes]:
        for number in range(3):
            yield from pieces(15, PART % number, b"\r\n")
        yield b"--x--\r\n"

    before = set(folder.rglob("*"))
    answer = client.post("/gradio_api/upload", content=several(), headers=FORM)
    assert answer.status_code == 413
    assert set(folder.rglob("*")) == before


# --- sessions -----------------------------------------------------------------------------------------------


def kept_one(client: httpx.Client, photo: bytes) -> Page:
    """A page with a photo and one kept point."""
    page = Page(client)
    for answer in (page.upload(photo), page.click(640, 480), page.send("keep", "click", words="ear")):
        assert answer.success and not answer.said, answer.said
    return page


def exported(page: Page) -> list[dict[str, Any]]:
    answer = page.send("export-json", "click")
    assert answer.success and not answer.said, answer.said
    return [json.loads(line) for line in answer.data[0]["content"].splitlines()]


def test_programs_do_not_push_out_a_visitor(client, blocks, photo):
    page = kept_one(client, photo)
    for _ in range(250):
        event = ask(client, "localize", [None, "ear"]).json()["event_id"]
        client.get(f"/gradio_api/call/localize/{event}")
    assert exported(page)[0]["text"] == "ear"
    assert len(blocks.state_holder.session_data) <= MAX_SESSIONS


def test_visitors_push_out_the_one_who_did_nothing_for_longest(client, blocks, photo, monkeypatch):
    blocks.state_holder.session_data.clear()
    first, second = kept_one(client, photo), kept_one(client, photo)
    monkeypatch.setattr(blocks.state_holder, "capacity", 2)
    exported(first)
    third = kept_one(client, photo)
    assert exported(third) and exported(first)
    assert second.send("export-json", "click").said == [EXPIRED]


def test_a_visitor_whose_session_is_gone_hears_it_and_starts_again(client, blocks, photo):
    page = kept_one(client, photo)
    for element, event, values in (
        ("photo", "select", {"event_data": {"index": [5, 5], "value": None}}),
        ("find", "click", {"words": "ear", "opacity": 60}),
        ("keep", "click", {"words": "ear"}),
        ("export-csv", "click", {}),
        ("opacity", "input", {"opacity": 60}),
        ("segments", "select", {}),
        ("find-segments", "click", {}),
        ("segment-view", "select", {"event_data": {"x": 5, "y": 5}}),
        ("describe-in-segment", "click", {"window": True}),
    ):
        blocks.state_holder.session_data.clear()
        answer = page.send(element, event, **values)
        assert (answer.success, answer.said) == (False, [EXPIRED])
    fresh = page.after_failure()
    assert fresh.success and any("Click a point of the photo" in str(value) for value in fresh.data)
    assert page.send("find", "click", words="ear", opacity=60).said == []
    assert page.after_failure().data[2]["__type__"] == "update", "a session that is there stays as it is"


def test_a_photo_is_forgotten_when_its_session_expires(client, blocks, photo):
    page = kept_one(client, photo)
    page.send("segments", "select")
    assert page.seek().success
    session = blocks.state_holder.session_data[page.session]
    assert any(isinstance(value, Segments) for value in session.state_data.values())
    session.is_closed, session.STATE_TTL_WHEN_CLOSED = True, 0
    blocks.state_holder.delete_all_expired_state()
    assert not any(isinstance(value, Photo | Segments) for value in session.state_data.values())
    assert "data:image" not in str(session.config_values)


def test_segments_go_with_their_photo(client, blocks, photo):
    page = Page(client)
    page.upload(photo)
    page.send("segments", "select")
    page.seek()
    state = blocks.state_holder.session_data[page.session].state_data
    page.forget()
    assert any(isinstance(value, Segments) for value in state.values()), "still the same photo"
    page.send("examples", "click", examples=0)
    assert page.forget().success
    assert not any(isinstance(value, Segments) for value in state.values())


def test_every_click_on_a_segment_is_answered_in_its_turn(blocks):
    (asked,) = (
        one for one in blocks.config["dependencies"] if one["targets"] == [(by_id(blocks, "segment-view"), "select")]
    )
    function = blocks.fns[asked["id"]]
    assert (asked["trigger_mode"], function.concurrency_limit) == ("multiple", 1)


def by_id(blocks: gr.Blocks, elem_id: str) -> int:
    """Number of the element that has this id on the page."""
    return next(number for number, block in blocks.blocks.items() if getattr(block, "elem_id", None) == elem_id)


# --- queues -------------------------------------------------------------------------------------------------


@pytest.fixture
def slow(folder, monkeypatch) -> Iterator[httpx.Client]:
    """An app whose queues are short and whose model is slow."""
    monkeypatch.setattr(bounds, "QUEUE_SIZE", 3)
    monkeypatch.setattr(bounds, "MOST_WAITING", 2)
    with (
        served(ui.build(FakePair(seconds_per_word=0.5)), **ui.launch_options()) as url,
        httpx.Client(base_url=url, timeout=60) as client,
    ):
        yield client


def test_programs_are_told_that_the_queue_is_full_and_one_address_does_not_fill_it(slow, photo):
    data = [uploaded(slow, photo), 5, 5]
    first = [ask(slow, "describe", data, **{"x-forwarded-for": "a, proxy"}) for _ in range(2)]
    wait_until_queue_has(slow, 0)
    second = [ask(slow, "describe", data, **{"x-forwarded-for": "a"}) for _ in range(3)]
    other = [ask(slow, "describe", data, **{"x-forwarded-for": name}) for name in ("b", "c")]
    codes = [answer.status_code for answer in (*first, *second, *other)]
    assert codes == [200, 200, 200, 200, 503, 200, 503]
    assert second[2].json()["detail"] == "The queue is full: 2 requests wait. Try again in a moment."
    assert other[1].json()["detail"] == "The queue is full: 3 requests wait. Try again in a moment."
    page = Page(slow)
    found = page.send("find", "click", words="column b row d", opacity=60)
    assert found.success and not found.said, "programs do not keep visitors from the models"


def wait_until_queue_has(client: httpx.Client, waiting: int) -> None:
    """Wait until so many requests wait, after a moment in which another may have come."""
    time.sleep(0.2)
    deadline = time.monotonic() + 5
    while client.get("/gradio_api/queue/status").json()["queue_size"] != waiting:
        assert time.monotonic() < deadline, f"not {waiting} requests wait"
        time.sleep(0.02)


def test_the_screen_works_while_the_models_are_busy_and_their_queue_is_full(slow, photo):
    pages = [Page(slow) for _ in range(3)]
    other = kept_one(slow, photo)
    for page in pages:
        page.click(5, 5)
    with ThreadPoolExecutor(3) as visitors:
        described = []
        for waiting, page in enumerate(pages):
            described.append(visitors.submit(page.describe))
            wait_until_queue_has(slow, waiting)
        assert other.send("find", "click", words="ear", opacity=60).said == [
            "The queue is full: 2 requests wait. Try again in a moment."
        ]
        for answer in (other.click(9, 9), other.send("keep", "click", words="tail"), other.send("clear", "click")):
            assert answer.success and not answer.said
        assert len(exported(other)) == 2
        assert other.upload(photo).said == []
        assert not any(one.done() for one in described[1:]), "meanwhile the models were busy"
    assert [one.result().data for one in described] == [["column a row a"]] * 3


def test_the_photo_of_a_program_is_read_while_the_models_are_busy(slow):
    page = Page(slow)
    page.click(5, 5)
    with ThreadPoolExecutor(1) as visitor:
        described = visitor.submit(page.describe)
        wait_until_queue_has(slow, 0)
        event = ask(slow, "describe", [uploaded(slow, b"no photo"), 5, 5]).json()["event_id"]
        assert "cannot be used" in slow.get(f"/gradio_api/call/describe/{event}").text
        assert not described.done()
