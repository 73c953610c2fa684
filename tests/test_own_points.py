"""docs/own_points.md from a CSV file to figures: its own blocks, in their order, with two training steps."""

import importlib
import re
from pathlib import Path

import pytest

from tests.helpers.snippets import ROOT, blocks, commands, printed
from tests.test_readme import needs_models

PAGE = "docs/own_points.md"
SMALL = (
    "--max_steps 2 --per_device_train_batch_size 1 --points_per_photo 2 --threads 1 --report_to none --disable_tqdm 1"
)


@needs_models
def test_the_page_from_a_csv_file_to_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("training", "talkingpoints"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    names: dict[str, object] = {"__name__": "page"}
    trained, output = [], ""
    for block in sorted(blocks(PAGE, "python") + blocks(PAGE, "bash"), key=lambda one: one.line):
        if block.language == "python":
            output += printed(block, names)
            continue
        for words in commands(block):
            if words[:2] == ["accelerate", "launch"] and "my_points/" in words:
                module = words[2].removesuffix(".py").replace("/", ".")
                importlib.import_module(module).main([*words[3:], *SMALL.split()])
                trained.append(module)
    assert trained == ["training.sft_descriptor", "training.sft_descriptor", "training.sft_localizer"]
    assert (tmp_path / "runs" / "my_descriptor" / "dry_run.html").is_file(), "the first run is a dry one"
    assert (tmp_path / "runs" / "my_localizer" / "model.safetensors").is_file()
    assert re.fullmatch(r"texts: [\d.]+ mpck_img of \d+ points\ndescriptions: [\d.]+ mpck_img of \d+ points\n", output)
