"""Custom points for the supervised trainings: which datasets hold them; read at once, or streamed."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

from transformers import TrainingArguments

from talkingpoints.data.examples.custom_examples import OwnExamples, StreamedExamples
from talkingpoints.data.readers.coco_keypoints import annotation_files
from talkingpoints.data.readers.custom_points import OwnPoints, PhotoPoints, RowGroup, check_groups
from talkingpoints.data.readers.point_datasets import (
    is_dataset_folder,
    open_dataset,
    read_dataset,
    stream_dataset,
    where,
)
from talkingpoints.data.readers.point_folders import is_point_folder, read_folder, split_folder, stream_folder
from talkingpoints.data.validation.findings import Findings
from training.sft.arguments import examples_of, passes_over
from training.sft.processes import read_once

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")

Stream = Callable[[], Iterator[RowGroup]]


@dataclass(kw_only=True)
class OwnDataArguments:
    """How custom points are read."""

    skip_bad_rows: bool = field(
        default=False, metadata={"help": "leave out wrong rows, points and photos, and log them"}
    )
    unit: str = field(
        default="pixels", metadata={"help": "of custom points: pixels of the photo, fraction (0 to 1), or percent"}
    )
    streaming: bool = field(default=False, metadata={"help": "read custom points as they are needed; needs max_steps"})
    shuffle_buffer: int = field(
        default=128, metadata={"help": "streaming: size of the buffer from which photos are drawn at random"}
    )
    val_photos: int = field(
        default=64,
        metadata={"help": "streaming: the first N photos of val, or else of train, are used for validation"},
    )


def holds_own_points(sources: Sequence[str]) -> bool:
    """Whether datasets hold custom points, and not COCO keypoints.

    Raises:
        ValueError: If some are and some are not, or a folder is neither.
    """
    for source in sources:
        if not Path(source).is_dir() and not _HUB_ID.fullmatch(source):
            raise ValueError(f"{source} is not a folder, and no id of a dataset on the Hub")
    own = [_is_own(source) for source in sources]
    if any(own) and not all(own):
        raise ValueError(f"{list(sources)} are of two kinds, annotated keypoints and one's own texts; take one kind")
    if not any(own):
        for source in sources:
            if not annotation_files(Path(source)):
                raise ValueError(
                    f"{source} holds no dataset: needs metadata.csv or metadata.jsonl (one's own points), "
                    "annotations/train.json (COCO keypoints), parquet files, or what save_to_disk wrote"
                )
    return any(own)


def _is_own(source: str) -> bool:
    return not Path(source).is_dir() or is_point_folder(source) or is_dataset_folder(source)


def own_examples(
    sft: Any, training: TrainingArguments, negatives: float
) -> tuple[OwnExamples | StreamedExamples, OwnExamples]:
    """Training and validation examples of custom points; only the main process reads and checks them.

    Args:
        sft: ``SftArguments``.
        training: how long to train.
        negatives: must be 0.

    Raises:
        ValueError: If an option is for annotated keypoints only, the readers refuse the data, rows are wrong, or there
            is no photo.
    """
    unused = {
        "half": sft.half,
        "labels": sft.labels,
        "arbitrary": sft.arbitrary,
        "background": sft.background,
        "negatives": negatives,
        "crowded": sft.crowded > 1,
    }
    given = [name for name, value in unused.items() if value]
    if given:
        raise ValueError(f"{', '.join(given)}: only for annotated keypoints, not for one's own texts")
    if sft.streaming:
        return _streamed(sft, training)
    own = read_once(lambda: _read(sft))
    passes = passes_over(len(own.train), training)
    return (
        OwnExamples(own.train, sft.points_per_photo, passes, sft.colour, training.seed),
        OwnExamples(own.val, sft.points_per_photo, seed=training.seed),
    )


def _read(sft: Any) -> OwnPoints:
    parts = [(read_folder if is_point_folder(s) else read_dataset)(s, sft.unit) for s in sft.datasets]
    findings = Findings()
    for part in parts:
        findings |= part.problems
    findings.settle(sft.skip_bad_rows)
    own = OwnPoints([p for part in parts for p in part.train], [p for part in parts for p in part.val], Findings())
    for split, photos in (("train", own.train), ("val", own.val)):
        if not photos:
            raise ValueError(
                f"{list(sft.datasets)} have no photo for the split {split!r}; give two photos or more, or subfolders "
                "train and val that both have one"
            )
    return own


def _streamed(sft: Any, training: TrainingArguments) -> tuple[StreamedExamples, OwnExamples]:
    if training.max_steps <= 0:
        raise ValueError("--streaming needs --max_steps: how long a pass is, is not known before its end")
    streams = [_streams(source, sft.unit) for source in sft.datasets]
    each = -(-sft.val_photos // len(streams))

    def first_photos() -> list[PhotoPoints]:
        photos, problems = check_groups(
            group
            for source, splits in zip(sft.datasets, streams, strict=True)
            for group in _validating(source, splits, each)
        )
        problems.settle(sft.skip_bad_rows)
        if not photos:
            raise ValueError(f"{list(sft.datasets)}: no photo to validate with; val_photos must be at least 1")
        return photos

    examples = StreamedExamples(
        partial(_without_first, streams, each),  # a partial, so that workers can be handed it
        ", ".join(sft.datasets),
        examples_of(training),
        sft.points_per_photo,
        sft.colour,
        training.seed,
        sft.shuffle_buffer,
        sft.skip_bad_rows,
    )
    return examples, OwnExamples(read_once(first_photos), sft.points_per_photo, seed=training.seed)


def _validating(source: str, splits: dict[str, Stream], most: int) -> list[RowGroup]:
    """The first photos of a source, for validation."""
    if "val" in splits:
        return list(islice(splits["val"](), most))
    groups = list(islice(splits["train"](), most + 1))
    if 0 < len(groups) <= most:
        raise ValueError(
            f"{source} has no split val and {len(groups)} photos, the first {most} of which are for validation: none "
            "is left to train on; give a smaller --val_photos"
        )
    return groups[:most]


def _without_first(streams: Sequence[dict[str, Stream]], each: int) -> Iterator[RowGroup]:
    """The photos of all training streams, but for those that must serve for validation."""
    return chain.from_iterable(islice(splits["train"](), 0 if "val" in splits else each, None) for splits in streams)


def _streams(source: str, unit: str) -> dict[str, Stream]:
    """The stream "train", and "val" if there is one of its own."""
    if is_point_folder(source):
        folders = {split: split_folder(Path(source), split) for split in ("train", "val")}
        return {
            split: partial(stream_folder, folder, unit)
            for split, folder in folders.items()
            if split == "train" or folder != Path(source)
        }
    splits = open_dataset(source, streaming=True)
    return {split: partial(stream_dataset, rows, where(source, split), unit) for split, rows in splits.items()}
