"""GRPO for the Point Descriptor on keypoints without texts: a frozen localizer says what a description is worth.

    accelerate launch training/grpo_descriptor.py --config training/configs/grpo.yaml --base runs/descriptor \\
        --localizer runs/localizer --listeners other=runs/other/localizer --datasets DIR [DIR ...] \\
        --output_dir runs/grpo

TRL's own ``GRPOTrainer``: the points travel in the prompts' ids (README). Every field of ``GrpoArguments`` and of TRL's
``GRPOConfig`` is a key of the yaml file and a flag. ``--base`` is the supervised descriptor: where the policy starts,
what the KL is measured against, and what judges fluency. With ``--lora_r`` an adapter is trained and merged at the end.
``meters.json`` in the output tells whether a gain is real (meters.py). Hardware and time: see training/README.md.
"""

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a script, from anywhere

import numpy as np
import torch
from PIL import Image
from transformers import AutoModelForCausalLM, set_seed
from trl import GRPOConfig, GRPOTrainer

from talkingpoints import PointDescriptor, PointDescriptorConfig, PointLocalizer, TalkingPoints
from talkingpoints.adapters import ATTENTION, load_model, load_whole, lora_config
from talkingpoints.data.examples.keypoint_examples import PointExamples
from talkingpoints.families import check_read_in_order
from training.grpo.keypoint_prompts import PointPrompts, prompt_dataset
from training.grpo.listeners import HEARINGS, FluencyJudge, Listener, rows_of
from training.grpo.meters import REWARDING, Meters, MetersCallback, Stopwatch
from training.grpo.rewards import (
    WORST_MSE,
    box_distances,
    closeness,
    is_fair,
    negative_mse,
    part_widths,
    rarity,
    width_of,
)
from training.sft.arguments import DataArguments, parse_arguments
from training.sft.checkpoints import WholeCheckpoints
from training.sft.supervised import DTYPES, freeze, is_sharded, last_checkpoint, publish_run, taken_target

REWARDS = ("shaped", "mse")


@dataclass(kw_only=True)
class GrpoArguments(DataArguments):
    """Policy, listeners and rewards."""

    localizer: str = field(metadata={"help": "Hub id or folder of the frozen localizer that rewards"})
    listeners: list[str] = field(
        default_factory=list, metadata={"help": "NAME=DIR of localizers that only measure, apart from the training"}
    )
    photos: int | None = field(
        default=None, metadata={"help": "train on so many photos only, the first (default: all)"}
    )
    points_per_photo: int = field(default=4, metadata={"help": "prompts in a row about one view of a photo"})
    reward: str = field(default="shaped", metadata={"help": "shaped, or mse (the paper's)"})
    hearings: list[str] = field(
        default_factory=lambda: ["plain", "mirrored"],
        metadata={"help": "average over the listener asked plain, mirrored, paraphrased"},
    )
    width_scale: float = field(default=0.5, metadata={"help": "of the shaped reward's width, see rewards.part_widths"})
    tail: float = field(default=0.3, metadata={"help": "share of the shaped reward that a wide Gaussian gives"})
    fewest_words: int = field(default=3, metadata={"help": "texts with fewer are worth nothing"})
    most_words: int = field(default=60, metadata={"help": "texts with more are worth nothing"})
    fluency_weight: float = field(default=0.1, metadata={"help": "of the fluency reward, the listener's is 1; 0: none"})
    variety_weight: float = field(default=0.0, metadata={"help": "of the reward for wordings rare in the batch"})
    frozen_modules: list[str] = field(
        default_factory=list, metadata={"help": "parts of names of parameters that stay, for example vision_tower"}
    )
    lora_r: int = field(default=0, metadata={"help": "rank of a LoRA adapter on the language model; 0 trains all"})
    lora_alpha: int = 32
    lora_target_modules: str = field(default=ATTENTION, metadata={"help": "regular expression over modules' names"})
    attn_implementation: str = field(default="sdpa", metadata={"help": "eager is twice as fast for tiny models on CPU"})
    resume: bool = field(default=False, metadata={"help": "go on from the last checkpoint in output_dir, if any"})
    save_dtype: str = field(default="float32", metadata={"help": "dtype of the final weights: float32 or bfloat16"})
    meter_photos: int = field(default=32, metadata={"help": "val photos that the meters describe; 0: no meters"})
    meter_points: int = field(default=4, metadata={"help": "at most so many points of each"})
    meter_steps: int = field(default=50, metadata={"help": "steps between two readings of the meters"})

    def __post_init__(self) -> None:
        for name, value, allowed in (("reward", self.reward, REWARDS), ("save_dtype", self.save_dtype, DTYPES)):
            if value not in allowed:
                raise ValueError(f"{name} must be one of {sorted(allowed)}, got {value!r}")
        strange = sorted(set(self.hearings) - set(HEARINGS))
        if strange or not self.hearings:
            raise ValueError(f"hearings must be some of {HEARINGS}, got {self.hearings}")
        if len(self.independent) < len(self.listeners) or not all((*self.independent, *self.independent.values())):
            raise ValueError(f"listeners must be NAME=DIR, each with a name of its own, got {self.listeners}")
        if REWARDING in self.independent:
            raise ValueError(f"listeners: {REWARDING!r} is the name of the localizer that rewards; take another one")
        if min(self.fluency_weight, self.variety_weight) < 0 or self.points_per_photo < 1 or self.meter_steps < 1:
            raise ValueError("need weights of at least 0, points_per_photo and meter_steps of at least 1")

    @property
    def independent(self) -> dict[str, str]:
        """Name -> folder of the listeners that only measure."""
        return {name: folder for name, _, folder in (pair.partition("=") for pair in self.listeners)}


