"""Training with several processes: devices, reading the data once, and a loss over the global batch.

Each process takes its photos of every global batch in order (accelerate's ``BatchSamplerShard``). So a run equals that
of one process with the same global batch: ``per_device_train_batch_size`` times processes times
``gradient_accumulation_steps``. Only the batch statistics of a vision tower with batch normalisation, such as the
bundled one, are not shared.
"""

import logging
import os
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.optim import Optimizer
from transformers import PreTrainedModel, TrainingArguments, set_seed

from training.sft.checkpoints import WholeCheckpoints

T = TypeVar("T")

TWO_CPU_PROCESSES = "training/configs/accelerate/two_cpu_processes.yaml"

_log = logging.getLogger(__name__)


def join_on_cpu() -> bool:
    """Let processes that were started together find each other on a machine without a GPU; call it first.

    transformers and accelerate join CPU processes only if the CPU is asked for. Otherwise each process silently does
    all of the work.

    Returns:
        Whether there is no GPU.
    """
    several = "WORLD_SIZE" in os.environ
    meant = "MASTER_ADDR" in os.environ and os.environ.get("ACCELERATE_USE_CPU", "").lower() == "true"
    if meant and not several:  # what accelerate launch sets where more than one was asked for
        _log.warning(
            "accelerate launch --cpu starts one process, whatever --num_processes says; for more use --config_file %s",
            TWO_CPU_PROCESSES,
        )
    if torch.accelerator.is_available():
        return False
    if several:
        os.environ["ACCELERATE_USE_CPU"] = "true"
    return True


def start_run(training: TrainingArguments, threads: int = 0) -> None:
    """Join the processes of a run on their devices, set torch's threads and seed all random generators. Scripts call it
    before they read data or make weights.

    Args:
        training: Names devices, backend and seed.
        threads: Threads of torch; 0 leaves torch's default.
    """
    if threads:
        torch.set_num_threads(threads)
    device = training.device  # transformers joins the processes when it sets up the device
    _log.info("process %d of %d runs on %s", training.process_index, training.world_size, device)
    set_seed(training.seed)


def read_once(read: Callable[[], T]) -> T:
    """Call a function in the main process and hand its result, or its ``ValueError``, to all."""
    state = PartialState()
    if state.num_processes == 1:
        return read()
    outcome: list[Any] = [None]
    if state.is_main_process:
        try:
            outcome = [read()]
        except ValueError as error:
            outcome = [error]
    broadcast_object_list(outcome)
    if isinstance(outcome[0], ValueError):
        raise outcome[0]
    return outcome[0]


def one_pass(training: TrainingArguments) -> None:
    """Let the ``Trainer`` run through the examples once: they already are as many as the passes ask for."""
    training.num_train_epochs = 1


def keep_existing_layers(model: Any) -> None:
    """Remove the names of layers that a model does not have (often Siglip's head); FSDP would look for them."""
    existing = {type(module).__name__ for module in model.modules()}
    model._no_split_modules = set(model._no_split_modules or ()) & existing


class GlobalBatchTrainer(WholeCheckpoints):
    """A ``Trainer`` whose loss is the mean over the global batch, however the batch is divided.

    Our models return the mean over the tokens of their batch, or over its texts that are present. The mean of such
    means would depend on how photos are divided among processes and accumulation steps.

    Args:
        build_optimizer: Makes the optimiser when it is needed (FSDP does not allow an earlier one); None for the
            trainer's own.
    """

    def __init__(self, build_optimizer: Callable[[PreTrainedModel], Optimizer | None], **options):
        super().__init__(**options)
        self.build_optimizer = build_optimizer
        self._parts = 1  # of the global batch: processes times accumulation steps
        self._terms = torch.ones(())

    def create_optimizer(self, model=None):
        if self.optimizer is None:
            self.optimizer = self.build_optimizer(self.model if model is None else model)
        return super().create_optimizer(model)

    def get_batch_samples(self, epoch_iterator, num_batches, device):
        samples, items = super().get_batch_samples(epoch_iterator, num_batches, device)
        self._parts = self.args.world_size * len(samples)
        if self._parts > 1:
            here = torch.stack([_terms(batch) for batch in samples]).sum().to(device)
            self._terms = self.accelerator.reduce(here, "sum").clamp_min(1.0)
        return samples, items

    def compute_loss(self, model, inputs, return_outputs=False, **kwargs):
        loss, outputs = super().compute_loss(model, inputs, return_outputs=True, **kwargs)
        if model.training and self._parts > 1:  # DDP and accumulation will divide by the number of parts
            share = _terms(inputs) * self._parts / self._terms
            presence = inputs.get("presence")
            if presence is None:
                loss = loss * share
            else:  # of every text, and each part has as many of them
                weight = self.accelerator.unwrap_model(model).config.presence_weight
                here = weight * binary_cross_entropy_with_logits(outputs["presence_logits"], presence.flatten().float())
                loss = (loss - here) * share + here
        return (loss, outputs) if return_outputs else loss


def _terms(inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    """Number of terms in the mean that is a model's loss on a batch."""
    if "labels" in inputs:
        return (inputs["labels"][:, 1:] != -100).sum().float()
    return (inputs["presence"] > 0.5).sum().float()
