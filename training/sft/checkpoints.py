"""Checkpoints that are there as a whole or not at all, and the newest whole one to go on from.

A checkpoint is written into a folder beside its place and moved there when all processes are done with it, so that a
run that is killed while it saves, or whose disk is full, still has the one before.
"""

import json
import logging
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

from transformers import Trainer
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, rotate_checkpoints

STAGING = "saving"
"""Folder in ``output_dir`` where a checkpoint is written."""
STATE = "trainer_state.json"
"""Is written after everything else in a checkpoint."""

_OPTIMIZERS = ("optimizer.pt", "optimizer.bin", "optimizer_*", "global_step*")  # of one process, FSDP, DeepSpeed
_log = logging.getLogger(__name__)


class WholeCheckpoints(Trainer):
    """A ``Trainer`` whose checkpoints appear whole."""

    _staged = False

    def _get_output_dir(self, trial: Any) -> str:
        place = super()._get_output_dir(trial=trial)
        return os.path.join(place, STAGING) if self._staged else place

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        run, name = Path(self._get_output_dir(trial)), f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
        staging = run / STAGING
        if self.is_local_process_zero():
            shutil.rmtree(staging, ignore_errors=True)  # of a run that was killed
        self.accelerator.wait_for_everyone()
        self._staged = True
        try:
            super()._save_checkpoint(model, trial)
        except Exception as error:  # a full disk shows as OSError, RuntimeError or SafetensorError
            shutil.rmtree(staging, ignore_errors=True)
            free = shutil.disk_usage(run).free / 1e6
            raise RuntimeError(
                f"{name} could not be saved: {error} ({free:,.0f} MB are free on its disk). What was saved before is "
                f"whole: make room, and go on from it with --resume true"
            ) from error
        finally:
            self._staged = False
        self.accelerator.wait_for_everyone()
        if self.is_local_process_zero():
            self._move(staging, run, name)
        self.accelerator.wait_for_everyone()

    def _move(self, staging: Path, run: Path, name: str) -> None:
        """Put a whole checkpoint into its place, and delete those that are too many."""
        best = self.state.best_model_checkpoint
        if best is not None and Path(best).parent == staging:
            self.state.best_model_checkpoint = str(run / Path(best).name)
            if self.args.should_save:
                self.state.save_to_json(str(staging / name / STATE))
        if (run / name).exists():  # of a run that went on from an earlier one
            os.replace(run / name, staging / "replaced")
        os.replace(staging / name, run / name)
        shutil.rmtree(staging, ignore_errors=True)
        if self.args.should_save:
            rotate_checkpoints(
                output_dir=str(run),
                save_total_limit=self.args.save_total_limit,
                best_model_checkpoint=self.state.best_model_checkpoint,
                use_mtime=True,
            )


def newest_whole(output: Path) -> str | None:
    """The newest whole checkpoint in a folder, None if there is none; says which it passed over.

    Raises:
        ValueError: There are checkpoints, but only of weights (``save_only_model``): optimiser and schedule would start
            anew.
    """
    places = [path for path in output.glob(f"{PREFIX_CHECKPOINT_DIR}-*") if path.name.rpartition("-")[2].isdecimal()]
    passed: list[str] = []
    only_weights = False
    for folder in sorted(places, key=lambda path: int(path.name.rpartition("-")[2]), reverse=True):
        problem = _problem(folder)
        if problem is None:
            for line in passed:
                _log.warning("passed over %s", line)
            _log.warning("going on from %s", folder.name)
            return str(folder)
        passed.append(f"{folder.name}: {problem}")
        only_weights = only_weights or problem == _ONLY_WEIGHTS
    if only_weights:
        raise ValueError(
            f"resume: {output} has checkpoints without optimiser and schedule only (save_only_model), which would "
            "start anew; to start from such weights, give a checkpoint as --base"
        )
    for line in passed:
        _log.warning("passed over %s; starting anew", line)
    return None


_ONLY_WEIGHTS = "holds weights only (save_only_model)"


def _problem(folder: Path) -> str | None:
    """Why a checkpoint is nothing to go on from; None if it is."""
    try:
        json.loads((folder / STATE).read_bytes())
    except (OSError, ValueError):
        return f"is incomplete: no whole {STATE}"
    for file in folder.iterdir():
        if file.suffix == ".safetensors" and not _whole_safetensors(file):
            return f"is incomplete: {file.name} is cut off"
        if file.suffix in (".pt", ".pth") and not zipfile.is_zipfile(file):
            return f"is incomplete: {file.name} is cut off"
    return None if any(any(folder.glob(pattern)) for pattern in _OPTIMIZERS) else _ONLY_WEIGHTS


def _whole_safetensors(file: Path) -> bool:
    """Whether a file is as long as its header says."""
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        try:
            header = json.loads(opened.read(min(length, 100_000_000)))
        except ValueError:
            return False
    ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    return file.stat().st_size == 8 + length + max(ends, default=0)