ARGUMENTS = (GrpoArguments, GRPOConfig)


class ListenerReward:
    """How near a frozen listener comes to the point that was described; TRL calls it with the dataset's columns.

    Args:
        listener: reads the texts.
        arguments: the reward and its hearings.
        widths: of the parts, see :func:`part_widths`.
        stopwatch: adds up the seconds.
    """

    __name__ = "listener"  # in TRL's logs

    def __init__(self, listener: Listener, arguments: GrpoArguments, widths: dict[str, float], stopwatch: Stopwatch):
        self.listener, self.arguments, self.widths, self.stopwatch = listener, arguments, widths, stopwatch

    def __call__(
        self,
        completions: Sequence[Sequence[dict[str, str]]],
        image: Sequence[Image.Image],
        view: Sequence[str],
        point: Sequence[Sequence[float]],
        box: Sequence[Sequence[float]],
        size: Sequence[Sequence[int]],
        part: Sequence[str],
        example: Sequence[int],
        log_metric: Callable[[str, float], None],
        **_: Any,
    ) -> list[float]:
        """One reward for each completion; an unfair text is worth the least that the reward can be."""
        with self.stopwatch:
            asked, fair = only_fair(completions, self.arguments)
            heard = []
            for hearing in self.arguments.hearings:
                found = self.listener.find(image, view, asked, hearing)
                if self.arguments.reward == "mse":
                    heard.append(negative_mse(found, point))
                else:
                    widths = [width_of(name, self.widths) for name in part]
                    heard.append(closeness(box_distances(found, point, box, size), widths, self.arguments.tail))
            rewards = np.mean(heard, axis=0)
            rewards[~np.array(fair)] = WORST_MSE if self.arguments.reward == "mse" else 0.0
        log_metric("unfair_rate", 1.0 - float(np.mean(fair)))
        log_metric("frac_listener_zero_std", share_without_spread(rewards, example))
        return rewards.tolist()


class FluencyReward:
    """How likely the untouched descriptor finds a text: the policy may find other words, but none that nobody says.

    Args:
        judge: the untouched descriptor.
        stopwatch: adds up the seconds.
    """

    __name__ = "fluency"  # in TRL's logs

    def __init__(self, judge: FluencyJudge, stopwatch: Stopwatch):
        self.judge, self.stopwatch = judge, stopwatch

    def __call__(
        self,
        completions: Sequence[Sequence[dict[str, str]]],
        image: Sequence[Image.Image],
        view: Sequence[str],
        point: Sequence[Sequence[float]],
        **_: Any,
    ) -> list[float]:
        """Mean log-likelihood per token of each completion."""
        with self.stopwatch:
            return self.judge.score(image, view, point, spoken(completions)).tolist()


