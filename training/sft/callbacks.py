"""Callbacks of the supervised trainings: an estimate of time and memory, pictures of samples, early stopping."""

import resource
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import PeftModel
from PIL import Image
from transformers import (
    EarlyStoppingCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from transformers.integrations import TensorBoardCallback
from transformers.trainer_utils import IntervalStrategy, SaveStrategy

from training.sft.sft_arguments import SftArguments

_FIRST_STEPS = 4

DrawSample = Callable[[torch.nn.Module, Any], Image.Image]
"""(model, example) -> a picture of what the model makes of the example."""


class EstimateCallback(TrainerCallback):
    """Prints after the first steps how long the run will take and how much memory it needs.

    The first step is left out, since it allocates memory and warms up. Evaluations and checkpoints come on top.
    """

    def __init__(self) -> None:
        self._first: int | None = None
        self._started = 0.0

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self._first is None:
            self._first, self._started = state.global_step, time.perf_counter()
        elif state.global_step - self._first == _FIRST_STEPS - 1 and state.is_world_process_zero:
            step = (time.perf_counter() - self._started) / (_FIRST_STEPS - 1)
            left = step * (state.max_steps - state.global_step)
            print(
                f"step {state.global_step} of {state.max_steps}: {step:.2f} s a step, about {duration(left)} left "
                f"(evaluations come on top); {peak_memory()}"
            )


class SamplePictures(TrainerCallback):
    """After each evaluation, draws what the model makes of some validation photos: always the same ones.

    The pictures are ``samples/step_N_I.png`` in the output folder, and images of TensorBoard where it is on.

    Args:
        trainer: Its model is shown.
        examples: The validation examples.
        draw: Draws one.
    """

    def __init__(self, trainer: Trainer, examples: Sequence[Any], draw: DrawSample):
        self.trainer, self.examples, self.draw = trainer, list(examples), draw

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if not state.is_world_process_zero:
            return
        model = self.trainer.accelerator.unwrap_model(self.trainer.model)
        model = model.get_base_model() if isinstance(model, PeftModel) else model
        mode = model.training
        model.eval()
        folder = Path(str(args.output_dir)) / "samples"
        folder.mkdir(parents=True, exist_ok=True)
        for i, example in enumerate(self.examples):
            with torch.inference_mode(), self.trainer.accelerator.autocast():
                picture = self.draw(model, example)
            picture.save(folder / f"step_{state.global_step}_{i}.png")
            for callback in self.trainer.callback_handler.callbacks:
                if isinstance(callback, TensorBoardCallback) and callback.tb_writer is not None:
                    pixels = np.asarray(picture.convert("RGB"))
                    callback.tb_writer.add_image(f"samples/{i}", pixels, state.global_step, dataformats="HWC")
        model.train(mode)


def early_stopping(sft: SftArguments, training: TrainingArguments, examples: Any) -> EarlyStoppingCallback:
    """Stop when validation no longer improves, and keep the best weights.

    Args:
        sft: ``early_stopping_patience``: so many evaluations without improvement end the run.
        training: Changed in place: the best checkpoint is loaded at the end. ``metric_for_best_model`` names what is
            compared (default: the loss).
        examples: Validation examples; where they are several sets by name, the first one counts.

    Raises:
        ValueError: If there are no evaluations, or no checkpoint of each evaluation.
    """
    evaluations, checkpoints = (
        IntervalStrategy(training.eval_strategy).value,
        SaveStrategy(training.save_strategy).value,
    )
    uneven = evaluations == "steps" and training.save_steps % (training.eval_steps or training.save_steps)
    if evaluations == "no" or evaluations != checkpoints or uneven:
        raise ValueError(
            "early_stopping_patience needs evaluations and their checkpoints: give eval_strategy and save_strategy the "
            f"same value, and save_steps a multiple of eval_steps; got {evaluations}, {checkpoints}, "
            f"{training.save_steps} and {training.eval_steps}"
        )
    training.load_best_model_at_end = True
    if training.metric_for_best_model is None:
        training.metric_for_best_model = (
            f"eval_{next(iter(examples))}_loss" if isinstance(examples, dict) else "eval_loss"
        )
    if training.greater_is_better is None:
        training.greater_is_better = not training.metric_for_best_model.endswith("loss")
    training.restore_callback_states_from_checkpoint = True  # the patience goes on where a run is resumed
    return EarlyStoppingCallback(sft.early_stopping_patience)


def duration(seconds: float) -> str:
    """Seconds in words.

    Example:
        >>> duration(42), duration(250), duration(9000)
        ('42 s', '4 min', '2.5 h')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def peak_memory() -> str:
    """The most memory that the process has needed so far, on the GPU if it has one."""
    if torch.cuda.is_available():
        return f"{torch.cuda.max_memory_reserved() / 2**30:.1f} GiB of GPU memory at most"
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GiB of memory at most"
