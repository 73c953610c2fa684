"""Checks of all texts of a dataset, photo by photo: which are kept, what was found, and a sample for a person."""

import heapq
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from talkingpoints.dataset_builder.checks.near_duplicates import NearDuplicates
from talkingpoints.dataset_builder.checks.round_trips import blanked, listen, region_of
from talkingpoints.dataset_builder.checks.text_checks import CHECKS, TextLimits, text_problems
from talkingpoints.dataset_builder.points.preparation import PreparedPhoto, unit_hash
from talkingpoints.dataset_builder.points.tasks import PartPhoto, PointTask
from talkingpoints.evaluation.metrics.bootstrap import bootstrap_mean
from talkingpoints.images import load_image
from talkingpoints.inference import TalkingPoints

DUPLICATE, NOT_FOUND, BLIND = "duplicate", "not found", "found blind"
PROBLEMS = (*CHECKS, DUPLICATE, NOT_FOUND, BLIND)
"""What can be found: in the text (text_checks.py); a text of another point of the photo that is almost the same; a
listener that does not find the part; one that finds it without looking."""

_EXAMPLES = 5


@dataclass(frozen=True)
class CheckedText:
    """One text, and what was found: name of the problem -> the words, or the other point's key, or ""."""

    task: PointTask
    style: str
    text: str
    problems: dict[str, str]


@dataclass
class Checker:
    """Checks photo after photo, and keeps account.

    Args:
        drop: problems for which a text is dropped; others are only counted.
        limits: of a text's length.
        similarity: from which two texts are almost the same.
        listener: whose localizer is to find the texts that passed the other checks; None for none.
        blind: another one, trained without photos, that should not find them. None has ``listener`` read them to a
            photo of nothing but its mean colour.
        sample_size: kept texts that are sampled for a person.
        seed: of the sample.

    Raises:
        ValueError: an unknown problem in ``drop``, or one that takes a listener where there is none.
    """

    drop: frozenset[str] = frozenset(CHECKS)
    limits: TextLimits = field(default_factory=TextLimits)
    similarity: float = 0.85
    listener: TalkingPoints | None = None
    blind: TalkingPoints | None = None
    sample_size: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        if unknown := sorted(self.drop - set(PROBLEMS)):
            raise ValueError(f"drop: {unknown} are no problems; allowed: {PROBLEMS}")
        if self.listener is None and (needed := sorted(self.drop & {NOT_FOUND, BLIND})):
            raise ValueError(f"drop: {needed} take a listener")
        self._duplicates = NearDuplicates(self.similarity)
        self._texts, self._kept, self._alike = 0, 0, 0
        self._counts: Counter[str] = Counter()
        self._dropped: Counter[str] = Counter()
        self._examples: dict[str, list[dict[str, str]]] = {name: [] for name in PROBLEMS}
        self._heard: list[tuple[str, bool, bool]] = []  # photo, found, found blind
        self._sample: list[tuple[float, int, CheckedText]] = []

    def check(
        self, photo: PreparedPhoto, texts: Sequence[tuple[PointTask, str, str]], parts: PartPhoto | None = None
    ) -> list[CheckedText]:
        """Check the texts of one photo, each photo once.

        Args:
            photo: prepared.
            texts: (task, style, text) triples.
            parts: the photo's masks, for the listener.

        Returns:
            The texts that are kept, in order.
        """
        checked = [
            CheckedText(task, style, text, text_problems(text, task, self.limits)) for task, style, text in texts
        ]
        if self.listener is not None:
            if parts is None:
                raise ValueError(f"parts: the listener takes the masks of {photo.key}")
            self._listen(photo, [one for one in checked if not self.drop & set(one.problems)], parts)
        for one in checked:
            good = not self.drop & set(one.problems)
            if twin := self._duplicates.in_photo(photo.key, one.task.key, one.text, remember=good):
                one.problems[DUPLICATE] = twin
        self._duplicates.end_photo(photo.key)
        return [one for one in checked if self._account(one)]

    def report(self) -> dict[str, Any]:
        """What was found so far, as JSON values; shares in percent, intervals over photos."""
        report: dict[str, Any] = {
            "texts": self._texts,
            "kept": self._kept,
            "dropped_for": sorted(self.drop),
            "dropped": dict(self._dropped),
            "problems": {name: self._counts[name] for name in PROBLEMS},
            "almost_the_same_as_an_earlier_text": self._alike,
            "examples": {name: examples for name, examples in self._examples.items() if examples},
        }
        if self.listener is not None and self._heard:
            report["listener"] = self._listener_figures()
        return report

    def sample(self) -> list[CheckedText]:
        """Kept texts, drawn at random, in random order; the same whatever order the photos came in."""
        return [one for _, _, one in sorted(self._sample, key=lambda entry: -entry[0])]

    def _account(self, one: CheckedText) -> bool:
        """Count one text; whether it is kept."""
        self._texts += 1
        reasons = self.drop & set(one.problems)
        for name, found in one.problems.items():
            self._counts[name] += 1
            if len(self._examples[name]) < _EXAMPLES:
                self._examples[name].append({"key": one.task.key, "text": one.text, "found": found})
        if reasons:
            self._dropped[next(name for name in PROBLEMS if name in reasons)] += 1
            return False
        self._kept += 1
        self._alike += self._duplicates.anywhere(f"{self._texts} {one.task.key}", one.text)
        place = unit_hash(f"sample {self.seed} {one.task.key} {one.text}")
        entry = (-place, self._texts, one)
        if len(self._sample) < self.sample_size:
            heapq.heappush(self._sample, entry)
        elif self.sample_size and entry > self._sample[0]:
            heapq.heapreplace(self._sample, entry)
        return True

    def _listen(self, photo: PreparedPhoto, checked: Sequence[CheckedText], parts: PartPhoto) -> None:
        assert self.listener is not None
        if not checked:
            return
        image = load_image(photo.image)
        texts, regions = [one.text for one in checked], [region_of(parts, one.task) for one in checked]
        seeing = listen(self.listener, image, texts, regions)
        if self.blind is None:
            blind = listen(self.listener, blanked(image), texts, regions)
        else:
            blind = listen(self.blind, image, texts, regions)
        for one, seen, guessed in zip(checked, seeing, blind, strict=True):
            self._heard.append((photo.key, seen.inside, guessed.inside))
            if not seen.inside:
                one.problems[NOT_FOUND] = ""
            if guessed.inside:
                one.problems[BLIND] = ""

    def _listener_figures(self) -> dict[str, Any]:
        photos, found, blind = (np.array(column) for column in zip(*self._heard, strict=True))
        figures: dict[str, Any] = {"texts": len(found), "photos": len(set(photos.tolist()))}
        for name, values in (("found", found), ("found_blind", blind), ("found_only_by_looking", found & ~blind)):
            share = bootstrap_mean(100.0 * values, photos)
            figures[name] = {"percent": share.mean, "ci95": [share.low, share.high]}
        return figures
