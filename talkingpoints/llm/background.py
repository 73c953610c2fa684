"""Coroutines for callers that have none: many items worked on at a time, results in the items' order."""

import asyncio
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import TypeVar

from tqdm import tqdm

from talkingpoints.llm.requests import GaveUpError

T = TypeVar("T")
R = TypeVar("R")


def in_order(items: Iterable[T], work: Callable[[T], Awaitable[R]], ahead: int = 64) -> Iterator[R]:
    """Work on items in a thread of its own, concurrently.

    Args:
        items: read only as far as they are worked on.
        work: a coroutine function.
        ahead: largest number of items under way, or done and waiting for one before them.

    Yields:
        What ``work`` returns, in the order of the items. What it raises is raised here in its turn, and ends the rest.
    """
    if ahead < 1:
        raise ValueError(f"ahead must be at least 1, got {ahead}")
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="in_order", daemon=True)
    thread.start()
    waiting: deque[Future[R]] = deque()
    try:
        for item in items:
            waiting.append(asyncio.run_coroutine_threadsafe(_awaited(work, item), loop))
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        asyncio.run_coroutine_threadsafe(_wind_up(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def answered_in_order(
    items: Iterable[T],
    work: Callable[[T], Awaitable[R]],
    without: Callable[[T, str], R],
    ahead: int,
    bar: tqdm,
    spent: Callable[[], str],
    unanswered: str,
) -> Iterator[R]:
    """As :func:`in_order`, for work that asks a model; calls that fail too often do not keep the other items.

    Args:
        items, work, ahead: as for :func:`in_order`.
        without: the result of an item that was given up on, from the item and the reason.
        bar: shows how many are done; closed at the end.
        spent: what it says beside that.
        unanswered: what is said at the end of such items, for example "points are still without a text".

    Raises:
        RuntimeError: at the end, if some items were given up on.
    """
    gave_up: list[str] = []

    async def tried(item: T) -> R:
        try:
            return await work(item)
        except GaveUpError as error:
            gave_up.append(str(error))
            return without(item, str(error))

    with bar:
        for result in in_order(items, tried, ahead):
            yield result
            bar.set_postfix_str(spent(), refresh=False)
            bar.update()
    if gave_up:
        raise RuntimeError(f"{len(gave_up)} {unanswered}; run it again. First: {gave_up[0]}")


async def _awaited(work: Callable[[T], Awaitable[R]], item: T) -> R:
    return await work(item)


async def _wind_up() -> None:
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_default_executor()
