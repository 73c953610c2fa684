"""Compare systems that `evaluate.py --predictions` measured on the same points: a table with paired intervals.

    python -m training.reports.compare --row descriptor --systems default=a.npz no_region=b.npz sigma_05=c.npz

    python -m training.reports.compare --row descriptor --systems default=animalpose_test.jsonl other=b.jsonl

The others are compared with the first. Records of `training.evaluate_truth --work_dir` (.jsonl) are compared by claim
type, and in the rows `refusal` (texts answered or refused rightly) and `variants` (variants found). For other files the
table shows mpck_img with its 95% interval, and the difference with the interval of a paired bootstrap over photos
(talkingpoints/evaluation/metrics/bootstrap.py).
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from talkingpoints.evaluation.metrics import pck
from talkingpoints.evaluation.metrics.bootstrap import bootstrap_difference, bootstrap_mean
from talkingpoints.evaluation.truth.breakdowns import READ_WITHIN
from talkingpoints.evaluation.truth.claims import TYPES
from talkingpoints.evaluation.truth.measure import ROWS, judged_texts
from talkingpoints.evaluation.truth.scores import JudgedText, differences, figures
from talkingpoints.results import PRESENT
from training.sft.arguments import parse_arguments


@dataclass(kw_only=True)
class CompareArguments:
    """What is compared.

    Raises:
        ValueError: If a system is not NAME=FILE.
    """

    systems: list[str] = field(metadata={"help": "NAME=FILE.npz or .jsonl; the others are compared with the first"})
    row: str = field(metadata={"help": "row of the reports, for example descriptor"})
    seed: int = field(default=0, metadata={"help": "seed of the bootstrap"})

    def __post_init__(self) -> None:
        if not all(name and path for name, _, path in (system.partition("=") for system in self.systems)):
            raise ValueError(f"systems must be NAME=FILE.npz, got {self.systems}")


class Measured(NamedTuple):
    """One row of one file: ``scores`` (n,) to mpck_img and ``close`` (n,) to PCK_img@0.05, 0..100, in ``photos`` (n,),
    and what names the ``points``."""

    points: np.ndarray
    photos: np.ndarray
    scores: np.ndarray
    close: np.ndarray


def read(path: Path, row: str) -> Measured:
    """Read a row of a file that ``evaluate.py --predictions`` wrote.

    Raises:
        ValueError: If the file holds no such row.
    """
    with np.load(path) as arrays:
        if f"prediction_{row}" not in arrays:
            rows = sorted(name.removeprefix("prediction_") for name in arrays if name.startswith("prediction_"))
            raise ValueError(f"{path} holds no row {row!r}; it has {', '.join(rows)}")
        errors = pck.unit_errors(arrays[f"prediction_{row}"], arrays["truth"])
        points = np.stack([arrays["image_id"], arrays["object_index"]], axis=1)
        scores = pck.point_scores(errors, pck.MPCK_IMG_THRESHOLDS)
        return Measured(np.column_stack([points, arrays["truth"]]), arrays["photo"], scores, 100.0 * (errors <= 0.05))


def read_records(path: Path) -> list[dict[str, Any]]:
    """Records that ``evaluate_truth --work_dir`` keeps of one set; the first line says what was asked."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()[1:]]


