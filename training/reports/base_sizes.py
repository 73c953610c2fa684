"""Print a table of public base models: parameters, cells of the vision grid, memory, and settings to start with.

    python -m training.reports.base_sizes

Everything is computed, nothing measured: the models are built from training/reports/bases.yaml without their weights
(torch's meta device) and counted, and memory is parameters times bytes. The table leaves activations out, since they
depend on batch and photo; :func:`activation_memory` estimates them for the yaml files of training/configs/bases.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from transformers import AutoModelForImageTextToText, PreTrainedConfig

from talkingpoints import PointDescriptor, PointDescriptorConfig, PointLocalizer, PointLocalizerConfig
from talkingpoints.adapters import lora_config
from talkingpoints.configuration_point import nested_config

BASES = Path(__file__).parent / "bases.yaml"
LORA_RANK = 16
ENCODER_SIZE = 1024
"""Of the keypoint encoder where the language model is wider: as wide as that, it would outweigh LoRA by far."""

SETTINGS = {
    "A": "all weights, or `--lora_r 16`",
    "B": f"`--lora_r 16 --base_bits 16 --bf16 true`, and `--encoder_size {ENCODER_SIZE}` for the descriptor",
    "C": "as B with `--gradient_checkpointing true`; where that does not fit, with `--base_bits 4`",
}
"""To start with on one GPU: rules of thumb, not measured."""

TEXT_TOKENS, ANSWER_TOKENS = 60, 30
"""Tokens behind the photo of a row, and those of them that are the answer: as the writer's longest style has."""

_IMAGE_TOKENS = {"idefics3": 17 * 64, "smolvlm": 17 * 64, "qwen3_vl": 300}
"""Image tokens by family: 16 tiles and the whole photo; a photo of 640 x 480. Others: the cells of their grid."""

_ACTIVATIONS = 34  # bytes per token, layer and unit of width in 16 bits, fused attention (arXiv 2205.05198, sec. 4.1)
_LOGITS = 10  # bytes of a logit: in 16 bits, as float32 for the loss, and its gradient
_ADAM = 16  # bytes of a trained float32 weight: itself, its gradient and two moments
_NF4 = 4.127 / 8  # bytes of a weight in NF4 with double quantisation (QLoRA, arXiv 2305.14314, section 3)
_GIB = 2**30


@dataclass(frozen=True)
class Size:
    """What is counted of one base.

    Attributes:
        name: Hub id.
        parameters, language, vision: all, those of the language model with its output layer, and the others.
        linear: weights of linear layers other than the output layer: what quantisation makes smaller.
        grid: (height, width) of the grid over the photo; None where it depends on the photo.
        lora: trained weights of LoRA.
        new: (descriptor, localizer) weights of the new parts.
    """

    name: str
    parameters: int
    language: int
    vision: int
    linear: int
    grid: tuple[int, int] | None
    lora: int
    new: tuple[int, int]

    @property
    def trained(self) -> int:
        """Weights that LoRA trains of the larger of the two models."""
        return self.lora + max(self.new)

    def weights(self, bits: int) -> float:
        """GiB of the base's weights in 32, 16, 8 or 4 bits; 8 and 4 bits concern linear layers, others have 16."""
        linear = {32: 4, 16: 2, 8: 1, 4: _NF4}[bits]
        return (linear * self.linear + max(2, linear) * (self.parameters - self.linear)) / _GIB

    def training_memory(self, bits: int, lora: bool) -> float:
        """GiB that training takes without activations: weights, gradients and Adam's moments.

        Args:
            bits: Of the base's weights; 32 or 16 where all weights are trained.
            lora: Train LoRA and the new parts only, in float32.
        """
        if lora:
            return self.weights(bits) + _ADAM * self.trained / _GIB
        return _ADAM * bits / 32 * (self.parameters + max(self.new)) / _GIB

    @property
    def memory(self) -> dict[str, float]:
        """GiB without activations: weights alone, and with gradients and Adam's moments."""
        return {
            "bfloat16": self.weights(16),
            "4 bits": self.weights(4),
            "LoRA": self.training_memory(16, lora=True),
            "LoRA on 4 bits": self.training_memory(4, lora=True),
            "all weights": self.training_memory(32, lora=False),
        }

    @property
    def settings(self) -> str:
        """Key of :data:`SETTINGS`: a rule by size."""
        return "A" if self.parameters < 6e8 else "B" if self.parameters < 3e9 else "C"


