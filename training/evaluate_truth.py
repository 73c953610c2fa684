"""Measure whether descriptions are true, whether absent texts are refused, and how robustly texts are read, on any set.

    python -m training.evaluate_truth --data DIR --sets animalpose people birds --split test --output truth.json

Operating points (`balanced`, `careful`) are chosen on the val split of the same sets, without held-out kinds, and
reported on --split. --work_dir keeps each photo's answers, and the same command goes on from there. The records hold
every text with its verdicts; `training.truth_sheets` lets somebody look at them.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from talkingpoints import TalkingPoints, __version__
from talkingpoints.evaluation.truth.annotations import AnnotatedPhoto
from talkingpoints.evaluation.truth.claims import TYPES
from talkingpoints.evaluation.truth.measure import ROWS, Asking, heard_texts, measure, summary
from talkingpoints.evaluation.truth.refusal import operating_points
from talkingpoints.evaluation.truth.sets import SETS, is_held_out, read_set

PHOTOS, VAL_PHOTOS = 200, 60
"""At most so many photos of a set are measured, and of its val split for the operating points, evenly spaced."""


def main(argv: Sequence[str]) -> dict[str, Any]:
    """Run from the command line; see the module docstring.

    Returns:
        The report that was written to --output.
    """
    arguments = parse_arguments(argv)
    torch.set_num_threads(arguments.threads)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    pair = TalkingPoints.from_pretrained(descriptor=arguments.descriptor, localizer=arguments.localizer)
    thresholds = {"default": 0.5}
    if arguments.val_photos:
        thresholds = choose(pair, arguments)
    found: dict[str, list[dict[str, Any]]] = {}
    for name in arguments.sets:
        photos = sample(read_set(arguments.data, name, arguments.split), arguments.photos)
        found[name] = measure(pair, photos, Asking(), _file(arguments, name, arguments.split), progress=True)
    report = {
        "split": arguments.split,
        "version": __version__,
        "operating_points": thresholds,
        "sets": {name: summary(records, thresholds) for name, records in found.items()},
        "all": summary([_of_set(name, record) for name, records in found.items() for record in records], thresholds),
        "command": ["python", "-m", "training.evaluate_truth", *argv],
    }
    arguments.output.write_text(json.dumps(report, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    print(format_tables(report))
    return report


def choose(pair: TalkingPoints, arguments: argparse.Namespace) -> dict[str, float]:
    """Operating points on val photos of all sets together that show no held-out kind."""
    heard = []
    for name in arguments.sets:
        photos = [photo for photo in read_set(arguments.data, name, "val") if not is_held_out(photo)]
        chosen = sample(photos, arguments.val_photos)
        asking = Asking(choosing=True)
        records = measure(pair, chosen, asking, _file(arguments, name, "val"), progress=True)
        heard += heard_texts([_of_set(name, record) for record in records])
    return operating_points(heard)


def sample(photos: Sequence[AnnotatedPhoto], number: int) -> list[AnnotatedPhoto]:
    """So many photos, evenly spaced; all where there are fewer."""
    if len(photos) <= number:
        return list(photos)
    return [photos[i * len(photos) // number] for i in range(number)]


def _file(arguments: argparse.Namespace, name: str, split: str) -> Path | None:
    return None if arguments.work_dir is None else Path(arguments.work_dir) / f"{name}_{split}.jsonl"


def _of_set(name: str, record: Mapping[str, Any]) -> dict[str, Any]:
    return {**record, "photo": f"{name}/{record['photo']}"}


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of the sets")
    parser.add_argument(
        "--sets", nargs="+", default=list(SETS), metavar="NAME", help=f"of {', '.join(SETS)}, or others"
    )
    parser.add_argument("--split", default="test")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE.json")
    parser.add_argument("--descriptor", metavar="DIR", help="default: the bundled one")
    parser.add_argument("--localizer", metavar="DIR", help="default: the bundled one")
    parser.add_argument("--photos", type=int, default=PHOTOS, help="at most, of each set")
    parser.add_argument("--val_photos", type=int, default=VAL_PHOTOS, help="at most, of each set; 0 chooses nothing")
    parser.add_argument("--work_dir", type=Path, metavar="DIR", help="keeps answers; the same command goes on")
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args(argv)


def format_tables(report: Mapping[str, Any]) -> str:
    """Markdown tables: truth by set, controls over all sets, kinds said, refusal, calibration, variants."""
    sets = {**report["sets"], "all": report["all"]}
    head, rule = f"texts | {' | '.join(TYPES)} | all true | false a text | unread |", f"|{'---|' * 11}"
    lines = [f"| descriptor | {head}", rule]
    lines += [_truth_line(name, s["truth"]["descriptor"]) for name, s in sets.items()]
    lines += ["", f"| row, all sets | {head}", rule]
    lines += [_truth_line(r, report["all"]["truth"][r]) for r in ROWS if r in report["all"]["truth"]]
    lines += ["", f"| coverage of the reference | {' | '.join(TYPES)} |", f"|{'---|' * 7}"]
    for name, s in sets.items():
        shares = s["truth"]["descriptor"]["coverage"]
        lines.append(f"| {name} | " + " | ".join(_number(shares[t]) for t in TYPES) + " |")
    lines += ["", "| points on kinds | n | named a known kind | background | not known | other |", f"|{'---|' * 6}"]
    for kind, said in report["all"]["kinds_said"].items():
        lines.append(f"| {kind} | {said['n']} | " + " | ".join(_number(said[w]) for w in list(said)[1:]) + " |")
    lines += ["", "| refusal, point | texts of | T_acc | N_acc 1 | 2 | 3 | 4 | all | MCC | F1 | point-cgF1 |",
              f"|{'---|' * 11}"]  # fmt: skip
    for name, s in sets.items():
        for point, sorts in s["refusal"].items():
            for sort, row in sorts.items():
                if sort == "all" or name == "all":
                    lines.append(_refusal_line(f"{name}, {point}", sort, row))
    lines += ["", "| calibration error | confidence | presence |", "|---|---|---|"]
    for name, s in sets.items():
        if s["calibration"]:
            lines.append(f"| {name} | {_number(s['calibration']['confidence'], 3)} | "
                         f"{_number(s['calibration']['presence'], 3)} |")  # fmt: skip
    lines += ["", "| variant, all sets | PCK@0.1 | by the plain text's |", "|---|---|---|"]
    for name, row in (report["all"]["variants"] or {}).items():
        if name != "n":
            lines.append(f"| {name} | {_number(row['pck'])} | {_number(row['ratio'], 2)} |")
    return "\n".join(lines)


def _truth_line(name: str, row: Mapping[str, Any]) -> str:
    cells = [_interval(row["precision"][kind]) for kind in TYPES]
    false = row["false_claims"]
    return (
        f"| {name} | {row['n_texts']} | {' | '.join(cells)} | {_interval(row['all_true'])} | "
        f"{'-' if false is None else format(false['mean'], '.2f')} | {row['n_unread']} |"
    )


def _refusal_line(name: str, sort: str, row: Mapping[str, Any]) -> str:
    tiers = [_interval(row["n_acc"][tier]) for tier in ("1", "2", "3", "4", "all")]
    rest = [_number(row[key]) for key in ("mcc", "f1", "point_cgf1")]
    return f"| {name} | {sort} | {_interval(row['t_acc'])} | {' | '.join([*tiers, *rest])} |"


def _interval(value: Mapping[str, Any] | None) -> str:
    return "-" if value is None else f"{value['mean']:.1f} ({value['ci95'][0]:.0f}-{value['ci95'][1]:.0f})"


def _number(value: float | None, digits: int = 1) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


if __name__ == "__main__":
    main(sys.argv[1:])
