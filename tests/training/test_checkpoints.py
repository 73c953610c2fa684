"""Checkpoints: whole or not there, the newest whole one is gone on from, a full disk leaves the one before."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from transformers import PretrainedConfig, PreTrainedModel, TrainingArguments

from tests.helpers import killed_saves
from training.sft import checkpoints
from training.sft.checkpoints import STAGING, STATE, WholeCheckpoints, newest_whole


class Line(PreTrainedModel):
    """A model of two numbers."""

    config_class = PretrainedConfig

    def __init__(self, config: PretrainedConfig):
        super().__init__(config)
        self.line = torch.nn.Linear(1, 1)
        self.post_init()

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        found = self.line(x)
        return {"loss": ((found - labels) ** 2).mean(), "logits": found}


def trainer(folder: Path, steps: int = 4, **options) -> WholeCheckpoints:
    rows = [{"x": torch.tensor([float(i)]), "labels": torch.tensor([2.0 * i])} for i in range(16)]
    arguments = TrainingArguments(
        str(folder), max_steps=steps, save_steps=1, use_cpu=True, report_to="none", disable_tqdm=True,
        per_device_train_batch_size=2, lr_scheduler_type="constant", **options,
    )  # fmt: skip
    return WholeCheckpoints(Line(PretrainedConfig()), arguments, train_dataset=rows, eval_dataset=rows)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and path.name != "runs")


def test_the_best_and_the_newest_stay(tmp_path: Path) -> None:
    """Rotation knows the final places, and so does the state in a checkpoint."""
    best = {"eval_strategy": "steps", "eval_steps": 1, "load_best_model_at_end": True, "save_total_limit": 1,
            "metric_for_best_model": "loss", "learning_rate": 1e-3}  # fmt: skip
    done = trainer(tmp_path, **best)
    done.train()
    assert names(tmp_path) == ["checkpoint-4"] and STAGING not in names(tmp_path)
    for state in (done.state.best_model_checkpoint, json.loads((tmp_path / "checkpoint-4" / STATE).read_text())):
        place = state if isinstance(state, str) else state["best_model_checkpoint"]
        assert Path(place) == tmp_path / "checkpoint-4"


@pytest.mark.parametrize(
    ("file", "length"),
    [(STATE, None), (STATE, 10), ("model.safetensors", 30), ("model.safetensors", 7), ("model.safetensors", -1),
     ("optimizer.pt", 100), ("optimizer.pt", 0), ("rng_state.pth", -1), ("scheduler.pt", 0)],
)  # fmt: skip
def test_the_newest_whole_one_is_gone_on_from(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, file: str, length: int | None
) -> None:
    trainer(tmp_path).train()
    newest = tmp_path / "checkpoint-4" / file
    content = newest.read_bytes()
    newest.unlink() if length is None else newest.write_bytes(content[:length])
    assert newest_whole(tmp_path) == str(tmp_path / "checkpoint-3")
    assert f"passed over checkpoint-4: is incomplete: {'no whole ' if file == STATE else ''}{file}" in caplog.text
    assert "going on from checkpoint-3" in caplog.text
    for number in (1, 2, 3):
        shutil.rmtree(tmp_path / f"checkpoint-{number}")
    assert newest_whole(tmp_path) is None and "starting anew" in caplog.text


def test_weights_alone_are_not_gone_on_from(tmp_path: Path) -> None:
    trainer(tmp_path, save_only_model=True).train()
    with pytest.raises(ValueError, match=r"checkpoints without optimiser and schedule only.*--base"):
        newest_whole(tmp_path)
    assert newest_whole(tmp_path / "nowhere") is None


@pytest.mark.parametrize("broken", ["save_model", "_save_rng_state", "_save_optimizer_and_scheduler"])
def test_a_full_disk_leaves_the_last_good_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    run = trainer(tmp_path)
    real = getattr(run, broken)

    def full(*arguments, **options):
        if run.state.global_step == 3:
            raise OSError(28, "No space left on device")
        return real(*arguments, **options)

    monkeypatch.setattr(run, broken, full)
    with pytest.raises(RuntimeError, match=r"checkpoint-3 could not be saved: .*No space.*--resume true"):
        run.train()
    assert names(tmp_path) == ["checkpoint-1", "checkpoint-2"]
    again = trainer(tmp_path)
    again.train(resume_from_checkpoint=newest_whole(tmp_path))
    whole = trainer(tmp_path / "whole")
    whole.train()
    assert torch.equal(whole.model.line.weight, again.model.line.weight)


def test_what_a_killed_run_left_does_not_stay_or_mix(tmp_path: Path) -> None:
    (tmp_path / STAGING / "checkpoint-1").mkdir(parents=True)
    (tmp_path / STAGING / "checkpoint-1" / "old").touch()
    (tmp_path / "checkpoint-1").mkdir()
    (tmp_path / "checkpoint-1" / "old").touch()
    trainer(tmp_path, steps=1).train()
    assert names(tmp_path) == ["checkpoint-1"] and not (tmp_path / "checkpoint-1" / "old").exists()


@pytest.mark.slow
@pytest.mark.parametrize("script", list(killed_saves.SCRIPTS))
def test_a_run_that_is_killed_while_it_saves_ends_in_the_same_weights(tmp_path: Path, script: str) -> None:
    """A few kills; ``python -m tests.helpers.killed_saves`` makes as many as one likes."""
    figures = killed_saves.chains(script, killed_saves.prepared(tmp_path), 1, 4)
    assert figures["kills"] == 4 and figures["resumed"] and figures["equal"] == 1, figures


def test_every_training_saves_so() -> None:
    text = "".join(file.read_text() for file in Path(checkpoints.__file__).parents[1].rglob("*.py"))
    assert "= Trainer(" not in text and "= GRPOTrainer(" not in text
