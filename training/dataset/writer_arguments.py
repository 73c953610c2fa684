"""Flags of the writers that ask language models, and their texts photo by photo; for build_point_dataset.py.

Answers are kept in ``work/answers.jsonl``, so that whatever was answered is not asked again.
"""

import contextlib
import json
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from talkingpoints.dataset_builder.points.preparation import PreparedPhoto
from talkingpoints.dataset_builder.points.tasks import PointTask
from talkingpoints.dataset_builder.texts.model_writer import PROMPTS, ModelWriter, WrittenText
from talkingpoints.llm.answer_store import AnswerStore
from talkingpoints.llm.asker import Asker, Limits
from talkingpoints.llm.requests import Chat
from talkingpoints.llm.server import ServerChat

WRITERS = ("rules", "server", "local")


@dataclass(kw_only=True)
class WriterArguments:
    """Who writes the texts."""

    writer: str = field(default="rules", metadata={"help": f"one of {WRITERS}"})
    model: str | None = field(default=None, metadata={"help": "that sees: its name on the server, or Hub id or folder"})
    merge_model: str | None = field(
        default=None, metadata={"help": "that merges the notes; default: the one that sees"}
    )
    base_url: str | None = field(default=None, metadata={"help": "server: its address, as http://localhost:8000/v1"})
    provider: str | None = field(default=None, metadata={"help": "server: an inference provider, or auto, instead"})
    prompts: str = field(default=str(PROMPTS), metadata={"help": "folder of context.txt, local.txt and merge.txt"})
    max_tokens: int = field(default=300, metadata={"help": "of an answer"})
    temperature: float = field(default=0.2, metadata={"help": "server: of sampling"})
    stream: bool = field(default=False, metadata={"help": "server: read answers as they are written"})
    timeout_s: float = field(default=120.0, metadata={"help": "server: longest time for a call"})
    concurrency: int = field(default=8, metadata={"help": "questions at a time"})
    requests_per_minute: float | None = field(default=None, metadata={"help": "most calls in a minute"})
    attempts: int = field(default=8, metadata={"help": "failed calls for a question before the next run has to do it"})
    first_wait_s: float = field(default=1.0, metadata={"help": "after a failed call; doubles with each further one"})
    batch_size: int = field(default=4, metadata={"help": "local: questions in a batch"})
    max_lost: float = field(
        default=0.5,
        metadata={"help": "share of texts without a usable answer, above which the run fails, as it does without any"},
    )
    prompt_price: float = field(default=0.0, metadata={"help": "of a million tokens of questions, for the cost"})
    completion_price: float = field(default=0.0, metadata={"help": "of a million tokens of answers"})

    def __post_init__(self) -> None:
        if self.writer not in WRITERS:
            raise ValueError(f"writer: {self.writer!r}; allowed: {WRITERS}")
        if self.writer != "rules" and self.model is None:
            raise ValueError(f"--writer {self.writer} needs --model")
        if not 0 <= self.max_lost <= 1:
            raise ValueError(f"max_lost must be a share, 0 to 1, got {self.max_lost}")


def check_losses(asked: int, lost: Sequence[str], most: float) -> None:
    """End a run that yields nothing, or too little: it would have been paid for without a word.

    Args:
        asked: texts that were asked for.
        lost: why, for each of those that no usable answer came for.
        most: share of them that may be.

    Raises:
        RuntimeError: They are more, or all; counts the reasons.
    """
    if not lost or (len(lost) <= most * asked and len(lost) < asked):
        return
    reasons = Counter(reason.rpartition("the last one: ")[2][:120] for reason in lost)
    counted = "; ".join(f"{count} x {reason}" for reason, count in reasons.most_common(5))
    raise RuntimeError(f"{len(lost)} of {asked} texts have no usable answer, more than --max_lost {most:g}: {counted}")


def asker_of(arguments: WriterArguments, model: str, store: AnswerStore) -> Asker:
    """What asks a model, within the limits of the flags."""
    limits = Limits(
        concurrency=arguments.concurrency,
        requests_per_minute=arguments.requests_per_minute,
        attempts=arguments.attempts,
        first_wait_s=arguments.first_wait_s,
    )
    return Asker(_chat(arguments, model), store, limits)


@contextlib.contextmanager
def model_writer(arguments: WriterArguments, work: Path) -> Iterator[ModelWriter]:
    """The writer that asks models. On leaving, what was asked and paid so far is in ``work/writing.json``.

    Raises:
        ValueError: If the arguments do not fit together, or a prompt is wrong.
        RuntimeError: If another run uses the folder.
    """
    with AnswerStore(work / "answers.jsonl") as store:
        seeing = asker_of(arguments, str(arguments.model), store)
        merging = None
        if arguments.merge_model is not None:
            merging = asker_of(arguments, arguments.merge_model, store)
        writer = ModelWriter(seeing, merging, Path(arguments.prompts))
        try:
            yield writer
        finally:
            usage = store.usage
            report = {
                "version": writer.version,
                "usage": asdict(usage),
                "cost": usage.cost(arguments.prompt_price, arguments.completion_price),
                "problems_of_this_run": dict(writer.problems),
                "rejected_in_this_run": writer.rejected,
            }
            (work / "writing.json").write_text(json.dumps(report, indent=2), encoding="utf-8")


def photo_texts(
    photos: Iterable[PreparedPhoto],
    tasks_of: Callable[[PreparedPhoto], list[PointTask]],
    writer: ModelWriter,
    total: int | None = None,
) -> Iterator[tuple[PreparedPhoto, list[tuple[PointTask, WrittenText]]]]:
    """Photos with the texts for their tasks, in order; of the photos only those under way are in memory.

    Args:
        photos: prepared.
        tasks_of: a photo's tasks that are kept.
        writer: that asks models.
        total: number of tasks, for the progress bar.

    Raises:
        RuntimeError: See :meth:`ModelWriter.write_all`.
    """
    waiting: deque[tuple[PreparedPhoto, list[PointTask]]] = deque()

    def tasks() -> Iterator[PointTask]:
        for photo in photos:
            own = tasks_of(photo)
            waiting.append((photo, own))
            yield from own

    written: list[WrittenText] = []
    for text in writer.write_all(tasks(), total):
        written.append(text)
        while waiting and len(waiting[0][1]) <= len(written):
            photo, own = waiting.popleft()
            yield photo, list(zip(own, written[: len(own)], strict=True))
            del written[: len(own)]
    for photo, own in waiting:  # photos without tasks at the end
        assert not own
        yield photo, []


def _chat(arguments: WriterArguments, model: str) -> Chat:
    if arguments.writer == "local":
        from talkingpoints.llm.local import LocalChat

        return LocalChat.from_pretrained(model, arguments.max_tokens, arguments.batch_size)
    return ServerChat(
        model,
        base_url=arguments.base_url,
        provider=arguments.provider,
        max_tokens=arguments.max_tokens,
        temperature=arguments.temperature,
        timeout_s=arguments.timeout_s,
        stream=arguments.stream,
    )
