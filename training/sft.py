"""What the two supervised trainings share: their arguments, their data, and the run itself.

Resuming is exact: example ``i`` of the data is always the same (talkingpoints/data/examples.py), it is read in order,
and the ``Trainer`` restores weights, optimiser, schedule and random states.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from transformers import PreTrainedModel, ProcessorMixin, Trainer, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from talkingpoints.data.examples import PointExamples
from talkingpoints.data.point_folders import FolderExamples, is_point_folder, read_points
from training.arguments import DataArguments, passes_over, with_keypoints

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(kw_only=True)
class SftArguments(DataArguments):
    """Model and data of a supervised training."""

    styles: list[str] = field(
        default_factory=lambda: ["full=1"], metadata={"help": "style=weight pairs of the writer for training"}
    )
    val_styles: list[str] = field(default_factory=lambda: ["full=1"], metadata={"help": "the same for validation"})
    skip_bad_rows: bool = field(
        default=False, metadata={"help": "leave out wrong rows of one's own points, and log them"}
    )
    points_per_photo: int = field(default=8, metadata={"help": "points (texts) per photo and step"})
    arbitrary: float = field(default=0.0, metadata={"help": "share of points that are no keypoints"})
    background: float = field(default=0.0, metadata={"help": "share of points on the background"})
    slow_modules: list[str] = field(
        default_factory=list, metadata={"help": "parts of module names that are pretrained, for example vision_tower"}
    )
    slow_lr_scale: float = field(default=0.1, metadata={"help": "their share of the learning rate"})
    share_image_prefix: bool = field(default=False, metadata={"help": "run image tokens once for all texts of a photo"})
    attn_implementation: str = field(default="sdpa", metadata={"help": "eager is twice as fast for tiny models on CPU"})
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


def build_examples(
    sft: SftArguments, training: TrainingArguments, negatives: float = 0.0
) -> tuple[torch.utils.data.Dataset, torch.utils.data.Dataset]:
    """Training and validation examples of all datasets together.

    The training examples are as many as ``max_steps`` or ``num_train_epochs`` ask for, all different, so that the
    ``Trainer`` runs through them once.

    Raises:
        ValueError: folders of both kinds, or what the readers refuse.
    """
    own = [is_point_folder(folder) for folder in sft.datasets]
    if any(own) and not all(own):
        raise ValueError(f"{sft.datasets} are of two kinds, annotated keypoints and one's own texts; take one kind")
    build = _folder_examples if any(own) else _keypoint_examples
    examples = build(sft, training, negatives)
    training.num_train_epochs = 1
    return examples


def _keypoint_examples(
    sft: SftArguments, training: TrainingArguments, negatives: float
) -> tuple[PointExamples, PointExamples]:
    train, val = sft.load("train"), sft.load("val")
    shares = {"arbitrary": sft.arbitrary, "background": sft.background, "negatives": negatives}
    passes = passes_over(with_keypoints(train), training)
    points, seed = sft.points_per_photo, training.seed
    return (
        PointExamples(train, points, parse_weights(sft.styles), passes, sft.augmentation, **shares, seed=seed),
        PointExamples(val, points, parse_weights(sft.val_styles), **shares, seed=seed),
    )


def _folder_examples(
    sft: SftArguments, training: TrainingArguments, negatives: float
) -> tuple[FolderExamples, FolderExamples]:
    unused = {
        "half": sft.half,
        "labels": sft.labels,
        "arbitrary": sft.arbitrary,
        "background": sft.background,
        "negatives": negatives,
    }
    given = [name for name, value in unused.items() if value]
    if given:
        raise ValueError(f"{', '.join(given)}: only for annotated keypoints, not for one's own texts")
    train, val = (
        [photo for folder in sft.datasets for photo in read_points(folder, split, skip_bad_rows=sft.skip_bad_rows)]
        for split in ("train", "val")
    )
    points, seed = sft.points_per_photo, training.seed
    passes = passes_over(len(train), training)
    return FolderExamples(train, points, passes, sft.colour, seed), FolderExamples(val, points, seed=seed)


def build_optimizer(
    model: torch.nn.Module, training: TrainingArguments, slow_modules: list[str], slow_lr_scale: float
) -> torch.optim.Optimizer | None:
    """The optimiser that ``training`` asks for, with a lower learning rate for pretrained modules.

    Early gradients of a new module say little, and Adam gives them full-sized steps all the same: at the common rate
    a pretrained module behind it loses what it knows.

    Args:
        model: to be trained.
        training: learning rate, weight decay and optimiser.
        slow_modules: parts of the names of the pretrained modules' parameters; if empty, the ``Trainer`` is left to
            make its own optimiser (None).
        slow_lr_scale: their share of the learning rate; 0 freezes them.

    Raises:
        ValueError: a name that no parameter has.
    """
    if not slow_modules:
        return None
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    unknown = [slow for slow in slow_modules if not any(slow in name for name in names)]
    if unknown:
        raise ValueError(f"slow_modules: no parameter has {unknown} in its name")
    optimizer_class, options = Trainer.get_optimizer_cls_and_kwargs(training, model)
    decayed = set(Trainer.get_decay_parameter_names(None, model))
    parameters = dict(model.named_parameters())
    if slow_lr_scale == 0:
        for name, module in model.named_modules():
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm) and any(slow in name for slow in slow_modules):
                module.momentum = 0.0  # what does not learn keeps its running statistics too
    groups: dict[tuple[bool, bool], list[torch.nn.Parameter]] = {}
    for name in names:
        is_slow = any(slow in name for slow in slow_modules)
        groups.setdefault((is_slow, name in decayed), []).append(parameters[name])
    return optimizer_class(
        [
            {
                "params": group,
                "lr": training.learning_rate * (slow_lr_scale if is_slow else 1.0),
                "weight_decay": training.weight_decay if decay else 0.0,
            }
            for (is_slow, decay), group in groups.items()
        ],
        **options,
    )


def fit(
    model: PreTrainedModel,
    sft: SftArguments,
    training: TrainingArguments,
    trainer_class: Callable[..., Trainer] = Trainer,
    **trainer_options,
) -> Trainer:
    """Train, from the last checkpoint where that is asked for; nothing is saved but checkpoints.

    Args:
        model: to be trained.
        sft, training: the command line.
        trainer_class: makes the trainer.
        trainer_options: further arguments of it: data, collator, metrics.

    Returns:
        The trainer, trained.
    """
    training.remove_unused_columns = False
    training.train_sampling_strategy = "sequential"  # the examples are in random order already
    optimizer = build_optimizer(model, training, sft.slow_modules, sft.slow_lr_scale)
    trainer = trainer_class(model=model, args=training, optimizers=(optimizer, None), **trainer_options)
    last = get_last_checkpoint(training.output_dir) if sft.resume and Path(training.output_dir).is_dir() else None
    trainer.train(resume_from_checkpoint=last)
    return trainer


def run(
    model: PreTrainedModel,
    processor: ProcessorMixin,
    collator: Callable,
    sft: SftArguments,
    training: TrainingArguments,
    negatives: float = 0.0,
    trainer_class: Callable[..., Trainer] = Trainer,
    **trainer_options,
) -> Trainer:
    """Train, evaluate, save model and processor to ``output_dir``, and push them if asked.

    Args:
        model, processor, collator: of the descriptor or the localizer.
        sft, training: the command line.
        negatives: share of texts about other photos.
        trainer_class: makes the trainer.
        trainer_options: further arguments of it.

    Returns:
        The trainer, finished.
    """
    if sft.save_dtype not in DTYPES:
        raise ValueError(f"save_dtype must be one of {sorted(DTYPES)}, got {sft.save_dtype!r}")
    train, val = build_examples(sft, training, negatives)
    model.vlm.set_attn_implementation(sft.attn_implementation)
    trainer = fit(
        model,
        sft,
        training,
        trainer_class,
        data_collator=collator,
        train_dataset=train,
        eval_dataset=val,
        processing_class=processor,
        **trainer_options,
    )
    trainer.save_model()  # before anything else can fail
    metrics = trainer.evaluate()
    trainer.log_metrics("eval", metrics)
    trainer.save_metrics("eval", metrics)
    if sft.save_dtype != "float32":
        model.to(DTYPES[sft.save_dtype])
        trainer.save_model()
    if training.push_to_hub:
        trainer.push_to_hub()
    return trainer
