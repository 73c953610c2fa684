"""Give a trained descriptor the vision tower of a trained localizer; its language model and point encoder stay.

    python -m training.bundled.take_tower --descriptor talkingpoints/checkpoints/descriptor \\
        --localizer runs/tower_localizer \\
        --output_dir runs/descriptor

For a localizer that has got another tower (replace_tower.py), whose maps resemble those that the descriptor knows. What
is new in them it has to learn: train on with ``sft_descriptor.py``.
"""

import sys
from dataclasses import dataclass, field

from talkingpoints import PointDescriptor, PointLocalizer
from talkingpoints.adapters import load_whole
from training.sft.arguments import parse_arguments

PARTS = ("vision_tower", "multi_modal_projector")
"""What is taken, by its name in the base's model."""
GRID = ("image_seq_length", "vision_feature_layer", "vision_feature_select_strategy")
"""What a base's configuration says of the image tokens that come of it."""


@dataclass
class TakeArguments:
    """Which models."""

    descriptor: str = field(metadata={"help": "folder of a trained descriptor"})
    localizer: str = field(metadata={"help": "folder of a trained localizer, whose tower and projector are taken"})
    output_dir: str = field(metadata={"help": "folder to write"})


ARGUMENTS = (TakeArguments,)


def take_tower(descriptor: PointDescriptor, localizer: PointLocalizer) -> None:
    """Put the localizer's tower and projector into the descriptor, in place.

    Raises:
        ValueError: If the bases are of different kinds, lack such parts, or differ in their image tokens.
    """
    ours, theirs = descriptor.vlm, localizer.vlm
    widths = [vlm.config.get_text_config().hidden_size for vlm in (ours, theirs)]
    if type(ours) is not type(theirs) or widths[0] != widths[1]:
        raise ValueError(
            f"the descriptor's base is a {type(ours).__name__} of width {widths[0]}, the localizer's a "
            f"{type(theirs).__name__} of width {widths[1]}: its tower does not fit"
        )
    missing = [name for name in PARTS if not hasattr(ours.model, name)]
    different = [name for name in GRID if getattr(ours.config, name, None) != getattr(theirs.config, name, None)]
    if missing or different:
        raise ValueError(f"the bases lack {missing} or differ in {different}: the localizer's tower does not fit")
    for name in PARTS:
        setattr(ours.model, name, getattr(theirs.model, name))
    ours.config.vision_config = theirs.config.vision_config
    descriptor.config.vlm_config = ours.config


def main(argv: list[str]) -> None:
    """Take it and save; see the module docstring.

    Raises:
        ValueError: If the processors prepare photos in different ways, or the bases do not fit.
    """
    (arguments,) = parse_arguments(ARGUMENTS, argv)
    descriptor, processor = load_whole(arguments.descriptor, PointDescriptor)
    localizer, other = load_whole(arguments.localizer, PointLocalizer)
    seen = [p.image_processor.to_dict() for p in (processor, other)]
    keys = (seen[0].keys() | seen[1].keys()) - {"auto_map"}
    different = sorted(key for key in keys if seen[0].get(key) != seen[1].get(key))
    if different:
        raise ValueError(f"the two models see photos in different ways: {', '.join(different)}")
    take_tower(descriptor, localizer)
    descriptor.save_pretrained(arguments.output_dir)
    processor.save_pretrained(arguments.output_dir)


if __name__ == "__main__":
    main(sys.argv[1:])
