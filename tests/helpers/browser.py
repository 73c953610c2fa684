"""Helpers for tests that drive the app in a real headless Chromium: start, open, click, read the screen."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import gradio as gr
    from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
REPOSITORY = Path(__file__).resolve().parents[2]
START_SECONDS = 90
ANSWER_MS = 20_000


def free_port() -> int:
    """A port of this machine that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def served(blocks: "gr.Blocks", **launch: Any) -> Iterator[str]:
    """Serve Gradio blocks from this process; yields the address."""
    _, url, _ = blocks.launch(prevent_thread_lock=True, quiet=True, server_port=free_port(), **launch)
    try:
        yield url
    finally:
        blocks.close()


@contextlib.contextmanager
def started_app(*flags: str) -> Iterator[str]:
    """Run ``python app.py`` as a visitor of the repository would; yields the address once it answers."""
    with running_app(*flags) as (url, _):
        yield url


@contextlib.contextmanager
def running_app(*flags: str) -> Iterator[tuple[str, int]]:
    """The same, with the id of the process."""
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TALKINGPOINTS_")}
    command = [sys.executable, "app.py", "--port", str(port), *flags]
    with subprocess.Popen(command, cwd=REPOSITORY, env=environment) as app:
        try:
            url = f"http://127.0.0.1:{port}/"
            _wait_until_up(url, app)
            yield url, app.pid
        finally:
            app.terminate()


def _wait_until_up(url: str, app: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if app.poll() is not None:
            raise RuntimeError(f"app.py ended with status {app.returncode} before it answered")
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.05)
    raise RuntimeError(f"app.py did not answer at {url} within {START_SECONDS} s")


@contextlib.contextmanager
def chromium() -> Iterator["Browser"]:
    """A headless Chromium that makes no requests of its own."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(CHROMIUM_FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def opened(browser: "Browser", url: str, **context: Any) -> Iterator["Page"]:
    """The app in a page of its own. On leaving it, no request may have gone anywhere but to the app."""
    with contextlib.closing(browser.new_context(**context)) as visitor:
        page = visitor.new_page()
        page.set_default_timeout(ANSWER_MS)
        requests: list[str] = []
        page.on("request", lambda request: requests.append(request.url))
        page.goto(url)
        page.wait_for_selector("#photo img")
        facts(page, "Click a point")
        yield page
        outside = [request for request in requests if not request.startswith((url, "data:", "blob:"))]
        assert not outside, f"requests left the app: {outside}"


def click_pixel(page: "Page", point_px: tuple[float, float], size: tuple[int, int]) -> None:
    """Click the photo where a pixel of the photo as uploaded is shown; arguments as for :func:`place_of_pixel`."""
    page.mouse.click(*place_of_pixel(page, point_px, size))


def place_of_pixel(page: "Page", point_px: tuple[float, float], size: tuple[int, int]) -> tuple[float, float]:
    """Where on the screen a pixel of the photo is shown.

    Args:
        page: the app; the photo is scrolled into view.
        point_px: (x, y) in pixels of the photo as uploaded.
        size: (height, width) of the photo as uploaded.
    """
    page.wait_for_function("document.querySelector('#photo img').naturalWidth > 0")  # a new one may be on its way
    image = page.locator("#photo img").first
    image.scroll_into_view_if_needed()
    box = image.bounding_box()
    assert box is not None
    natural_width, natural_height = image.evaluate("image => [image.naturalWidth, image.naturalHeight]")
    fit = image.evaluate("image => getComputedStyle(image).objectFit")
    scale = min(box["width"] / natural_width, box["height"] / natural_height)
    if fit == "scale-down":
        scale = min(scale, 1.0)
    shown_width, shown_height = natural_width * scale, natural_height * scale
    left = box["x"] + (box["width"] - shown_width) / 2
    top = box["y"] + (box["height"] - shown_height) / 2
    height, width = size
    return left + point_px[0] / width * shown_width, top + point_px[1] / height * shown_height


def facts(page: "Page", contains: str) -> str:
    """The text beside the photo, once it contains this."""
    page.wait_for_function("want => document.querySelector('#facts').innerText.includes(want)", arg=contains)
    return page.inner_text("#facts")


def words(page: "Page") -> str:
    """What stands in the text box."""
    return page.input_value("#words textarea")


def finished_words(page: "Page") -> str:
    """The description, once it has stopped growing for half a second."""
    page.wait_for_function(
        """() => {
            const text = document.querySelector('#words textarea').value;
            if (text !== window.lastWords) { window.lastWords = text; window.lastChange = Date.now(); }
            return text && Date.now() - window.lastChange > 500;
        }"""
    )
    return words(page)


def message(page: "Page") -> str:
    """The newest message, once one is shown."""
    page.wait_for_selector('[data-testid="toast-body"]')
    return page.inner_text('[data-testid="toast-body"]')
