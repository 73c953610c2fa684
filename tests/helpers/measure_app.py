"""How fast the app is on this machine: cold start, click to first words, submitted text to point.

    python -m tests.helpers.measure_app --times 10 --output app.json

Runs ``python app.py`` on the bundled pair and measures in a real headless Chromium on the same machine, which takes
its own share of the processor. After two rounds to warm up; medians and longest, in seconds. Not a test: figures
depend on the machine.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tests.helpers.browser import chromium, facts, finished_words, opened, place_of_pixel, started_app

if TYPE_CHECKING:
    from playwright.sync_api import Page

CAT = (300, 451)
TEXTS = ("the left ear of the cat", "the cat's nose", "A cat in the centre of the photo. Its right eye.")

WATCH = """([event, done]) => {
  window.began = window.took = null;
  document.addEventListener(event, () => { window.began = performance.now(); }, {once: true, capture: true});
  const look = () => {
    if (window.began !== null && eval(done)) window.took = performance.now() - window.began;
    else requestAnimationFrame(look);
  };
  look();
}"""
"""Takes the time from an event to the first frame in which something is there."""

FIRST_WORDS = "document.querySelector('#words textarea').value != ''"
POINT_THERE = "/Found|Not in this image/.test(document.querySelector('#facts').innerText)"


def main(arguments: Sequence[str] | None = None) -> None:
    """Start, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--output", type=Path, default=None, help="also write the figures here, as JSON")
    args = parser.parse_args(arguments)
    began = time.monotonic()
    with started_app() as url:
        cold_start = time.monotonic() - began
        with chromium() as browser, opened(browser, url, viewport={"width": 1280, "height": 860}) as page:
            figures = {
                "cores": os.cpu_count(),
                "cold_start_s": round(cold_start, 2),
                "click_to_first_words_s": _summary([_first_words(page, i) for i in range(args.times + 2)]),
                "submit_to_point_s": _summary([_point(page, i) for i in range(args.times + 2)]),
            }
    report = json.dumps(figures, indent=2)
    print(report)
    if args.output:
        args.output.write_text(report + "\n", encoding="utf-8")


def _first_words(page: "Page", number: int) -> float:
    """Seconds from a click to the first words in the text box."""
    _clear(page)
    where = place_of_pixel(page, (60 + 27.0 * number, 50 + 15.0 * number), CAT)
    page.evaluate(WATCH, ["mousedown", FIRST_WORDS])
    page.mouse.click(*where)
    took = _took(page)
    finished_words(page)
    return took


def _point(page: "Page", number: int) -> float:
    """Seconds from Enter to the point, or to the answer that there is none."""
    _clear(page)
    page.fill("#words textarea", TEXTS[number % len(TEXTS)])
    page.evaluate(WATCH, ["keydown", POINT_THERE])
    page.press("#words textarea", "Enter")
    return _took(page)


def _clear(page: "Page") -> None:
    page.click("#clear")
    facts(page, "Click a point")
    page.wait_for_function("document.querySelector('#words textarea').value == ''")


def _took(page: "Page") -> float:
    return page.wait_for_function("window.took").json_value() / 1000


def _summary(seconds: list[float]) -> dict[str, float]:
    warm = seconds[2:]
    return {"median": round(statistics.median(warm), 3), "longest": round(max(warm), 3), "n": len(warm)}


if __name__ == "__main__":
    main()
