"""Supervised training of the Point Descriptor: photo + point or region -> text.

    accelerate launch -m training.sft_descriptor --config training/configs/finetune_descriptor.yaml \\
        --base talkingpoints/checkpoints/descriptor --datasets DIR [DIR ...] --output_dir runs/descriptor

Every field of ``SftArguments``, ``DescriptorArguments``, ``RegionSetArguments`` and transformers' ``TrainingArguments``
is a key of the yaml file and a flag. The base is any supported vision-language model, a descriptor, or a localizer. For
hardware and time see training/README.md.
"""

import sys
from dataclasses import asdict, dataclass, field
from functools import partial

if not __package__:
    import run_by_path  # noqa: F401

from transformers import Trainer, TrainingArguments

from talkingpoints import PointDescriptor
from training.sft.arguments import given_names, parse_arguments
from training.sft.collators import DescriptorCollator
from training.sft.dry_run import prepare_data
from training.sft.example_pictures import draw_descriptions
from training.sft.processes import start_run
from training.sft.region_data import RegionSetArguments
from training.sft.run_plan import derive_settings
from training.sft.sft_arguments import SftArguments
from training.sft.supervised import run


@dataclass
class DescriptorArguments:
    """Keypoint encoder of the descriptor."""

    num_keypoint_tokens: int = field(default=4, metadata={"help": "tokens per point (K)"})
    encoder_layers: int = field(default=2, metadata={"help": "transformer layers of the keypoint encoder"})
    encoder_heads: int = field(default=4, metadata={"help": "attention heads of the keypoint encoder"})
    encoder_size: int | None = field(
        default=None, metadata={"help": "width of the keypoint encoder (default: the language model's)"}
    )
    sigma: float = field(default=0.1, metadata={"help": "width of the Gaussian window, in shares of the image"})
    window_threshold: float = field(default=0.1, metadata={"help": "where the Gaussian is cut"})
    attention_region: str = field(default="gaussian", metadata={"help": "gaussian, or none (ablation)"})


ARGUMENTS = (SftArguments, DescriptorArguments, RegionSetArguments, TrainingArguments)


def main(argv: list[str]) -> Trainer | None:
    """Train; see the module docstring. A dry run returns None."""
    sft, descriptor, regions, training = parse_arguments(ARGUMENTS, argv, __doc__)
    if any("format=free_texts" in words.split() for words in regions.region_sets):
        raise ValueError("region_sets: free_texts are about points; regions of one pixel teach a descriptor nothing")
    start_run(training, sft.threads)
    derive_settings(sft, training, given_names(argv))
    data = prepare_data(sft, training, regions=regions)
    if sft.dry_run:
        return None
    model, processor = PointDescriptor.from_base(
        sft.base, **asdict(descriptor), share_image_prefix=sft.share_image_prefix, **sft.base_options
    )
    training.prediction_loss_only = True
    training.label_names = ["labels"]
    collator = DescriptorCollator(processor)
    draw = partial(draw_descriptions, processor)
    return run(model, sft, training, draw=draw, data_collator=collator, processing_class=processor, **data)


if __name__ == "__main__":
    main(sys.argv[1:])
