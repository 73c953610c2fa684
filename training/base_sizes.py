"""Print a table of public base models: parameters, cells of the vision grid, memory, and settings to start with.

    python -m training.base_sizes

Everything is computed: the models are built from training/configs/bases.yaml without their weights (torch's meta
device) and counted, and memory is parameters times bytes. Activations are left out: they depend on batch and photo.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
import yaml
from transformers import AutoModelForImageTextToText, PreTrainedConfig

from talkingpoints import PointDescriptor, PointDescriptorConfig, PointLocalizer, PointLocalizerConfig
from talkingpoints.adapters import lora_config
from talkingpoints.configuration_point import nested_config

BASES = Path(__file__).resolve().parent / "configs" / "bases.yaml"
LORA_RANK = 16
ENCODER_SIZE = 1024
"""Of the keypoint encoder where the language model is wider: as wide as that, it would outweigh LoRA by far."""

SETTINGS = {
    "A": "all weights, or `--lora_r 16`",
    "B": f"`--lora_r 16 --base_bits 16 --bf16 true`, and `--encoder_size {ENCODER_SIZE}` for the descriptor",
    "C": "as B with `--gradient_checkpointing true`; where that does not fit, with `--base_bits 4`",
}
"""To start with on one GPU: rules of thumb, not measured."""

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

    @property
    def memory(self) -> dict[str, float]:
        """GiB without activations: weights alone, and with gradients and Adam's moments."""
        bfloat16 = 2 * self.parameters
        nf4 = 2 * (self.parameters - self.linear) + _NF4 * self.linear
        return {
            "bfloat16": bfloat16 / _GIB,
            "4 bits": nf4 / _GIB,
            "LoRA": (bfloat16 + _ADAM * self.trained) / _GIB,
            "LoRA on 4 bits": (nf4 + _ADAM * self.trained) / _GIB,
            "all weights": _ADAM * (self.parameters + max(self.new)) / _GIB,
        }

    @property
    def settings(self) -> str:
        """Key of :data:`SETTINGS`: a rule by size."""
        return "A" if self.parameters < 6e8 else "B" if self.parameters < 3e9 else "C"


def read_bases(path: Path = BASES) -> dict[str, PreTrainedConfig]:
    """Configurations by Hub id."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {name: nested_config(values) for name, values in content.items() if not name.startswith("_")}


def measure(name: str, config: PreTrainedConfig) -> Size:
    """Count one base, without its weights."""
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
        narrow = {"encoder_size": ENCODER_SIZE} if config.get_text_config().hidden_size > ENCODER_SIZE else {}
        models.append(PointDescriptor(PointDescriptorConfig(vlm_config=config, **narrow), vlm))
        models.append(PointLocalizer(PointLocalizerConfig(vlm_config=config), vlm))
    new = tuple(model.num_parameters() - parameters for model in models)
    adapted = get_peft_model(models[0], lora_config(models[0], LORA_RANK), low_cpu_mem_usage=True)
    lora = sum(p.numel() for n, p in adapted.named_parameters() if "lora_" in n)
    return Size(name, parameters, language, parameters - language, linear, grid_of(config), lora, new)


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
