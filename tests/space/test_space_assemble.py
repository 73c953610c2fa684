"""The folder of a Hugging Face Space: complete, with its card and what it needs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import SpaceCard

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


def test_the_card_s_front_matter_is_one_that_the_hub_takes(folder: Path) -> None:
    data = SpaceCard.load(folder / "README.md").data
    assert data.sdk == "gradio" and data.license == "apache-2.0" and data.python_version == "3.11"
    assert len(data.short_description) <= 60, "the Hub refuses longer ones"
    colours = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
    assert {data.colorFrom, data.colorTo} <= colours


def test_the_app_of_the_folder_runs_from_there_without_what_only_training_needs(folder: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    code = """
import sys
sys.modules |= dict.fromkeys(("accelerate", "datasets", "matplotlib", "peft", "tensorboard", "trl"))
import app, space.ui, talkingpoints
from PIL import Image
trip = talkingpoints.TalkingPoints.from_pretrained().round_trip(Image.new("RGB", (80, 60)), (30, 20))
assert trip.description.text and 0 <= trip.localization.presence <= 1
print(talkingpoints.__file__)
"""
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
