"""Training and validation examples of the supervised trainings, from annotated keypoints, own points and regions."""

from typing import Any

import torch
from datasets import Dataset
from transformers import TrainingArguments

from talkingpoints.data.examples.keypoint_examples import PointExamples
from talkingpoints.data.validation.findings import Findings
from training.sft.arguments import passes_over, with_keypoints
from training.sft.custom_data import holds_own_points, own_examples
from training.sft.processes import read_once
from training.sft.region_data import RegionSetArguments, mixed_examples
from training.sft.sft_arguments import SftArguments, parse_weights


def build_examples(
    sft: SftArguments,
    training: TrainingArguments,
    negatives: float = 0.0,
    regions: RegionSetArguments | None = None,
) -> tuple[torch.utils.data.Dataset, torch.utils.data.Dataset | dict[str, torch.utils.data.Dataset]]:
    """Training and validation examples of all datasets together; with regions, validation examples by kind.

    The training examples are as many as ``max_steps`` or ``num_train_epochs`` ask for, all different, so that the
    ``Trainer`` runs through them once.

    Raises:
        ValueError: If there are no datasets, datasets of both kinds, or the readers refuse the data.
    """
    points: tuple[Any, Any] | None = None
    if sft.datasets:
        build: Any = own_examples if holds_own_points(sft.datasets) else _keypoint_examples
        points = build(sft, training, negatives)
    if regions is not None and regions.region_sets:
        return mixed_examples(regions, points, training, sft.points_per_photo, sft.colour, sft.skip_bad_rows)
    if points is None:
        raise ValueError("no data: give datasets" + (" or region_sets" if regions is not None else ""))
    return points


def _keypoint_examples(
    sft: SftArguments, training: TrainingArguments, negatives: float
) -> tuple[PointExamples, PointExamples]:
    if sft.streaming:
        raise ValueError("streaming: only for one's own texts, not for annotated keypoints")
    train, val = read_once(lambda: _read(sft))
    shares: dict[str, Any] = {"arbitrary": sft.arbitrary, "background": sft.background, "negatives": negatives}
    passes = passes_over(with_keypoints(train, sft.crowded), training)
    points, seed = sft.points_per_photo, training.seed
    return (
        PointExamples(
            train,
            points,
            parse_weights(sft.styles),
            passes,
            sft.augmentation,
            **shares,
            seed=seed,
            crowded=sft.crowded,
        ),
        PointExamples(val, points, parse_weights(sft.val_styles), **shares, seed=seed),
    )


def _read(sft: SftArguments) -> tuple[Dataset, Dataset]:
    """Photos to train on and to validate with; refuses whatever is wrong with them, or logs it and leaves it out."""
    findings = Findings()
    train, val = (sft.load(split, findings) for split in ("train", "val"))
    findings.settle(sft.skip_bad_rows)
    return train, val
