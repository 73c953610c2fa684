"""The run that the two supervised trainings share: train, evaluate, save and publish.

Resuming is exact: example ``i`` of the data is always the same (keypoint_examples.py), it is read in order, and the
``Trainer`` restores weights, optimiser, schedule and random states.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from accelerate.utils import DistributedType
from peft import PeftModel, get_peft_model
from transformers import PreTrainedModel, Trainer, TrainerCallback, TrainingArguments
from transformers.integrations.liger import apply_liger_kernel
from transformers.trainer_utils import HubStrategy, IntervalStrategy

from talkingpoints import PointDescriptor, PointLocalizer
from talkingpoints.adapters import commit_of, lora_config, save_point_config
from talkingpoints.cards import Told, model_card
from talkingpoints.publishing import Target, model_files, publish
from training.push_to_hub import check_base, published_weights, push_card, without_folders
from training.sft.arguments import DTYPES, DataArguments
from training.sft.callbacks import DrawSample, EstimateCallback, SamplePictures, early_stopping
from training.sft.checkpoints import newest_whole
from training.sft.optimizer import build_optimizer, freeze
from training.sft.processes import GlobalBatchTrainer, keep_existing_layers, one_pass, read_once
from training.sft.sft_arguments import SftArguments


def is_sharded(accelerator: Accelerator) -> bool:
    """Whether the weights are sharded among processes (FSDP, DeepSpeed)."""
    return accelerator.distributed_type in (DistributedType.FSDP, DistributedType.DEEPSPEED)


def check_sharding(accelerator: Accelerator, sft: SftArguments) -> None:
    """Refuse options that do not work with sharded weights.

    ``share_image_prefix`` runs each layer twice in a step and passes keys and values on in a cache. The hooks that
    gather the weights for the backward pass do not see that.

    Raises:
        ValueError: If weights are sharded, and ``share_image_prefix`` is on or ``save_dtype`` is not float32.
    """
    if not is_sharded(accelerator):
        return
    if sft.share_image_prefix:
        raise ValueError("share_image_prefix must be false where weights are sharded (FSDP, DeepSpeed)")
    if sft.save_dtype != "float32":
        raise ValueError("save_dtype must be float32 where weights are sharded (FSDP, DeepSpeed)")


def fit(
    model: PreTrainedModel | PeftModel,
    sft: SftArguments,
    training: TrainingArguments,
    trainer_class: Callable[..., Trainer] = GlobalBatchTrainer,
    draw: DrawSample | None = None,
    **trainer_options: Any,
) -> Trainer:
    """Train, from the last checkpoint if asked; only checkpoints are saved.

    Args:
        model: The model to train.
        sft, training: The command line.
        trainer_class: Makes the trainer.
        draw: Draws what the model makes of a validation example; None for no pictures.
        trainer_options: Its further arguments: data, collator, metrics.

    Returns:
        The trainer after training.
    """
    one_pass(training)
    training.remove_unused_columns = False
    training.train_sampling_strategy = "sequential"  # the examples are in random order already
    optimizer = partial(
        build_optimizer, training=training, slow_modules=sft.slow_modules, slow_lr_scale=sft.slow_lr_scale
    )
    callbacks: list[TrainerCallback] = [EstimateCallback()]
    if sft.early_stopping_patience:
        callbacks.append(early_stopping(sft, training, trainer_options["eval_dataset"]))
    trainer = trainer_class(
        model=model, args=training, build_optimizer=optimizer, callbacks=callbacks, **trainer_options
    )
    check_sharding(trainer.accelerator, sft)
    if draw is not None and sft.sample_photos:
        _add_pictures(trainer, trainer_options["eval_dataset"], sft.sample_photos, draw)
    keep_existing_layers(model)
    freeze(model, sft.frozen_modules)
    trainer.train(resume_from_checkpoint=last_checkpoint(training, sft.resume))
    return trainer


def _add_pictures(trainer: Trainer, examples: Any, count: int, draw: DrawSample) -> None:
    """Draw the first validation examples after each evaluation during training."""
    if trainer.args.eval_strategy != IntervalStrategy.NO and not is_sharded(trainer.accelerator):
        shown = next(iter(examples.values())) if isinstance(examples, dict) else examples
        trainer.add_callback(SamplePictures(trainer, [shown[i] for i in range(min(count, len(shown)))], draw))


def last_checkpoint(training: TrainingArguments, resume: bool) -> str | None:
    """The checkpoint to go on from, if that is asked for and there is one; see :func:`newest_whole`."""
    return read_once(lambda: newest_whole(Path(str(training.output_dir)))) if resume else None


def measure_and_save(trainer: Trainer, save_dtype: str) -> None:
    """Evaluate a model that is trained and saved, save its figures, and the model once more where ``save_dtype`` is
    another than float32."""
    metrics = trainer.evaluate()
    trainer.log_metrics("eval", metrics)
    trainer.save_metrics("eval", metrics)
    if save_dtype != "float32":
        trainer.model.to(DTYPES[save_dtype])  # type: ignore[arg-type, union-attr]
        trainer.save_model()


def with_lora(model: PointDescriptor | PointLocalizer, sft: SftArguments) -> PeftModel:
    """The model with LoRA in its base and its new parts trainable as a whole; in float32, whatever the base is in."""
    targets = sft.lora_target_modules
    config = lora_config(
        model, sft.lora_r, sft.lora_alpha, sft.lora_dropout, targets[0] if len(targets) == 1 else targets
    )
    config.revision = commit_of(sft.base)
    config.use_rslora, config.use_dora = sft.use_rslora, sft.use_dora
    adapted: Any = get_peft_model(model, config)
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
        raise ValueError(
            f"hub_strategy: {HubStrategy(training.hub_strategy).value!r}; checkpoints are not pushed, allowed: end"
        )
    name = training.hub_model_id or Path(str(training.output_dir)).resolve().name
    target = Target(name, "model", training.hub_revision, training.hub_private_repo, token)
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


def check_options(sft: SftArguments, training: TrainingArguments) -> None:
    """Refuse options that contradict each other, before data and weights are read.

    Raises:
        ValueError: If an option is not allowed, or two of them exclude each other.
    """
    if training.gradient_checkpointing and sft.share_image_prefix:
        raise ValueError(
            "gradient_checkpointing turns off the caches that share_image_prefix is made of; use one of the two"
        )
    if sft.lora_r and training.push_to_hub:
        check_base(sft.base)


def use_liger(model: PointDescriptor | PointLocalizer, training: TrainingArguments) -> None:
    """Apply Liger's kernels where ``use_liger_kernel`` asks for them.

    Liger knows models by their type, so it is given the base. The ``Trainer`` would give it our model, whose type it
    does not know, and nothing would change.
    """
    if training.use_liger_kernel:
        # our losses are computed from logits, which the fused cross-entropy never makes
        apply_liger_kernel(model.vlm, {"fused_linear_cross_entropy": False, **(training.liger_kernel_config or {})})
        training.use_liger_kernel = False


def run(
    model: PointDescriptor | PointLocalizer,
    sft: SftArguments,
    training: TrainingArguments,
    trainer_class: Callable[..., Trainer] = GlobalBatchTrainer,
    draw: DrawSample | None = None,
    **trainer_options: Any,
) -> Trainer:
    """Train, evaluate, save model and processor to ``output_dir``, and push them if asked.

    Args:
        model: The descriptor or the localizer.
        sft, training: The command line.
        trainer_class: Makes the trainer.
        draw: Draws what the model makes of a validation example; None for no pictures.
        trainer_options: Its further arguments: data, collator, processor, metrics.

    Returns:
        The trainer after training.

    Raises:
        ValueError: See :func:`check_options`.
    """
    check_options(sft, training)
    target = taken_target(training)
    model.vlm.set_attn_implementation(sft.attn_implementation)
    use_liger(model, training)
    adapted = with_lora(model, sft) if sft.lora_r else None
    trainer = fit(adapted or model, sft, training, trainer_class, draw=draw, **trainer_options)
    trainer.save_model()  # before anything else can fail
    if adapted is not None and trainer.is_world_process_zero():
        save_point_config(adapted, str(training.output_dir))
    measure_and_save(trainer, sft.save_dtype)
    publish_run(trainer, sft, target)
    return trainer
