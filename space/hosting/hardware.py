"""Where the models run: on a GPU that a ZeroGPU Space lends for the length of a call, else where they are."""

import importlib
import importlib.util
import os
from collections.abc import Callable
from typing import ParamSpec, TypeVar

Parameters = ParamSpec("Parameters")
Answer = TypeVar("Answer")

ON = ("1", "t", "true")


def lends_gpu() -> bool:
    """Whether this is a Space on ZeroGPU: it says so itself, and its package is there."""
    said = os.environ.get("SPACES_ZERO_GPU", "").lower() in ON
    return said and importlib.util.find_spec("spaces") is not None


def prepare() -> None:
    """To be called before torch is imported: on ZeroGPU its package has to come first."""
    if lends_gpu():
        importlib.import_module("spaces")


def on_lent_gpu(call: Callable[Parameters, Answer], seconds: float) -> Callable[Parameters, Answer]:
    """The call on a GPU that is lent for at most this many seconds, or the call itself where none is lent.

    Args:
        call: a function, or a generator function. On ZeroGPU it runs in another process: arguments and results have
            to be picklable, what it holds on to does not.
        seconds: longest loan.
    """
    if not lends_gpu():
        return call
    return importlib.import_module("spaces").GPU(duration=round(seconds))(call)
