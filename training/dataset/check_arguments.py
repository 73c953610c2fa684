"""Flags of the checks, and the texts that pass them photo by photo; for build_point_dataset.py.

What was found goes into ``checks.json``, and texts for a person to judge into ``review.html``, both in ``work/``.
"""

import json
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from talkingpoints.dataset_builder.checks.dataset_checks import PROBLEMS, Checker
from talkingpoints.dataset_builder.checks.text_checks import CHECKS, TextLimits
from talkingpoints.dataset_builder.points.preparation import PreparedPhoto
from talkingpoints.dataset_builder.points.tasks import PointTask
from talkingpoints.dataset_builder.sources.source import PartSource
from talkingpoints.inference import BUNDLED_LOCALIZER, TalkingPoints
from training.dataset.review_sheet import write_sheet

TextsOfPhoto = tuple[PreparedPhoto, list[tuple[PointTask, list[tuple[str, str]]]]]
"""A photo, and (style, text) pairs for each of its tasks."""


@dataclass(kw_only=True)
class CheckArguments:
    """Which texts are kept."""

    drop: list[str] = field(
        default_factory=lambda: list(CHECKS),
        metadata={"help": f"problems for which a text is dropped, of {PROBLEMS}, or none; others are only counted"},
    )
    min_words: int = field(default=3, metadata={"help": "shorter texts have the problem length"})
    max_words: int = field(default=120, metadata={"help": "so have longer ones"})
    similarity: float = field(default=0.85, metadata={"help": "share of shingles from which texts are duplicates"})
    listener: str | None = field(
        default=None, metadata={"help": "localizer (Hub id, folder, or bundled) that is to find the texts"}
    )
    blind_listener: str | None = field(
        default=None, metadata={"help": "one trained without photos; default: the listener before a blank photo"}
    )
    sheet_rows: int = field(default=200, metadata={"help": "texts on the page for a person; 0 writes none"})

    def checker(self, seed: int) -> Checker:
        """The checks, listeners loaded.

        Raises:
            ValueError: If the arguments do not fit together.
            OSError: If a listener is missing.
        """
        if self.listener is None and self.blind_listener is not None:
            raise ValueError("--blind_listener goes with --listener")
        return Checker(
            drop=frozenset(name for name in self.drop if name != "none"),
            limits=TextLimits(self.min_words, self.max_words),
            similarity=self.similarity,
            listener=_listener(self.listener),
            blind=_listener(self.blind_listener),
            sample_size=self.sheet_rows,
            seed=seed,
        )


def checked_texts(
    photos: Iterable[TextsOfPhoto], checker: Checker, sources: Sequence[PartSource]
) -> Iterator[TextsOfPhoto]:
    """Photos with those of their texts that are kept; a point without any is still there, with none.

    Args:
        photos: with all their texts.
        checker: keeps account.
        sources: where the photos come from; they are read again for a listener.
    """
    places = {}
    if checker.listener is not None:
        places = {source.key(index): (source, index) for source in sources for index in range(len(source))}
    for photo, texts in photos:
        parts = None
        if checker.listener is not None and any(own for _, own in texts):
            source, index = places[photo.key]
            parts = source[index]
        triples = [(task, style, text) for task, own in texts for style, text in own]
        kept: dict[str, list[tuple[str, str]]] = {task.key: [] for task, _ in texts}
        if triples:
            for one in checker.check(photo, triples, parts):
                kept[one.task.key].append((one.style, one.text))
        yield photo, [(task, kept[task.key]) for task, _ in texts]


def write_checks(checker: Checker, work: Path, title: str) -> dict[str, Any]:
    """Write ``checks.json`` and ``review.html``.

    Returns:
        The report without its examples, for the dataset's card.
    """
    report = checker.report()
    work.mkdir(parents=True, exist_ok=True)
    (work / "checks.json").write_text(json.dumps(report, indent=2, ensure_ascii=False), encoding="utf-8")
    if sample := checker.sample():
        write_sheet(work / "review.html", sample, title)
    return {name: value for name, value in report.items() if name != "examples"}


def told(report: Mapping[str, Any]) -> list[str]:
    """What the checks found, in words for the end of a run, with the flags that drop what was only counted.

    Args:
        report: of :meth:`Checker.report`.
    """
    dropped, counted = report["dropped"], report["problems"]
    lines = [f"checks: {report['kept']} of {report['texts']} texts are kept"]
    if dropped:
        lines[0] += "; dropped for " + ", ".join(f"{name} {count}" for name, count in dropped.items())
    kept = {name: count for name, count in counted.items() if count and name not in report["dropped_for"]}
    if kept:
        flags = shlex.join([*report["dropped_for"], *kept])
        found = ", ".join(f"{name} {count}" for name, count in kept.items())
        lines.append(f"found, but not dropped: {found} (work/checks.json); --drop {flags} drops these too")
    return lines


def _listener(name: str | None) -> TalkingPoints | None:
    if name is None:
        return None
    return TalkingPoints.from_pretrained(localizer=BUNDLED_LOCALIZER if name == "bundled" else name)
