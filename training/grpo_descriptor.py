"""GRPO for the Point Descriptor on keypoints without texts: a frozen localizer rewards the descriptions.

    accelerate launch -m training.grpo_descriptor --config training/configs/grpo.yaml --base runs/descriptor \\
        --localizer runs/localizer --listeners other=runs/other/localizer --datasets DIR [DIR ...] \\
        --output_dir runs/grpo

This is TRL's own ``GRPOTrainer``: the points are tokens of the prompts. Every field of ``GrpoArguments`` and of TRL's
``GRPOConfig`` is a key of the yaml file and a flag. ``--base`` is the supervised descriptor: the policy starts from it,
the KL is measured against it, and it scores fluency. With ``--lora_r`` an adapter is trained and merged at the end.
``reward_hacking.json`` in the output folder tells whether a gain is real (grpo/reward_hacking.py). For hardware and
time see training/README.md.
"""

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

if not __package__:
    import run_by_path  # noqa: F401

import torch
from transformers import AutoModelForCausalLM
from trl import GRPOConfig, GRPOTrainer

from talkingpoints import PointDescriptor, PointDescriptorConfig, PointLocalizer, TalkingPoints
from talkingpoints.adapters import load_model, load_whole, lora_config
from talkingpoints.data.examples.keypoint_examples import PointExamples
from talkingpoints.families import check_read_in_order
from training.grpo.grpo_arguments import REWARDING, GrpoArguments
from training.grpo.keypoint_prompts import PointPrompts, prompt_dataset
from training.grpo.listeners import FluencyJudge, Listener
from training.grpo.reward_functions import FluencyReward, ListenerReward, Stopwatch, VarietyReward
from training.grpo.reward_hacking import RewardHackingCallback, RewardHackingMetrics
from training.grpo.rewards import part_widths
from training.sft.arguments import DTYPES, parse_arguments
from training.sft.checkpoints import WholeCheckpoints
from training.sft.optimizer import freeze
from training.sft.processes import one_pass, start_run
from training.sft.supervised import is_sharded, last_checkpoint, publish_run, taken_target

ARGUMENTS = (GrpoArguments, GRPOConfig)


def check(grpo: GrpoArguments, training: GRPOConfig) -> None:
    """Refuse options that cannot work.

    Raises:
        ValueError: If vLLM or continuous batching is asked for, or checkpoints would fall between the steps that share
            one generation.
    """
    if training.use_vllm:
        raise ValueError(
            "use_vllm: vLLM has no Point Descriptor. Its own model classes would read the location tokens as words "
            "and never see the point. Leave use_vllm off; for more speed increase per_device_train_batch_size"
        )
    if training.use_transformers_continuous_batching:
        raise ValueError(
            "use_transformers_continuous_batching: transformers batches token ids only, so the photo and the point "
            "would be lost, and TRL refuses it for multimodal models. Leave it off"
        )
    steps = training.num_iterations * (training.steps_per_generation or 1) // training.gradient_accumulation_steps
    if training.save_strategy == "steps" and steps > 1 and training.save_steps % steps:
        raise ValueError(
            f"save_steps must be a multiple of {steps} (num_iterations x steps_per_generation / "
            f"gradient_accumulation_steps), or a resumed run would differ; got {training.save_steps}"
        )


def load_listener(folder: str, device: torch.device) -> Listener:
    """Load a frozen localizer."""
    model, processor = load_model(folder, PointLocalizer, dtype=torch.float32 if device.type == "cpu" else "auto")
    return Listener(model.to(device), processor)  # type: ignore[arg-type]  # to() is wrapped without its arguments


def build_prompts(grpo: GrpoArguments, training: GRPOConfig, processor: Any) -> PointPrompts:
    """All prompts of the run; one epoch shows each of them.

    Raises:
        ValueError: If no photo has a keypoint.
    """
    rows = grpo.load("train")
    rows = rows if grpo.photos is None else rows.select(range(min(grpo.photos, len(rows))))
    augmentation = grpo.augmentation if max(grpo.crop, grpo.flip, grpo.colour) > 0 else None
    examples = PointExamples(rows, passes=1, augmentation=augmentation, seed=training.seed)
    if training.max_steps > 0:
        prompts = training.max_steps * (training.generation_batch_size or 0) // (training.num_generations or 1)
        examples.passes = 1 + prompts // (len(examples.rows) * grpo.points_per_photo)
    else:
        examples.passes = math.ceil(training.num_train_epochs)
    return PointPrompts(examples, processor, grpo.points_per_photo)


