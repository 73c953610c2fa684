"""Panoptic quality: which predicted segments are which annotated ones, and PQ = SQ x RQ (Kirillov et al., 2019).

As panopticapi defines it: segments of one category match if their IoU, not counting predicted pixels that nobody
annotated, is above 0.5, which can be true of one pair only; crowds are neither found nor missed; predictions that lie
for more than half on void or on a crowd of their category do not count. As there, of several crowds of one category in
a photo only the last is known.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import numpy as np

from talkingpoints.data.readers.coco_panoptic import LARGEST_ID, VOID, Category, PanopticPhoto, PanopticPhotos, Segment

_log = logging.getLogger(__name__)

MATCH_IOU = 0.5
"""A match's IoU is above this."""


@dataclass(frozen=True)
class Overlaps:
    """How the segments of two id maps of one photo overlap.

    Args:
        truth: annotated segments by id.
        predicted: predicted segments by id.
        shared: pixels by (annotated id, predicted id), `VOID` among them.
        areas: pixels of the predicted segments.
    """

    truth: Mapping[int, Segment]
    predicted: Mapping[int, Segment]
    shared: Mapping[tuple[int, int], int]
    areas: Mapping[int, int]

    def iou(self, truth_id: int, predicted_id: int) -> float:
        """Intersection over union; predicted pixels on void are left out of the union."""
        inside = self.shared.get((truth_id, predicted_id), 0)
        on_void = self.shared.get((VOID, predicted_id), 0)
        return inside / (self.areas[predicted_id] + self.truth[truth_id].area - inside - on_void)

    def same_category(self) -> Iterator[tuple[int, int]]:
        """Pairs that share a pixel and a category, without crowds, by annotated id and then by predicted id."""
        for truth_id, predicted_id in sorted(self.shared):
            if truth_id == VOID or predicted_id == VOID:
                continue
            one, other = self.truth[truth_id], self.predicted[predicted_id]
            if not one.is_crowd and one.category_id == other.category_id:
                yield truth_id, predicted_id

    def uncounted(self, predicted_id: int) -> bool:
        """Whether a prediction lies for more than half on void or on a crowd of its category."""
        category = self.predicted[predicted_id].category_id
        crowds = [i for i, segment in self.truth.items() if segment.is_crowd and segment.category_id == category]
        ids = [VOID, *crowds[-1:]]
        return sum(self.shared.get((i, predicted_id), 0) for i in ids) / self.areas[predicted_id] > 0.5


def overlaps(truth: PanopticPhoto, predicted: PanopticPhoto) -> Overlaps:
    """Compare two annotations of one photo, whose pixels lie in files.

    Raises:
        ValueError: different photos or sizes, or a map that does not fit its JSON.
    """
    if truth.image_id != predicted.image_id:
        raise ValueError(f"truth is of image {truth.image_id}, predicted of image {predicted.image_id}")
    return compared(truth, predicted.segments, predicted.id_map())


