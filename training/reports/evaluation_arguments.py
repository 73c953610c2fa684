"""Command-line arguments of ``training.evaluate``."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from talkingpoints.evaluation.protocol import ROW_ORDER


@dataclass(kw_only=True)
class EvaluationArguments:
    """Data, models, and what is measured.

    Raises:
        ValueError: If a value is not allowed; the message names the argument and what is allowed.
    """

    dataset: str = field(metadata={"help": "folder in COCO-keypoints layout"})
    split: str = field(metadata={"help": "name of the annotation file without .json, for example test"})
    output: Path = field(metadata={"help": "JSON file for the report"})
    labels: list[str] | None = field(
        default=None, metadata={"help": "only photos on which nothing but these categories is annotated"}
    )
    descriptor: str | None = field(default=None, metadata={"help": "descriptor checkpoint (default: the bundled one)"})
    localizer: str | None = field(default=None, metadata={"help": "localizer checkpoint (default: the bundled one)"})
    blind_localizer: str | None = field(
        default=None, metadata={"help": "localizer trained with --blind; adds the row 'blind'"}
    )
    listeners: list[str] = field(
        default_factory=list,
        metadata={"help": "NAME=DIR of further localizers that read the same texts, each trained apart from the pair"},
    )
    masks: Path | None = field(
        default=None,
        metadata={"help": "folder of class masks of the photos (PNG): also measure points in them"},
    )
    report: Path | None = field(
        default=None, metadata={"help": "also write a page with tables, curves and examples into this folder"}
    )
    work_dir: Path | None = field(
        default=None, metadata={"help": "keep the answers of each photo there; the same command continues the run"}
    )
    free_texts: Path | None = field(
        default=None,
        metadata={"help": "JSON of texts not made by the writer, for example training/reports/free_texts.json; the "
                  "texts of this dataset are used"},
    )  # fmt: skip
    rows: list[str] = field(
        default_factory=lambda: list(ROW_ORDER),
        metadata={"help": f"rows that need a model, some of {', '.join(ROW_ORDER)}"},
    )
    truth: bool = field(
        default=False, metadata={"help": "also measure truth of the texts, refusal and robust reading, with galleries"}
    )
    truth_photos: int = field(default=200, metadata={"help": "truth: at most so many photos, evenly spaced"})
    limit: int | None = field(default=None, metadata={"help": "measure N photos, evenly spaced (default: all)"})
    seed: int = field(default=0, metadata={"help": "seed of texts, shuffling and bootstrap"})
    threads: int = field(default=os.cpu_count() or 1, metadata={"help": "CPU threads (default: all)"})
    device: str | None = field(
        default=None, metadata={"help": "torch device, for example cuda (default: as TalkingPoints chooses)"}
    )
    predictions: Path | None = field(default=None, metadata={"help": ".npz file for every prediction and text"})
    quiet: bool = field(default=False, metadata={"help": "no progress bars"})

    def __post_init__(self) -> None:
        for name, value in (("limit", self.limit), ("threads", self.threads), ("truth_photos", self.truth_photos)):
            if value is not None and value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, got {value}")
        if self.predictions is not None and self.predictions.suffix != ".npz":
            raise ValueError(f"predictions must be a file name that ends in .npz, got {str(self.predictions)!r}")
        if not set(self.rows) <= set(ROW_ORDER):
            raise ValueError(f"rows must be some of {', '.join(ROW_ORDER)}, got {self.rows}")
        named_folders(self.listeners)

    @property
    def dataset_name(self) -> str:
        """Name of the dataset's folder."""
        return Path(self.dataset).resolve().name


def named_folders(pairs: Sequence[str]) -> dict[str, str]:
    """``["a=runs/a"]`` -> ``{"a": "runs/a"}``.

    Raises:
        ValueError: If a pair is not NAME=DIR, a name contains '@', or a name comes twice.
    """
    found: dict[str, str] = {}
    for name, _, folder in (pair.partition("=") for pair in pairs):
        if not name or not folder or "@" in name:
            raise ValueError(f"listeners must be NAME=DIR, the name without '@', got {list(pairs)}")
        if name in found:
            raise ValueError(f"listeners: two have the name {name!r} in {list(pairs)}")
        found[name] = folder
    return found
