"""Two processes do the work of one: same losses and weights, checkpoints for any number of them, a shared evaluation.

The two run in one launch and on one thread each, for most of the time goes into starting them.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from accelerate.utils import DistributedType
from transformers import AutoModel, AutoProcessor, LlavaForConditionalGeneration, SiglipVisionConfig

from tests.data.test_point_folders import good_rows, write_folder
from tests.helpers.drawn import drawn_dataset
from tests.helpers.tiny import tiny_pair
from training import evaluate, sft_descriptor, sft_localizer
from training.sft.processes import TWO_CPU_PROCESSES
from training.sft.sft_arguments import SftArguments
from training.sft.supervised import check_sharding

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = {"sft_descriptor": sft_descriptor, "sft_localizer": sft_localizer}
STEPS, HALF = 4, 2
LOSS, WEIGHTS = 1e-5, 1e-5
"""Relative and absolute tolerances: sums of float32 in another order."""


@pytest.fixture(scope="module")
def plain_base(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny base with a vision tower that has no batch normalisation, whose statistics processes do not share."""
    folder = tmp_path_factory.mktemp("plain_base")
    plain = LlavaForConditionalGeneration.from_pretrained(base)
    config = plain.config
    config.vision_config = SiglipVisionConfig(
        hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, image_size=64, patch_size=16,
        vision_use_head=False,
    )  # fmt: skip
    torch.manual_seed(0)
    model = LlavaForConditionalGeneration(config)
    model.generation_config = plain.generation_config
    model.save_pretrained(folder)
    AutoProcessor.from_pretrained(base).save_pretrained(folder)
    return folder


class Runs:
    """Folders of runs under one root, and the command lines that make them."""

    def __init__(self, root: Path, base: Path):
        self.root, self.base = root, base
        self.drawn = drawn_dataset(root / "drawn", n=6, seed=0)
        rows = [row for i, row in enumerate(good_rows(9)) if i != 7]
        rows.append({"file_name": "4.png", "x": 99, "y": 5, "text": "outside"})
        self.own = write_folder(root / "own", rows, photos=9)
        self.descriptor, self.localizer = (str(folder) for folder in tiny_pair(root / "pair"))

    def train(self, script: str, name: str, batch: int, *more: str, data: Path | None = None) -> list[str]:
        options = {
            "base": self.base, "datasets": data or self.drawn, "output_dir": self.folder(script, name),
            "max_steps": STEPS, "save_steps": HALF, "logging_steps": 1, "points_per_photo": 3,
            "per_device_train_batch_size": batch, "per_device_eval_batch_size": 2, "share_image_prefix": True,
            "learning_rate": 1e-3, "adam_epsilon": 1e-4, "report_to": "none", "disable_tqdm": True, "use_cpu": True,
        }  # fmt: skip
        if data is None:
            options |= {"arbitrary": 0.2, "background": 0.1}
            if script == "sft_localizer":
                options["negatives"] = 0.4
        return [*(word for key, value in options.items() for word in (f"--{key}", str(value))), *more]

    def evaluate(self, name: str) -> list[str]:
        folders = ["--dataset", str(self.drawn), "--descriptor", self.descriptor, "--localizer", self.localizer]
        files = ["--output", str(self.root / f"{name}.json"), "--work_dir", str(self.root / f"{name}_work")]
        return [*folders, *files, "--split", "test", "--limit", "2", "--threads", "1", "--device", "cpu", "--quiet"]

    def folder(self, script: str, name: str) -> Path:
        return self.root / script / name

    def cut(self, script: str, name: str, new: str) -> None:
        """The run as it was after half of its steps, under a new name."""
        checkpoint = f"checkpoint-{HALF}"
        shutil.copytree(self.folder(script, name) / checkpoint, self.folder(script, new) / checkpoint)

    def losses(self, script: str, name: str) -> list[float]:
        state = json.loads((self.folder(script, name) / f"checkpoint-{STEPS}" / "trainer_state.json").read_text())
        return [entry["loss"] for entry in state["log_history"] if "loss" in entry]

    def weights(self, script: str, name: str) -> dict[str, torch.Tensor]:
        return AutoModel.from_pretrained(self.folder(script, name)).state_dict()

    def assert_equal(self, script: str, name: str, other: str) -> None:
        assert self.losses(script, name) == pytest.approx(self.losses(script, other), rel=LOSS)
        torch.testing.assert_close(self.weights(script, name), self.weights(script, other), rtol=0, atol=WEIGHTS)