def compared(truth: PanopticPhoto, segments: Sequence[Segment], id_map: np.ndarray) -> Overlaps:
    """Compare predicted segments, which need not be in a file, with a photo's annotation.

    Args:
        truth: the annotation.
        segments: predicted ones.
        id_map: their pixels, integers (height, width).

    Raises:
        ValueError: another size than the annotation's, or an annotation whose map does not fit its JSON.
    """
    ids, other = truth.id_map().astype(np.int64), id_map.astype(np.int64)
    if ids.shape != other.shape:
        raise ValueError(f"image {truth.image_id}: truth is {ids.shape}, predicted {other.shape} (height, width)")
    base = LARGEST_ID + 1
    codes, counts = np.unique(ids * base + other, return_counts=True)
    shared = {(int(c // base), int(c % base)): int(n) for c, n in zip(codes, counts, strict=True)}
    areas: Counter[int] = Counter()
    annotated: Counter[int] = Counter()
    for (truth_id, predicted_id), pixels in shared.items():
        annotated[truth_id] += pixels
        areas[predicted_id] += pixels
    counted = {s.id: s if s.area == annotated[s.id] else replace(s, area=annotated[s.id]) for s in truth.segments}
    if any(s.area != counted[s.id].area for s in truth.segments):
        _say_once(truth.id_map_file.parent)
    return Overlaps(counted, {s.id: s for s in segments}, shared, areas)


@cache
def _say_once(id_maps: Path) -> None:
    _log.warning("areas of segments in the JSON are not those of the PNGs in %s, which count", id_maps)


@dataclass(frozen=True)
class Match:
    """An annotated segment that was found."""

    image_id: int
    truth: Segment
    predicted: Segment
    iou: float


@dataclass
class CategoryCounts:
    """Sums over photos for a category: matches, false positives, false negatives, and the matches' IoU."""

    matched: int = 0
    false_positives: int = 0
    false_negatives: int = 0
    iou: float = 0.0

    @property
    def seen(self) -> int:
        """All segments that count."""
        return self.matched + self.false_positives + self.false_negatives

    @property
    def quality(self) -> tuple[float, float, float]:
        """(PQ, SQ, RQ), 0 to 1; the category must have been seen."""
        size = self.matched + 0.5 * self.false_positives + 0.5 * self.false_negatives
        return self.iou / size, self.iou / self.matched if self.matched else 0.0, self.matched / size


@dataclass(frozen=True)
class Quality:
    """Means over the categories that were seen, 0 to 1, and how many these are."""

    pq: float
    sq: float
    rq: float
    categories: int


@dataclass
class PanopticEvaluation:
    """Collects photos.

    Args:
        categories: of the annotations, by id.

    Attributes:
        matches: what was found, in the order of the photos.
        counts: by category id.

    Example:
        >>> evaluation = PanopticEvaluation(truth.categories)
        >>> for one, other in pairs_of(truth, predictions):
        ...     evaluation.add(overlaps(one, other), one.image_id)
        >>> evaluation.quality().pq
    """

    categories: Mapping[int, Category]
    matches: list[Match] = field(default_factory=list)
    counts: dict[int, CategoryCounts] = field(default_factory=dict)

    def add(self, photo: Overlaps, image_id: int) -> None:
        """One photo."""
        found: set[int] = set()
        used: set[int] = set()
        for truth_id, predicted_id in photo.same_category():
            iou = photo.iou(truth_id, predicted_id)
            if iou > MATCH_IOU:
                match = Match(image_id, photo.truth[truth_id], photo.predicted[predicted_id], iou)
                self.matches.append(match)
                counts = self._of(match.truth.category_id)
                counts.matched += 1
                counts.iou += iou
                found.add(truth_id)
                used.add(predicted_id)
        for truth_id, segment in photo.truth.items():
            if truth_id not in found and not segment.is_crowd:
                self._of(segment.category_id).false_negatives += 1
        for predicted_id, segment in photo.predicted.items():
            if predicted_id not in used and not photo.uncounted(predicted_id):
                self._of(segment.category_id).false_positives += 1

    def quality(self, things: bool | None = None) -> Quality | None:
        """PQ, SQ and RQ.

        Args:
            things: True for things, False for stuff, None for all.

        Returns:
            None if no such category was seen.
        """
        chosen = [
            counts.quality
            for category_id, counts in self.counts.items()
            if counts.seen and things in (None, self.categories[category_id].is_thing)
        ]
        if not chosen:
            return None
        pq, sq, rq = (float(np.mean([values[i] for values in chosen])) for i in range(3))
        return Quality(pq, sq, rq, len(chosen))

    def coverage(self) -> float:
        """Share of matches among all segments that count, found, missed or made up; 0 to 1, 0 if there are none.

        Scores of the matches' captions are multiplied by it, so that segments without a match count as 0.
        """
        seen = sum(counts.seen for counts in self.counts.values())
        return len(self.matches) / seen if seen else 0.0

    def _of(self, category_id: int) -> CategoryCounts:
        if category_id not in self.categories:
            raise ValueError(f"predicted category {category_id} is none of the annotations'")
        return self.counts.setdefault(category_id, CategoryCounts())


def pairs_of(
    truth: Iterable[PanopticPhoto], predictions: PanopticPhotos
) -> Iterator[tuple[PanopticPhoto, PanopticPhoto]]:
    """Annotated photos with their predictions, one at a time.

    Raises:
        ValueError: a photo has no prediction.
    """
    for photo in truth:
        if photo.image_id not in predictions:
            raise ValueError(f"{predictions.annotations} has no prediction for image {photo.image_id}")
        yield photo, predictions.of_image(photo.image_id)
