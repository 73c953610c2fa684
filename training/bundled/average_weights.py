"""Average the weights of models that were trained on from one another: less of what each lately forgot.

    python -m training.bundled.average_weights --models runs/facts runs/localizer --shares 0.65 0.35 \\
        --output_dir runs/average

After Wortsman et al., "Robust fine-tuning of zero-shot models" (arXiv 2109.01903) and "Model soups" (arXiv 2203.05482).
Configuration and processor are those of the last model; counters are its own too. Calibrate afterwards.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import AutoConfig

from talkingpoints import PointDescriptor, PointLocalizer
from talkingpoints.adapters import load_whole
from talkingpoints.configuration_descriptor import PointDescriptorConfig
from training.sft.arguments import DTYPES, parse_arguments


@dataclass
class AverageArguments:
    """Which models, and how much of each."""

    models: list[str] = field(metadata={"help": "folders of two or more models of one kind and shape"})
    output_dir: str = field(metadata={"help": "folder to write"})
    shares: list[float] = field(default_factory=list, metadata={"help": "of each, summing to 1; default: equal ones"})
    save_dtype: str = field(default="float32", metadata={"help": "dtype of the weights: float32 or bfloat16"})

    def __post_init__(self) -> None:
        if self.save_dtype not in DTYPES:
            raise ValueError(f"save_dtype must be one of {sorted(DTYPES)}, got {self.save_dtype!r}")
        self.shares = self.shares or [1 / len(self.models)] * len(self.models)
        if len(self.models) < 2 or len(self.shares) != len(self.models) or min(self.shares) < 0:
            raise ValueError(f"need two or more models and a share of each, got {self.models} and {self.shares}")
        if abs(sum(self.shares) - 1) > 1e-6:
            raise ValueError(f"shares must sum to 1, got {self.shares}")


ARGUMENTS = (AverageArguments,)


def averaged(states: Sequence[Mapping[str, torch.Tensor]], shares: Sequence[float]) -> dict[str, torch.Tensor]:
    """The weighted mean of state dicts, in float32; of integers the last one's.

    Raises:
        ValueError: If they hold different weights, or weights of different shapes.
    """
    shapes = [{name: weight.shape for name, weight in state.items()} for state in states]
    different = sorted(name for shape in shapes for name, _ in shape.items() ^ shapes[0].items())
    if different:
        raise ValueError(f"the models differ in shape, for example in {different[0]}")
    return {
        name: sum((share * state[name].float() for share, state in zip(shares, states, strict=True)), torch.zeros(()))
        if last.is_floating_point()
        else last
        for name, last in states[-1].items()
    }


def main(argv: list[str]) -> None:
    """Average and save; see the module docstring.

    Raises:
        ValueError: If the models differ in kind, shape or vocabulary.
    """
    (arguments,) = parse_arguments(ARGUMENTS, argv)
    described = isinstance(AutoConfig.from_pretrained(arguments.models[-1]), PointDescriptorConfig)
    kind: Any = PointDescriptor if described else PointLocalizer
    loaded: list[tuple[Any, Any]] = [load_whole(folder, kind) for folder in arguments.models]
    model, processor = loaded[-1]
    for folder, (_, other) in zip(arguments.models, loaded, strict=True):
        if other.tokenizer.get_vocab() != processor.tokenizer.get_vocab():
            raise ValueError(f"{folder} has another vocabulary than {arguments.models[-1]}")
    model.load_state_dict(averaged([other.state_dict() for other, _ in loaded], arguments.shares))
    model.to(DTYPES[arguments.save_dtype])
    model.save_pretrained(arguments.output_dir)
    processor.save_pretrained(arguments.output_dir)


if __name__ == "__main__":
    main(sys.argv[1:])
