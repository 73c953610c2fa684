"""The app as an MCP server, called by a real MCP client over HTTP, on a stand-in for the model pair."""

import ast
import asyncio
import base64
import io
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import pytest
from gradio.utils import get_upload_folder
from PIL import Image

import app
from space import ui
from space.hosting.mcp_package import check_mcp_package
from tests.helpers.browser import served
from tests.helpers.fake_pair import PAINTS, FakePair, segmented_photo


@pytest.fixture(scope="module")
def blocks() -> gr.Blocks:
    return ui.build(FakePair())


@pytest.fixture(scope="module")
def url(blocks: gr.Blocks) -> Iterator[str]:
    pytest.importorskip("mcp", reason='needs package mcp: pip install "mcp>=1.21,<2"')
    with served(blocks, **ui.launch_options(), mcp_server=True) as address:
        yield address


@pytest.fixture(scope="module")
def photo() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (400, 300), "grey").save(file, "PNG")
    return file.getvalue()


def as_data(photo: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(photo).decode()


def with_client(url: str, ask: Any) -> Any:
    """What a function of an open MCP session gives."""
    from mcp import ClientSession
    from mcp.client.streamable_http import streamablehttp_client

    async def run() -> Any:
        async with (
            streamablehttp_client(f"{url}gradio_api/mcp/") as (incoming, outgoing, _),
            ClientSession(incoming, outgoing) as session,
        ):
            await session.initialize()
            return await ask(session)

    return asyncio.run(asyncio.wait_for(run(), 60))


def call(url: str, tool: str, **arguments: Any) -> tuple[bool, str]:
    """Whether a tool failed, and the text that it answered."""
    result = with_client(url, lambda session: session.call_tool(tool, arguments))
    return bool(result.isError), result.content[0].text


def read(answer: str) -> dict[str, Any]:
    """Gradio writes the answer of a tool as Python does, not as JSON."""
    return ast.literal_eval(answer)


def test_the_tools_are_the_four_endpoints_and_say_what_they_want(url):
    tools = {tool.name: tool for tool in with_client(url, lambda session: session.list_tools()).tools}
    assert set(tools) == {"describe", "localize", "round_trip", "segments"}
    assert "Describe a point of a photo in words" in tools["describe"].description
    properties = tools["describe"].inputSchema["properties"]
    assert set(properties) == {"image", "x", "y"}
    assert "pixels" in properties["x"]["description"]


def test_both_ways_and_around(url, photo):
    failed, described = call(url, "describe", image=as_data(photo), x=104, y=213)
    assert not failed, described
    assert read(described)["text"] == "column f row o"
    failed, found = call(url, "localize", image=as_data(photo), text="column f row o")
    assert not failed, found
    assert read(found)["x"] == pytest.approx(110)
    failed, trip = call(url, "round_trip", image=as_data(photo), x=104, y=213)
    assert not failed, trip
    assert read(trip)["error_px"] == pytest.approx(7.5)


def test_segments(url):
    file = io.BytesIO()
    segmented_photo().save(file, "PNG")
    failed, answer = call(url, "segments", image=as_data(file.getvalue()), id_map=False)
    assert not failed, answer
    assert [one["label"] for one in read(answer)["segments"]] == list(PAINTS)
    assert read(answer)["id_map"] is None
    failed, answer = call(url, "segments", image=as_data(file.getvalue()))
    assert not failed, answer
    assert read(answer)["id_map"].startswith("data:image/png;base64,")


def test_a_photo_sent_in_the_request_is_deleted_with_the_uploads(url, blocks, photo):
    before = set(blocks.upload_file_set)
    _, described = call(url, "describe", image=as_data(photo + b"another"), x=104, y=213)
    assert read(described)["text"] == "column f row o"
    kept = {
        file
        for file in Path(get_upload_folder()).rglob("*")
        if file.is_file() and file.read_bytes() == photo + b"another"
    }
    assert kept
    assert kept <= {Path(file) for file in blocks.upload_file_set - before}


def test_a_photo_can_be_uploaded_first_and_named_by_its_address(url, photo):
    (path,) = httpx.post(f"{url}gradio_api/upload", files={"files": ("grey.png", photo)}).json()
    failed, described = call(url, "describe", image=f"{url}gradio_api/file={path}", x=104, y=213)
    assert not failed, described
    assert read(described)["text"] == "column f row o"


@pytest.mark.parametrize(
    ("tool", "arguments", "message"),
    [
        ("describe", {"x": 401, "y": 5}, "outside the image"),
        ("localize", {"text": ""}, "Write where the point is"),
        ("localize", {"text": "boom"}, "The model failed"),
    ],
)
def test_a_refused_call_says_why(url, photo, tool, arguments, message):
    failed, answer = call(url, tool, image=as_data(photo), **arguments)
    assert failed
    assert message in answer


@pytest.mark.parametrize("image", ["http://127.0.0.1:1/cat.png", "http://127.0.0.1/gradio_api/file=/etc/passwd"])
def test_other_addresses_are_not_opened(url, image):
    failed, answer = call(url, "describe", image=image, x=1, y=1)
    assert failed
    assert "has to be uploaded" in answer


# --- the package --------------------------------------------------------------------------------------------


def pretend(monkeypatch: pytest.MonkeyPatch, version: str | None) -> None:
    """Package mcp of this version, or none."""

    def find(name: str) -> str:
        if version is None:
            raise metadata.PackageNotFoundError(name)
        return version

    monkeypatch.setattr("space.hosting.mcp_package.metadata.version", find)


@pytest.mark.parametrize("version", ["1.21.0", "1.30.0", "1.99.1rc1"])
def test_versions_that_will_do(monkeypatch, version):
    pretend(monkeypatch, version)
    check_mcp_package()


@pytest.mark.parametrize(
    ("version", "message"),
    [
        (None, "not installed: pip install"),
        ("1.20.2", "got 1.20.2: pip install"),
        ("2.0.0", "got 2.0.0: pip install"),
        ("2.1", "got 2.1: pip install"),
    ],
)
def test_the_app_ends_with_a_message_where_gradio_would_say_nothing(monkeypatch, version, message):
    pretend(monkeypatch, version)
    monkeypatch.setattr(app, "prepare_environment", lambda models: None)
    with pytest.raises(SystemExit, match=f"--mcp: .*{message}"):
        app.main(["--mcp"])


def test_mcp_is_off_unless_asked_for(monkeypatch):
    monkeypatch.delenv("GRADIO_MCP_SERVER", raising=False)
    assert not app.parse_arguments([]).mcp
    assert app.parse_arguments(["--mcp"]).mcp
    monkeypatch.setenv("GRADIO_MCP_SERVER", "True")
    assert app.parse_arguments([]).mcp
