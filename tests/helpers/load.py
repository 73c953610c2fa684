"""Visitors by the dozen on one app, some of whom send nonsense: what they got, how long they waited, what it cost.

    python -m tests.helpers.load --visitors 30 --seconds 120 --output load.json

Starts ``python app.py`` on this machine, on 127.0.0.1 only, and asks it over HTTP, each visitor one request after the
other with a short pause. Two of three visitors ask the named endpoints, as programs do; the third has the screen open:
a session with a photo, in which points are clicked, described and kept, and all that was kept has to be in every
export. Every request has an outcome that is intended (an answer, or a certain refusal); anything else is counted as an
error, and a request without any end as lost. Bounded in visitors, time and requests. It says nothing about how the
screen looks, which tests/space/test_app_browser.py drives.
"""

import argparse
import io
import json
import random
import statistics
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from PIL import Image
from skimage import data

from tests.helpers.browser import running_app
from tests.helpers.page import Answer, Page

MOST_VISITORS = 60
MOST_SECONDS = 300.0
MOST_REQUESTS = 20_000
PATIENCE_S = 120.0
PAUSE_S = (0.5, 2.0)
MOST_KEPT = 20
SETTINGS = {"opacity": 60, "window": True}

GOOD, OUTSIDE, WRITE, TOO_LONG, NO_PHOTO, ADDRESS = (
    None,
    "outside the image",
    "Write where the point is",
    "at most 1,000",
    "cannot be used",
    "has to be uploaded",
)
TEXTS = ("the left ear of the cat", "A person in the centre of the photo. Their nose.", "🐈 שמאל", "<point> {x}")


@dataclass
class Tally:
    """What all visitors met so far; visitors share it.

    Attributes:
        outcomes: per kind of request: answered, refused (both as intended), wrong, lost.
        seconds: per kind of request how long those took that ended as intended.
        troubles: the first few outcomes that were not intended, in words.
    """

    outcomes: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    troubles: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, kind: str, outcome: str, seconds: float, trouble: str = "") -> None:
        with self.lock:
            self.outcomes[kind][outcome] += 1
            if outcome in ("answered", "refused"):
                self.seconds[kind].append(seconds)
            elif len(self.troubles) < 20:
                self.troubles.append(f"{kind}: {outcome}: {trouble[:300]}")

    def total(self, outcome: str | None = None) -> int:
        with self.lock:
            return sum(
                count for one in self.outcomes.values() for name, count in one.items() if outcome in (None, name)
            )


class Visitor:
    """One program with a photo of its own.

    Args:
        url: of the app. number: seeds what is asked. tally: what they met.
    """

    def __init__(self, url: str, number: int, tally: Tally) -> None:
        self.client = httpx.Client(base_url=url, timeout=PATIENCE_S)
        self.dice = random.Random(number)
        self.tally = tally
        self.photo, self.size = _photo(self.dice)

    def visit(self, until: float) -> None:
        """Ask one thing after the other until the time (of ``time.monotonic``), or until all have asked enough."""
        with self.client:
            while time.monotonic() < until and self.tally.total() < MOST_REQUESTS:
                self.ask()
                time.sleep(self.dice.uniform(*PAUSE_S))

    def ask(self) -> None:
        """One request of a kind that the dice choose."""
        x, y = (self.dice.uniform(0, side) for side in reversed(self.size))
        words = self.dice.choice(TEXTS)
        kind, endpoint, file, arguments, refusal = self.dice.choice(
            [
                ("describe", "describe", self.photo, (x, y), GOOD),
                ("describe", "describe", self.photo, (x, y), GOOD),
                ("localize", "localize", self.photo, (words,), GOOD),
                ("localize", "localize", self.photo, (words,), GOOD),
                ("round trip", "round_trip", self.photo, (x, y), GOOD),
                ("bad: outside", "describe", self.photo, (x, -1.0), OUTSIDE),
                ("bad: no text", "localize", self.photo, (" ",), WRITE),
                ("bad: long text", "localize", self.photo, ("a" * 10_000,), TOO_LONG),
                ("bad: no photo", "describe", b"no photo", (x, y), NO_PHOTO),
                ("bad: address", "describe", None, (x, y), ADDRESS),
                ("page", None, None, (), GOOD),
            ]
        )
        start = time.monotonic()
        try:
            ended, answer = self._page() if endpoint is None else self._call(endpoint, file, arguments)
        except (httpx.HTTPError, KeyError, ValueError) as error:
            self.tally.add(kind, "lost", time.monotonic() - start, repr(error))
            return
        intended = ended == "complete" if refusal is None else ended == "error" and refusal in answer
        outcome = "wrong" if not intended else "answered" if refusal is None else "refused"
        self.tally.add(kind, outcome, time.monotonic() - start, f"{ended}: {answer}")

    def _page(self) -> tuple[str, str]:
        page = self.client.get("/")
        return ("complete" if page.status_code == 200 else "error"), page.text

    def _call(self, endpoint: str, file: bytes | None, arguments: Sequence[Any]) -> tuple[str, str]:
        """Upload, ask and wait: how it ended ("complete" or "error") and what was said."""
        path = "http://127.0.0.1:9/cat.png"
        if file is not None:
            path = self.client.post("/gradio_api/upload", files={"files": ("cat.jpg", file)}).json()[0]
        image = {"path": path, "meta": {"_type": "gradio.FileData"}}
        asked = self.client.post(f"/gradio_api/call/{endpoint}", json={"data": [image, *arguments]})
        event = asked.raise_for_status().json()["event_id"]
        ended = ""
        with self.client.stream("GET", f"/gradio_api/call/{endpoint}/{event}") as answer:
            for line in answer.iter_lines():
                name, _, content = line.partition(": ")
                if name == "event":
                    ended = content
                elif name == "data" and ended in ("complete", "error"):
                    return ended, content
        raise ValueError(f"the answer ended with {ended!r}")


