"""Measure a descriptor and a localizer on a COCO-keypoints split, together with the control rows.

    python -m training.evaluate --dataset animalpose --split test --output report.json

Without --descriptor and --localizer the bundled pair is measured. --blind_localizer takes a localizer trained by
`training.sft_localizer --blind`; without it the most telling control row is missing. --listeners lets localizers that
took no part in the pair's training read the same texts. With --work_dir the same command continues an interrupted run,
and `accelerate launch -m training.evaluate` shares the photos among processes. For the metrics see
talkingpoints/evaluation/metrics/pck.py, for the rows talkingpoints/evaluation/protocol.py.
"""

import importlib.metadata
import json
import platform
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import PartialState
from datasets import Dataset
from PIL import Image

from talkingpoints import TalkingPoints, __version__
from talkingpoints.evaluation.free_texts import FreeText, evaluate_free_texts, match_points, read_free_texts
from talkingpoints.evaluation.mask_points import evaluate_mask_points, mask_points
from talkingpoints.evaluation.photo_store import PhotoStore
from talkingpoints.evaluation.protocol import Evaluation, Systems, evaluate
from talkingpoints.evaluation.truth.annotations import AnnotatedPhoto
from talkingpoints.evaluation.truth.measure import Asking, measure, summary
from talkingpoints.evaluation.truth.sets import read_set
from talkingpoints.inference import BUNDLED_DESCRIPTOR, BUNDLED_LOCALIZER
from training.evaluate_truth import sample
from training.reports.evaluation_arguments import EvaluationArguments, named_folders
from training.reports.report_page import write_page
from training.reports.report_text import format_table
from training.reports.truth_gallery import truth_galleries
from training.sft.arguments import load_each, parse_arguments

ARGUMENTS = (EvaluationArguments,)

VERSIONS_OF = ("torch", "transformers", "datasets", "numpy", "pillow")


