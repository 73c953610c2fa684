"""Writes a point's text with language models, in three questions as the paper asks them: where it is, by a model that
sees the photo with the point marked; how it looks, by one that sees the surroundings; and one text out of both.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from talkingpoints.dataset_builder.points.tasks import PointTask
from talkingpoints.dataset_builder.texts.views import VIEWS_VERSION, context_view, local_view
from talkingpoints.llm.asker import Asker
from talkingpoints.llm.background import answered_in_order
from talkingpoints.llm.prompt_files import Prompt
from talkingpoints.llm.requests import RejectedError, WriteRequest, without_reasoning

PROMPTS = Path(__file__).parent / "prompts"
LONGEST_ANSWER = 2000
"""Characters; a longer answer is no description."""

_NO_TEXT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ufffd]|<html|<!doctype", re.IGNORECASE)


@dataclass(frozen=True)
class WrittenText:
    """What came out for a task.

    Args:
        key: of the task.
        text: None where the models gave none.
        problem: why there is none; "" otherwise.
        context, local: the two notes that the text was made of.
    """

    key: str
    text: str | None
    problem: str = ""
    context: str = ""
    local: str = ""


class ModelWriter:
    """Writes texts through askers.

    Args:
        seeing: asks the model that sees images.
        merging: asks the model that merges; None takes ``seeing``.
        prompts: folder with ``context.txt``, ``local.txt`` and ``merge.txt``, which may name $label, $part and
            $skeleton, the last one $context and $local too.

    ``rejected`` holds the tasks of this run that stay without a text, and why.

    Raises:
        ValueError: a prompt is missing or wrong.

    Example:
        >>> with AnswerStore(file) as store:
        ...     for written in ModelWriter(Asker(ServerChat("qwen", url), store)).write_all(tasks):
        ...         print(written.key, written.text)
    """

    def __init__(self, seeing: Asker, merging: Asker | None = None, prompts: Path = PROMPTS):
        self.seeing, self.merging = seeing, merging or seeing
        self.rejected: dict[str, str] = {}
        self.context, self.local, self.merge = (
            Prompt.read(prompts / f"{name}.txt") for name in ("context", "local", "merge")
        )
        known = dict.fromkeys(("label", "part", "skeleton"), "")
        for prompt in (self.context, self.local):
            prompt.filled(**known)
        self.merge.filled(**known, context="", local="")

    @property
    def version(self) -> dict[str, str]:
        """Models and prompts, for the dataset that comes out."""
        return {
            "seeing": self.seeing.chat.identity,
            "merging": self.merging.chat.identity,
            "views": VIEWS_VERSION,
            **{prompt.name: prompt.version for prompt in (self.context, self.local, self.merge)},
        }

    def write_all(
        self, tasks: Iterable[PointTask], total: int | None = None, progress: bool = True
    ) -> Iterator[WrittenText]:
        """Texts for tasks, in their order; many are written at a time.

        Args:
            tasks: each key once.
            total: how many there are, for the progress bar.
            progress: whether to show one, on stderr.

        Raises:
            RuntimeError: a server answers nothing (:class:`ServerError`); or calls for some tasks failed too often,
                which is raised at the end, when all others have their texts. Another run goes on from here.
        """
        return answered_in_order(
            tasks,
            self.write,
            lambda task, reason: WrittenText(task.key, None, problem=reason),
            8 * self.seeing.limits.concurrency,  # one slow point should not hold up the others
            tqdm(total=total, unit="point", disable=not progress, desc="writing"),
            self._spent,
            "points are still without a text",
        )

    async def write(self, task: PointTask) -> WrittenText:
        """The text for one task; the two looks at the photo are asked for at once.

        Raises:
            GaveUpError, ServerError: see :meth:`Asker.ask`.
        """
        known = {"label": task.label, "part": task.part, "skeleton": task.skeleton.text}
        # Other options of the preparation may have put another point under the same key.
        key = f"{task.key} at {task.point_px[0]:.2f}, {task.point_px[1]:.2f}"
        looks = (
            WriteRequest(
                key=key,
                prompt=f"{self.context.version} {VIEWS_VERSION}",
                text=self.context.filled(**known),
                parse=plain_text,
                images=lambda: [context_view(task.image, task.point_px)],
            ),
            WriteRequest(
                key=key,
                prompt=f"{self.local.version} {VIEWS_VERSION}",
                text=self.local.filled(**known),
                parse=plain_text,
                images=lambda: [local_view(task.image, task.point_px, task.part_box)],
            ),
        )
        try:
            context, local = await _both(self.seeing, looks)
            merged = WriteRequest(
                key=key,
                prompt=self.merge.version,
                text=self.merge.filled(**known, context=context, local=local),
                parse=plain_text,
            )
            text = await self.merging.ask(merged)
        except RejectedError as error:
            self.rejected[task.key] = str(error)
            return WrittenText(task.key, None, problem=str(error))
        return WrittenText(task.key, text, context=context, local=local)

    @property
    def problems(self) -> Counter[str]:
        """Failed calls and unusable answers of this run by kind."""
        return sum((asker.problems for asker in self._askers), Counter())

    @property
    def _askers(self) -> list[Asker]:
        return [self.seeing] if self.merging is self.seeing else [self.seeing, self.merging]

    def _spent(self) -> str:
        usages = [store.usage for store in {asker.store for asker in self._askers}]
        tokens = sum(usage.prompt_tokens + usage.completion_tokens for usage in usages)
        return f"{tokens:,} tokens, {self.problems.total()} problems"


def plain_text(answer: str) -> str:
    """A model's words as one paragraph, without what it thought before.

    Raises:
        ValueError: nothing is left, or it is no text.
    """
    text = without_reasoning(answer)[0]
    if _NO_TEXT.search(text):
        raise ValueError(f"not a text: {answer[:80]!r}")
    text = " ".join(text.split()).strip("\"'` ")
    if not re.search(r"[A-Za-z]{2}", text):
        raise ValueError(f"no words in {answer[:80]!r}")
    if len(text) > LONGEST_ANSWER:
        raise ValueError(f"{len(text)} characters; at most {LONGEST_ANSWER} are a description")
    return text


async def _both(asker: Asker, requests: tuple[WriteRequest[str], WriteRequest[str]]) -> tuple[str, str]:
    """Two answers, asked for at once. If one fails, the other is still waited for: it has been paid for."""
    first, second = await asyncio.gather(*(asker.ask(request) for request in requests), return_exceptions=True)
    for answer in (first, second):
        if isinstance(answer, BaseException):
            raise answer
    assert isinstance(first, str) and isinstance(second, str)
    return first, second
