"""The README's code runs as it stands, and its commands are the ones that CI runs."""

import re
from pathlib import Path

import pytest

from talkingpoints.inference import CHECKPOINTS

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
SNIPPETS = [  # what talks to a running app is run in test_space_endpoints.py, what asks the Hub in test_push.py
    code
    for code in re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    if "gradio_client" not in code and "me/my-points" not in code
]


@pytest.mark.skipif(not CHECKPOINTS.is_dir(), reason="no bundled checkpoints in this tree")
@pytest.mark.parametrize("snippet", SNIPPETS, ids=range(len(SNIPPETS)))
def test_the_code_runs(snippet: str, capsys: pytest.CaptureFixture) -> None:
    exec(compile(snippet, "README.md", "exec"), {"__name__": "readme"})
    assert capsys.readouterr().out


def test_ci_runs_the_command_that_readme_gives() -> None:
    command = "python -m pytest -q"
    assert command in README
    assert command in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_every_file_of_the_tree_exists() -> None:
    tree = re.search(r"## The tree\n\n```\n(.*?)```", README, re.DOTALL).group(1)
    for name in re.findall(r"\b\w+\.py\b", tree):
        assert list(ROOT.rglob(name)), f"README names {name}, which does not exist"
