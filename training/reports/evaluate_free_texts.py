"""Measure how well localizers understand what people type: free texts of several datasets together, in a minute.

    python -m training.reports.evaluate_free_texts --texts training/bundled/free_texts_val.json --split val \\
        --datasets DIR/animalpose DIR/people --localizer runs/localizer --output free.json

The texts were written while looking at the photos, by nobody who ran a model on them: training/reports/free_texts.json for the
test splits, training/bundled/free_texts_val.json for the val splits. ``evaluate.py --free_texts`` gives the same rows for one
dataset beside everything else.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from talkingpoints import TalkingPoints
from talkingpoints.data.readers.coco_keypoints import load_keypoints
from talkingpoints.evaluation.free_texts import evaluate_free_texts, read_free_texts
from talkingpoints.evaluation.protocol import Systems
from training.evaluate import named_folder


def main(argv: Sequence[str]) -> dict[str, Any]:
    """Measure, print, and write the report; see the module docstring.

    Raises:
        ValueError: a text names a dataset that was not given, or a point that is not in its split.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=Path, required=True, help="JSON file of texts, each with its dataset's name")
    parser.add_argument("--datasets", nargs="+", required=True, help="COCO-keypoints folders, named as the texts say")
    parser.add_argument("--split", required=True, help="for example val")
    parser.add_argument("--localizer", help="folder or Hub id (default: the bundled one)")
    parser.add_argument(
        "--listeners", nargs="+", type=named_folder, default=[], metavar="NAME=DIR", help="further ones"
    )
    parser.add_argument("--output", type=Path, help="where the report goes, as JSON")
    parser.add_argument("--seed", type=int, default=0, help="of the writer's texts and the bootstrap")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="CPU threads (default: all)")
    arguments = parser.parse_args(argv)
    torch.set_num_threads(arguments.threads)
    texts = read_free_texts(arguments.texts)
    folders = {Path(folder).resolve().name: folder for folder in arguments.datasets}
    strange = {text.dataset for text in texts} - set(folders)
    if strange:
        raise ValueError(
            f"{arguments.texts.name} speaks of datasets {sorted(map(str, strange))}; got {sorted(folders)}"
        )
    sets = [
        (load_keypoints(folder, arguments.split), [text for text in texts if text.dataset == name])
        for name, folder in folders.items()
    ]
    listeners = {name: TalkingPoints.from_pretrained(localizer=folder) for name, folder in arguments.listeners}
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
