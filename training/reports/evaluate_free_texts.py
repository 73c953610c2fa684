"""Measure how well localizers understand what people type: free texts of several datasets together, in a minute.

    python -m training.reports.evaluate_free_texts --texts training/bundled/free_texts_val.json --split val \\
        --datasets DIR/animalpose DIR/people --localizer runs/localizer --output free.json

The texts were written while looking at the photos, before any model was run on them: training/reports/free_texts.json
for the test splits, training/bundled/free_texts_val.json for the val splits. ``training.evaluate --free_texts`` gives
the same rows for one dataset.
"""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from talkingpoints import TalkingPoints
from talkingpoints.data.readers.coco_keypoints import load_keypoints
from talkingpoints.evaluation.free_texts import evaluate_free_texts, read_free_texts
from talkingpoints.evaluation.protocol import Systems
from training.reports.evaluation_arguments import named_folders
from training.sft.arguments import parse_arguments


@dataclass(kw_only=True)
class FreeTextArguments:
    """Texts, data and models."""

    texts: Path = field(metadata={"help": "JSON file of texts, each with the name of its dataset"})
    datasets: list[str] = field(metadata={"help": "COCO-keypoints folders, named as the texts name them"})
    split: str = field(metadata={"help": "for example val"})
    localizer: str | None = field(default=None, metadata={"help": "folder or Hub id (default: the bundled one)"})
    listeners: list[str] = field(default_factory=list, metadata={"help": "NAME=DIR of further localizers"})
    output: Path | None = field(default=None, metadata={"help": "JSON file for the report"})
    seed: int = field(default=0, metadata={"help": "seed of the writer's texts and of the bootstrap"})
    threads: int = field(default=os.cpu_count() or 1, metadata={"help": "CPU threads (default: all)"})

    def __post_init__(self) -> None:
        named_folders(self.listeners)


def main(argv: Sequence[str]) -> dict[str, Any]:
    """Measure, print, and write the report; see the module docstring.

    Raises:
        ValueError: If a text names a dataset that is not given, or a point that is not in its split.
    """
    (arguments,) = parse_arguments((FreeTextArguments,), argv, __doc__)
    torch.set_num_threads(arguments.threads)
    texts = read_free_texts(arguments.texts)
    folders = {Path(folder).resolve().name: folder for folder in arguments.datasets}
    strange = {text.dataset for text in texts} - set(folders)
    if strange:
        raise ValueError(
            f"{arguments.texts.name} names the datasets {sorted(map(str, strange))}; got {sorted(folders)}"
        )
    sets = [
        (load_keypoints(folder, arguments.split), [text for text in texts if text.dataset == name])
        for name, folder in folders.items()
    ]
    listeners = {
        name: TalkingPoints.from_pretrained(localizer=folder)
        for name, folder in named_folders(arguments.listeners).items()
    }
    systems = Systems(TalkingPoints.from_pretrained(localizer=arguments.localizer), listeners=listeners)
    report = evaluate_free_texts(systems, sets, seed=arguments.seed)
    for text in sorted(report["texts"], key=lambda text: -text["error_img"]):
        print(f"{text['error_img']:.3f} {'' if text['found'] else '(not found) '}{text['image']} {text['text']}")
    for name, row in report["rows"].items():
        low, high = row["ci95"]
        print(f"{name}: {row['mpck_img']:.1f} mpck_img ({low:.1f} to {high:.1f}), @0.05 {row['pck_img']['0.05']:.1f}")
    print(f"{report['n_points']} texts; free by reference {report['ratio']:.3f}")
    if arguments.output is not None:
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return report


if __name__ == "__main__":
    main(sys.argv[1:])
