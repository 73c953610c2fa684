"""Region-caption sets for the supervised trainings: which they are, and their mixture with points by weights."""

import math
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch.utils.data import ConcatDataset, Dataset
from transformers import TrainingArguments

from talkingpoints.data.examples.region_examples import MixedExamples, RegionExamples
from talkingpoints.data.readers.custom_points import VAL_EVERY
from talkingpoints.data.readers.region_captions import (
    CaptionedRegion,
    RegionPhoto,
    checked_photos,
    coco_regions,
    pix2cap,
    visual_genome_regions,
)
from talkingpoints.data.validation.findings import Findings
from talkingpoints.data.validation.paths import below
from talkingpoints.evaluation.free_texts import read_free_texts
from training.sft.arguments import examples_of
from training.sft.processes import read_once

FORMATS = ("pix2cap", "visual_genome", "coco", "free_texts")
_KEYS = ("format", "train", "val", "photos", "val_photos", "id_maps", "val_id_maps", "weight")


@dataclass(kw_only=True)
class RegionSetArguments:
    """Captioned regions, beside points or instead of them."""

    region_sets: list[str] = field(
        default_factory=list,
        metadata={
            "help": "each one word of pairs: 'format=pix2cap train=FILE photos=DIR', and if you like val=FILE, "
            "val_photos=DIR, id_maps=DIR, val_id_maps=DIR (pix2cap; default: as COCO names them), weight=1.0; formats: "
            "pix2cap (COCO panoptic with descriptions), visual_genome (region_descriptions.json), coco (annotations "
            "with a caption, as RefCOCOg), free_texts (for the localizer: texts about points, as "
            "training.reports.evaluate_free_texts reads them; photos is then the folder of the datasets)"
        },
    )
    points_weight: float = field(default=1.0, metadata={"help": "how often points are shown, beside the sets' weights"})


@dataclass(frozen=True)
class RegionSet:
    """One set, read.

    Args:
        train, val: its photos.
        weight: how often it is shown, beside the others.
    """

    train: list[RegionPhoto]
    val: list[RegionPhoto]
    weight: float


def read_set(description: str, skip_bad_rows: bool = False) -> RegionSet:
    """Read one of ``region_sets``. Without ``val`` every tenth photo is kept for validation.

    Args:
        description: of the set.
        skip_bad_rows: log wrong regions and photos and leave them out, instead of refusing them.

    Raises:
        ValueError: If the description has another form, or the readers refuse the data.
    """
    pairs = [word.partition("=") for word in shlex.split(description)]
    values = {key: value for key, _, value in pairs}
    if len(values) < len(pairs) or not set(values) <= set(_KEYS) or not {"format", "train", "photos"} <= set(values):
        raise ValueError(
            f"region_sets: {description!r}; needs format=, train= and photos=, and may have {', '.join(_KEYS[2:])}, "
            "each once"
        )
    if values["format"] not in FORMATS:
        raise ValueError(f"region_sets: format {values['format']!r}; known: {', '.join(FORMATS)}")
    weight = float(values.get("weight", 1.0))
    findings = Findings()
    train = _read(values["format"], values["train"], values["photos"], values.get("id_maps"), findings)
    if "val" in values:
        photos = values.get("val_photos", values["photos"])
        val = _read(values["format"], values["val"], photos, values.get("val_id_maps"), findings)
    else:
        val, train = train[::VAL_EVERY], [photo for i, photo in enumerate(train) if i % VAL_EVERY]
    findings.settle(skip_bad_rows)
    if not train or not val:
        raise ValueError(
            f"region_sets: {description!r} has {len(train)} photos to train on and {len(val)} for validation; "
            "needs one of each at least"
        )
    return RegionSet(train, val, weight)


def typed_points(texts: Path, photos: Path) -> list[RegionPhoto]:
    """Free texts about points, as regions of one pixel each.

    Args:
        texts: file of :func:`read_free_texts`.
        photos: the folder that holds the datasets which the texts name, with their ``images``.

    Raises:
        ValueError: If the file has another layout, or a text names no dataset.
    """
    by_photo: dict[Path, list[CaptionedRegion]] = {}
    for number, text in enumerate(read_free_texts(texts)):
        if text.dataset is None:
            raise ValueError(f"{texts.name}, entry {number}: names no dataset")
        region = CaptionedRegion(text.text.strip(), (text.x, text.y, text.x, text.y), row=number)
        by_photo.setdefault(below(photos / text.dataset / "images", text.image), []).append(region)
    return [RegionPhoto(file, tuple(regions)) for file, regions in by_photo.items()]


def _read(kind: str, annotations: str, photos: str, id_maps: str | None, findings: Findings) -> list[RegionPhoto]:
    if kind == "pix2cap":
        found = pix2cap(Path(annotations), Path(photos), None if id_maps is None else Path(id_maps))
    elif id_maps is not None:
        raise ValueError(f"region_sets: id_maps belong to format=pix2cap, not to {kind}")
    elif kind == "free_texts":
        found = typed_points(Path(annotations), Path(photos))
    else:
        reader = {"visual_genome": visual_genome_regions, "coco": coco_regions}[kind]
        found = reader(Path(annotations), Path(photos), findings)
    return checked_photos(found, annotations, findings)


def mixed_examples(
    regions: RegionSetArguments,
    points: tuple[Any, Dataset] | None,
    training: TrainingArguments,
    rows_per_photo: int,
    colour: float,
    skip_bad_rows: bool = False,
) -> tuple[Dataset, dict[str, Dataset]]:
    """Training examples of region sets and points, and validation examples of each kind ("points", "regions").

    Args:
        regions: which sets, and how often points are shown.
        points: training and validation examples of points, or None.
        training: how long to train; an epoch has as many examples as all sets and points have photos.
        rows_per_photo: regions of each photo, the same number as points.
        colour: probability of changed colours.
        skip_bad_rows: of :func:`read_set`.

    Raises:
        ValueError: If :func:`read_set` refuses a set, or all weights are 0.
    """
    sets = read_once(lambda: [read_set(description, skip_bad_rows) for description in regions.region_sets])
    seed = training.seed
    parts: list[tuple[Dataset, float]] = [
        (RegionExamples(s.train, rows_per_photo, 1, colour, seed), s.weight) for s in sets
    ]
    regions_to_validate = [RegionExamples(s.val, rows_per_photo, seed=seed) for s in sets]
    val: dict[str, Dataset] = {"regions": ConcatDataset(regions_to_validate)}
    total = sum(len(s.train) for s in sets)
    if points is not None:
        parts.append((points[0], regions.points_weight))
        val["points"] = points[1]
        total += len(points[0]) // max(1, math.ceil(training.num_train_epochs)) if training.max_steps <= 0 else 0
    length = examples_of(training) if training.max_steps > 0 else math.ceil(training.num_train_epochs * total)
    return MixedExamples(parts, length, seed), val
