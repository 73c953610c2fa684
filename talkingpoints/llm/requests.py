"""What is asked of a model, what comes back, and the ways in which it can fail."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from PIL import Image

T = TypeVar("T")

WHOLE = frozenset({"stop", "eos", "eos_token", "stop_sequence", "end_turn"})
"""What servers say of an answer that its model ended itself."""

_REASONING = re.compile(r"\s*(<(think|thinking|thought|reasoning)>|\[THINK\])", re.IGNORECASE)
_REASONED = re.compile(r"</(think|thinking|thought|reasoning)>|\[/THINK\]", re.IGNORECASE)


def no_images() -> Sequence[Image.Image]:
    """For requests of words alone."""
    return ()


@dataclass(frozen=True)
class WriteRequest(Generic[T]):
    """One question.

    Args:
        key: what it is about; with ``prompt`` unique among the questions of a dataset.
        prompt: name and version of the prompt, for example "merge@1f0c9a".
        text: the question as the model reads it, after the images.
        parse: makes the value out of the model's words; ValueError for words that are no answer, which are asked for
            again.
        images: draws the RGB images. Called when the question is sent, in a thread of its own, so that only as many
            images are in memory as questions are under way.
        system: system message.
        schema: JSON schema of the answer. Servers that can do so hold the model to it; ``parse`` has the last word.
    """

    key: str
    prompt: str
    text: str
    parse: Callable[[str], T]
    images: Callable[[], Sequence[Image.Image]] = no_images
    system: str | None = None
    schema: dict[str, Any] | None = None


@dataclass(frozen=True)
class Completion:
    """What a model said.

    Args:
        text: its words.
        prompt_tokens: of the question; 0 where the model does not say.
        completion_tokens: of the answer; likewise.
        ended: why the model stopped, in the words of servers: "stop", "length", "content_filter", ...; None where
            nobody says.
        reasoned: whether reasoning was cut off the words, or was all there was.
    """

    text: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    ended: str | None = "stop"
    reasoned: bool = False

    def check_whole(self) -> None:
        """Raises:
        ValueError: The answer is not whole: only a server that says so makes it that; or it is empty.
        """
        if self.ended == "length":
            raise ValueError("the answer was cut off at the largest number of tokens")
        if self.ended not in WHOLE:
            raise ValueError(f"the answer is not whole: it ended with {self.ended!r}")
        if not self.text.strip():
            said = "reasoning without an answer; allow more tokens, or turn reasoning off" if self.reasoned else "empty"
            raise ValueError(f"the answer is {said}")


def without_reasoning(text: str) -> tuple[str, bool]:
    """A model's words without what it thought before, and whether it thought aloud.

    Servers that know the model's template give reasoning apart; others leave it in front of the answer, between tags of
    which templates often write the first themselves.

    Example:
        >>> without_reasoning("Hm, it is red.</think> A red door.")
        (' A red door.', True)
    """
    ends = list(_REASONED.finditer(text))
    if ends:
        return text[ends[-1].end() :], True
    return ("", True) if _REASONING.match(text) else (text, False)


class Chat(Protocol):
    """A model that can be asked.

    ``identity`` names the model and its sampling settings: answers are kept under it, and other settings ask anew.
    """

    @property
    def identity(self) -> str: ...

    async def complete(self, request: WriteRequest[Any]) -> Completion:
        """Ask once.

        Raises:
            TransientError: asking again may help.
            RejectedError: this question will never be answered.
            ServerError: no question will be.
        """
        ...


class TransientError(RuntimeError):
    """The call failed, and may work when made again, in no less than ``retry_after_s`` seconds."""

    def __init__(self, message: str, retry_after_s: float = 0.0):
        super().__init__(message)
        self.retry_after_s = retry_after_s


class RejectedError(RuntimeError):
    """The model or its server does not answer this question, however often it is asked."""


class GaveUpError(RuntimeError):
    """No answer after as many attempts as allowed; another run may get one."""


class ServerError(RuntimeError):
    """Nothing can be asked of this server: wrong address, key or model, or it is down."""
