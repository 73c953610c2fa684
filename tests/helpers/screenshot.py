"""Takes the picture of the README: the app on a photo that may be shipped, both ways, with points kept.

    python -m tests.helpers.screenshot space/screenshot.png

Chelsea the cat (scikit-image, CC0) on the bundled pair, in a real headless Chromium.
"""

import argparse
import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from tests.helpers.browser import chromium, click_pixel, facts, finished_words, opened, started_app

CAT = (300, 451)
KEPT = ((300.0, 40.0), (225.0, 122.0))
ASKED = (170.0, 130.0)


def main(arguments: Sequence[str] | None = None) -> None:
    """Start the app, click, keep, click again, go around, and save what is seen."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("output", type=Path)
    args = parser.parse_args(arguments)
    screen = {"width": 1200, "height": 900}
    with started_app() as url, chromium() as browser, opened(browser, url, viewport=screen) as page:
        for number, point in enumerate(KEPT, start=1):
            click_pixel(page, point, CAT)
            finished_words(page)
            page.click("#keep")
            page.wait_for_selector(f"#kept-table tbody tr:nth-child({number})")
        click_pixel(page, ASKED, CAT)
        finished_words(page)
        page.click("#round-trip")
        facts(page, "% of the image")
        page.wait_for_timeout(1000)
        page.mouse.move(5, 5)
        page.evaluate("scrollTo(0, 0)")
        shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    shot.quantize(256, dither=Image.Dither.FLOYDSTEINBERG).save(args.output, optimize=True)


if __name__ == "__main__":
    main()
