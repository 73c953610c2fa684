"""Supervised training of the Point Descriptor: photo + point or region -> text.

    accelerate launch training/sft_descriptor.py --config training/bundled/configs/descriptor.yaml \\
        --base runs/localizer --datasets DIR [DIR ...] --output_dir runs/descriptor

Every field of ``SftArguments``, ``DescriptorArguments``, ``RegionSetArguments`` and transformers' ``TrainingArguments``
is a key of the yaml file and a flag. The base may be a trained localizer: its vision tower already knows the photos.
Hardware and time: see training/README.md.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a script, from anywhere

import torch
from transformers import Trainer, TrainingArguments, set_seed

from talkingpoints import PointDescriptor
from training.sft.arguments import parse_arguments
from training.sft.collators import DescriptorCollator
from training.sft.region_data import RegionSetArguments
from training.sft.supervised import SftArguments, run


@dataclass
class DescriptorArguments:
    """Keypoint encoder of the descriptor."""

    num_keypoint_tokens: int = field(default=4, metadata={"help": "tokens per point (K)"})
    encoder_layers: int = 2
    encoder_heads: int = 4
    encoder_size: int | None = field(default=None, metadata={"help": "its width (default: the language model's)"})
    sigma: float = field(default=0.1, metadata={"help": "of the Gaussian window, in shares of the image"})
    window_threshold: float = field(default=0.1, metadata={"help": "where the Gaussian is cut"})
    attention_region: str = field(default="gaussian", metadata={"help": "gaussian, or none (ablation)"})


ARGUMENTS = (SftArguments, DescriptorArguments, RegionSetArguments, TrainingArguments)


def main(argv: list[str]) -> Trainer:
    """Train; see the module docstring."""
    sft, descriptor, regions, training = parse_arguments(ARGUMENTS, argv)
    if any("format=free_texts" in words.split() for words in regions.region_sets):
        raise ValueError("region_sets: free_texts speak of points, and regions of one pixel teach a descriptor nothing")
    if sft.threads:
        torch.set_num_threads(sft.threads)
    set_seed(training.seed)  # the new encoder too
    model, processor = PointDescriptor.from_base(
        sft.base,
        num_keypoint_tokens=descriptor.num_keypoint_tokens,
        encoder_layers=descriptor.encoder_layers,
        encoder_heads=descriptor.encoder_heads,
        encoder_size=descriptor.encoder_size,
        sigma=descriptor.sigma,
        window_threshold=descriptor.window_threshold,
        attention_region=descriptor.attention_region,
        share_image_prefix=sft.share_image_prefix,
        **sft.base_options,
    )
    training.prediction_loss_only = True
    training.label_names = ["labels"]
    return run(model, processor, DescriptorCollator(processor), sft, training, regions=regions)


if __name__ == "__main__":
    main(sys.argv[1:])
