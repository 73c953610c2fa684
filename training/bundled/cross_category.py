"""The table of the cross-category experiment: what GRPO without texts gains on categories that it was not given.

    python -m training.bundled.recipe training/bundled/recipes/cross_category.yaml --data DIR --output runs/cross \\
        --stages test_a_0 test_a_1
    python -m training.bundled.cross_category --runs runs/cross

The first command runs one setting with one seed (and the supervised models that it needs); the second makes the table
of all that is there. ``test_SETTING_0`` is zero-shot, ``test_SETTING_SEED`` after GRPO with that seed. Differences are
paired over points, intervals over photos (talkingpoints/evaluation/metrics/bootstrap.py); "all" is the mean over
seeds of each point. Rows through the rewarding listener, and through those that took no part.
"""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from talkingpoints.evaluation.metrics.bootstrap import Interval, bootstrap_difference, bootstrap_mean
from training.grpo.grpo_arguments import REWARDING
from training.grpo.reward_hacking import FILE
from training.grpo.rewards import distinct_2, has_coordinates
from training.reports.compare import Measured, read
from training.sft.arguments import parse_arguments

_TEST = re.compile(r"test_([a-z]+)_(\d+)")
_PREDICTIONS = "predictions.npz"
_ROW = "descriptor"
_DRAWS = 20


@dataclass(kw_only=True)
class TableArguments:
    """Where the runs are."""

    runs: Path = field(metadata={"help": "output folder of the recipe"})
    seed: int = field(default=0, metadata={"help": "seed of the bootstrap"})


@dataclass(frozen=True)
class Setting:
    """The runs of one setting.

    Attributes:
        name: of the setting.
        zero: folder of the zero-shot test.
        after: seed -> folder of the test after GRPO.
        runs: folder of all stages.
    """

    name: str
    zero: Path
    after: Mapping[int, Path]
    runs: Path

    @property
    def listeners(self) -> dict[str, str]:
        """Name of each listener -> row of the predictions."""
        with np.load(self.zero / _PREDICTIONS) as arrays:
            rows = [name.removeprefix("prediction_") for name in arrays if name.startswith("prediction_")]
        others = {row.partition("@")[2]: row for row in rows if row.startswith(f"{_ROW}@")}
        return {REWARDING: _ROW, **others}


def find_settings(runs: Path) -> list[Setting]:
    """Every setting that has its zero-shot test and at least one seed.

    Raises:
        ValueError: If there is none.
    """
    tests: dict[str, dict[int, Path]] = {}
    for folder in sorted(runs.glob("test_*")):
        match = _TEST.fullmatch(folder.name)
        if match and (folder / _PREDICTIONS).is_file():
            tests.setdefault(match[1], {})[int(match[2])] = folder
    settings = [
        Setting(name, seeds[0], dict(sorted(i for i in seeds.items() if i[0])), runs)
        for name, seeds in tests.items()
        if 0 in seeds and len(seeds) > 1
    ]
    if not settings:
        raise ValueError(f"{runs} holds no setting with test_NAME_0 and test_NAME_SEED; there are {sorted(tests)}")
    return settings


def gains_table(settings: Sequence[Setting], seed: int = 0) -> str:
    """mpck_img before and after through each listener, and the differences with their intervals.

    Raises:
        ValueError: If the tests of a setting were not made on the same points.
    """
    lines = [
        "| setting | listener | seed | zero-shot | after GRPO | difference | 95% interval |",
        "|---|---|---|---|---|---|---|",
    ]
    for setting in settings:
        for listener, row in setting.listeners.items():
            zero = read(setting.zero / _PREDICTIONS, row)
            after = {str(number): read(folder / _PREDICTIONS, row) for number, folder in setting.after.items()}
            for name, system in after.items():
                if not np.array_equal(zero.points, system.points):
                    raise ValueError(f"setting {setting.name}, seed {name}: measured on other points than zero-shot")
            scores = {name: system.scores for name, system in after.items()}
            scores["all"] = np.mean(list(scores.values()), axis=0)
            before = bootstrap_mean(zero.scores, zero.photos, seed=seed).mean
            for name, values in scores.items():
                change = difference(zero, values, seed)
                interval = f"{change.low:+.2f} to {change.high:+.2f}"
                cells = [setting.name, listener, name, f"{before:.2f}", f"{values.mean():.2f}", f"{change.mean:+.2f}"]
                lines.append(f"| {' | '.join([*cells, interval])} |")
    return "\n".join(lines)


