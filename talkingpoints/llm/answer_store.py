"""Answers kept as they come, in a file of JSON lines that only grows: a run that was killed goes on from it."""

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from talkingpoints.data.appended_lines import AppendedLines


@dataclass(frozen=True)
class Usage:
    """What the answers of a store have cost so far, those that were of no use included.

    Args:
        answers: kept ones.
        unusable: answers that were paid for and thrown away.
        failed_calls: calls that brought nothing and were made again.
        prompt_tokens, completion_tokens: as the model counted them.
    """

    answers: int = 0
    unusable: int = 0
    failed_calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def cost(self, prompt_price: float, completion_price: float) -> float:
        """Money, for prices in the same unit per million tokens."""
        return (self.prompt_tokens * prompt_price + self.completion_tokens * completion_price) / 1e6


class AnswerStore:
    """The answers in a file, by the identity of their questions. Usable from several threads.

    Args:
        path: of the file, ``.jsonl``; made if it is not there.

    Raises:
        ValueError: the file holds a line, other than the last, that is no answer.
        RuntimeError: another process has it open.
    """

    def __init__(self, path: Path):
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._process_lock = FileLock(f"{path}.lock")  # the system frees it even after SIGKILL
        try:
            self._process_lock.acquire(timeout=0)
        except Timeout:
            raise RuntimeError(f"{path} is in use by another run; wait for it or take another file") from None
        self._lock = threading.Lock()
        self._places: dict[str, tuple[int, int]] = {}  # identity -> start and length of its line
        self._rejections: dict[str, str] = {}  # identity -> why
        self.usage = Usage()
        self._lines = AppendedLines(path)
        try:
            for start, length, line in self._lines:
                try:
                    self._count(line, start, length)
                except (KeyError, TypeError) as error:
                    raise ValueError(f"{path}, byte {start}: no answer ({error!r}); remove the line") from None
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "AnswerStore":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._places)

    def close(self) -> None:
        """Let go of the file."""
        self._lines.close()
        self._process_lock.release()

    def get(self, identity: str) -> str | None:
        """The model's words, None if the question has not been answered yet."""
        with self._lock:
            place = self._places.get(identity)
            return None if place is None else self._lines.read(*place)["text"]

    def rejection(self, identity: str) -> str | None:
        """Why a question is not answered, None if it has not been turned down."""
        with self._lock:
            return self._rejections.get(identity)

    def reject(self, identity: str, problem: str, **about: Any) -> None:
        """Append that a question was turned down. Where the line is removed from the file, it is asked again.

        Args:
            identity: of the question.
            problem: why.
            about: what else to keep, as JSON values.
        """
        self._append({"id": identity, "text": None, "rejected": problem[:300], **about})

    def add(self, identity: str, text: str | None, **about: Any) -> None:
        """Append one line.

        Args:
            identity: of the question.
            text: the model's words; None for an answer that is of no use but was paid for.
            about: what else to keep, as JSON values; ``prompt_tokens``, ``completion_tokens`` and ``failed_calls`` are
                added up in ``usage``.
        """
        self._append({"id": identity, "text": text, **about})

    def _append(self, line: dict[str, Any]) -> None:
        with self._lock:
            self._count(line, *self._lines.append(line))

    def _count(self, line: dict[str, Any], start: int, length: int) -> None:
        if line["text"] is not None:
            self._places[line["id"]] = (start, length)
        rejected = "rejected" in line
        if rejected:
            self._rejections[line["id"]] = str(line["rejected"])
        before = self.usage
        self.usage = Usage(
            answers=len(self._places),
            unusable=before.unusable + (line["text"] is None and not rejected),
            failed_calls=before.failed_calls + line.get("failed_calls", 0),
            prompt_tokens=before.prompt_tokens + line.get("prompt_tokens", 0),
            completion_tokens=before.completion_tokens + line.get("completion_tokens", 0),
        )
