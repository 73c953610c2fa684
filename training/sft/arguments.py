"""Command lines of the scripts: dataclasses filled from yaml files and flags, and the arguments that most scripts
share: which photos a model is trained on, and their augmentation."""

import argparse
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import torch
import yaml
from datasets import Dataset, concatenate_datasets
from transformers import HfArgumentParser, TrainingArguments

from talkingpoints.data.examples.augmentation import Augmentation
from talkingpoints.data.readers.coco_keypoints import load_keypoints
from talkingpoints.data.validation.findings import Findings
from training.sft.processes import join_on_cpu

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

HALVES = ("even", "odd")

_SAME = (("datasets", "dataset"), ("output_dir", "output"))
_PUSH = ("--push_to_hub", "--push-to-hub")
_TRUTH = ("yes", "true", "t", "y", "1", "no", "false", "f", "n", "0")  # what HfArgumentParser takes for a bool


@dataclass(kw_only=True)
class AugmentationArguments:
    """How photos are changed."""

    crop: float = field(default=0.8, metadata={"help": "probability of a random crop"})
    smallest_crop: float = field(default=0.5, metadata={"help": "least share of a side that a crop keeps"})
    flip: float = field(default=0.5, metadata={"help": "probability of mirroring"})
    colour: float = field(default=0.5, metadata={"help": "probability of changed colours"})

    @property
    def augmentation(self) -> Augmentation:
        """The same, as the data take it."""
        return Augmentation(self.crop, self.smallest_crop, self.flip, self.colour)


@dataclass(kw_only=True)
class DataArguments(AugmentationArguments):
    """Photos to train on; the arguments of every script that shows photos to a model inherit these."""

    base: str = field(metadata={"help": "Hub id or folder of a base model, or of one of our models to start from"})
    datasets: list[str] = field(
        metadata={
            "help": "COCO-keypoints folders with the splits train and val; for sft_*.py also one's own points: folders "
            "with metadata.csv or metadata.jsonl (file_name, x, y, text, label), and datasets on the Hub, of "
            "save_to_disk or of parquet files (image, x, y, text, label)"
        }
    )
    half: str | None = field(
        default=None, metadata={"help": "train on every other photo only, even or odd: for independent listeners"}
    )
    labels: list[str] | None = field(
        default=None,
        metadata={"help": "only photos on which nothing but these categories is annotated, for example cat horse"},
    )
    train_split: str = field(default="train", metadata={"help": "what the datasets call the split to train on"})
    val_split: str = field(default="val", metadata={"help": "what they call the split to validate with"})
    threads: int = field(default=0, metadata={"help": "torch threads; 0 leaves torch's default"})

    def load(self, split: str, findings: Findings | None = None) -> Dataset:
        """One split of all datasets together ("train" or "val", whatever they call it), see :func:`load_each`."""
        half = self.half if split == "train" else None
        name = {"train": self.train_split, "val": self.val_split}[split]
        return concatenate_datasets(load_each(self.datasets, name, half, self.labels, findings))


def load_each(
    folders: Sequence[str],
    split: str,
    half: str | None = None,
    labels: Sequence[str] | None = None,
    findings: Findings | None = None,
) -> list[Dataset]:
    """One split of several folders, see :func:`load_rows`; of their photos those with ``labels`` only.

    A photo that also shows another category is left out as a whole. To drop only that object would keep it in sight
    without a word about it: a spot on it would be called background, and "the left one" would be wrong.

    Args:
        folders, split, half: as for :func:`load_rows`.
        labels: categories; None keeps all photos.
        findings: takes what is wrong, and each photo is decoded; None refuses it, and decodes none.

    Returns:
        One dataset for each folder, empty where the folder shows none of the labels.

    Raises:
        ValueError: If :func:`load_rows` refuses the data, or no photo shows a label.
    """
    parts = [load_rows(folder, split, half, findings) for folder in folders]
    return parts if labels is None else [only_labels(rows, labels) for rows in _with_all(parts, labels)]


def only_labels(rows: Dataset, labels: Sequence[str]) -> Dataset:
    """The photos of ``rows`` (of :func:`load_keypoints`) on which some of these categories are annotated, and nothing
    else is."""
    shown = [{item["label"] for item in objects} for objects in rows["objects"]]
    return rows.select([i for i, here in enumerate(shown) if here and here <= set(labels)])


def _with_all(parts: list[Dataset], labels: Sequence[str]) -> list[Dataset]:
    there = {item["label"] for rows in parts for objects in rows["objects"] for item in objects}
    unknown = sorted(set(labels) - there)
    if unknown:
        raise ValueError(f"labels: no photo shows {', '.join(unknown)}; there are {', '.join(sorted(there))}")
    return parts


