"""Command-line arguments of ``grpo_descriptor.py``."""

from dataclasses import dataclass, field

from talkingpoints.adapters import ATTENTION
from training.grpo.listeners import LISTENER_VIEWS
from training.sft.arguments import DTYPES, DataArguments

REWARDING = "reward"
"""Name of the listener that rewards, among the listeners that are measured."""

REWARDS = ("shaped", "mse")


@dataclass(kw_only=True)
class GrpoArguments(DataArguments):
    """Policy, listeners and rewards.

    Raises:
        ValueError: If a value is not allowed; the message names the argument and what is allowed.
    """

    localizer: str = field(metadata={"help": "Hub id or folder of the frozen localizer that rewards"})
    listeners: list[str] = field(
        default_factory=list,
        metadata={"help": "NAME=DIR of further localizers that are only used to measure, not to reward"},
    )
    photos: int | None = field(default=None, metadata={"help": "train on the first N photos only (default: all)"})
    points_per_photo: int = field(default=4, metadata={"help": "consecutive prompts about one view of a photo"})
    reward: str = field(default="shaped", metadata={"help": "shaped, or mse (the paper's)"})
    listener_views: list[str] = field(
        default_factory=lambda: ["plain", "mirrored"],
        metadata={
            "help": f"the reward is the mean over these inputs of the listener, some of {', '.join(LISTENER_VIEWS)}",
            "aliases": ["--hearings"],
        },
    )
    width_scale: float = field(
        default=0.5, metadata={"help": "scale of the shaped reward's width, see rewards.part_widths"}
    )
    tail: float = field(default=0.3, metadata={"help": "share of the wide Gaussian in the shaped reward"})
    min_words: int = field(default=3, metadata={"help": "shorter texts get no reward", "aliases": ["--fewest_words"]})
    max_words: int = field(default=60, metadata={"help": "longer texts get no reward", "aliases": ["--most_words"]})
    fluency_weight: float = field(
        default=0.1, metadata={"help": "weight of the fluency reward; the listener's weight is 1; 0 turns it off"}
    )
    variety_weight: float = field(
        default=0.0, metadata={"help": "weight of the reward for wordings that are rare in the batch"}
    )
    frozen_modules: list[str] = field(
        default_factory=list,
        metadata={"help": "parts of the names of parameters that are not trained, for example vision_tower"},
    )
    lora_r: int = field(
        default=0, metadata={"help": "rank of a LoRA adapter on the language model; 0 trains all weights"}
    )
    lora_alpha: int = field(default=32, metadata={"help": "scale of LoRA: the update is multiplied by alpha / r"})
    lora_target_modules: str = field(default=ATTENTION, metadata={"help": "regular expression over module names"})
    attn_implementation: str = field(
        default="sdpa", metadata={"help": "attention of transformers; eager is twice as fast for tiny models on CPU"}
    )
    resume: bool = field(default=False, metadata={"help": "continue from the last checkpoint in output_dir, if any"})
    save_dtype: str = field(
        default="float32", metadata={"help": f"dtype of the final weights, one of {', '.join(DTYPES)}"}
    )
    metric_photos: int = field(
        default=32,
        metadata={"help": "val photos of the metrics of reward hacking; 0: none", "aliases": ["--meter_photos"]},
    )  # fmt: skip
    metric_points: int = field(
        default=4, metadata={"help": "at most N points of each of them", "aliases": ["--meter_points"]}
    )
    metric_steps: int = field(
        default=50, metadata={"help": "steps between two measurements", "aliases": ["--meter_steps"]}
    )

    def __post_init__(self) -> None:
        for name, value, allowed in (("reward", self.reward, REWARDS), ("save_dtype", self.save_dtype, DTYPES)):
            if value not in allowed:
                raise ValueError(f"{name} must be one of {sorted(allowed)}, got {value!r}")
        if not self.listener_views or not set(self.listener_views) <= set(LISTENER_VIEWS):
            raise ValueError(f"listener_views must be some of {LISTENER_VIEWS}, got {self.listener_views}")
        if len(self.independent) < len(self.listeners) or not all((*self.independent, *self.independent.values())):
            raise ValueError(f"listeners must be NAME=DIR, each with its own name, got {self.listeners}")
        if REWARDING in self.independent:
            raise ValueError(f"listeners: {REWARDING!r} is the name of the localizer that rewards; choose another one")
        if min(self.fluency_weight, self.variety_weight) < 0 or self.points_per_photo < 1 or self.metric_steps < 1:
            raise ValueError("need weights of at least 0, points_per_photo and metric_steps of at least 1")

    @property
    def independent(self) -> dict[str, str]:
        """Name -> folder of the listeners that are only used to measure."""
        return {name: folder for name, _, folder in (pair.partition("=") for pair in self.listeners)}
