"""What the two supervised trainings share: their arguments, their data, and the run itself.

Resuming is exact: example ``i`` of the data is always the same (keypoint_examples.py), it is read in order, and the
``Trainer`` restores weights, optimiser, schedule and random states.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType
from datasets import Dataset
from transformers import PreTrainedModel, ProcessorMixin, Trainer, TrainingArguments
from transformers.trainer_utils import HubStrategy

from talkingpoints.adapters import ATTENTION, commit_of, lora_config, save_point_config
from talkingpoints.building import quantization
from talkingpoints.cards import Told, model_card
from talkingpoints.data.examples.keypoint_examples import PointExamples
from talkingpoints.data.validation.findings import Findings
from talkingpoints.publishing import Target, model_files, publish
from training.push_to_hub import check_base, published_weights, push_card, without_folders
from training.sft.arguments import DataArguments, passes_over, with_keypoints
from training.sft.checkpoints import newest_whole
from training.sft.custom_data import OwnDataArguments, holds_own_points, own_examples
from training.sft.processes import GlobalBatchTrainer, keep_existing_layers, read_once
from training.sft.region_data import RegionSetArguments, mixed_examples

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(kw_only=True)
class SftArguments(OwnDataArguments, DataArguments):
    """Model and data of a supervised training."""

    datasets: list[str] = field(default_factory=list, metadata=DataArguments.__dataclass_fields__["datasets"].metadata)
    styles: list[str] = field(
        default_factory=lambda: ["full=1"], metadata={"help": "style=weight pairs of the writer for training"}
    )
    val_styles: list[str] = field(default_factory=lambda: ["full=1"], metadata={"help": "the same for validation"})
    points_per_photo: int = field(default=8, metadata={"help": "points (texts) per photo and step"})
    arbitrary: float = field(default=0.0, metadata={"help": "share of points that are no keypoints"})
    background: float = field(default=0.0, metadata={"help": "share of points on the background"})
    crowded: int = field(default=1, metadata={"help": "how often a pass shows a photo of two or more objects"})
    slow_modules: list[str] = field(
        default_factory=list, metadata={"help": "parts of module names that are pretrained, for example vision_tower"}
    )
    slow_lr_scale: float = field(default=0.1, metadata={"help": "their share of the learning rate"})
    frozen_modules: list[str] = field(
        default_factory=list, metadata={"help": "parts of names of parameters that stay as they are"}
    )
    share_image_prefix: bool = field(default=False, metadata={"help": "run image tokens once for all texts of a photo"})
    attn_implementation: str = field(default="sdpa", metadata={"help": "eager is twice as fast for tiny models on CPU"})
    lora_r: int = field(default=0, metadata={"help": "rank of LoRA; 0 trains all weights"})
    lora_alpha: int = field(default=32, metadata={"help": "scale of LoRA: the update is multiplied by alpha / r"})
    lora_dropout: float = field(default=0.0, metadata={"help": "dropout of LoRA"})
    lora_target_modules: list[str] = field(
        default_factory=lambda: [ATTENTION],
        metadata={"help": "one regular expression over modules' names, or several ends of names; default: attention "
                  "projections of the language model"},
    )  # fmt: skip
    base_bits: int = field(
        default=32,
        metadata={"help": "weights of the base: 32 (float32), 16 (bfloat16), or with LoRA 8 or 4 (needs bitsandbytes)"},
    )
    resume: bool = field(default=False, metadata={"help": "go on from the last checkpoint in output_dir, if any"})
    save_dtype: str = field(default="float32", metadata={"help": "dtype of the final weights: float32 or bfloat16"})

    @property
    def base_options(self) -> dict[str, Any]:
        """How ``from_base`` is to load the base.

        Raises:
            ValueError: another number of bits, or a quantised base without LoRA.
        """
        if self.base_bits not in (32, 16, 8, 4):
            raise ValueError(f"base_bits must be 32, 16, 8 or 4, got {self.base_bits}")
        if self.base_bits in (32, 16):
            return {"dtype": torch.float32 if self.base_bits == 32 else torch.bfloat16}
        if not self.lora_r:
            raise ValueError(f"base_bits={self.base_bits}: quantised weights cannot be trained, only LoRA beside them; "
                             "give lora_r")  # fmt: skip
        return {"dtype": torch.bfloat16, "load": {"quantization_config": quantization(self.base_bits)}}


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
    sft: SftArguments,
    training: TrainingArguments,
    negatives: float = 0.0,
    regions: RegionSetArguments | None = None,
) -> tuple[torch.utils.data.Dataset, torch.utils.data.Dataset | dict[str, torch.utils.data.Dataset]]:
    """Training and validation examples of all datasets together; with regions, validation examples by kind.

    The training examples are as many as ``max_steps`` or ``num_train_epochs`` ask for, all different, so that the
    ``Trainer`` runs through them once.

    Raises:
        ValueError: no datasets, datasets of both kinds, or what the readers refuse.
    """
    captioned = regions is not None and bool(regions.region_sets)
    if not sft.datasets and not captioned:
        raise ValueError("no data: give datasets" + (" or region_sets" if regions is not None else ""))
    points = None
    if sft.datasets:
        build = own_examples if holds_own_points(sft.datasets) else _keypoint_examples
        points = build(sft, training, negatives)
    examples = points
    if captioned:
        examples = mixed_examples(regions, points, training, sft.points_per_photo, sft.colour, sft.skip_bad_rows)
    training.num_train_epochs = 1
    return examples


def _keypoint_examples(
    sft: SftArguments, training: TrainingArguments, negatives: float
) -> tuple[PointExamples, PointExamples]:
    if sft.streaming:
        raise ValueError("streaming: only for one's own texts, not for annotated keypoints")
    _ = training.device  # joins the processes
    train, val = read_once(lambda: _read(sft))
    shares = {"arbitrary": sft.arbitrary, "background": sft.background, "negatives": negatives}
    passes = passes_over(with_keypoints(train, sft.crowded), training)
    points, seed = sft.points_per_photo, training.seed
    return (
        PointExamples(
            train,
            points,
            parse_weights(sft.styles),
            passes,
            sft.augmentation,
            **shares,
            seed=seed,
            crowded=sft.crowded,
        ),
        PointExamples(val, points, parse_weights(sft.val_styles), **shares, seed=seed),
    )


def _read(sft: SftArguments) -> tuple[Dataset, Dataset]:
    """Photos to train on and to validate with; refuses whatever is wrong with them, or logs it and leaves it out."""
    findings = Findings()
    train, val = (sft.load(split, findings) for split in ("train", "val"))
    findings.settle(sft.skip_bad_rows)
    return train, val


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


def is_sharded(accelerator: Accelerator) -> bool:
    """Whether weights are cut up among processes (FSDP, DeepSpeed)."""
    return accelerator.distributed_type in (DistributedType.FSDP, DistributedType.DEEPSPEED)


def check_sharding(accelerator: Accelerator, sft: SftArguments) -> None:
    """Refuse what cannot be done where :func:`is_sharded`.

    Raises:
        ValueError: ``share_image_prefix``, which runs each layer twice in a step and hands keys and values on in a
            cache, past the hooks that put the weights together for the backward pass; or another ``save_dtype`` than
            float32.
    """
    if not is_sharded(accelerator):
        return
    if sft.share_image_prefix:
        raise ValueError("share_image_prefix must be false where weights are sharded (FSDP, DeepSpeed)")
    if sft.save_dtype != "float32":
        raise ValueError("save_dtype must be float32 where weights are sharded (FSDP, DeepSpeed)")


def fit(
    model: PreTrainedModel,
    sft: SftArguments,
    training: TrainingArguments,
    trainer_class: Callable[..., Trainer] = GlobalBatchTrainer,
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
    optimizer = partial(
        build_optimizer, training=training, slow_modules=sft.slow_modules, slow_lr_scale=sft.slow_lr_scale
    )
    trainer = trainer_class(model=model, args=training, build_optimizer=optimizer, **trainer_options)
    check_sharding(trainer.accelerator, sft)
    keep_existing_layers(model)
    freeze(model, sft.frozen_modules)
    trainer.train(resume_from_checkpoint=last_checkpoint(training, sft.resume))
    return trainer


def freeze(model: torch.nn.Module, frozen_modules: Sequence[str], all_statistics: bool = False) -> None:
    """Keep parameters as they are, by parts of their names, and the batch statistics beside them.

    The trainer puts the model into training mode before every step, so the layers switch themselves back.

    Args:
        model: changed in place.
        frozen_modules: parts of the names.
        all_statistics: keep every layer's batch statistics.

    Raises:
        ValueError: a name that no parameter has.
    """
    names = [name for name, _ in model.named_parameters()]
    unknown = [frozen for frozen in frozen_modules if not any(frozen in name for name in names)]
    if unknown:
        raise ValueError(f"frozen_modules: no parameter has {unknown} in its name")
    for name, parameter in model.named_parameters():
        if any(frozen in name for frozen in frozen_modules):
            parameter.requires_grad_(False)
    for name, module in model.named_modules():
        # a layer's name ends where its parameters' names go on
        is_frozen = all_statistics or any(frozen in f"{name}." for frozen in frozen_modules)
        if is_frozen and isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.register_forward_pre_hook(lambda norm, _: norm.eval() and None)


def last_checkpoint(training: TrainingArguments, resume: bool) -> str | None:
    """The checkpoint to go on from, if that is asked for and there is one; see :func:`newest_whole`."""
    _ = training.device  # joins the processes
    return read_once(lambda: newest_whole(Path(str(training.output_dir)))) if resume else None


def measure_and_save(trainer: Trainer, save_dtype: str) -> None:
    """Evaluate a model that is trained and saved, save its figures, and the model once more where ``save_dtype`` is
    another than float32."""
    metrics = trainer.evaluate()
    trainer.log_metrics("eval", metrics)
    trainer.save_metrics("eval", metrics)
    if save_dtype != "float32":
        trainer.model.to(DTYPES[save_dtype])
        trainer.save_model()


def with_lora(model: PreTrainedModel, sft: SftArguments) -> PreTrainedModel:
    """The model with LoRA in its base and its new parts trainable as a whole; in float32, whatever the base is in."""
    from peft import get_peft_model

    targets = sft.lora_target_modules
    config = lora_config(
        model, sft.lora_r, sft.lora_alpha, sft.lora_dropout, targets[0] if len(targets) == 1 else targets
    )
    config.revision = commit_of(sft.base)
    adapted = get_peft_model(model, config)
    adapted.print_trainable_parameters()
    return adapted


def taken_target(training: TrainingArguments) -> Target | None:
    """Where a training is to be pushed; taken out of its arguments, so that only :func:`publish_run` pushes.

    The ``Trainer`` itself would push all that lies in ``output_dir``, and save the token with its arguments. The
    repository is made at once, which tells before the training who may not push.

    Raises:
        ValueError: checkpoints are to be pushed, which hold more than a model.
    """
    token, training.hub_token = training.hub_token, None
    if not training.push_to_hub:
        return None
    training.push_to_hub = False
    if training.hub_strategy in (HubStrategy.CHECKPOINT, HubStrategy.ALL_CHECKPOINTS):
        raise ValueError(f"hub_strategy: {training.hub_strategy.value!r}; checkpoints are not pushed, allowed: end")
    name = training.hub_model_id or Path(str(training.output_dir)).resolve().name
    target = Target(name, "model", training.hub_revision, training.hub_private_repo, token)
    _ = training.device  # joins the processes
    return replace(target, repo_id=read_once(target.made))


def publish_run(trainer: Trainer, data: DataArguments, target: Target | None) -> None:
    """Push the model in ``output_dir``, and its card, which names base and data; if there is a target."""
    if target is None or not trainer.is_world_process_zero():
        return
    output = Path(str(trainer.args.output_dir))
    told = without_folders(Told(base=data.base, datasets=data.datasets))
    weights = published_weights(output)
    model_card(weights, told, repo_id=target.repo_id, revision="")  # what cannot be said stops it
    files = {name: file for name, file in model_files(output).items() if name != "README.md"}
    _, revision = publish(files, target, "End of training")
    push_card(model_card(weights, told, repo_id=target.repo_id, revision=revision), target)


def run(
    model: PreTrainedModel,
    processor: ProcessorMixin,
    collator: Callable,
    sft: SftArguments,
    training: TrainingArguments,
    negatives: float = 0.0,
    regions: RegionSetArguments | None = None,
    trainer_class: Callable[..., Trainer] = GlobalBatchTrainer,
    **trainer_options,
) -> Trainer:
    """Train, evaluate, save model and processor to ``output_dir``, and push them if asked.

    Args:
        model, processor, collator: of the descriptor or the localizer.
        sft, training: the command line.
        negatives: share of texts about other photos.
        regions: captioned regions beside the points or instead of them.
        trainer_class: makes the trainer.
        trainer_options: further arguments of it.

    Returns:
        The trainer, finished.
    """
    if sft.save_dtype not in DTYPES:
        raise ValueError(f"save_dtype must be one of {sorted(DTYPES)}, got {sft.save_dtype!r}")
    if training.gradient_checkpointing and sft.share_image_prefix:
        raise ValueError(
            "gradient_checkpointing turns off the caches that share_image_prefix is made of; take one of them"
        )
    if sft.lora_r and training.push_to_hub:
        check_base(sft.base)
    target = taken_target(training)
    train, val = build_examples(sft, training, negatives, regions)
    model.vlm.set_attn_implementation(sft.attn_implementation)
    if sft.lora_r:
        model = with_lora(model, sft)
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
    if sft.lora_r and trainer.is_world_process_zero():
        save_point_config(model, training.output_dir)
    measure_and_save(trainer, sft.save_dtype)
    publish_run(trainer, sft, target)
    return trainer
