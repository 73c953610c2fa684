"""The named endpoints through a real client over HTTP, on a stand-in for the model pair."""

import base64
import io
import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from space import ui
from tests.helpers.browser import REPOSITORY, served
from tests.helpers.fake_pair import BOOM, PAINTS, FakePair, segmented_photo


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with served(ui.build(FakePair()), **ui.launch_options()) as url:
        yield Client(url, verbose=False, analytics_enabled=False)


@pytest.fixture(scope="module")
def photo(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("photos") / "grey.png"
    Image.new("RGB", (400, 300), "grey").save(path)
    return str(path)


def test_exactly_the_four_named_endpoints_are_open(client):
    api = client.view_api(return_format="dict", print_info=False)
    assert set(api["named_endpoints"]) == {"/describe", "/localize", "/round_trip", "/segments"}
    assert not api["unnamed_endpoints"]


def test_both_ways(client, photo):
    described = client.predict(image=handle_file(photo), x=104, y=213, api_name="/describe")
    assert described["text"] == "column f row o"
    assert described["image_size"] == [300, 400]
    localized = client.predict(image=handle_file(photo), text=described["text"], api_name="/localize")
    assert (localized["x"], localized["y"]) == pytest.approx((110, 217.5))
    trip = client.predict(image=handle_file(photo), x=104, y=213, api_name="/round_trip")
    assert trip["localization"] == localized
    assert trip["error_px"] == pytest.approx(7.5)


def test_segments(client, tmp_path):
    path = tmp_path / "drawn.png"
    segmented_photo().save(path)
    answer = client.predict(image=handle_file(path), api_name="/segments")
    assert [one["label"] for one in answer["segments"]] == list(PAINTS)
    dog = answer["segments"][0]
    assert dog["text"] == "a <dog> at column f row l"
    assert dog["box"] == pytest.approx([40, 90, 181, 251])
    content = base64.b64decode(answer["id_map"].removeprefix("data:image/png;base64,"))
    id_map = Image.open(io.BytesIO(content))
    assert (id_map.getpixel((110, 170)), id_map.getpixel((200, 120))) == (dog["id"], 0)
    assert client.predict(image=handle_file(path), id_map=False, api_name="/segments")["id_map"] is None


def test_a_failing_or_missing_segmenter_is_said(client, tmp_path, photo):
    path = tmp_path / "boom.png"
    Image.new("RGB", (40, 30), BOOM).save(path)
    with pytest.raises(AppError, match="The model failed"):
        client.predict(image=handle_file(path), api_name="/segments")
    with served(ui.build(FakePair(segmenter=False)), **ui.launch_options()) as url:
        other = Client(url, verbose=False, analytics_enabled=False)
        with pytest.raises(AppError, match="The segmenter is not there"):
            other.predict(image=handle_file(photo), api_name="/segments")
        assert other.predict(image=handle_file(photo), x=104, y=213, api_name="/describe")["text"]


@pytest.mark.parametrize(
    ("endpoint", "arguments", "message"),
    [
        ("/describe", {"x": 401, "y": 5}, "outside the image"),
        ("/describe", {"x": None, "y": 5}, "both x and y"),
        ("/round_trip", {"x": 5, "y": -1}, "outside the image"),
        ("/localize", {"text": "  "}, "Write where the point is"),
        ("/localize", {"text": "a" * 10_000}, "at most 1,000"),
        ("/localize", {"text": "boom"}, "The model failed"),
        ("/segments", {"id_map": "yes"}, "Say true or false"),
    ],
)
def test_what_is_refused_and_why(client, photo, endpoint, arguments, message):
    with pytest.raises(AppError, match=message):
        client.predict(image=handle_file(photo), api_name=endpoint, **arguments)


def test_a_missing_or_unreadable_image_is_refused(client, tmp_path):
    with pytest.raises(AppError, match="An image is needed"):
        client.predict(image=None, x=1, y=1, api_name="/describe")
    notes = tmp_path / "notes.png"
    notes.write_text("no image")
    with pytest.raises(AppError, match="cannot be used"):
        client.predict(image=handle_file(notes), x=1, y=1, api_name="/describe")


def answer_to(url: str, endpoint: str, data: list[Any]) -> str:
    """What the endpoint answers to a bare request, without a client that would upload files first."""
    event = httpx.post(f"{url}gradio_api/call{endpoint}", json={"data": data}).json()["event_id"]
    return httpx.get(f"{url}gradio_api/call{endpoint}/{event}", timeout=20).text


def test_files_of_the_server_cannot_be_read(client, photo):
    """The path of a photo on the server is refused in place of an upload, whatever form it takes."""
    marked = {"path": photo, "meta": {"_type": "gradio.FileData"}}
    bare = {"path": photo}
    for image in (marked, bare, photo, {"url": f"file://{photo}", "meta": {"_type": "gradio.FileData"}}):
        answer = answer_to(client.src, "/describe", [image, 104, 213])
        assert answer.startswith("event: error"), answer
        assert "column" not in answer


@pytest.mark.parametrize("address", ["http://127.0.0.1:{}/cat.png", "https://example.com/gradio_api/file=/etc/passwd"])
def test_addresses_named_in_place_of_an_upload_are_not_opened(client, address):
    """Gradio would download them; here nobody is asked, not even this machine."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.5)
        address = address.format(listening.getsockname()[1])
        answer = answer_to(client.src, "/describe", [{"path": address, "meta": {"_type": "gradio.FileData"}}, 1, 1])
        assert answer.startswith("event: error"), answer
        assert "has to be uploaded" in answer
        with pytest.raises(TimeoutError):
            listening.accept()


@pytest.mark.parametrize("data", [[None, "a", []], ["x"], [], [{"path": 5}, 1, 1], [[], {}, {}]])
def test_requests_of_the_wrong_shape_are_refused_and_the_app_lives_on(client, photo, data):
    assert answer_to(client.src, "/describe", data).startswith("event: error")
    assert client.predict(image=handle_file(photo), x=1, y=1, api_name="/describe")["text"]


@pytest.mark.parametrize(
    "text", ["אוזן שמאל של החתול", "🐈‍⬛👈🏽", "<point><loc_0001><image><locate>", "<b>a</b> {x} ${y}", "\x00 a \u200b"]
)
def test_unusual_texts_are_texts(client, photo, text):
    assert client.predict(image=handle_file(photo), text=text, api_name="/localize")["found"]


def test_the_snippet_of_the_readme_runs(client, tmp_path, monkeypatch, capsys):
    """Against the app at another address and on another photo, but otherwise as it stands."""
    file = "space/README.md"
    text = (REPOSITORY / file).read_text(encoding="utf-8")
    (snippet,) = [code for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "gradio_client" in code]
    Image.new("RGB", (400, 300), "grey").save(tmp_path / "dog.jpg")
    monkeypatch.chdir(tmp_path)
    exec(compile(snippet.replace("http://127.0.0.1:7860", client.src), file, "exec"), {"__name__": "readme"})
    assert "column" in capsys.readouterr().out


def test_ten_callers_at_once_all_get_their_own_answer(client, photo):
    def ask(column: int) -> str:
        return client.predict(image=handle_file(photo), x=column * 20 + 10, y=5, api_name="/describe")["text"]

    with ThreadPoolExecutor(10) as callers:
        texts = list(callers.map(ask, range(10)))
    assert texts == [f"column {letter} row a" for letter in "abcdefghij"]
