"""Settings that the command line leaves open, and the plan of a run that is printed before it starts.

The defaults are starting points, not measured optima. Learning rate of all weights: 2e-5 at 7 B parameters (LLaVA-1.5,
arXiv 2310.03744) and 5e-4 at 4 M (the bundled models), with a power law between them. Of LoRA: 2e-4 (QLoRA, arXiv
2305.14314, table 9). A step shows 8 photos, cut into smaller batches where the base is large. Memory is computed
(training/reports/base_sizes.py), without activations.
"""

import math
from collections.abc import Set
from dataclasses import dataclass

import torch
from torch.utils.data import Dataset
from transformers import AutoConfig, TrainingArguments

from talkingpoints.data.examples.custom_examples import OwnExamples
from talkingpoints.data.examples.keypoint_examples import PointExamples
from training.reports.base_sizes import Size, measure
from training.sft.arguments import examples_of
from training.sft.sft_arguments import SftArguments

PHOTOS_PER_STEP = 8
MIN_STEPS = 300
PASSES = (3, 20)
"""Least and most passes over the photos, where neither ``max_steps`` nor ``num_train_epochs`` is given."""

LORA_RATE = 2e-4
_LARGE = (7e9, 2e-5)  # parameters, learning rate
_SMALL = (4e6, 5e-4)
_DEVICE_BATCHES = ((6e8, 8), (3e9, 4), (6e9, 2), (math.inf, 1))  # up to so many parameters: photos at once
_BATCH = ("per_device_train_batch_size", "gradient_accumulation_steps")
_LENGTH = ("max_steps", "num_train_epochs")


def size_of(base: str, lora_r: int) -> Size:
    """Parameters of a base, or of the base of one of our models, counted without its weights."""
    config = AutoConfig.from_pretrained(base)
    return measure(base, getattr(config, "vlm_config", config), lora_r or 16)


def full_rate(parameters: int) -> float:
    """Learning rate for all weights of a base, to one digit.

    Example:
        >>> full_rate(7_000_000_000), full_rate(256_000_000), full_rate(4_000_000)
        (2e-05, 8e-05, 0.0005)
    """
    slope = math.log(_LARGE[1] / _SMALL[1]) / math.log(_LARGE[0] / _SMALL[0])
    return float(f"{_SMALL[1] * (max(parameters, 1) / _SMALL[0]) ** slope:.0e}")


def derive_settings(sft: SftArguments, training: TrainingArguments, given: Set[str]) -> None:
    """Set learning rate and batch by the base's size where they are not given, and note what is left open.

    Args:
        sft: Gets the size of the base, and the names of derived settings.
        training: Changed in place.
        given: Names of the arguments that the user gave.
    """
    sft.size = size_of(sft.base, sft.lora_r)
    sft.derived = []
    if "learning_rate" not in given:
        training.learning_rate = LORA_RATE if sft.lora_r else full_rate(sft.size.parameters)
        sft.derived.append("learning rate")
    if not given & set(_BATCH):
        photos = next(photos for most, photos in _DEVICE_BATCHES if sft.size.parameters <= most)
        training.per_device_train_batch_size = photos
        training.gradient_accumulation_steps = max(1, PHOTOS_PER_STEP // (photos * training.world_size))
        sft.derived.append("batch")
    if not given & set(_LENGTH):
        sft.derived.append("steps")


def set_length(train: Dataset, sft: SftArguments, training: TrainingArguments) -> None:
    """Show the photos as often as ``MIN_STEPS`` take, within ``PASSES``, where the length was left open."""
    if "steps" in sft.derived and isinstance(train, PointExamples | OwnExamples):
        photos = len(train) // train.passes
        train.passes = min(max(PASSES[0], math.ceil(MIN_STEPS * photos_per_step(training) / photos)), PASSES[1])


def photos_per_step(training: TrainingArguments) -> int:
    """Photos that all processes together show in a step."""
    return training.train_batch_size * training.gradient_accumulation_steps * training.world_size


@dataclass(frozen=True)
class RunPlan:
    """What a run will do.

    Args:
        sft, training: The command line.
        train: Training examples.
        val: Validation examples, by kind where there are several.
    """

    sft: SftArguments
    training: TrainingArguments
    train: Dataset
    val: Dataset | dict[str, Dataset]

    @property
    def steps(self) -> int:
        """Steps of the run."""
        if self.training.max_steps > 0:
            return self.training.max_steps
        return math.ceil(len(self.train) / photos_per_step(self.training))  # type: ignore[arg-type]

    @property
    def rows(self) -> dict[str, str]:
        """Name -> value of every line of the plan."""
        sft, training, size = self.sft, self.training, self.sft.size
        rows: dict[str, str] = {}
        if size is not None:
            trained = f"LoRA of rank {sft.lora_r} and the new parts" if sft.lora_r else "all weights"
            rows["base"] = f"{sft.base}: {_millions(size.parameters)} parameters"
            rows["trained"] = f"{trained}, base in {sft.base_bits} bits"
        kinds = self.val if isinstance(self.val, dict) else {"points": self.val}
        rows["data"] = f"{', '.join(sft.datasets) or 'regions only'}: {self._photos} to train on, " + ", ".join(
            f"{len(examples)} photos with {kind} to validate"  # type: ignore[arg-type]
            for kind, examples in kinds.items()
        )
        rows["batch"] = self._marked(
            "batch",
            f"{photos_per_step(training)} photos of {sft.points_per_photo} texts a step: "
            f"{training.train_batch_size} at once x {training.gradient_accumulation_steps} accumulated x "
            f"{training.world_size} processes",
        )
        rows["steps"] = self._marked("steps", f"{self.steps:,} ({self.steps * photos_per_step(training):,} examples)")
        rows["learning rate"] = self._marked("learning rate", f"{training.learning_rate:g}")
        if size is not None:
            needed = size.training_memory(sft.base_bits, bool(sft.lora_r))
            rows["memory"] = f"{needed:.1f} GiB for weights, gradients and Adam (computed); activations come on top"
            if torch.cuda.is_available():
                rows["memory"] += f"; this GPU has {torch.cuda.get_device_properties(0).total_memory / 2**30:.1f} GiB"
        return rows

    @property
    def _photos(self) -> str:
        if isinstance(self.train, PointExamples | OwnExamples):
            return f"{len(self.train) // self.train.passes:,} photos x {self.train.passes} passes"
        return f"{examples_of(self.training) if self.training.max_steps > 0 else len(self.train):,} examples"  # type: ignore[arg-type]

    def _marked(self, name: str, value: str) -> str:
        return f"{value} [derived]" if name in self.sft.derived else value

    def __str__(self) -> str:
        return "\n".join(f"{name:<14}{value}" for name, value in self.rows.items())


def _millions(count: int) -> str:
    return f"{count / 1e9:.2f} B" if count >= 1e9 else f"{count / 1e6:.1f} M"
