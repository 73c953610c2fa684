"""Measure a descriptor and a localizer on a COCO-keypoints split, with the rows that did not look beside
them.

    python -m training.evaluate --dataset animalpose --split test --output report.json

Without --descriptor and --localizer the bundled pair is measured. --blind_localizer takes a localizer trained
by `training/sft_localizer.py --blind`; without it the most telling control row is missing. --listeners lets
localizers that took no part in the pair's training read the same texts. With --work_dir a run that was cut goes on, and
`accelerate launch -m training.evaluate` shares the photos among processes. For the metrics see
talkingpoints/evaluation/metrics/pck.py, for the rows talkingpoints/evaluation/protocol.py.

Leaves out: the protocol itself and the page (report_page.py); here are arguments, files and the printed table.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import PartialState
from PIL import Image

from talkingpoints import TalkingPoints, __version__
from talkingpoints.evaluation.free_texts import evaluate_free_texts, match_points, read_free_texts
from talkingpoints.evaluation.mask_points import evaluate_mask_points, mask_points
from talkingpoints.evaluation.photo_store import PhotoStore
from talkingpoints.evaluation.protocol import LISTENED, ROW_ORDER, Evaluation, Systems, evaluate
from talkingpoints.inference import BUNDLED_DESCRIPTOR, BUNDLED_LOCALIZER
from training.reports.report_page import write_page
from training.sft.arguments import load_each
from training.sft.processes import join_on_cpu

VERSIONS_OF = ("torch", "transformers", "datasets", "numpy", "pillow")


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Run from the command line.

    Args:
        argv: arguments without the program's name; None for those of the process.

    Returns:
        The report that was written to --output.

    Raises:
        ValueError: if the dataset, the split or a model directory cannot be read, or there is nothing to
            measure.
        SystemExit: if an argument is missing or out of range.
    """
    arguments = parse_arguments(argv)
    state = PartialState(cpu=join_on_cpu() or arguments.device == "cpu")  # first: it gives each process its device
    torch.set_num_threads(max(1, arguments.threads // state.num_processes))
    started = time.perf_counter()
    folders = [file.parent for file in (arguments.output, arguments.predictions) if file is not None]
    for folder in filter(None, (*folders, arguments.report)):
        folder.mkdir(parents=True, exist_ok=True)  # now: what cannot be written or read must not cost the run
    (dataset,) = load_each([arguments.dataset], arguments.split, labels=arguments.labels)
    inside = arguments.masks and mask_points(dataset, arguments.masks, seed=arguments.seed, limit=arguments.limit)
    name = Path(arguments.dataset).resolve().name
    free = [] if arguments.free_texts is None else read_free_texts(arguments.free_texts)
    free = [text for text in free if text.dataset in (None, name)]
    if arguments.free_texts is not None:
        if not free:
            raise ValueError(f"{arguments.free_texts.name} holds no text for a dataset called {name!r}")
        match_points(dataset, free)
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
    report = {
        "dataset": name,
        "split": arguments.split,
        "labels": arguments.labels,
        **evaluation.report,
        "latency_s": latency(systems.pair, dataset[0]["image"]),
        "free_texts": evaluate_free_texts(systems, [(dataset, free)], seed=arguments.seed) if free else None,
        "mask_points": inside
        and evaluate_mask_points(systems.pair, dataset, inside, seed=arguments.seed, progress=not arguments.quiet),
        "seed": arguments.seed,
        "command": ["python", "-m", "training.evaluate", *(sys.argv[1:] if argv is None else argv)],
        "versions": _versions(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(time.perf_counter() - started, 1),
        "threads": torch.get_num_threads(),
        "processes": state.num_processes,
    }
    arguments.output.write_text(json.dumps(report, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    if arguments.predictions is not None:
        np.savez_compressed(arguments.predictions, **prediction_arrays(evaluation))
    if arguments.report is not None:
        write_page(arguments.report, report, evaluation, dataset)
    print(format_table(report))
    return report


def load_systems(arguments: argparse.Namespace, device: str) -> Systems:
    """The models that the command line names, on its device or else on `device`.

    Raises:
        ValueError: a folder cannot be read, or two listeners have one name.
    """

    def listener(folder: str) -> TalkingPoints:
        return TalkingPoints.from_pretrained(
            descriptor=arguments.descriptor, localizer=folder, device=arguments.device or device
        )

    named = dict(arguments.listeners)
    if len(named) < len(arguments.listeners):
        raise ValueError(f"--listeners: two have one name in {arguments.listeners}")
    return Systems(
        listener(arguments.localizer),
        blind=None if arguments.blind_localizer is None else listener(arguments.blind_localizer),
        listeners={name: listener(folder) for name, folder in named.items()},
    )


def question(arguments: argparse.Namespace) -> dict[str, Any]:
    """What the stored answers depend on: the options, the rows, and size and time of the files of data and models."""
    names = ("dataset", "split", "labels", "descriptor", "localizer", "blind_localizer", "listeners", "limit", "seed")
    options = {name: getattr(arguments, name) for name in names}
    models = [
        arguments.descriptor or BUNDLED_DESCRIPTOR,
        arguments.localizer or BUNDLED_LOCALIZER,
        arguments.blind_localizer,
        *(folder for _, folder in arguments.listeners),
    ]
    files = [Path(arguments.dataset) / "annotations" / f"{arguments.split}.json"]
    files += [file for model in models if model for file in sorted(Path(model).glob("*.safetensors"))]
    stamps = [[file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in files if file.exists()]
    return {**options, "rows": arguments.rows, "files": stamps, "version": __version__}


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line; `--help` prints what each argument is."""
    parser = argparse.ArgumentParser(
        prog="python -m training.evaluate",
        description="Measure a descriptor and a localizer on a COCO-keypoints split.",
    )
    parser.add_argument("--dataset", required=True, metavar="DIR", help="directory in COCO-keypoints layout")
    parser.add_argument("--split", required=True, help="name of the annotation file without .json, for example test")
    parser.add_argument(
        "--labels", nargs="+", metavar="LABEL", help="only photos on which nothing but these categories is annotated"
    )
    parser.add_argument("--output", required=True, type=Path, metavar="FILE.json", help="where the report goes")
    parser.add_argument("--descriptor", metavar="DIR", help="descriptor checkpoint (default: the bundled one)")
    parser.add_argument("--localizer", metavar="DIR", help="localizer checkpoint (default: the bundled one)")
    parser.add_argument("--blind_localizer", metavar="DIR", help="localizer trained with --blind; adds the row 'blind'")
    parser.add_argument(
        "--listeners",
        nargs="+",
        type=named_folder,
        default=[],
        metavar="NAME=DIR",
        help="further localizers that read the same texts, each trained apart from the pair",
    )
    parser.add_argument(
        "--masks", type=Path, metavar="DIR", help="class masks of the photos (PNG): also measure points drawn from them"
    )
    parser.add_argument(
        "--report", type=Path, metavar="DIR", help="also write a page with tables, curves and examples there"
    )
    parser.add_argument(
        "--work_dir", type=Path, metavar="DIR", help="keep each photo's answers there; the same command goes on"
    )
    parser.add_argument(
        "--free_texts",
        type=Path,
        metavar="FILE.json",
        help="texts not by the writer, for example training/reports/free_texts.json; those of this dataset count",
    )
    parser.add_argument(
        "--rows",
        nargs="+",
        choices=ROW_ORDER,
        default=list(ROW_ORDER),
        metavar="ROW",
        help=f"leave out all other rows that need a model; of {', '.join(ROW_ORDER)} (default: all)",
    )
    parser.add_argument("--limit", type=_positive, metavar="N", help="measure N photos, evenly spaced (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="of texts, shuffling and bootstrap (default: 0)")
    parser.add_argument("--threads", type=_positive, default=os.cpu_count() or 1, help="CPU threads (default: all)")
    parser.add_argument("--device", help="torch device, for example cuda (default: as TalkingPoints chooses)")
    parser.add_argument("--predictions", type=_npz, metavar="FILE.npz", help="also save every prediction and text")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    return parser.parse_args(argv)


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


def format_table(report: Mapping[str, Any]) -> str:
    """The report as text: one line a row, then the differences, the categories and presence."""
    lines = [
        f"{report['dataset']} {report['split']}: {report['n_points']} points in {report['n_images']} photos",
        "",
        f"{'':<24}{'mpck_img':>9}  {'ci95':<14}{'PCK@.02':>8}{'@.05':>7}{'@.1':>7}{'@.2':>7}"
        f"{'mpck_bbox':>11}{'median px':>11}{'auc':>7}",
    ]
    for name, row in report["rows"].items():
        hits = row["pck_img"]
        median = "-" if row["median_error_px"] is None else f"{row['median_error_px']:.1f}"
        lines.append(
            f"{name:<24}{row['mpck_img']:>9.2f}  {_interval(row['ci95']):<14}{hits['0.02']:>8.2f}"
            f"{hits['0.05']:>7.2f}{hits['0.1']:>7.2f}{hits['0.2']:>7.2f}{row['mpck_bbox']:>11.2f}{median:>11}{row['auc']:>7.2f}"
        )
    lines.append("")
    for name, difference in report["differences"].items():
        interval = _interval(difference["ci95"])
        lines.append(f"{name.replace('_', ' ')}: {difference['mpck_img']:+.2f} mpck_img, ci95 {interval}")
    for label, figures in report["by_label"].items():
        both = ", ".join(f"{name} {figures[name]:.2f}" for name in ("reference", "descriptor") if name in figures)
        lines.append(f"{label}: {both} mpck_img ({figures['n_points']} points)")
    for name, calibration in report["calibration"].items():
        lines.append(f"calibration error of the confidence on {name} texts: {calibration['ece']:.3f}")
    for name, heard in report["listeners"].items():
        texts = ", ".join(f"{source} {heard[source]:.2f}" for source in LISTENED if source in heard)
        ratio = "-" if heard.get("ratio") is None else f"{heard['ratio']:.3f}"
        lines.append(f"through listener {name}: {texts} mpck_img; descriptor by reference {ratio}")
    for kind, figures in (report["mask_points"] or {}).items():
        both = ", ".join(f"{name} {row['mpck_img']:.2f}" for name, row in figures["rows"].items())
        lines.append(f"points from masks, {kind}: {both} mpck_img ({figures['n_points']} points)")
    if report["mirroring"] is not None:
        shares = {name: "-" if share is None else f"{share:.1%}" for name, share in report["mirroring"].items()}
        lines.append(f"mirrored photo, text without place: {shares['flips']} flip, {shares['same_place']} come back")
    seconds = report["latency_s"]
    lines.append(f"warm, median: describe {seconds['describe']:.3f} s, localize {seconds['localize']:.3f} s")
    if report["free_texts"] is not None:
        both = {name: row["mpck_img"] for name, row in report["free_texts"]["rows"].items()}
        lines.append(
            f"{report['free_texts']['n_points']} free texts: {both['free_text']:.2f} mpck_img; "
            f"the writer's on the same points: {both['reference']:.2f}"
        )
    if report["presence_roc_auc"] is not None:
        lines.append(
            f"presence against texts of an absent category: ROC AUC {report['presence_roc_auc']:.3f}, "
            f"balanced accuracy {report['presence']['balanced_accuracy']:.3f}"
        )
    return "\n".join(lines)


def _interval(ends: Sequence[float]) -> str:
    return f"{ends[0]:.1f} .. {ends[1]:.1f}"


def _versions() -> dict[str, str]:
    installed = {name: importlib.metadata.version(name) for name in VERSIONS_OF}
    return {"talkingpoints": __version__, "python": platform.python_version()} | installed


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def named_folder(text: str) -> tuple[str, str]:
    """ "NAME=DIR" of a command line."""
    name, _, folder = text.partition("=")
    if not name or not folder or "@" in name:
        raise argparse.ArgumentTypeError(f"expected NAME=DIR, the name without '@', got {text!r}")
    return name, folder


def _npz(text: str) -> Path:
    if not text.endswith(".npz"):
        raise argparse.ArgumentTypeError(f"expected a file name that ends in .npz, got {text!r}")
    return Path(text)


if __name__ == "__main__":
    main()