class Sitter(Visitor):
    """One visitor at the screen. Kept points are counted here too, so a session that was lost is seen at once."""

    page: Page
    kept = MOST_KEPT

    def ask(self) -> None:
        """A new photo once enough points are kept; else a click with its words, a search, Keep, or an export."""
        if self.kept == MOST_KEPT:
            return self._meet("screen: page and photo", self._arrive)
        kind, ask = self.dice.choice(
            [
                ("screen: click", self._click),
                ("screen: find", lambda: self.page.send("find", "click", words=self.dice.choice(TEXTS), **SETTINGS)),
                ("screen: keep", self._keep),
                ("screen: export", self._export),
            ]
        )
        self._meet(kind, ask)

    def _meet(self, kind: str, ask: Callable[[], Answer]) -> None:
        start = time.monotonic()
        try:
            answer = ask()
        except (httpx.HTTPError, KeyError, ValueError) as error:
            self.tally.add(kind, "lost", time.monotonic() - start, repr(error))
            return
        well = answer.success and not answer.said
        self.tally.add(kind, "answered" if well else "wrong", time.monotonic() - start, "; ".join(answer.said))

    def _arrive(self) -> Answer:
        self.page = Page(self.client)
        answer = self.page.upload(self.photo)
        self.kept = 0 if answer.success else MOST_KEPT
        return answer

    def _click(self) -> Answer:
        clicked = self.page.click(self.dice.uniform(0, 1280), self.dice.uniform(0, 800))
        return self.page.describe() if clicked.success else clicked

    def _keep(self) -> Answer:
        self.page.click(self.dice.uniform(0, 1280), self.dice.uniform(0, 800))
        answer = self.page.send("keep", "click", words=self.dice.choice(TEXTS))
        self.kept += answer.success and not answer.said
        return answer

    def _export(self) -> Answer:
        if not self.kept:
            return self._keep()
        answer = self.page.send("export-json", "click")
        rows = answer.data[0]["content"].count("\n") if answer.success and answer.data[0] else 0
        if rows != self.kept:
            answer.said.append(f"{self.kept} points were kept, {rows} exported")
        return answer


def _photo(dice: random.Random) -> tuple[bytes, tuple[int, int]]:
    """A JPEG of some size and its (height, width)."""
    width = dice.choice([300, 451, 1280, 3000])
    image = Image.fromarray(data.chelsea()).resize((width, round(width * 2 / 3)))
    file = io.BytesIO()
    image.save(file, "JPEG")
    return file.getvalue(), (image.height, image.width)


def resident_mb(pid: int) -> float:
    """Memory of a process of this machine, in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"no memory figure for process {pid}")


def run(url: str, visitors: int, seconds: float, pid: int | None = None) -> dict[str, Any]:
    """Let visitors loose on an app.

    Args:
        url: of the app; only 127.0.0.1 is allowed.
        visitors: how many at once, at most ``MOST_VISITORS``.
        seconds: for how long, at most ``MOST_SECONDS``; requests that run then are waited for.
        pid: process of the app, to measure its memory.

    Returns:
        requests, answered, refused, wrong, lost, seconds by kind (median, 95 %, longest), troubles, and memory_mb.
    """
    if not url.startswith("http://127.0.0.1:"):
        raise ValueError(f"only an app on 127.0.0.1 is visited, got {url!r}")
    if not (1 <= visitors <= MOST_VISITORS and 0 < seconds <= MOST_SECONDS):
        raise ValueError(f"at most {MOST_VISITORS} visitors and {MOST_SECONDS:g} seconds, got {visitors}, {seconds:g}")
    tally = Tally()
    until = time.monotonic() + seconds
    threads = [
        threading.Thread(
            target=(Visitor, Visitor, Sitter)[number % 3](url, number, tally).visit, args=(until,), daemon=True
        )
        for number in range(visitors)
    ]
    memory: list[float] = []
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads) and time.monotonic() < until + PATIENCE_S:
        if pid is not None:
            memory.append(round(resident_mb(pid), 1))
        time.sleep(1)
    stuck = sum(thread.is_alive() for thread in threads)
    return {
        "visitors": visitors,
        "seconds": seconds,
        "requests": tally.total() + stuck,
        **{outcome: tally.total(outcome) for outcome in ("answered", "refused", "wrong")},
        "lost": tally.total("lost") + stuck,
        "waited_s": {kind: _waited(some) for kind, some in sorted(tally.seconds.items())},
        "troubles": tally.troubles,
        "memory_mb": _memory(memory),
    }


def _waited(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    return {
        "n": len(ordered),
        "median": round(statistics.median(ordered), 2),
        "p95": round(ordered[int(0.95 * (len(ordered) - 1))], 2),
        "longest": round(ordered[-1], 2),
    }


def _memory(samples: list[float]) -> dict[str, float] | None:
    """One sample a second; stable memory has its last quarter near its second."""
    if len(samples) < 4:
        return None
    quarter = len(samples) // 4
    return {
        "first": samples[0],
        "second_quarter": round(statistics.median(samples[quarter : 2 * quarter]), 1),
        "last_quarter": round(statistics.median(samples[-quarter:]), 1),
        "most": max(samples),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Start the app, run, print the report."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--visitors", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--output", type=Path, default=None, help="also write the report here, as JSON")
    args = parser.parse_args(arguments)
    with running_app() as (url, pid):
        report = json.dumps(run(url.rstrip("/"), args.visitors, args.seconds, pid), indent=2, ensure_ascii=False)
    print(report)
    if args.output:
        args.output.write_text(report + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