def build_rewards(
    grpo: GrpoArguments, prompts: PointPrompts, listener: Listener, judge: FluencyJudge, stopwatch: Stopwatch
) -> dict[Callable[..., list[float | None]], float]:
    """The reward functions and their weights."""
    widths = part_widths(prompts.examples.scenes, grpo.width_scale)
    rewards: dict[Callable[..., list[float | None]], float] = {ListenerReward(listener, grpo, widths, stopwatch): 1.0}
    if grpo.fluency_weight > 0:
        rewards[FluencyReward(judge, stopwatch)] = grpo.fluency_weight
    if grpo.variety_weight > 0:
        rewards[VarietyReward(grpo, stopwatch)] = grpo.variety_weight
    return rewards


def build_trainer(grpo: GrpoArguments, training: GRPOConfig) -> GRPOTrainer:
    """Everything up to the first step."""
    check(grpo, training)
    AutoModelForCausalLM.register(PointDescriptorConfig, PointDescriptor, exist_ok=True)  # TRL loads the reference so
    device = training.device
    model, processor = load_whole(grpo.base, PointDescriptor)
    check_read_in_order(model.vlm.config)
    # with batch statistics policy and reference would see different photos: the KL would not be 0 at the start
    freeze(model, grpo.frozen_modules, all_statistics=True)
    listener = load_listener(grpo.localizer, device)
    supervised, _ = load_whole(grpo.base, PointDescriptor)
    judge = FluencyJudge(supervised.to(device), processor)  # type: ignore[arg-type]
    stopwatch = Stopwatch()
    prompts = build_prompts(grpo, training, processor)
    rewards = build_rewards(grpo, prompts, listener, judge, stopwatch)
    one_pass(training)
    training.shuffle_dataset = False  # the examples are in random order already
    training.dataloader_num_workers = 0  # the examples of a photo are made together, once
    training.reward_weights = training.reward_weights or list(rewards.values())
    lora = None
    if grpo.lora_r:
        lora = lora_config(model, grpo.lora_r, grpo.lora_alpha, target_modules=grpo.lora_target_modules)
    trainer = WholeGRPOTrainer(
        model=model,
        reward_funcs=list(rewards),
        args=training,
        train_dataset=prompt_dataset(prompts),
        processing_class=processor,
        peft_config=lora,
    )
    both = [model]
    if trainer.ref_model is not None:
        both.append(trainer.accelerator.unwrap_model(trainer.ref_model))
    whole_rows = is_sharded(trainer.accelerator) or training.gradient_checkpointing  # as in supervised.py
    for each in both:  # computed alike, so that the KL is exactly 0 at the start
        each.vlm.set_attn_implementation(grpo.attn_implementation)
        each.config.share_image_prefix = each.config.share_image_prefix and not whole_rows
    metrics = None
    if grpo.metric_photos:
        listeners = {REWARDING: listener} | {name: load_listener(f, device) for name, f in grpo.independent.items()}
        pair = TalkingPoints(model, processor, listener.model, listener.processor)
        metrics = RewardHackingMetrics(pair, listeners, judge, grpo.load("val"), grpo, seed=training.seed)
    trainer.add_callback(RewardHackingCallback(trainer, metrics, stopwatch, grpo.metric_steps))
    return trainer


class WholeGRPOTrainer(WholeCheckpoints, GRPOTrainer):
    """TRL's trainer, with checkpoints that appear whole."""


def main(argv: list[str]) -> GRPOTrainer:
    """Train; see the module docstring."""
    grpo, training = parse_arguments(ARGUMENTS, argv)
    start_run(training, grpo.threads)
    target = taken_target(training)
    trainer = build_trainer(grpo, training)
    output = Path(training.output_dir)
    trainer.train(resume_from_checkpoint=last_checkpoint(training, grpo.resume))
    if grpo.lora_r:
        merged = trainer.accelerator.unwrap_model(trainer.model).merge_and_unload()
        trainer.model = trainer.model_wrapped = merged
        for stale in output.glob("adapter_*") if trainer.is_world_process_zero() else ():
            stale.unlink()  # of an earlier run: transformers would load it instead of the merged model
    if grpo.save_dtype != "float32":
        trainer.model.to(DTYPES[grpo.save_dtype])  # type: ignore[arg-type, union-attr]
    trainer.save_model()
    publish_run(trainer, grpo, target)
    return trainer


if __name__ == "__main__":
    main(sys.argv[1:])