def load_rows(folder: str, split: str, half: str | None = None, findings: Findings | None = None) -> Dataset:
    """One split of a COCO-keypoints folder, with a column ``known_labels``: what its annotators looked for.

    Args:
        folder: as :func:`load_keypoints` takes it.
        split: its name.
        half: keep every other photo, even or odd; None keeps all.
        findings: as for :func:`load_each`.

    Raises:
        ValueError: If the reader refuses the data, or ``half`` is not allowed.
    """
    if half not in (None, *HALVES):
        raise ValueError(f"half must be one of {HALVES}, got {half!r}")
    rows = load_keypoints(folder, split, findings, decode=findings is not None)
    labels = sorted({item["label"] for objects in rows["objects"] for item in objects})
    rows = rows.add_column("known_labels", [labels] * len(rows))
    return rows if half is None else rows.select(range(HALVES.index(half), len(rows), 2))


def passes_over(photos: int, training: TrainingArguments) -> int:
    """How often a run shows each of some photos, rounded up, by ``max_steps`` or ``num_train_epochs``."""
    if training.max_steps <= 0:
        return math.ceil(training.num_train_epochs)
    return 1 + examples_of(training) // max(1, photos)


def examples_of(training: TrainingArguments) -> int:
    """How many examples all processes together show in a run of ``max_steps``."""
    return training.train_batch_size * training.gradient_accumulation_steps * training.world_size * training.max_steps


def with_keypoints(rows: Dataset, crowded: int = 1) -> int:
    """How many photos have a keypoint; one where two or more objects have some counts ``crowded`` times."""
    counts = [sum(bool(item["keypoints"]) for item in objects) for objects in rows["objects"]]
    return sum(crowded if count > 1 else 1 for count in counts if count)


def parse_arguments(types: Sequence[Any], argv: Sequence[str], description: str | None = None) -> tuple[Any, ...]:
    """Fill dataclasses from ``--config FILE [FILE ...]`` and flags.

    ``--datasets`` and ``--dataset`` mean the same, and so do ``--output_dir`` and ``--output``, unless the dataclasses
    have both. A training's ``--push_to_hub`` also takes the repository id.

    Args:
        types: Dataclasses whose fields are the allowed keys and flags.
        argv: Command line without the program. A file overrides the same keys of the files before it, a flag overrides
            all files.
        description: Text of ``--help``.

    Returns:
        One instance per type.

    Raises:
        ValueError: If a yaml file is not a flat mapping, or a dataclass refuses a value.
        SystemExit: If arguments are unknown or missing (with a message, as argparse does).
    """
    join_on_cpu()
    words = _as_named(_with_config(argv), {item.name for kind in types for item in fields(kind)})
    if any(issubclass(kind, TrainingArguments) for kind in types):
        words = _with_hub_id(words)
    parser = HfArgumentParser(list(types), allow_abbrev=False, description=description, formatter_class=_Help)
    return parser.parse_args_into_dataclasses(args=words)


def given_names(argv: Sequence[str]) -> set[str]:
    """Names of the arguments that a command line and its yaml files give."""
    words = (word for word in _with_config(argv) if word.startswith("--"))
    return {word[2:].partition("=")[0].replace("-", "_") for word in words}


class _Help(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Help with default values, and the description as it is written."""


def _with_config(argv: Sequence[str]) -> list[str]:
    """The command line with the keys of its yaml files as flags before its own flags."""
    argv = list(argv)
    flags: list[str] = []
    if "--config" in argv:
        at = argv.index("--config")
        end = next((i for i in range(at + 1, len(argv)) if argv[i].startswith("--")), len(argv))
        if end == at + 1:
            raise ValueError("--config needs a file")
        values: dict[str, Any] = {}
        for name in argv[at + 1 : end]:
            values |= _read(name)
        for key, value in values.items():
            if value is None:
                continue  # "key:" with nothing behind it leaves the default
            flags += [f"--{key}", *_as_words(key, value)]
        del argv[at:end]
    return [*flags, *argv]


def _as_named(words: Sequence[str], names: Collection[str]) -> list[str]:
    """Flags that go by two names, by the name that the dataclasses have."""
    renamed = {
        f"--{other}": f"--{name}"
        for pair in _SAME
        for name, other in (pair, pair[::-1])
        if name in names and other not in names
    }
    return [renamed.get(word, word) for word in words]


def _with_hub_id(words: list[str]) -> list[str]:
    """``--push_to_hub me/model`` as transformers knows it: ``--push_to_hub true --hub_model_id me/model``."""
    done: list[str] = []
    for word in words:
        if done and done[-1] in _PUSH and not word.startswith("--") and word.lower() not in _TRUTH:
            done += ["true", "--hub_model_id"]
        done.append(word)
    return done


def _read(name: str) -> dict[str, Any]:
    with open(name, encoding="utf-8") as file:
        values = yaml.safe_load(file)
    if not isinstance(values, dict):
        raise ValueError(f"{name} must be a mapping of argument names to values")
    return values


def _as_words(key: str, value: Any) -> list[str]:
    if isinstance(value, dict):
        raise ValueError(f"{key}: nested values are not supported; write a list of name=value")
    return [str(v) for v in value] if isinstance(value, list) else [str(value)]