@pytest.fixture(scope="module")
def runs(plain_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """One process trains four photos a step, and two processes two each, also from where the one was cut."""
    runs = Runs(tmp_path_factory.mktemp("runs"), plain_base)
    jobs = []
    streamed = ["--streaming", "--skip_bad_rows", "--val_photos", "2", "--shuffle_buffer", "4"]
    for script, module in SCRIPTS.items():
        module.main(runs.train(script, "one", 4))
        runs.cut(script, "one", "one_then_two")
        jobs.append((script, runs.train(script, "two", 2)))
        jobs.append((script, runs.train(script, "one_then_two", 2, "--resume")))
    sft_descriptor.main(runs.train("sft_descriptor", "stream_one", 4, *streamed, data=runs.own))
    runs.cut("sft_descriptor", "stream_one", "stream_one_then_two")
    jobs.append(
        ("sft_descriptor", runs.train("sft_descriptor", "stream_one_then_two", 2, *streamed, "--resume", data=runs.own))
    )
    jobs.append(("evaluate", runs.evaluate("two")))
    jobs.append(("shard", [str(plain_base), str(runs.drawn)]))
    (runs.root / "jobs.json").write_text(json.dumps(jobs))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(ROOT / TWO_CPU_PROCESSES)]
    done = subprocess.run(
        [*launch, str(ROOT / "tests" / "helpers" / "two_processes.py"), str(runs.root / "jobs.json")],
        cwd=runs.root, env=environment, capture_output=True, text=True, timeout=500,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-5000:]
    runs.log = done.stderr
    return runs


def test_each_process_sees_its_part_of_every_global_batch(runs: Runs) -> None:
    first, second = (json.loads((runs.root / f"done_{rank}.json").read_text()) for rank in (0, 1))
    for whole, resumed in ((0, 1), (2, 3)):
        assert first[whole][:8] == [0, 1, 4, 5, 8, 9, 12, 13] and second[whole][:8] == [2, 3, 6, 7, 10, 11, 14, 15]
        assert first[resumed][:4] == [8, 9, 12, 13] and second[resumed][:4] == [10, 11, 14, 15]


@pytest.mark.parametrize("script", SCRIPTS)
def test_two_processes_equal_one(runs: Runs, script: str) -> None:
    runs.assert_equal(script, "two", "one")


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_checkpoint_resumes_with_another_number_of_processes(runs: Runs, script: str) -> None:
    runs.assert_equal(script, "one_then_two", "one")
    runs.cut(script, "two", "two_then_one")
    SCRIPTS[script].main(runs.train(script, "two_then_one", 4, "--resume"))
    runs.assert_equal(script, "two_then_one", "one")


def test_accumulated_batches_equal_one(runs: Runs) -> None:
    sft_localizer.main(runs.train("sft_localizer", "accumulated", 1, "--gradient_accumulation_steps", "4"))
    runs.assert_equal("sft_localizer", "accumulated", "one")


def test_a_stream_is_shared_and_resumed(runs: Runs) -> None:
    runs.assert_equal("sft_descriptor", "stream_one_then_two", "stream_one")
    assert "row 28: point (99, 5) is outside the image" in runs.log


def test_models_can_be_sharded(runs: Runs) -> None:
    for found in json.loads((runs.root / "done_0.json").read_text())[-1]:
        assert found["layers"] == 2 + 1  # of the language model and of the vision tower
        assert found["loss"] < LOSS and found["gradient"] < WEIGHTS


def test_what_sharded_models_cannot_do_is_refused() -> None:
    accelerator = SimpleNamespace(distributed_type=DistributedType.FSDP)
    for option in ({"share_image_prefix": True}, {"save_dtype": "bfloat16"}):
        with pytest.raises(ValueError, match=f"{next(iter(option))}.* sharded"):
            check_sharding(accelerator, SftArguments(base="", datasets=[], **option))
    check_sharding(accelerator, SftArguments(base="", datasets=[]))
    accelerator.distributed_type = DistributedType.MULTI_GPU
    check_sharding(accelerator, SftArguments(base="", datasets=[], share_image_prefix=True))


def test_two_processes_share_an_evaluation(runs: Runs) -> None:
    evaluate.main(runs.evaluate("one"))
    one, two = (json.loads((runs.root / f"{name}.json").read_text()) for name in ("one", "two"))
    shares = [len((runs.root / "two_work" / f"part_{rank}.jsonl").read_text().splitlines()) - 1 for rank in (0, 1)]
    assert shares == [1, 1]
    assert (one["processes"], two["processes"]) == (1, 2)
    for other in ("command", "date", "seconds", "latency_s", "processes", "threads"):
        del one[other], two[other]
    assert one == two