class VarietyReward:
    """How rare a completion's wording is among all that this process made for a step: or the policy says everything in
    the one way that the listener likes best.

    Args:
        arguments: what is fair.
        stopwatch: adds up the seconds.
    """

    __name__ = "variety"  # in TRL's logs

    def __init__(self, arguments: GrpoArguments, stopwatch: Stopwatch):
        self.arguments, self.stopwatch = arguments, stopwatch

    def __call__(self, completions: Sequence[Sequence[dict[str, str]]], **_: Any) -> list[float]:
        """:func:`rarity` of each completion, 0 for an unfair one."""
        with self.stopwatch:
            return rarity(only_fair(completions, self.arguments)[0])


def spoken(completions: Sequence[Sequence[dict[str, str]]]) -> list[str]:
    """The texts of conversational completions."""
    return [messages[0]["content"].strip() for messages in completions]


def only_fair(
    completions: Sequence[Sequence[dict[str, str]]], arguments: GrpoArguments
) -> tuple[list[str], list[bool]]:
    """The texts of completions, the unfair ones empty, and which are fair."""
    texts = spoken(completions)
    fair = [is_fair(text, arguments.fewest_words, arguments.most_words) for text in texts]
    return [text if ok else "" for text, ok in zip(texts, fair, strict=True)], fair


def share_without_spread(rewards: np.ndarray, examples: Sequence[int]) -> float:
    """Share of prompts all of whose completions are worth the same: they teach nothing.

    TRL's own ``frac_reward_zero_std`` looks at the sum of all rewards, and with ``normalize_then_sum`` at the whole
    batch, where there always is some spread.
    """
    return float(np.mean([np.ptp(rewards[rows]) < 1e-6 for rows in rows_of(examples).values()]))


def check(grpo: GrpoArguments, training: GRPOConfig) -> None:
    """Refuse what cannot work.

    Raises:
        ValueError: vLLM, or checkpoints in the middle of a generation.
    """
    if training.use_vllm:
        raise ValueError(
            "use_vllm: vLLM knows no Point Descriptor. Its own model classes would read the location tokens as words "
            "and never see the point; generation has to go through transformers (leave use_vllm off, or take a larger "
            "per_device_train_batch_size)"
        )
    steps = training.num_iterations * training.steps_per_generation // training.gradient_accumulation_steps
    if training.save_strategy == "steps" and steps > 1 and training.save_steps % steps:
        raise ValueError(
            f"save_steps must be a multiple of {steps} (num_iterations x steps_per_generation / "
            f"gradient_accumulation_steps), or a resumed run would differ; got {training.save_steps}"
        )


def load_listener(folder: str, device: torch.device) -> Listener:
    """A frozen localizer."""
    model, processor = load_model(folder, PointLocalizer, dtype=torch.float32 if device.type == "cpu" else "auto")
    return Listener(model.to(device), processor)


def build_prompts(grpo: GrpoArguments, training: GRPOConfig, processor: Any) -> PointPrompts:
    """As many prompts as the run asks for, all different; afterwards one epoch shows them all.

    Raises:
        ValueError: no photo holds a keypoint.
    """
    rows = grpo.load("train")
    rows = rows if grpo.photos is None else rows.select(range(min(grpo.photos, len(rows))))
    augmentation = grpo.augmentation if max(grpo.crop, grpo.flip, grpo.colour) > 0 else None
    examples = PointExamples(rows, passes=1, augmentation=augmentation, seed=training.seed)
    if training.max_steps > 0:
        prompts = training.max_steps * training.generation_batch_size // training.num_generations
        examples.passes = 1 + prompts // (len(examples.rows) * grpo.points_per_photo)
    else:
        examples.passes = math.ceil(training.num_train_epochs)
        training.num_train_epochs = 1
    return PointPrompts(examples, processor, grpo.points_per_photo)