def truth_table(systems: Sequence[tuple[str, Sequence[dict[str, Any]]]], row: str, seed: int = 0) -> str:
    """A Markdown table of records: for a row of texts the gated precision by type, paired with the first system; for
    `refusal` and `variants` the share of texts that were answered rightly.

    Raises:
        ValueError: If two systems were not measured on the same photos, or none has the row.
    """
    photos = [{record["photo"] for record in records} for _, records in systems]
    for (name, _), shown in zip(systems, photos, strict=True):
        if shown != photos[0]:
            raise ValueError(f"{name} and {systems[0][0]} were not measured on the same photos")
    rows = [_as_texts(records, row) for _, records in systems]
    if not all(rows):
        raise ValueError(f"no row {row!r}; there are {', '.join((*ROWS, 'refusal', 'variants'))}")
    types = (*TYPES, "all_true") if row in ROWS else ("object",)
    titles = types if row in ROWS else (row,)
    lines = ["| | " + " | ".join(titles) + " |", f"|{'---|' * (len(titles) + 1)}"]
    for (name, _), own in zip(systems, rows, strict=True):
        found = figures(own, seed=seed)
        values = [found["all_true"] if t == "all_true" else found["precision"][t] for t in types]
        lines.append(f"| {name} | " + " | ".join("-" if v is None else f"{v['mean']:.1f}" for v in values) + " |")
        if own is not rows[0]:
            changes = differences(own, rows[0], seed=seed)
            cells = ["-" if c is None else f"{c['difference']:+.1f} ({c['ci95'][0]:+.1f} to {c['ci95'][1]:+.1f})"
                     for c in (changes[t] for t in types)]  # fmt: skip
            lines.append(f"| {name} minus {systems[0][0]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _as_texts(records: Sequence[dict[str, Any]], row: str) -> list[JudgedText]:
    """Judged texts; an answer to a present or absent text, or to a variant, counts as one claim."""
    if row in ROWS:
        return judged_texts(records, row)
    found = []
    for record in records:
        if row == "refusal":
            right = [(heard["presence"] >= PRESENT) == (heard["tier"] == 0) for heard in record["heard"]]
        elif row == "variants":
            right = [error <= READ_WITHIN for name, error in (record["variants"] or {}).items() if name != "plain"]
        else:
            right = []
        photo = record["photo"]
        found += [JudgedText(photo, f"{photo} {i}", ("object",), ("kind",), (ok,)) for i, ok in enumerate(right)]
    return found


def table(systems: Sequence[tuple[str, Measured]], *, seed: int = 0, resamples: int = 1000) -> str:
    """A Markdown table of systems, the first being what the others are compared with.

    Raises:
        ValueError: If two systems were not measured on the same points.
    """
    first_name, first = systems[0]
    options = {"seed": seed, "resamples": resamples}
    lines = [
        f"| | mpck_img | 95% interval | PCK_img@0.05 | minus {first_name} | 95% interval |",
        "|---|---|---|---|---|---|",
    ]
    for name, system in systems:
        if not np.array_equal(first.points, system.points):
            raise ValueError(f"{name} and {first_name} were not measured on the same points")
        mean = bootstrap_mean(system.scores, system.photos, **options)
        difference = "| |"
        if system is not first:
            change = bootstrap_difference(system.scores, first.scores, first.photos, **options)
            difference = f"{change.mean:+.1f} | {change.low:+.1f} to {change.high:+.1f} |"
        lines.append(
            f"| {name} | {mean.mean:.1f} | {mean.low:.1f} to {mean.high:.1f} | {system.close.mean():.1f} | {difference}"
        )
    return "\n".join(lines)


def main(argv: Sequence[str]) -> str:
    """Print and return the table; see the module docstring."""
    # the systems may also come without their flag, before all flags or behind them
    (arguments,) = parse_arguments((CompareArguments,), _with_flag(argv), __doc__)
    pairs = [system.partition("=") for system in arguments.systems]
    if all(path.endswith(".jsonl") for _, _, path in pairs):
        records = [(name, read_records(Path(path))) for name, _, path in pairs]
        text = truth_table(records, arguments.row, arguments.seed)
    else:
        text = table([(name, read(Path(path), arguments.row)) for name, _, path in pairs], seed=arguments.seed)
    print(text)
    return text


def _with_flag(argv: Sequence[str]) -> list[str]:
    """The older way to name systems, as words without a flag, in the newer one."""
    systems = [word for word in argv if word.partition("=")[2].endswith((".npz", ".jsonl"))]
    if "--systems" in argv or not systems:
        return list(argv)
    return [*(word for word in argv if word not in systems), "--systems", *systems]


if __name__ == "__main__":
    main(sys.argv[1:])
