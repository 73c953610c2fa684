"""Give a localizer's EfficientNet-Lite tower one more stage, at stride 32, with ImageNet's weights.

    python -m training.bundled.deepen_tower --localizer talkingpoints/checkpoints/localizer \\
        --backbone runs/efficientnet_lite2 --blocks 3 --output_dir runs/deeper

``--backbone`` is a folder of convert_efficientnet_lite.py of the same variant. The new map is added to the tower's own
with weights that start at zero, so the model answers as before until it is trained on.
"""

import sys
from dataclasses import dataclass, field

import torch

from talkingpoints import PointLocalizer
from talkingpoints.adapters import load_whole
from talkingpoints.configuration_efficientnet_lite import EfficientNetLiteConfig
from talkingpoints.configuration_vision_tower import ConvVisionConfig
from talkingpoints.modeling_efficientnet_lite import EfficientNetLiteModel
from talkingpoints.modeling_vision_tower import ConvVisionModel
from training.sft.arguments import parse_arguments

_STAGES = ("stage_widths", "stage_depths", "stage_kernels", "stage_strides", "stage_expansions")


@dataclass
class DeepenArguments:
    """Which localizer, and how deep."""

    localizer: str = field(metadata={"help": "folder of a localizer over an EfficientNet-Lite down to stride 16"})
    backbone: str = field(metadata={"help": "folder of convert_efficientnet_lite.py, of the same variant"})
    output_dir: str = field(metadata={"help": "folder to write"})
    blocks: int = field(default=3, metadata={"help": "blocks of the stage at stride 32"})


ARGUMENTS = (DeepenArguments,)


def deepened(old: ConvVisionModel, published: EfficientNetLiteModel, blocks: int) -> ConvVisionModel:
    """The tower with one more stage.

    Raises:
        ValueError: The tower has no backbone of stride 16, or the published one has fewer blocks or other widths.
    """
    own, full = old.config.backbone_config, published.config
    if own is None or own.patch_size != 16:
        raise ValueError("the localizer needs an EfficientNet-Lite tower down to stride 16")
    stage = len(own.stage_widths)
    if own.stage_widths != list(full.stage_widths[:stage]) or blocks > full.stage_depths[stage]:
        raise ValueError(f"backbone: stages {own.stage_widths} needed, at least {blocks} blocks more, got {full}")
    values = {name: [*getattr(own, name), getattr(full, name)[stage]] for name in _STAGES}
    values["stage_depths"][-1] = blocks
    backbone = EfficientNetLiteConfig(image_size=own.image_size, stem_width=own.stem_width, **values)
    tower = ConvVisionModel(ConvVisionConfig(**{**old.config.to_dict(), "backbone_config": backbone}))
    weights = {f"backbone.{name}": weight for name, weight in published.state_dict().items()}
    kept = {name: weight for name, weight in weights.items() if name.startswith(f"backbone.stages.{stage}.")}
    wanted = tower.state_dict()
    state = {name: weight for name, weight in {**kept, **old.state_dict()}.items() if name in wanted}
    state["context.weight"] = torch.zeros_like(wanted["context.weight"])
    state["context.bias"] = torch.zeros_like(wanted["context.bias"])
    tower.load_state_dict(state)
    return tower.eval()


def main(argv: list[str]) -> None:
    """Deepen and save; see the module docstring."""
    (arguments,) = parse_arguments(ARGUMENTS, argv)
    model, processor = load_whole(arguments.localizer, PointLocalizer)
    model.float()
    published = EfficientNetLiteModel.from_pretrained(arguments.backbone, dtype=torch.float32)
    tower = deepened(model.vlm.model.vision_tower, published, arguments.blocks)
    model.vlm.model.vision_tower = tower
    model.vlm.config.vision_config = tower.config
    model.config.vlm_config = model.vlm.config
    model.save_pretrained(arguments.output_dir)
    processor.save_pretrained(arguments.output_dir)


if __name__ == "__main__":
    main(sys.argv[1:])
