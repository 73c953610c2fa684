"""Answers of the bundled models and texts of the writer, saved before a change and compared after it.

    python -m tests.helpers.guards save guards.npz
    python -m tests.helpers.guards compare guards.npz

30 photos of AnimalPose's val split (texts of four points, three located texts with their heat maps, the segments),
10,000 texts of the rule-based writer, and a report over 20 photos. Needs TALKINGPOINTS_DATA.
"""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import concatenate_datasets

from talkingpoints import TalkingPoints
from talkingpoints.data.examples.augmentation import Augmentation
from talkingpoints.data.examples.keypoint_examples import PointExamples
from talkingpoints.data.readers.coco_keypoints import load_keypoints
from training import evaluate

DATA = Path(os.environ.get("TALKINGPOINTS_DATA", "../shared/data"))
POINTS = [(0.5, 0.5), (0.3, 0.35), (0.7, 0.4), (0.45, 0.8)]
TEXTS = ["the dog's left ear", "the nose of the animal on the right", "a person's hand"]
RUN_DETAILS = ("latency_s", "command", "versions", "date", "seconds", "threads", "processes")
STYLES = ["full", "reordered", "short", "colloquial", "semantic", "terse", "guiding", "free"]


def answers(photos: int = 30) -> dict[str, np.ndarray]:
    """Texts, points, heat maps and segments of the bundled models."""
    tp = TalkingPoints.from_pretrained()
    found: dict[str, np.ndarray] = {}
    for i, row in enumerate(load_keypoints(DATA / "animalpose", "val").select(range(photos))):
        image = row["image"]
        points = [(x * (image.width - 1), y * (image.height - 1)) for x, y in POINTS]
        described = tp.describe(image, points)
        located = tp.localize(image, [*TEXTS, described[0].text])
        segments = tp.caption_segments(image)
        found[f"{i}/texts"] = np.array([d.text for d in described] + [f"{s.label}: {s.text}" for s in segments])
        found[f"{i}/numbers"] = np.array([[p.x, p.y, p.confidence, p.presence] for p in located], dtype=np.float64)
        found[f"{i}/heatmaps"] = np.stack([p.heatmap for p in located])
        found[f"{i}/ids"] = segments.id_map
    return found


def written(texts: int = 10_000) -> np.ndarray:
    """Texts of the writer, all styles, with augmentation, arbitrary and background points."""
    rows = concatenate_datasets([load_keypoints(DATA / name, "val") for name in ("animalpose", "people")])
    examples = PointExamples(
        rows, points_per_photo=10, styles=dict.fromkeys(STYLES, 1.0), passes=1000, augmentation=Augmentation(),
        arbitrary=0.2, background=0.1, negatives=0.1, seed=3,
    )  # fmt: skip
    said: list[str] = []
    while len(said) < texts:
        said += examples[len(said) // 10]["texts"]
    return np.array(said[:texts])


def report() -> dict[str, Any]:
    """What was measured on 20 photos."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.json"
        evaluate.main(
            [
                "--dataset",
                str(DATA / "animalpose"),
                "--split",
                "val",
                "--limit",
                "20",
                "--threads",
                "1",
                "--output",
                str(path),
            ]
        )
        return {name: part for name, part in json.loads(path.read_text()).items() if name not in RUN_DETAILS}


def main() -> None:
    torch.set_num_threads(1)
    command, path = sys.argv[1:]
    found = answers() | {"written": written(), "report": np.array(json.dumps(report(), sort_keys=True))}
    if command == "save":
        np.savez_compressed(path, **found)
        return
    before = np.load(path)
    wrong = sorted(set(before.files) ^ set(found))
    wrong += [name for name in found if name in before.files and not np.array_equal(before[name], found[name])]
    print(f"{len(found)} answers, {len(wrong)} differ", *wrong[:20])
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
