"""The model pair as a server calls it: one call at a time, every call within a time limit, on a GPU where one is lent.

Python cannot end a thread. A call that takes too long is answered with an error; the words of a description stop at
their next piece, a search for a point runs to its end. Until then the models are taken, and who asks is told so.
"""

import threading
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, Protocol, TypeVar

import numpy as np
from PIL import Image

from space.drawing import UnitPoint
from space.hosting.encodings import Encodings
from space.hosting.hardware import on_lent_gpu
from space.hosting.limits import SECONDS_PER_REQUEST
from talkingpoints.encoded_photo import EncodedPhoto
from talkingpoints.results import CaptionedSegments, Localization

Piece = TypeVar("Piece")

BUSY = "the models are still busy with a call that takes too long. Try again in a moment."

_END = object()


class ModelError(RuntimeError):
    """Whatever a model raised; what it said is for the log and never for a visitor."""


class NoSegmenter(ModelError):
    """The model that finds segments, which is loaded on first use, is not there."""


class Pair(Protocol):
    """What the app asks of a model pair; see :class:`talkingpoints.inference.TalkingPoints`. Points are unit (x, y)."""

    def stream(self, image: Image.Image, *, point: UnitPoint) -> Iterator[str]: ...

    def localize(self, image: Image.Image, text: str) -> Localization: ...

    def caption_segments(self, image: Image.Image) -> CaptionedSegments: ...

    def window(self, point: UnitPoint) -> np.ndarray | None: ...


class EncodingPair(Protocol):
    """A pair that takes encoded photos, as ``TalkingPoints`` does."""

    def encode(self, image: Image.Image) -> EncodedPhoto: ...

    def stream(self, image: EncodedPhoto, *, point: UnitPoint) -> Iterator[str]: ...

    def localize(self, image: EncodedPhoto, text: str) -> Localization: ...

    def caption_segments(self, image: EncodedPhoto) -> CaptionedSegments: ...

    def window(self, point: UnitPoint) -> np.ndarray | None: ...


class ServedPair:
    """A :class:`Pair` whose calls take turns and raise TimeoutError when they take too long, or when one that did is
    still running, and :class:`ModelError` for whatever else goes wrong in them. Images that come again are not encoded
    again.

    Args:
        pair: the pair to call.
        seconds: time for one call; the wait for its turn may take as long again.
    """

    def __init__(self, pair: EncodingPair, seconds: float = SECONDS_PER_REQUEST) -> None:
        turn, encoded = Turn(), Encodings(pair.encode)

        def stream(image: Image.Image, *, point: UnitPoint) -> Iterator[str]:
            yield from in_time(lambda: pair.stream(encoded(image), point=point), seconds, turn)

        def localize(image: Image.Image, text: str) -> Localization:
            (found,) = in_time(lambda: iter([pair.localize(encoded(image), text)]), seconds, turn)
            return found

        def caption_segments(image: Image.Image) -> CaptionedSegments:
            (found,) = in_time(lambda: iter([_captioned(pair, encoded(image))]), seconds, turn)
            return found

        def window(point: UnitPoint) -> np.ndarray | None:
            try:
                return pair.window(point)
            except Exception as error:
                raise _model_error(error) from error

        self.stream = on_lent_gpu(stream, seconds)
        self.localize = on_lent_gpu(localize, seconds)
        self.caption_segments = on_lent_gpu(caption_segments, seconds)
        self.window = window


class Turn:
    """Whose turn it is: at most one call has it, from its beginning to its true end."""

    def __init__(self) -> None:
        self._taken = threading.Lock()
        self._late: threading.Event | None = None

    def take(self, late: threading.Event, seconds: float) -> None:
        """Wait for the turn.

        Args:
            late: to be set when the call that takes the turn is given up and runs on.
            seconds: the longest wait.

        Raises:
            TimeoutError: a call has the turn that was given up, or the time is up.
        """
        before = self._late
        if (before is not None and before.is_set()) or not self._taken.acquire(timeout=seconds):
            raise TimeoutError(BUSY)
        self._late = late

    def end(self) -> None:
        """Let the next one have it; may be called from another thread than :meth:`take`."""
        self._late = None
        self._taken.release()


def in_time(pieces: Callable[[], Iterator[Piece]], seconds: float, turn: Turn) -> Iterator[Piece]:
    """Hand on the pieces of an iterator, made and run in a thread of its own, until it ends or time is up.

    Args:
        pieces: makes the iterator.
        seconds: time to wait for the turn, and again for all pieces together.
        turn: is taken until the iterator has ended, which may be after this function has.

    Raises:
        TimeoutError: the time is up.
        ModelError: the iterator raised something.
    """
    left, late = threading.Event(), threading.Event()
    turn.take(late, seconds)
    handed: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()

    def run() -> None:
        failure: BaseException | None = None
        try:
            for piece in pieces():
                handed.put((piece, None))
                if left.is_set():
                    break
        except BaseException as error:  # handed over to the caller's thread below
            failure = error
        finally:
            turn.end()  # before the caller hears of it, who may call again at once
        handed.put((_END, failure))

    deadline = monotonic() + seconds
    threading.Thread(target=run, daemon=True).start()
    try:
        while True:
            try:
                piece, error = handed.get(timeout=max(0.0, deadline - monotonic()))
            except Empty:
                late.set()
                raise TimeoutError(f"the model took longer than {seconds:g} seconds. Try again in a moment.") from None
            if error is not None:
                raise _model_error(error) from error
            if piece is _END:
                return
            yield piece
    finally:
        left.set()


def _captioned(pair: EncodingPair, image: EncodedPhoto) -> CaptionedSegments:
    try:
        return pair.caption_segments(image)
    except OSError as error:  # all else of the pair has been loaded before the app started
        raise NoSegmenter(str(error)) from error


def _model_error(error: BaseException) -> ModelError:
    return error if isinstance(error, ModelError) else ModelError(f"{type(error).__name__}: {error}")
