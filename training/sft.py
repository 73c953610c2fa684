"""What the two supervised trainings share: their arguments, their data, and the run itself.

Resuming is exact: example ``i`` of the data is always the same (talkingpoints/data/examples.py), it is read in order,
and the ``Trainer`` restores weights, optimiser, schedule and random states.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from datasets import concatenate_datasets
from transformers import PreTrainedModel, ProcessorMixin, Trainer, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from talkingpoints.data import load_keypoints
from talkingpoints.data.augmentation import Augmentation
from talkingpoints.data.examples import PointExamples


@dataclass
class SftArguments:
    """Model and data of a supervised training."""

    base: str = field(metadata={"help": "Hub id or folder of a base model, or of one of our models to start from"})
    datasets: list[str] = field(metadata={"help": "COCO-keypoints folders with the splits train and val"})
    styles: list[str] = field(
        default_factory=lambda: ["full=1"], metadata={"help": "style=weight pairs of the writer for training"}
    )
    val_styles: list[str] = field(default_factory=lambda: ["full=1"], metadata={"help": "the same for validation"})
    points_per_photo: int = field(default=8, metadata={"help": "points (texts) per photo and step"})
    arbitrary: float = field(default=0.0, metadata={"help": "share of points that are no keypoints"})
    background: float = field(default=0.0, metadata={"help": "share of points on the background"})
    negatives: float = field(default=0.0, metadata={"help": "share of texts about other photos (localizer)"})
    crop: float = field(default=0.8, metadata={"help": "probability of a random crop"})
    smallest_crop: float = field(default=0.5, metadata={"help": "least share of a side that a crop keeps"})
    flip: float = field(default=0.5, metadata={"help": "probability of mirroring"})
    colour: float = field(default=0.5, metadata={"help": "probability of changed colours"})
    share_image_prefix: bool = field(default=False, metadata={"help": "run image tokens once for all texts of a photo"})
    attn_implementation: str = field(default="sdpa", metadata={"help": "eager is twice as fast for tiny models on CPU"})
    threads: int = field(default=0, metadata={"help": "torch threads; 0 leaves torch's default"})
    resume: bool = field(default=False, metadata={"help": "go on from the last checkpoint in output_dir, if any"})
    save_dtype: str = field(default="float32", metadata={"help": "dtype of the final weights: float32 or bfloat16"})


def parse_weights(pairs: list[str]) -> dict[str, float]:
    """``["full=2", "short=1"]`` -> ``{"full": 2.0, "short": 1.0}``.

    Raises:
        ValueError: a pair is not name=number.
    """
    try:
        return {name: float(weight) for name, weight in (pair.split("=") for pair in pairs)}
    except ValueError as error:
        raise ValueError(f"styles must be name=weight pairs, got {pairs}") from error


def build_examples(sft: SftArguments, training: TrainingArguments) -> tuple[PointExamples, PointExamples]:
    """Training and validation examples of all datasets together; training is long enough for ``max_steps``."""
    train = concatenate_datasets([load_keypoints(folder, "train") for folder in sft.datasets])
    val = concatenate_datasets([load_keypoints(folder, "val") for folder in sft.datasets])
    shares = {"arbitrary": sft.arbitrary, "background": sft.background, "negatives": sft.negatives}
    augmentation = Augmentation(sft.crop, sft.smallest_crop, sft.flip, sft.colour)
    photos = training.train_batch_size * training.gradient_accumulation_steps * training.world_size * training.max_steps
    passes = photos // len(train) + 2 if training.max_steps > 0 else 1
    points, seed = sft.points_per_photo, training.seed
    return (
        PointExamples(train, points, parse_weights(sft.styles), passes, augmentation, **shares, seed=seed),
        PointExamples(val, points, parse_weights(sft.val_styles), **shares, seed=seed),
    )


def run(
    model: PreTrainedModel,
    processor: ProcessorMixin,
    collator: Callable,
    sft: SftArguments,
    training: TrainingArguments,
    **trainer_options,
) -> Trainer:
    """Train, evaluate, save model and processor to ``output_dir``, and push them if asked.

    Args:
        model, processor, collator: of the descriptor or the localizer.
        sft, training: the command line.
        trainer_options: further arguments of ``Trainer``.

    Returns:
        The trainer, finished.
    """
    training.remove_unused_columns = False
    training.train_sampling_strategy = "sequential"  # the examples are in random order already
    train, val = build_examples(sft, training)
    model.vlm.set_attn_implementation(sft.attn_implementation)
    trainer = Trainer(
        model=model,
        args=training,
        data_collator=collator,
        train_dataset=train,
        eval_dataset=val,
        processing_class=processor,
        **trainer_options,
    )
    last = get_last_checkpoint(training.output_dir) if sft.resume and Path(training.output_dir).is_dir() else None
    trainer.train(resume_from_checkpoint=last)
    metrics = trainer.evaluate()
    trainer.log_metrics("eval", metrics)
    trainer.save_metrics("eval", metrics)
    model.vlm.set_attn_implementation("sdpa")
    model.to(getattr(torch, sft.save_dtype))
    trainer.save_model()
    if training.push_to_hub:
        trainer.push_to_hub()
    return trainer
