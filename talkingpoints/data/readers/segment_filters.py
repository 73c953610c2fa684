"""Which segments' texts are good enough to learn from: the filters of Pix2Cap-COCO's users, as options, with counts.

The released loader drops a whole training photo if one of its descriptions has fewer than three characters, and filters
nothing in validation; others drop short texts and what a model said when it did not see the object.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace

from talkingpoints.data.readers.coco_panoptic import PanopticPhoto, Segment

RELEASED_SHORTEST = 3
"""Characters: what the released loader asks of each description of a training photo."""

_REFUSAL = re.compile(
    r"\bsorry\b|\b(cannot|can not|can't|could not|couldn't|unable to|not able to|impossible to|difficult to)\s+"
    r"(\w+\s+){0,2}(identify|see|determine|describe|discern|provide|tell|assist|help)|"
    r"\bnot (clearly )?visible\b|\bbounding box|\bquery object|\bas an ai\b|\bno (object|segment|region) (is|was|can)",
    re.IGNORECASE,
)


def is_refusal(text: str) -> bool:
    """Whether a text says that its writer saw nothing, or speaks of the annotation instead of the photo."""
    return _REFUSAL.search(text) is not None


@dataclass(frozen=True)
class SegmentFilters:
    """What is left out. The default leaves out nothing.

    Args:
        shortest: characters that a text must have, surrounding blanks apart; 0 takes also segments without a text.
        refusals: leave out texts of `is_refusal`.
        whole_photos: a photo with one bad text is left out, as the released loader does; otherwise only the segment
            loses its text.
        crowds: leave out the texts of crowd segments, which are about several objects; they are not bad texts.

    Raises:
        ValueError: a negative length.
    """

    shortest: int = 0
    refusals: bool = False
    whole_photos: bool = False
    crowds: bool = False

    def __post_init__(self) -> None:
        if self.shortest < 0:
            raise ValueError(f"shortest must not be negative, got {self.shortest}")

    @classmethod
    def released(cls) -> "SegmentFilters":
        """What the released loader does in training: photos with a short text, and crowds."""
        return cls(RELEASED_SHORTEST, whole_photos=True, crowds=True)


@dataclass
class FilterCounts:
    """What was found and what is left, in photos and in segments (those without a text, before or after, are not
    ``described``)."""

    photos: int = 0
    segments: int = 0
    described: int = 0
    missing: int = 0
    short: int = 0
    refusals: int = 0
    crowds: int = 0
    photos_kept: int = 0
    segments_kept: int = 0
    words_kept: int = 0

    def to_json(self) -> dict[str, float]:
        """Plain values, with the mean number of words of the texts that are left."""
        mean = self.words_kept / self.segments_kept if self.segments_kept else 0.0
        return {**asdict(self), "words_per_text": round(mean, 2)}


def filtered(
    photos: Iterable[PanopticPhoto], filters: SegmentFilters, counts: FilterCounts | None = None
) -> Iterator[PanopticPhoto]:
    """Photos with what is left of their texts, one at a time; all segments stay, with or without a text.

    Args:
        photos: read one at a time.
        filters: what is left out.
        counts: added to while photos are taken.

    Yields:
        Photos that keep at least one text, or that had none where ``shortest`` is 0.
    """
    counts = FilterCounts() if counts is None else counts
    for photo in photos:
        counts.photos += 1
        problems = [_problem(segment, filters) for segment in photo.segments]
        for segment, problem in zip(photo.segments, problems, strict=True):
            counts.segments += 1
            counts.described += segment.description is not None
            for name in ("missing", "short", "refusals", "crowds"):
                setattr(counts, name, getattr(counts, name) + (problem == name))
        if filters.whole_photos and any(problem not in (None, "crowds") for problem in problems):
            continue
        segments = tuple(
            s if problem is None else replace(s, description=None)
            for s, problem in zip(photo.segments, problems, strict=True)
        )
        texts = [segment.description for segment in segments if segment.description is not None]
        if not texts and filters.shortest:
            continue
        counts.photos_kept += 1
        counts.segments_kept += len(texts)
        counts.words_kept += sum(len(text.split()) for text in texts)
        yield replace(photo, segments=segments)


def _problem(segment: Segment, filters: SegmentFilters) -> str | None:
    if filters.crowds and segment.is_crowd:
        return "crowds"
    if segment.description is None:
        return "missing" if filters.shortest else None
    if len(segment.description.strip()) < filters.shortest:
        return "short"
    return "refusals" if filters.refusals and is_refusal(segment.description) else None