def difference(zero: Measured, scores: np.ndarray, seed: int) -> Interval:
    """Paired difference of scores (n,) to those of the zero-shot test."""
    return bootstrap_difference(scores, zero.scores, zero.photos, seed=seed)


def texts_table(settings: Sequence[Setting]) -> str:
    """Properties of the texts before and after GRPO.

    Fluency is the mean likelihood per token under the supervised descriptor (geometric mean over the val texts of
    reward_hacking.json), as a ratio of after to before. Distinct-2 falls with the amount of text, so longer texts seem
    less varied; the next column compares equal amounts of text.
    """
    lines = [
        "| setting | seed | digit rate | distinct-2 | of equal text | words | fluency ratio | other photo's text "
        "| reward share |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for setting in settings:
        folders = {0: setting.zero, **setting.after}
        said = {}
        for seed, folder in folders.items():
            with np.load(folder / _PREDICTIONS) as arrays:
                said[seed] = json.loads(str(arrays["texts"]))[_ROW]
        least = min(sum(len(text.split()) for text in texts) for texts in said.values())
        for seed, folder in folders.items():
            texts = said[seed]
            equal = np.mean([distinct_2(some_of(texts, least, draw)) for draw in range(_DRAWS)])
            digits = np.mean([has_coordinates(text) for text in texts])
            words = np.mean([len(text.split()) for text in texts])
            cells = [setting.name, seed or "zero-shot", f"{digits:.4f}", f"{distinct_2(texts):.4f}", f"{equal:.4f}"]
            cells.append(f"{words:.1f}")
            metrics = setting.runs / f"grpo_{setting.name}_{seed}" / FILE
            lines.append("| " + " | ".join(map(str, [*cells, *_trained(metrics, folder)])) + " |")
    return "\n".join(lines)


def some_of(texts: Sequence[str], words: int, seed: int) -> list[str]:
    """Texts in random order, until they have so many words together; the last one is cut there."""
    found: list[str] = []
    for i in np.random.default_rng(seed).permutation(len(texts)):
        kept = texts[i].split()[:words]
        words -= len(kept)
        if kept:
            found.append(" ".join(kept))
    return found


def _trained(metrics: Path, test: Path) -> list[str]:
    """Fluency ratio, worth of another photo's text in the test, and share of time, where they were measured."""
    wrong = "wrong_photo"
    with np.load(test / _PREDICTIONS) as arrays:
        measured = f"prediction_{wrong}" in arrays
    other = f"{read(test / _PREDICTIONS, wrong).scores.mean():.1f}" if measured else "-"
    if not metrics.is_file():
        return ["-", other, "-"]
    readings = json.loads(metrics.read_text(encoding="utf-8"))["readings"]
    ends = [readings[0].get("fluency"), readings[-1].get("fluency")]
    ratio = "-" if None in ends else f"{np.exp(ends[1] - ends[0]):.3f}"
    share = readings[-1].get("reward_share")
    return [ratio, other, "-" if share is None else f"{share:.2f}"]


def main(argv: Sequence[str]) -> str:
    """Print and return the tables; see the module docstring."""
    (arguments,) = parse_arguments((TableArguments,), argv, __doc__)
    settings = find_settings(arguments.runs)
    text = f"{gains_table(settings, arguments.seed)}\n\n{texts_table(settings)}"
    print(text)
    return text


if __name__ == "__main__":
    main(sys.argv[1:])
