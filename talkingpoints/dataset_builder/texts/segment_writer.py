"""Texts for all segments of a photo by a model that sees the photo with numbered outlines (segment_marks.py).

One question a sheet; the answer must be JSON with exactly the sheet's numbers, and each text a usable caption, else it
is asked for again. Answers are kept by the asker's store, so a run that was cut goes on.
"""

import asyncio
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from talkingpoints.data.readers.coco_names import plain_name
from talkingpoints.data.readers.coco_panoptic import PanopticPhoto, Segment
from talkingpoints.data.readers.segment_filters import RELEASED_SHORTEST
from talkingpoints.dataset_builder.texts.model_writer import plain_text
from talkingpoints.dataset_builder.texts.segment_marks import MARKS_VERSION, MOST_MARKS, Sheet, marked, sheets_of
from talkingpoints.images import load_image
from talkingpoints.llm.asker import Asker
from talkingpoints.llm.background import answered_in_order
from talkingpoints.llm.prompt_files import Prompt
from talkingpoints.llm.requests import RejectedError, WriteRequest, without_reasoning

PROMPT = Path(__file__).parent / "prompts" / "segments.txt"
LONGEST_CAPTION = 600
"""Characters."""

_FENCE = re.compile(r"^\s*```(?:json)?\s*\n(.*?)\n\s*```\s*$", re.DOTALL)
# A caption that is turned down costs another question, and in the end the photo: only what is surely none matches.
_EXCUSE = re.compile(
    r"\b(sorry|as an ai|unable to (identify|see|describe|determine)|cannot be (identified|seen|described|determined)|"
    r"query object)\b|^(i (cannot|can't|can not|am)\b|the (object|segment|region|item) is (not|too) )",
    re.IGNORECASE,
)
_MARKS = re.compile(
    r"\b(segment|region|object|mark|item|plate)s? (number |no\. ?|#)?\d|\bin (a|an|the) (\w+ )?(outline|contour)\b|"
    r"\boutlined (in|with|by) \w+|\b(segment|region) (number|outline)|\bbounding box|"
    r"\bnumbered (segment|region|object)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class WrittenSegments:
    """What came out for a photo.

    Args:
        photo: with the texts; None for segments that were not asked for.
        problems: by sheet, why there are no texts; a photo with problems is not complete.
    """

    photo: PanopticPhoto
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class SegmentChoice:
    """Which segments get a text.

    Args:
        crowds: also those that cover several objects.
        smallest: pixels of the photo; smaller ones get none.
        most_marks: marks on a sheet.

    Raises:
        ValueError: a negative size, or no marks.
    """

    crowds: bool = False
    smallest: int = 0
    most_marks: int = MOST_MARKS

    def __post_init__(self) -> None:
        if self.smallest < 0 or self.most_marks < 1:
            raise ValueError(
                f"smallest must be at least 0 and most_marks at least 1, got {self.smallest} and {self.most_marks}"
            )

    def of(self, photo: PanopticPhoto) -> list[Segment]:
        """The segments of a photo that get a text, in the order of the file."""
        return [s for s in photo.segments if (self.crowds or not s.is_crowd) and s.area >= self.smallest]


class SegmentWriter:
    """Writes texts through an asker.

    Args:
        asker: asks the model that sees images.
        choice: which segments get a text.
        prompt: file that may name $count, $segments and $example.

    Raises:
        ValueError: the prompt is missing or wrong.
    """

    def __init__(self, asker: Asker, choice: SegmentChoice | None = None, prompt: Path = PROMPT):
        self.asker, self.choice = asker, choice or SegmentChoice()
        self._prompt = Prompt.read(prompt)
        self._prompt.filled(count="", segments="", example="")

    @property
    def version(self) -> dict[str, str]:
        """Model and prompt, for the dataset that comes out."""
        return {"seeing": self.asker.chat.identity, "marks": MARKS_VERSION, self._prompt.name: self._prompt.version}

    def write_all(self, photos: Iterable[PanopticPhoto], total: int | None = None) -> Iterator[WrittenSegments]:
        """Texts for photos, in their order; many are written at a time.

        Args:
            photos: read only as far as they are worked on.
            total: how many there are, for the progress bar.

        Raises:
            RuntimeError: a server answers nothing; or calls for some photos failed too often, which is raised at the
                end, when all others have their texts. Another run goes on from here.
            ValueError: a photo or its id map cannot be read.
        """
        return answered_in_order(
            photos,
            self.write,
            lambda photo, reason: WrittenSegments(photo.with_descriptions({}), (reason,)),
            2 * self.asker.limits.concurrency,
            tqdm(total=total, unit="photo", desc="writing"),
            lambda: f"{self.asker.problems.total()} problems",
            "photos are still without texts",
        )

    async def write(self, photo: PanopticPhoto) -> WrittenSegments:
        """The texts for one photo; its sheets are asked for at once.

        Raises:
            GaveUpError, ServerError: see :meth:`Asker.ask`.
        """
        chosen = {segment.id: segment for segment in self.choice.of(photo)}
        groups = sheets_of(list(chosen), self.choice.most_marks)
        requests = [self._request(photo, [chosen[i] for i in group], n) for n, group in enumerate(groups)]
        answers = await asyncio.gather(*(self.asker.ask(request) for request in requests), return_exceptions=True)
        texts: dict[tuple[int, int], str | None] = {}
        problems: list[str] = []
        for group, answer in zip(groups, answers, strict=True):
            if isinstance(answer, RejectedError):
                problems.append(str(answer))
            elif isinstance(answer, BaseException):
                raise answer
            else:
                texts |= {(photo.image_id, i): text for i, text in zip(group, answer, strict=True)}
        return WrittenSegments(photo.with_descriptions(texts), tuple(problems))

    def _request(self, photo: PanopticPhoto, segments: Sequence[Segment], sheet: int) -> WriteRequest[list[str]]:
        numbers = [str(number) for number in range(1, len(segments) + 1)]
        listed = "; ".join(f"{n}: {plain_name(s.category)}" for n, s in zip(numbers, segments, strict=True))
        ids = [segment.id for segment in segments]
        return WriteRequest(
            key=f"{photo.image_id}/{sheet}/{'+'.join(map(str, ids))}",
            prompt=f"{self._prompt.version} {MARKS_VERSION}",
            text=self._prompt.filled(
                count=str(len(segments)), segments=listed, example=", ".join(f'"{n}": "..."' for n in numbers[:2])
            ),
            parse=lambda answer: captions_of(answer, numbers),
            images=lambda: [sheet_of(photo, ids).image],
            schema={
                "type": "object",
                "properties": {number: {"type": "string"} for number in numbers},
                "required": numbers,
                "additionalProperties": False,
            },
        )


def sheet_of(photo: PanopticPhoto, segment_ids: Sequence[int]) -> Sheet:
    """The photo with marks on some of its segments."""
    return marked(load_image(photo.image), photo.id_map(), segment_ids)


def captions_of(answer: str, numbers: Sequence[str]) -> list[str]:
    """The captions in a model's answer, in the order of the numbers.

    Args:
        answer: JSON, perhaps in a code fence, perhaps after thoughts.
        numbers: all that were asked for.

    Raises:
        ValueError: no JSON object, other numbers, one of them twice, or a text that is no caption.
    """
    words = without_reasoning(answer)[0]
    fenced = _FENCE.match(words)
    try:
        values = json.loads(fenced.group(1) if fenced else words, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        raise ValueError(f"no JSON ({error}): {words[:80]!r}") from None
    if not isinstance(values, dict):
        raise ValueError(f"JSON, but no object: {words[:80]!r}")
    if set(values) != set(numbers):
        missing, foreign = sorted(set(numbers) - set(values)), sorted(set(values) - set(numbers))
        raise ValueError(f"the numbers do not match: missing {missing}, not asked for {foreign}")
    return [_caption(number, values[number]) for number in numbers]


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError(f"a number comes twice: {[name for name, _ in pairs]}")
    return values


def _caption(number: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"number {number}: {type(value).__name__} instead of a text")
    try:
        text = plain_text(value)
    except ValueError as error:
        raise ValueError(f"number {number}: {error}") from None
    if len(text) < RELEASED_SHORTEST or len(text) > LONGEST_CAPTION:
        raise ValueError(
            f"number {number}: {len(text)} characters; {RELEASED_SHORTEST} to {LONGEST_CAPTION} are a caption"
        )
    if _EXCUSE.search(text):
        raise ValueError(f"number {number}: a refusal: {text[:80]!r}")
    if _MARKS.search(text):
        raise ValueError(f"number {number}: speaks of the marks: {text[:80]!r}")
    return text