def build_trainer(grpo: GrpoArguments, training: GRPOConfig) -> GRPOTrainer:
    """Everything up to the first step."""
    check(grpo, training)
    AutoModelForCausalLM.register(PointDescriptorConfig, PointDescriptor, exist_ok=True)  # how TRL loads the reference
    training.shuffle_dataset = False  # the examples are in random order already
    training.dataloader_num_workers = 0  # the photos of a batch are made once
    device = training.device
    model, processor = load_whole(grpo.base, PointDescriptor)
    check_read_in_order(model.vlm.config)
    # with the batch's statistics policy and reference would see different photos: the KL would not be 0 at the start
    freeze(model, grpo.frozen_modules, all_statistics=True)
    listener = load_listener(grpo.localizer, device)
    judge = FluencyJudge(load_whole(grpo.base, PointDescriptor)[0].to(device), processor)
    stopwatch = Stopwatch()
    prompts = build_prompts(grpo, training, processor)
    widths = part_widths(prompts.examples.scenes, grpo.width_scale)
    rewards: list[Callable] = [ListenerReward(listener, grpo, widths, stopwatch)]
    weights = [1.0]
    if grpo.fluency_weight > 0:
        rewards.append(FluencyReward(judge, stopwatch))
        weights.append(grpo.fluency_weight)
    if grpo.variety_weight > 0:
        rewards.append(VarietyReward(grpo, stopwatch))
        weights.append(grpo.variety_weight)
    training.reward_weights = training.reward_weights or weights
    lora = None
    if grpo.lora_r:
        lora = lora_config(model, grpo.lora_r, grpo.lora_alpha, target_modules=grpo.lora_target_modules)
    trainer = WholeGRPOTrainer(
        model=model,
        reward_funcs=rewards,
        args=training,
        train_dataset=prompt_dataset(prompts),
        processing_class=processor,
        peft_config=lora,
    )
    both = [model]
    if trainer.ref_model is not None:
        both.append(trainer.accelerator.unwrap_model(trainer.ref_model))
    whole_rows = is_sharded(trainer.accelerator) or training.gradient_checkpointing  # as in sft.py
    for each in both:  # run alike: at the start the KL is 0, not nearly 0
        each.vlm.set_attn_implementation(grpo.attn_implementation)
        each.config.share_image_prefix = each.config.share_image_prefix and not whole_rows
    meters = None
    if grpo.meter_photos:
        others = {name: load_listener(folder, device) for name, folder in grpo.independent.items()}
        pair = TalkingPoints(model, processor, listener.model, listener.processor)
        meters = Meters(pair, {REWARDING: listener, **others}, judge, grpo.load("val"), grpo, seed=training.seed)
    trainer.add_callback(MetersCallback(trainer, meters, stopwatch, grpo.meter_steps))
    return trainer


class WholeGRPOTrainer(WholeCheckpoints, GRPOTrainer):
    """TRL's trainer, with checkpoints that appear whole."""


def main(argv: list[str]) -> GRPOTrainer:
    """Train; see the module docstring."""
    grpo, training = parse_arguments(ARGUMENTS, argv)
    if grpo.threads:
        torch.set_num_threads(grpo.threads)
    set_seed(training.seed)
    target = taken_target(training)
    trainer = build_trainer(grpo, training)
    output = Path(training.output_dir)
    trainer.train(resume_from_checkpoint=last_checkpoint(training, grpo.resume))
    if grpo.lora_r:
        merged = trainer.accelerator.unwrap_model(trainer.model).merge_and_unload()
        trainer.model = trainer.model_wrapped = merged
        for stale in output.glob("adapter_*") if trainer.is_world_process_zero() else ():
            stale.unlink()  # of an earlier run: it would be loaded in the merged model's place
    if grpo.save_dtype != "float32":
        trainer.model.to(DTYPES[grpo.save_dtype])
    trainer.save_model()
    publish_run(trainer, grpo, target)
    return trainer


if __name__ == "__main__":
    main(sys.argv[1:])
