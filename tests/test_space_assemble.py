"""The folder of a Hugging Face Space: complete, with its card and what it needs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from space.assemble import ROOT, assemble, requirements


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("assembled")
    (folder / ".git").mkdir()
    return assemble(folder)


def test_the_card_is_the_readme_and_names_the_gradio_that_is_pinned(folder: Path) -> None:
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\ntitle: Talking Points\n")
    assert (folder / re.search(r"app_file: (.*)", card)[1]).is_file()
    assert f"gradio=={re.search(r'sdk_version: (.*)', card)[1]}" in requirements()


def test_what_is_needed_is_what_the_app_and_its_mcp_server_import(folder: Path) -> None:
    pins = (folder / "requirements.txt").read_text(encoding="utf-8").splitlines()
    names = {pin.partition("==")[0] for pin in pins}
    assert {"torch", "transformers", "gradio", "scikit-image", "mcp"} <= names
    assert not names & {"trl", "peft", "datasets", "pytest"}
    assert all("==" in pin for pin in pins)


def test_nothing_of_training_or_tests_and_no_caches_travel(folder: Path) -> None:
    assert {there.name for there in folder.iterdir()} == {
        ".git",
        "app.py",
        "LICENSE",
        "README.md",
        "requirements.txt",
        "space",
        "talkingpoints",
    }
    assert not list(folder.rglob("__pycache__"))
    for bundled in (ROOT / "talkingpoints" / "checkpoints").glob("*/*"):
        assert (folder / bundled.relative_to(ROOT)).is_file()


def test_the_app_of_the_folder_imports_from_there(folder: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    code = "import app, space.ui, talkingpoints; print(talkingpoints.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(folder)


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="must be empty"):
        assemble(tmp_path)
    assert [there.name for there in tmp_path.iterdir()] == ["notes.txt"]
