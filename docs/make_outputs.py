"""Run the Python blocks of the pages and write what they print into the ``text`` blocks behind them.

    python docs/make_outputs.py README.md docs/own_points.md  # or without names: all pages

Run it, and ``docs/make_figures.py``, whenever the bundled models change. tests/test_docs.py fails until then.
"""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a script, from anywhere

from tests.helpers.snippets import PAGES, ROOT, outputs_of


def main(pages: list[str]) -> None:
    """Rewrite the outputs of these pages, or of all."""
    for page in pages or PAGES:
        file = ROOT / page
        text = file.read_text(encoding="utf-8")
        with tempfile.TemporaryDirectory() as folder:
            for block, output in reversed(outputs_of(page, Path(folder))):
                if block.output is not None:
                    text = text[: block.start] + output + text[block.start + len(block.output) :]
        file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
