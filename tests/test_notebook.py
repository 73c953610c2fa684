"""The quickstart notebook runs from top to bottom, with a stand-in for the Hub."""

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.snippets import ROOT
from tests.test_readme import needs_models

NOTEBOOK = ROOT / "docs" / "quickstart.ipynb"


@needs_models
def test_the_quickstart_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(NOTEBOOK.parent)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)  # so that it reads TMPDIR again
    cells = [cell for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    names: dict[str, Any] = {"__name__": "notebook"}
    outputs = []
    for number, cell in enumerate(cells):
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(compile("".join(cell["source"]), f"code cell {number} of {NOTEBOOK.name}", "exec"), names)
        outputs.append(out.getvalue())
    loaded = outputs[-1].strip().splitlines()
    assert loaded[0].startswith("me/my-points at revision "), outputs[-1]
    assert loaded[-1] == names["tuned"].describe(names["cat"], (175, 110)).text, "the pushed model is the trained one"
    assert names["tuned"].describe(names["cat"], (175, 110)).text != names["described"].text, (
        "20 steps change its words"
    )