def read_bases(path: Path = BASES) -> dict[str, PreTrainedConfig]:
    """Configurations by Hub id."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    configs = {name: nested_config(values) for name, values in content.items() if not name.startswith("_")}
    return {name: config for name, config in configs.items() if config is not None}


def measure(name: str, config: PreTrainedConfig, rank: int = LORA_RANK) -> Size:
    """Count one base, without its weights; LoRA of this rank."""
    from peft import get_peft_model

    with torch.device("meta"):
        vlm = AutoModelForImageTextToText.from_config(config)
    linear = sum(
        m.weight.numel() for n, m in vlm.named_modules() if isinstance(m, torch.nn.Linear) and not n.endswith("lm_head")
    )
    language = sum(p.numel() for n, p in vlm.named_parameters() if _is_language(n))
    parameters = vlm.num_parameters()
    models: list[PointDescriptor | PointLocalizer] = []
    with torch.device("meta"):
        narrow: dict[str, Any] = (
            {"encoder_size": ENCODER_SIZE} if config.get_text_config().hidden_size > ENCODER_SIZE else {}
        )
        models.append(PointDescriptor(PointDescriptorConfig(vlm_config=config, **narrow), vlm))
        models.append(PointLocalizer(PointLocalizerConfig(vlm_config=config), vlm))
    new = tuple(model.num_parameters() - parameters for model in models)
    adapted = get_peft_model(models[0], lora_config(models[0], rank), low_cpu_mem_usage=True)
    lora = sum(p.numel() for n, p in adapted.named_parameters() if "lora_" in n)
    return Size(name, parameters, language, parameters - language, linear, grid_of(config), lora, new)


def activation_memory(config: PreTrainedConfig, photos: int, texts: int, vision: bool) -> float:
    """GiB of activations of a step with ``share_image_prefix`` and without gradient checkpointing.

    Args:
        config: Of the base.
        photos, texts: Photos at once, and texts of each.
        vision: The vision tower is trained too, so that its activations are kept.
    """
    text, tower, grid = config.get_text_config(), config.vision_config, grid_of(config)
    image_tokens = _IMAGE_TOKENS.get(config.model_type) or (0 if grid is None else grid[0] * grid[1])
    tokens = image_tokens + texts * TEXT_TOKENS
    needed = _ACTIVATIONS * tokens * text.hidden_size * text.num_hidden_layers
    needed += _LOGITS * texts * ANSWER_TOKENS * text.vocab_size
    if vision:
        if config.model_type not in ("idefics3", "smolvlm"):
            raise ValueError(f"vision: the patches of a photo are not known for {config.model_type}")
        patches = 17 * (tower.image_size // tower.patch_size) ** 2
        needed += _ACTIVATIONS * patches * tower.hidden_size * tower.num_hidden_layers
    return photos * needed / _GIB


def grid_of(config: PreTrainedConfig) -> tuple[int, int] | None:
    """Cells of the grid over a photo."""
    vision = config.vision_config
    if config.model_type in ("qwen2_5_vl", "qwen3_vl"):
        return None
    if config.model_type == "gemma3":
        side = round(config.mm_tokens_per_image**0.5)
    else:
        image, patch = (v[0] if isinstance(v, list | tuple) else v for v in (vision.image_size, vision.patch_size))
        side = image // patch
        if config.model_type == "internvl":
            side = int(side * config.downsample_ratio)
        elif config.model_type in ("idefics3", "smolvlm"):
            side //= config.scale_factor
    return side, side


def table(sizes: list[Size]) -> str:
    """Markdown."""
    lines = [
        "| base | parameters | language + vision | grid | LoRA r=16 trains | bfloat16 | 4 bits | LoRA | LoRA on 4 bits "
        "| all weights | start with |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for size in sizes:
        grid = "1 per 32 x 32 px" if size.grid is None else f"{size.grid[0]} x {size.grid[1]}"
        memory = " | ".join(f"{gib:.1f}" for gib in size.memory.values())
        lines.append(
            f"| {size.name} | {size.parameters / 1e9:.2f} B | {size.language / 1e9:.2f} + {size.vision / 1e9:.2f} "
            f"| {grid} | {size.lora / 1e6:.1f} M + {size.new[0] / 1e6:.1f} or {size.new[1] / 1e6:.1f} M | {memory} "
            f"| {size.settings} |"
        )
    return "\n".join([*lines, "", *(f"{key}: {text}.  " for key, text in SETTINGS.items())])


def _is_language(name: str) -> bool:
    return "language_model" in name or "text_model" in name or name.startswith("lm_head")


if __name__ == "__main__":
    print(table([measure(name, config) for name, config in read_bases().items()]))
