"""Command-line arguments of the two supervised trainings."""

from dataclasses import dataclass, field
from typing import Any

import torch

from talkingpoints.adapters import ATTENTION
from talkingpoints.building import quantization
from training.reports.base_sizes import Size
from training.sft.arguments import DTYPES, DataArguments
from training.sft.custom_data import OwnDataArguments

BITS = (32, 16, 8, 4)


@dataclass(kw_only=True)
class LoraArguments:
    """LoRA adapters, and the precision of the base."""

    lora_r: int = field(default=0, metadata={"help": "rank of LoRA; 0 trains all weights"})
    lora_alpha: int = field(default=32, metadata={"help": "scale of LoRA: the update is multiplied by alpha / r"})
    lora_dropout: float = field(default=0.0, metadata={"help": "dropout of LoRA"})
    lora_target_modules: list[str] = field(
        default_factory=lambda: [ATTENTION],
        metadata={"help": "one regular expression over module names, or several endings of names; default: the "
                  "attention projections of the language model"},
    )  # fmt: skip
    use_rslora: bool = field(
        default=False, metadata={"help": "scale by alpha / sqrt(r), for ranks of 32 and more (rsLoRA)"}
    )
    use_dora: bool = field(
        default=False, metadata={"help": "also learn the lengths of the weights' columns (DoRA): slower, often better"}
    )
    base_bits: int = field(
        default=32,
        metadata={"help": "weights of the base: 32 (float32), 16 (bfloat16), or with LoRA 8 or 4 (needs bitsandbytes)"},
    )

    @property
    def base_options(self) -> dict[str, Any]:
        """Options of ``from_base`` that load the base as asked.

        Raises:
            ValueError: If the number of bits is not allowed, or a quantised base is to be trained without LoRA.
        """
        if self.base_bits in (32, 16):
            return {"dtype": torch.float32 if self.base_bits == 32 else torch.bfloat16}
        if not self.lora_r:
            raise ValueError(f"base_bits={self.base_bits}: quantised weights cannot be trained, only LoRA beside them; "
                             "give lora_r")  # fmt: skip
        return {"dtype": torch.bfloat16, "load": {"quantization_config": quantization(self.base_bits)}}


@dataclass(kw_only=True)
class SftArguments(LoraArguments, OwnDataArguments, DataArguments):
    """Model and data of a supervised training.

    Attributes:
        size: Parameters of the base, where settings were derived from it (run_plan.py).
        derived: Names of the settings that were derived.
    """

    datasets: list[str] = field(default_factory=list, metadata=DataArguments.__dataclass_fields__["datasets"].metadata)
    styles: list[str] = field(
        default_factory=lambda: ["full=1"], metadata={"help": "style=weight pairs of the writer's training texts"}
    )
    val_styles: list[str] = field(
        default_factory=lambda: ["full=1"], metadata={"help": "style=weight pairs of the validation texts"}
    )
    points_per_photo: int = field(default=8, metadata={"help": "points (and texts) per photo and step"})
    arbitrary: float = field(default=0.0, metadata={"help": "share of points that are not keypoints"})
    background: float = field(default=0.0, metadata={"help": "share of points on the background"})
    crowded: int = field(
        default=1, metadata={"help": "how often a pass over the data shows a photo of two or more objects"}
    )
    slow_modules: list[str] = field(
        default_factory=list,
        metadata={"help": "parts of the names of pretrained modules that learn slowly, for example vision_tower"},
    )
    slow_lr_scale: float = field(default=0.1, metadata={"help": "their learning rate as a share of learning_rate"})
    frozen_modules: list[str] = field(
        default_factory=list, metadata={"help": "parts of the names of parameters that are not trained"}
    )
    share_image_prefix: bool = field(
        default=False, metadata={"help": "compute the image tokens once for all texts of a photo"}
    )
    attn_implementation: str = field(
        default="sdpa",
        metadata={"help": "attention of transformers: sdpa, flash_attention_2 (GPU), or eager, which is twice as fast "
                  "for tiny models on CPU"},
    )  # fmt: skip
    resume: bool = field(default=False, metadata={"help": "continue from the last checkpoint in output_dir, if any"})
    save_dtype: str = field(
        default="float32", metadata={"help": f"dtype of the final weights, one of {', '.join(DTYPES)}"}
    )

    dry_run: bool = field(
        default=False,
        metadata={"help": "check the data, print the plan, draw the first examples to dry_run.html, and stop"},
    )
    early_stopping_patience: int = field(
        default=0,
        metadata={"help": "stop after N evaluations without improvement and keep the best weights; 0: never"},
    )
    sample_photos: int = field(
        default=4, metadata={"help": "val photos of which each evaluation draws what the model makes of them; 0: none"}
    )
    size: Size | None = field(default=None, init=False, repr=False)
    derived: list[str] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        if self.save_dtype not in DTYPES:
            raise ValueError(f"save_dtype must be one of {sorted(DTYPES)}, got {self.save_dtype!r}")
        if min(self.early_stopping_patience, self.sample_photos, self.lora_r) < 0:
            raise ValueError("early_stopping_patience, sample_photos and lora_r must not be negative")
        if self.base_bits not in BITS:
            raise ValueError(f"base_bits must be 32, 16, 8 or 4, got {self.base_bits}")


def parse_weights(pairs: list[str]) -> dict[str, float]:
    """``["full=2", "short=1"]`` -> ``{"full": 2.0, "short": 1.0}``.

    Raises:
        ValueError: If a pair is not name=number.
    """
    try:
        return {name: float(weight) for name, weight in (pair.split("=") for pair in pairs)}
    except ValueError as error:
        raise ValueError(f"styles must be name=weight pairs, got {pairs}") from error
