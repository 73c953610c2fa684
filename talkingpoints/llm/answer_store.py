"""Answers kept as they come: an append-only file of JSON lines, from which a run that was killed goes on.

A line is written in one piece and handed to the system at once, so whatever was answered outlives the process. A last
line that was cut off is removed at the next start. Only one process may write to a file.
"""

import json
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout


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
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            self._end = self._load()
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
        os.close(self._file)
        self._process_lock.release()

    def get(self, identity: str) -> str | None:
        """The model's words, None if the question has not been answered yet."""
        with self._lock:
            place = self._places.get(identity)
            if place is None:
                return None
            start, length = place
            return json.loads(os.pread(self._file, length, start))["text"]

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
        content = f"{json.dumps(line, ensure_ascii=False)}\n".encode()
        with self._lock:
            written = 0
            while written < len(content):  # a full disk or a signal can cut a write short
                written += os.write(self._file, content[written:])
            self._count(line, self._end, len(content))
            self._end += len(content)

    def _load(self) -> int:
        """Index the file, repair its end, and return its length in bytes."""
        start = 0
        with self.path.open("rb") as file:
            for number, raw in enumerate(file, start=1):
                if not raw.endswith(b"\n"):
                    os.truncate(self.path, start)
                    break
                try:
                    line = json.loads(raw)
                    self._count(line, start, len(raw))
                except (ValueError, KeyError, TypeError) as error:
                    raise ValueError(f"{self.path}, line {number}: no answer ({error}); remove the line") from None
                start += len(raw)
        return start

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
