"""The model pair as a server calls it: every call within a time limit, on a GPU where one is lent.

Python cannot end a thread: a call that takes too long is answered with an error and left to finish alone. A
description, which is the only call of many steps, stops at its next token.
"""

import threading
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, Protocol, TypeVar

import numpy as np
from PIL import Image

from space.drawing import PixelPoint, UnitPoint
from space.hardware import on_lent_gpu
from space.limits import SECONDS_PER_REQUEST
from talkingpoints.inference import Description, Localization, RoundTrip

Piece = TypeVar("Piece")

_END = object()


class Pair(Protocol):
    """What the app asks of a model pair; see :class:`talkingpoints.inference.TalkingPoints`. Points in pixels of the
    image, but for ``window``, which takes a unit point.
    """

    def stream(self, image: Image.Image, point_px: PixelPoint) -> Iterator[str]: ...

    def describe(self, image: Image.Image, point_px: PixelPoint) -> Description: ...

    def localize(self, image: Image.Image, text: str) -> Localization: ...

    def round_trip(self, image: Image.Image, point_px: PixelPoint) -> RoundTrip: ...

    def window(self, point: UnitPoint) -> np.ndarray | None: ...


class ServedPair:
    """A :class:`Pair` whose calls raise TimeoutError when they take too long.

    Args:
        pair: the pair to call.
        seconds: time for one call.
    """

    def __init__(self, pair: Pair, seconds: float = SECONDS_PER_REQUEST) -> None:
        def stream(image: Image.Image, point_px: PixelPoint) -> Iterator[str]:
            yield from in_time(lambda: pair.stream(image, point_px), seconds)

        def describe(image: Image.Image, point_px: PixelPoint) -> Description:
            return next(in_time(lambda: iter([pair.describe(image, point_px)]), seconds))

        def localize(image: Image.Image, text: str) -> Localization:
            return next(in_time(lambda: iter([pair.localize(image, text)]), seconds))

        def round_trip(image: Image.Image, point_px: PixelPoint) -> RoundTrip:
            return next(in_time(lambda: iter([pair.round_trip(image, point_px)]), seconds))

        self.stream = on_lent_gpu(stream, seconds)
        self.describe = on_lent_gpu(describe, seconds)
        self.localize = on_lent_gpu(localize, seconds)
        self.round_trip = on_lent_gpu(round_trip, seconds)
        self.window = pair.window


def in_time(pieces: Callable[[], Iterator[Piece]], seconds: float) -> Iterator[Piece]:
    """Hand on the pieces of an iterator, made and run in a thread of its own, until it ends or time is up.

    Args:
        pieces: makes the iterator.
        seconds: time for all pieces together.

    Raises:
        TimeoutError: the time is up. What the iterator raises is raised here as well.
    """
    handed: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
    left = threading.Event()

    def run() -> None:
        try:
            for piece in pieces():
                handed.put((piece, None))
                if left.is_set():
                    break
            handed.put((_END, None))
        except BaseException as error:  # handed over to the caller's thread below
            handed.put((_END, error))

    deadline = monotonic() + seconds
    threading.Thread(target=run, daemon=True).start()
    try:
        while True:
            try:
                piece, error = handed.get(timeout=max(0.0, deadline - monotonic()))
            except Empty:
                raise TimeoutError(
                    f"the model took longer than {seconds:g} seconds and was stopped. Try again in a moment."
                ) from None
            if error is not None:
                raise error
            if piece is _END:
                return
            yield piece
    finally:
        left.set()
