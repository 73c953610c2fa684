"""Checks that configurations share: values that no model can be made of are refused where they are given."""

import math
from collections.abc import Iterable
from typing import Any


def check_whole(least: int, **values: Any) -> None:
    """Check whole numbers, or lists of them.

    Args:
        least: the smallest allowed.
        values: by the names that an error gives; None is passed over.

    Raises:
        ValueError: If one is no whole number, or below ``least``.
    """
    for name, value in values.items():
        for number in _each(value):
            if isinstance(number, bool) or not isinstance(number, int) or number < least:
                raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")


def check_number(least: float, **values: Any) -> None:
    """Check finite numbers; arguments as for :func:`check_whole`.

    Raises:
        ValueError: If one is no finite number, or below ``least``.
    """
    for name, value in values.items():
        for number in _each(value):
            if isinstance(number, bool) or not isinstance(number, int | float) or not least <= number < math.inf:
                raise ValueError(f"{name} must be a finite number of at least {least:g}, got {value!r}")


def _each(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list | tuple) else () if value is None else (value,)
