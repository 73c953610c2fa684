"""Asks many questions at a time, within limits, until each has its answer, and keeps the answers.

A failed call is made again after a wait that doubles, or as long as the server asks for; words that are no answer are
asked for again a few times. Leaves out what is asked (requests.py) and of whom (server.py, local.py).
"""

import asyncio
import hashlib
import json
import random
import re
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any, TypeVar

from talkingpoints.llm.answer_store import AnswerStore
from talkingpoints.llm.requests import (
    Chat,
    Completion,
    GaveUpError,
    RejectedError,
    ServerError,
    TransientError,
    WriteRequest,
)

T = TypeVar("T")

_QUOTED = re.compile(r"['\"].*", re.DOTALL)  # what a message quotes of an answer: reasons are counted without it


@dataclass(frozen=True)
class Limits:
    """How hard to try.

    Args:
        concurrency: calls at a time.
        requests_per_minute: calls started in a minute; None for no limit.
        attempts: calls for a question that fail, before it is left to the next run.
        unusable_attempts: answers to a question that cannot be parsed, before it is rejected.
        first_wait_s: wait after the first failure; doubled by each further one, and shortened by up to a half at random
            so that calls do not all come back at once.
        longest_wait_s: of one wait, whatever a server asks for.
        failures_in_a_row: questions without an answer, and none answered between them, after which the run ends. As
            soon as the store holds an answer, questions that are turned down no longer count: all that are asked about
            a photo may meet a server's filter, and would end every further run at the same place.

    Raises:
        ValueError: a number below what makes sense.
    """

    concurrency: int = 8
    requests_per_minute: float | None = None
    attempts: int = 8
    unusable_attempts: int = 5
    first_wait_s: float = 1.0
    longest_wait_s: float = 120.0
    failures_in_a_row: int = 20

    def __post_init__(self) -> None:
        for name in ("concurrency", "attempts", "unusable_attempts", "failures_in_a_row"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("first_wait_s", "longest_wait_s"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        if self.requests_per_minute is not None and self.requests_per_minute <= 0:
            raise ValueError(f"requests_per_minute must be above 0, got {self.requests_per_minute}")


class Asker:
    """Asks one model, and keeps what it says in a store.

    ``problems`` counts failed calls and unusable answers of this run by kind.

    Example:
        >>> with AnswerStore(path) as store:
        ...     asker = Asker(ServerChat("qwen", url), store)
        ...     for text in in_order(requests, asker.ask):
        ...         print(text)
    """

    def __init__(self, chat: Chat, store: AnswerStore, limits: Limits | None = None):
        self.chat = chat
        self.store = store
        self.limits = limits or Limits()
        self.problems: Counter[str] = Counter()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._slots = asyncio.Semaphore(self.limits.concurrency)
        self._next_start = 0.0  # by the monotonic clock
        self._in_a_row = 0
        self._stopped: ServerError | None = None

    async def ask(self, request: WriteRequest[T]) -> T:
        """The parsed answer to one question, out of the store if it is there.

        That a question was turned down is kept too, once the store holds an answer: before that it may be the server
        that turns everything down.

        Raises:
            RejectedError: the server turns the question down, or no answer could be parsed.
            GaveUpError: all attempts failed.
            ServerError: the server turns everything down, or too many questions in a row stayed without an answer.
        """
        identity = question_identity(self.chat, request)
        kept = self.store.get(identity)
        if kept is not None:
            try:
                return request.parse(kept)
            except ValueError:
                self.problems["kept answer that no longer parses"] += 1
        rejection = self.store.rejection(identity)
        if rejection is not None:
            self.problems["turned down by an earlier run"] += 1
            raise RejectedError(rejection)
        if asyncio.get_running_loop() is not self._loop:  # a semaphore serves one loop
            self._loop, self._slots = asyncio.get_running_loop(), asyncio.Semaphore(self.limits.concurrency)
        async with self._slots:
            if self._stopped is not None:
                raise self._stopped
            try:
                value = await self._answered(identity, request)
            except RejectedError as error:
                if self.store.usage.answers:
                    self.store.reject(identity, str(error), key=request.key, prompt=request.prompt)
                else:
                    self._no_answer(error)
                raise
            except GaveUpError as error:
                self._no_answer(error)
                raise
            except ServerError as error:
                self._stopped = error
                raise
        self._in_a_row = 0
        return value

    def _no_answer(self, error: RuntimeError) -> None:
        """Count a question without an answer.

        Raises:
            ServerError: they are too many in a row.
        """
        self._in_a_row += 1
        if self._in_a_row >= self.limits.failures_in_a_row:
            message = f"{self._in_a_row} questions in a row have no answer; the last one: {error}"
            self._stopped = ServerError(message)
            raise self._stopped from error

    async def _answered(self, identity: str, request: WriteRequest[T]) -> T:
        """Ask until there is an answer, and keep it."""
        failed, unusable = 0, 0
        while True:
            await self._turn()
            if self._stopped is not None:
                raise self._stopped
            try:
                completion = await self.chat.complete(request)
            except TransientError as error:
                failed += 1
                self.problems[str(error).split(":")[0]] += 1
                if failed >= self.limits.attempts:
                    raise GaveUpError(
                        f"{request.key}: no answer after {failed} attempts; the last one: {error}"
                    ) from error
                await self._wait(failed, error.retry_after_s)
                continue
            about = _about(request, self.chat, completion, failed)
            try:
                value = _parsed(request, completion)
            except ValueError as error:
                unusable += 1
                self.problems[f"unusable answer: {_QUOTED.sub('', str(error))[:80].strip(' :')}"] += 1
                self.store.add(identity, None, problem=str(error)[:300], **about)
                failed = 0  # counted in that line
                if unusable >= self.limits.unusable_attempts:
                    message = f"{request.key}: {unusable} answers were of no use; the last one: {error}"
                    raise RejectedError(message) from error
                continue
            self.store.add(identity, completion.text, **about)
            return value

    async def _turn(self) -> None:
        """Wait until a call may start: the rate limit, and what servers asked for."""
        now = time.monotonic()
        start = max(now, self._next_start)
        if self.limits.requests_per_minute is not None:
            self._next_start = start + 60.0 / self.limits.requests_per_minute
        await asyncio.sleep(start - now)

    async def _wait(self, failed: int, retry_after_s: float) -> None:
        """Wait after a failure. A server that asks for time gets it from all calls."""
        limits = self.limits
        wait = min(limits.longest_wait_s, limits.first_wait_s * 2 ** (failed - 1)) * random.uniform(0.5, 1.0)
        asked = min(limits.longest_wait_s, retry_after_s)
        if asked > 0:
            self._next_start = max(self._next_start, time.monotonic() + asked)
        await asyncio.sleep(max(wait, asked))


def question_identity(chat: Chat, request: WriteRequest[Any]) -> str:
    """Under what an answer is kept: changes with the key, the prompt's version, the words, and the model."""
    question = [request.key, request.prompt, request.system, request.text, request.schema, chat.identity]
    return hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()[:32]


def _parsed(request: WriteRequest[T], completion: Completion) -> T:
    completion.check_whole()
    return request.parse(completion.text)


def _about(request: WriteRequest[Any], chat: Chat, completion: Completion, failed: int) -> dict[str, Any]:
    return {
        "key": request.key,
        "prompt": request.prompt,
        "model": chat.identity,
        "prompt_tokens": completion.prompt_tokens,
        "completion_tokens": completion.completion_tokens,
        "failed_calls": failed,
    }
