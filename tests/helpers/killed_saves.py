"""Trains while being killed in the middle of saving, again and again, and once undisturbed.

    python -m tests.helpers.killed_saves sft --chains 10 --kills 10
    python -m tests.helpers.killed_saves grpo --chains 10 --kills 5

prints how many kills there were, where, and whether all chains ended in the weights of the undisturbed run. Each chain
is a training of a few steps that saves at each. Half of the kills come before an operation on files of the save (to
open, rename, remove or make one), the other half at times within it, from the system itself, so that files are cut off.
"""

import argparse
import importlib
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

STEPS = 4
SCRIPTS = {"sft": "training.sft_descriptor", "grpo": "training.grpo_descriptor"}
_EVENTS = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree")


@dataclass(frozen=True)
class Kill:
    """When a process is killed while it saves: before an operation on files, or after some seconds."""

    operation: int = 0
    seconds: float = 0.0


def arguments(script: str, folder: Path, output: Path) -> list[str]:
    """The command for a tiny training: ``folder`` holds ``base``, ``pair`` and ``drawn``."""
    options: dict[str, Any] = {
        "base": folder / "descriptor", "datasets": folder / "drawn", "output_dir": output, "max_steps": STEPS,
        "save_steps": 1, "save_total_limit": 2, "lr_scheduler_type": "constant", "logging_steps": 1,
        "report_to": "none", "use_cpu": True, "disable_tqdm": True, "per_device_train_batch_size": 2,
        "resume": True, "seed": 3,
    }  # fmt: skip
    if script == "sft":
        options |= {"points_per_photo": 2, "attn_implementation": "eager"}
    else:
        options |= {"localizer": folder / "localizer", "num_generations": 2, "max_completion_length": 4,
                    "metric_photos": 0, "bf16": False, "gradient_checkpointing": False}  # fmt: skip
    return [word for key, value in options.items() for word in (f"--{key}", str(value))]


def trained(script: str, argv: Sequence[str], kill: Kill | None, said: Path) -> None:
    """Run a training in this process, which ends in the middle of its first save where ``kill`` says so.

    Args:
        script: of :data:`SCRIPTS`.
        argv: its command line.
        kill: when; None lets it run.
        said: JSON file for the number of operations and the seconds of the first save, if there is no kill.
    """
    from training.sft.checkpoints import WholeCheckpoints

    save = WholeCheckpoints._save_checkpoint
    saving: list[str] = []
    state = {"on": False}

    def watch(event: str, _: Any) -> None:
        if state["on"] and event in _EVENTS:
            saving.append(event)
            if kill is not None and kill.operation == len(saving):
                os.kill(os.getpid(), signal.SIGKILL)

    def watched(self: Any, model: Any, trial: Any) -> None:
        first, started = not saving, time.perf_counter()
        state["on"] = first
        if first and kill is not None and kill.seconds:
            signal.setitimer(signal.ITIMER_REAL, kill.seconds)  # SIGALRM ends the process without a word
        save(self, model, trial)
        state["on"] = False
        if first and kill is None:
            said.write_text(json.dumps([len(saving), time.perf_counter() - started]))
        elif kill is not None:
            os.kill(os.getpid(), signal.SIGKILL)  # it saved faster than it should have been killed

    sys.addaudithook(watch)
    WholeCheckpoints._save_checkpoint = watched  # type: ignore[method-assign]
    torch.set_num_threads(1)
    importlib.import_module(SCRIPTS[script]).main(list(argv))


def run(script: str, argv: Sequence[str], kill: Kill | None, said: Path) -> int:
    """:func:`trained` in a process of its own; its exit code."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(SCRIPTS.values()))
    process = context.Process(target=trained, args=(script, list(argv), kill, said))
    process.start()
    process.join()
    return process.exitcode or 0


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """All weights of a saved model."""
    return {name: tensor for file in folder.glob("*.safetensors") for name, tensor in load_file(file).items()}


def chains(script: str, folder: Path, count: int, kills: int, seed: int = 0) -> dict[str, Any]:
    """Run the undisturbed training, and some that are killed.

    Args:
        script: of :data:`SCRIPTS`.
        folder: as for :func:`arguments`; runs go into it.
        count: trainings that are killed.
        kills: of each, before it may run to its end; spread over the operations and the time of a save.
        seed: of the times.

    Returns:
        Figures: ``kills``, ``resumed`` (every further start went on from a whole checkpoint, or anew where none was),
        ``equal`` (chains that ended in the weights of the undisturbed run), ``operations`` and ``seconds`` of a save.
    """
    said = folder / "said.json"
    assert run(script, arguments(script, folder, folder / "plain"), None, said) == 0, "the undisturbed run failed"
    operations, seconds = json.loads(said.read_text())
    plain, rng = weights(folder / "plain"), random.Random(seed)
    ends: Counter[int] = Counter()
    equal = 0
    for chain in range(count):
        argv = arguments(script, folder, folder / f"killed_{chain}")
        for number in range(kills):
            place = (number + (chain + 0.5) / count) / kills  # all of them together lie evenly over a save
            timed = Kill(seconds=max(1e-3, place * seconds * rng.uniform(0.9, 1.1)))
            ends[run(script, argv, timed if number % 2 else Kill(1 + int(place * operations)), said)] += 1
        ends[run(script, argv, None, said)] += 1
        done = weights(folder / f"killed_{chain}")
        equal += done.keys() == plain.keys() and all(torch.equal(plain[name], done[name]) for name in plain)
    killed = ends[-signal.SIGKILL] + ends[-signal.SIGALRM]
    return {
        "script": script, "chains": count, "kills": killed, "resumed": ends[0] >= count and set(ends) <= _GOOD,
        "equal": equal, "exit_codes": dict(ends), "operations": operations, "seconds": round(seconds, 4),
    }  # fmt: skip


_GOOD = {0, -signal.SIGKILL, -signal.SIGALRM}


def prepared(folder: Path) -> Path:
    """A folder as :func:`arguments` wants it."""
    from tests.helpers.drawn import drawn_dataset
    from tests.helpers.tiny import tiny_pair

    tiny_pair(folder)
    drawn_dataset(folder / "drawn", n=4, seed=0)
    return folder


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("script", choices=SCRIPTS)
    parser.add_argument("--chains", type=int, default=10)
    parser.add_argument("--kills", type=int, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(chains(options.script, prepared(Path(folder)), options.chains, options.kills)))


if __name__ == "__main__":
    main()
