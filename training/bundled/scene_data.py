"""Data of the bundled pair's last trainings: scenes of all sets, the older dialect, and texts that were typed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import concatenate_datasets
from torch.utils.data import Dataset

from talkingpoints.data.examples.augmentation import Augmentation
from talkingpoints.data.examples.keypoint_examples import PointExamples
from talkingpoints.data.examples.region_examples import MixedExamples, RegionExamples
from talkingpoints.data.examples.scene_examples import IGNORED, LISTENING, SceneOptions, scene_mixture
from talkingpoints.data.readers.coco_keypoints import load_keypoints
from talkingpoints.writer.fluent.lexicon import SIDES, lexicon
from training.sft.region_data import typed_points

DIALECT = {"full": 2, "canonical": 2, "reordered": 1, "short": 1, "colloquial": 1, "semantic": 2, "free": 4}
"""Styles of the older writer, and their weights."""
TIERS = {1: 0.06, 2: 0.05, 3: 0.05, 4: 0.06}
"""Shares of texts that are false of the photo, by tier."""
TYPED = Path(__file__).parent / "free_texts_train.json"


@dataclass(kw_only=True)
class SceneArguments:
    """Data of a training over all sets."""

    data: str = field(metadata={"help": "folder of all sets"})
    cache: str | None = field(default=None, metadata={"help": "folder that keeps what was read and decoded"})
    points_per_photo: int = field(default=8, metadata={"help": "points (texts) per photo and step"})
    dialect_share: float = field(default=0.25, metadata={"help": "share of examples by the older writer"})
    typed_share: float = field(default=0.1, metadata={"help": "share of examples with typed texts"})
    threads: int = field(default=1, metadata={"help": "torch threads"})


def listening_examples(arguments: SceneArguments, split: str, length: int, seed: int) -> Dataset:
    """Examples for a localizer: texts of all styles, true ones and false ones of all four tiers."""
    train = split == "train"
    change = Augmentation() if train else None
    n = arguments.points_per_photo
    options = SceneOptions(n, LISTENING, anywhere=0.15, nothing=0.03, tiers=TIERS, augmentation=change)
    cache = None if arguments.cache is None else Path(arguments.cache)
    scenes = scene_mixture(arguments.data, split, options, length, seed=seed, cache=cache)
    if not train:
        return scenes
    folders = [Path(arguments.data) / name for name in ("animalpose", "people")]
    rows = concatenate_datasets([load_keypoints(folder, split) for folder in folders])
    dialect = PointExamples(
        rows, n, DIALECT, augmentation=change, arbitrary=0.1, background=0.02, negatives=0.15, seed=seed, crowded=3
    )
    typed = RegionExamples(typed_points(TYPED, Path(arguments.data)), n, 1, 0.5, seed)
    rest = 1 - arguments.dialect_share - arguments.typed_share
    parts = [(scenes, rest), (dialect, arguments.dialect_share), (typed, arguments.typed_share)]
    return MixedExamples(parts, length, seed)


def describing_examples(arguments: SceneArguments, split: str, length: int, seed: int) -> Dataset:
    """Examples for a descriptor: one thing said one way, on things, beside them, and on what has no known kind."""
    change = Augmentation() if split == "train" else None
    options = SceneOptions(arguments.points_per_photo, {"plain": 1.0}, anywhere=0.25, nothing=0.1, augmentation=change)
    cache = None if arguments.cache is None else Path(arguments.cache)
    return scene_mixture(arguments.data, split, options, length, seed=seed, cache=cache)


def texts_of(examples: Dataset, count: int) -> Iterator[str]:
    """The texts of the first ``count`` examples."""
    for i in range(count):
        yield from examples[i]["texts"]


def claimed(example: dict[str, Any]) -> np.ndarray:
    """What texts claim: kinds, parts and sides, int64 (n, 3), numbered as by the lexicon; `IGNORED` where not said."""
    found = np.full((len(example["texts"]), 3), IGNORED)
    for row, claims in enumerate(example.get("claims", ())):
        said = {claim.slot: claim.values for claim in claims}
        for column, (slot, ids) in enumerate((("kind", lexicon().kind_ids), ("part", lexicon().part_ids))):
            if said.get(slot):
                found[row, column] = ids.get(said[slot][0], IGNORED)
        if said.get("own"):
            found[row, 2] = 1 + SIDES.index(said["own"][0])
        elif "part" in said:
            found[row, 2] = 0
    return found


def belief_targets(examples: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """What is at the points: ``kinds``, ``parts`` and ``sides``, (B * n,) each."""
    return {name: torch.from_numpy(np.concatenate([e[name] for e in examples])) for name in ("kinds", "parts", "sides")}
