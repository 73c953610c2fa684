"""What a run on own data derives, prints and shows: plan, dry run, estimate, pictures, early stopping, switches."""

import json
import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from transformers import TrainingArguments

from tests.data.test_point_folders import good_rows, write_folder
from tests.helpers.drawn import drawn_dataset
from training import sft_descriptor, sft_localizer
from training.reports.base_sizes import measure, read_bases
from training.sft import supervised
from training.sft.arguments import given_names
from training.sft.callbacks import duration
from training.sft.run_plan import LORA_RATE, derive_settings, full_rate
from training.sft.sft_arguments import SftArguments

SCRIPTS = {"descriptor": sft_descriptor, "localizer": sft_localizer}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("own") / "points", good_rows(5), photos=5)


def command(base: Path, data: Path, output: Path, **options) -> list[str]:
    values = {"base": base, "datasets": data, "output_dir": output, "use_cpu": True, "points_per_photo": 2,
              "disable_tqdm": True, "report_to": "none", "save_strategy": "no", **options}  # fmt: skip
    return [word for key, value in values.items() for word in (f"--{key}", str(value))]


def test_learning_rates_lie_between_their_two_sources() -> None:
    assert [full_rate(n) for n in (4_000_000, 256_000_000, 7_000_000_000)] == [5e-4, 8e-5, 2e-5]
    assert [duration(seconds) for seconds in (42, 250, 9000)] == ["42 s", "4 min", "2.5 h"]


def test_settings_are_derived_where_they_are_not_given(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def derived(parameters: int, *words: str, lora_r: int = 0) -> tuple[float, int, int, list[str]]:
        size = SimpleNamespace(parameters=parameters)
        monkeypatch.setattr("training.sft.run_plan.size_of", lambda base, lora_r: size)
        sft, training = SftArguments(base=str(base), lora_r=lora_r), TrainingArguments(str(tmp_path), use_cpu=True)
        derive_settings(sft, training, given_names(words))
        return (training.learning_rate, training.train_batch_size, training.gradient_accumulation_steps, sft.derived)

    everything = ["learning rate", "batch", "steps"]
    assert derived(4_000_000) == (5e-4, 8, 1, everything)
    assert derived(2_000_000_000, lora_r=16) == (LORA_RATE, 4, 2, everything)
    assert derived(8_000_000_000, lora_r=16) == (LORA_RATE, 1, 8, everything)
    given = ("--learning_rate", "1e-3", "--gradient_accumulation_steps=2", "--max_steps", "5")
    assert derived(8_000_000_000, *given) == (5e-5, 8, 1, [])  # TrainingArguments' own, here not parsed
    (tmp_path / "a.yaml").write_text("learning_rate: 1.0e-3\nmax_steps:\n")
    assert derived(4_000_000, "--config", str(tmp_path / "a.yaml"))[3] == ["batch", "steps"]


def test_memory_by_hand() -> None:
    size = measure("SmolVLM", read_bases()["HuggingFaceTB/SmolVLM-256M-Instruct"])
    assert size.training_memory(32, lora=False) == size.memory["all weights"]
    assert size.training_memory(4, lora=True) == size.memory["LoRA on 4 bits"]
    assert size.training_memory(16, lora=False) == size.memory["all weights"] / 2
    assert size.memory["bfloat16"] == pytest.approx(2 * 256_484_928 / 2**30)
    assert size.weights(16) > size.weights(8) > size.weights(4)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_dry_run_shows_what_would_be_trained_on_and_trains_nothing(
    name: str, base: Path, own: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert SCRIPTS[name].main([*command(base, own, tmp_path / "run"), "--dry_run"]) is None
    printed = capsys.readouterr().out
    assert "4 photos x 20 passes to train on, 1 photos with points to validate" in printed
    assert re.search(r"steps +10 \(80 examples\) \[derived\]", printed) and "learning rate" in printed
    assert "all weights, base in 32 bits" in printed and "GiB for weights, gradients and Adam" in printed
    page = (tmp_path / "run" / "dry_run.html").read_text()
    assert page.count("data:image/png;base64,") == 5 and "none is wrong" in page
    assert [file.name for file in (tmp_path / "run").iterdir()] == ["dry_run.html"]
    bad = write_folder(tmp_path / "bad", [*good_rows(3), {"file_name": "0.png", "x": 999, "y": 0, "text": "out"}], 3)
    with pytest.raises(ValueError, match="999"):
        SCRIPTS[name].main([*command(base, bad, tmp_path / "run"), "--dry_run"])


@pytest.mark.parametrize("name", SCRIPTS)
def test_samples_are_drawn_and_a_run_without_gain_stops(
    name: str, base: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    drawn = drawn_dataset(tmp_path / "drawn", n=4, seed=0)
    options = {"max_steps": 12, "learning_rate": 0.0, "per_device_train_batch_size": 1, "eval_strategy": "steps",
               "eval_steps": 2, "save_strategy": "steps", "save_steps": 2, "early_stopping_patience": 2,
               "sample_photos": 2, "report_to": "tensorboard", "save_total_limit": 1,
               "frozen_modules": "vision_tower"}  # fmt: skip
    trainer = SCRIPTS[name].main(command(base, drawn, tmp_path / "run", **options))
    assert trainer.state.global_step == 6  # not even batch statistics change: two evaluations after the first
    assert re.search(
        r"step 4 of 12: [\d.]+ s a step, about \d+ s left .*; [\d.]+ GiB of memory", capsys.readouterr().out
    )
    pictures = sorted((tmp_path / "run" / "samples").glob("*.png"))
    assert {file.name for file in pictures} >= {f"step_{step}_{i}.png" for step in (2, 4, 6) for i in (0, 1)}
    assert min(Image.open(pictures[0]).size) > 300
    events = EventAccumulator(str(next((tmp_path / "run" / "runs").iterdir())), {"images": 0}).Reload()
    assert [event.step for event in events.Images("samples/1")][:3] == [2, 4, 6]
    with pytest.raises(ValueError, match="early_stopping_patience needs evaluations and their checkpoints"):
        SCRIPTS[name].main(command(base, drawn, tmp_path / "no", early_stopping_patience=2, max_steps=1))


def test_switches_of_lora_reach_the_adapter(base: Path, own: Path, tmp_path: Path) -> None:
    options = {"max_steps": 1, "lora_r": 2, "use_rslora": True, "use_dora": True}
    sft_descriptor.main(command(base, own, tmp_path / "run", **options))
    adapter = json.loads((tmp_path / "run" / "adapter_config.json").read_text())
    assert adapter["use_rslora"] and adapter["use_dora"]


def test_liger_is_given_the_base_whose_type_it_knows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    patched = []
    liger = ModuleType("liger_kernel.transformers")
    liger._apply_liger_kernel_to_instance = lambda model, **options: patched.append((model, options))
    monkeypatch.setitem(sys.modules, "liger_kernel", ModuleType("liger_kernel"))
    monkeypatch.setitem(sys.modules, "liger_kernel.transformers", liger)
    monkeypatch.setattr("transformers.integrations.liger.is_liger_kernel_available", lambda: True)
    monkeypatch.setattr("transformers.integrations.liger.PreTrainedModel", SimpleNamespace)
    model = SimpleNamespace(vlm=SimpleNamespace())
    training = TrainingArguments(str(tmp_path), use_cpu=True)
    supervised.use_liger(model, training)
    assert patched == []
    training.use_liger_kernel = True
    supervised.use_liger(model, training)
    assert patched == [(model.vlm, {"fused_linear_cross_entropy": False})] and not training.use_liger_kernel