def main(argv: Sequence[str]) -> dict[str, Any]:
    """Run from the command line.

    Args:
        argv: Arguments without the program's name.

    Returns:
        The report that is written to ``--output``; empty in all processes but the first.

    Raises:
        ValueError: If an argument is not allowed, the dataset, the split or a model folder cannot be read, or there is
            nothing to measure.
        SystemExit: If an argument is missing or unknown.
    """
    (arguments,) = parse_arguments(ARGUMENTS, argv, __doc__)
    # first: it gives each process its device
    state = PartialState(cpu=not torch.accelerator.is_available() or arguments.device == "cpu")
    torch.set_num_threads(max(1, arguments.threads // state.num_processes))
    started = time.perf_counter()
    folders = [file.parent for file in (arguments.output, arguments.predictions) if file is not None]
    for folder in filter(None, (*folders, arguments.report)):
        folder.mkdir(parents=True, exist_ok=True)  # now: a path that cannot be written must not cost the run
    (dataset,) = load_each([arguments.dataset], arguments.split, labels=arguments.labels)
    inside = arguments.masks and mask_points(dataset, arguments.masks, seed=arguments.seed, limit=arguments.limit)
    free = free_texts_of(arguments, dataset)
    systems = load_systems(arguments, str(state.device))
    evaluation = evaluate(
        systems,
        dataset,
        limit=arguments.limit,
        seed=arguments.seed,
        progress=not arguments.quiet and state.is_main_process,
        store=PhotoStore(arguments.work_dir, question(arguments), state.process_index, state.num_processes),
        wanted=arguments.rows,
    )
    if evaluation is None:
        return {}
    photos, records = truth_of(arguments, systems.pair) if arguments.truth else ([], [])
    report = {
        "dataset": arguments.dataset_name,
        "split": arguments.split,
        "labels": arguments.labels,
        **evaluation.report,
        "latency_s": latency(systems.pair, dataset[0]["image"]),
        "free_texts": evaluate_free_texts(systems, [(dataset, free)], seed=arguments.seed) if free else None,
        "mask_points": inside
        and evaluate_mask_points(systems.pair, dataset, inside, seed=arguments.seed, progress=not arguments.quiet),
        "truth": summary(records) if records else None,
        "listened": {"pair": "trained together"} | dict.fromkeys(systems.listeners, "took no part in training"),
        "seed": arguments.seed,
        "command": ["python", "-m", "training.evaluate", *argv],
        **_circumstances(started, state.num_processes),
    }
    arguments.output.write_text(json.dumps(report, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    if arguments.predictions is not None:
        np.savez_compressed(arguments.predictions, **prediction_arrays(evaluation))
    if arguments.report is not None:
        write_page(arguments.report, report, evaluation, dataset, truth_galleries(photos, records))
    print(format_table(report))
    return report


def truth_of(arguments: EvaluationArguments, pair: TalkingPoints) -> tuple[list[AnnotatedPhoto], list[dict[str, Any]]]:
    """The photos whose texts are held against their annotation, and what came out for each."""
    folder = Path(arguments.dataset).resolve()
    photos = sample(read_set(folder.parent, folder.name, arguments.split), arguments.truth_photos)
    file = None if arguments.work_dir is None else arguments.work_dir / "truth.jsonl"
    return photos, measure(pair, photos, Asking(seed=arguments.seed), file, progress=not arguments.quiet)


def free_texts_of(arguments: EvaluationArguments, dataset: Dataset) -> list[FreeText]:
    """The free texts of the dataset, empty if none are asked for.

    Raises:
        ValueError: If the file holds no text for the dataset, or a text's point is not in its split.
    """
    if arguments.free_texts is None:
        return []
    name = arguments.dataset_name
    free = [text for text in read_free_texts(arguments.free_texts) if text.dataset in (None, name)]
    if not free:
        raise ValueError(f"{arguments.free_texts.name} holds no text for a dataset called {name!r}")
    match_points(dataset, free)
    return free


def load_systems(arguments: EvaluationArguments, device: str) -> Systems:
    """The models that the command line names, on its device or else on `device`.

    Raises:
        ValueError: If a folder cannot be read.
    """

    def listener(folder: str | None) -> TalkingPoints:
        return TalkingPoints.from_pretrained(
            descriptor=arguments.descriptor, localizer=folder, device=arguments.device or device
        )

    return Systems(
        listener(arguments.localizer),
        blind=None if arguments.blind_localizer is None else listener(arguments.blind_localizer),
        listeners={name: listener(folder) for name, folder in named_folders(arguments.listeners).items()},
    )


def question(arguments: EvaluationArguments) -> dict[str, Any]:
    """What the stored answers depend on: options, rows, and size and time of the files of data and models."""
    names = ("dataset", "split", "labels", "descriptor", "localizer", "blind_localizer", "listeners", "limit", "seed")
    options = {name: getattr(arguments, name) for name in names}
    models = [
        arguments.descriptor or BUNDLED_DESCRIPTOR,
        arguments.localizer or BUNDLED_LOCALIZER,
        arguments.blind_localizer,
        *named_folders(arguments.listeners).values(),
    ]
    files = [Path(arguments.dataset) / "annotations" / f"{arguments.split}.json"]
    files += [file for model in models if model for file in sorted(Path(model).glob("*.safetensors"))]
    stamps = [[file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in files if file.exists()]
    return {**options, "rows": arguments.rows, "files": stamps, "version": __version__}


def latency(pair: TalkingPoints, image: Image.Image, repeats: int = 10) -> dict[str, float]:
    """Median seconds to describe one point and to localize one text, warm."""
    middle = (image.width / 2, image.height / 2)
    text = pair.describe(image, [middle])[0].text or "the middle"
    calls = {"describe": lambda: pair.describe(image, [middle]), "localize": lambda: pair.localize(image, [text])}
    medians = {}
    for name, call in calls.items():
        times = []
        for _ in range(repeats + 1):  # the first one warms up
            started = time.perf_counter()
            call()
            times.append(time.perf_counter() - started)
        medians[name] = round(float(np.median(times[1:])), 4)
    return medians


def prediction_arrays(evaluation: Evaluation) -> dict[str, Any]:
    """Everything that later metrics need, as arrays that load without pickle.

    Returns:
        For n points: `photo` (row of the dataset), `image_id`, `object_index`, `label`, `name`, `truth` (n,
        2) unit, `box` (n, 4) unit x0 y0 x1 y1, `size` (n, 2) (height, width) in pixels; for each row of the
        report `prediction_ROW` (n, 2) unit, NaN for no answer, `confidence_ROW`, `presence_ROW` and
        `found_ROW` (n,); and `texts`, a JSON string {row: [n texts]}.
    """
    points = evaluation.points
    arrays: dict[str, Any] = {
        "photo": np.array([point.row for point in points]),
        "image_id": np.array([point.image_id for point in points]),
        "object_index": np.array([point.object_index for point in points]),
        "label": np.array([point.label for point in points]),
        "name": np.array([point.name for point in points]),
        "truth": np.array([point.point for point in points]),
        "box": np.array([point.box for point in points]),
        "size": np.array([point.size for point in points]),
    }
    for name, row in evaluation.rows.items():
        arrays[f"prediction_{name}"] = row.predictions
        arrays[f"confidence_{name}"] = row.confidence
        arrays[f"presence_{name}"] = row.presence
        arrays[f"found_{name}"] = row.found
    texts = {name: row.texts for name, row in evaluation.rows.items() if row.texts is not None}
    arrays["texts"] = np.array(json.dumps(texts, ensure_ascii=False))
    return arrays


def _circumstances(started: float, processes: int) -> dict[str, Any]:
    """Versions, date, duration and resources of the run."""
    installed = {name: importlib.metadata.version(name) for name in VERSIONS_OF}
    return {
        "versions": {"talkingpoints": __version__, "python": platform.python_version()} | installed,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(time.perf_counter() - started, 1),
        "threads": torch.get_num_threads(),
        "processes": processes,
    }


if __name__ == "__main__":
    main(sys.argv[1:])
