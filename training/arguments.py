"""Command lines of the training scripts: dataclasses filled from a yaml file and flags, flags first."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml
from transformers import HfArgumentParser

from talkingpoints.data.augmentation import Augmentation


@dataclass(kw_only=True)
class AugmentationArguments:
    """How much photos are changed; the arguments of every script that shows photos to a model inherit these."""

    crop: float = field(default=0.8, metadata={"help": "probability of a random crop"})
    smallest_crop: float = field(default=0.5, metadata={"help": "least share of a side that a crop keeps"})
    flip: float = field(default=0.5, metadata={"help": "probability of mirroring"})
    colour: float = field(default=0.5, metadata={"help": "probability of changed colours"})

    @property
    def augmentation(self) -> Augmentation:
        """The same, as the data take it."""
        return Augmentation(self.crop, self.smallest_crop, self.flip, self.colour)


def parse_arguments(types: Sequence[type], argv: list[str]) -> tuple[Any, ...]:
    """Fill dataclasses from ``--config FILE`` and flags.

    Args:
        types: dataclasses whose fields are the allowed keys and flags.
        argv: command line without the program; a flag overrides the same key of the yaml file.

    Returns:
        One instance per type.

    Raises:
        ValueError: the yaml file is no flat mapping.
        SystemExit: unknown or missing arguments (with a message, as argparse does).
    """
    argv = list(argv)
    flags: list[str] = []
    if "--config" in argv:
        at = argv.index("--config")
        if at + 1 == len(argv):
            raise ValueError("--config needs a file")
        with open(argv[at + 1], encoding="utf-8") as file:
            values = yaml.safe_load(file)
        if not isinstance(values, dict):
            raise ValueError(f"{argv[at + 1]} must be a mapping of argument names to values")
        for key, value in values.items():
            if value is None:
                continue  # "key:" with nothing behind it leaves the default
            flags += [f"--{key}", *_as_words(key, value)]
        del argv[at : at + 2]
    return HfArgumentParser(types, allow_abbrev=False).parse_args_into_dataclasses(args=[*flags, *argv])


def _as_words(key: str, value: Any) -> list[str]:
    if isinstance(value, dict):
        raise ValueError(f"{key}: nested values are not supported; write a list of name=value")
    return [str(v) for v in value] if isinstance(value, list) else [str(value)]
