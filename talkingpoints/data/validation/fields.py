"""Types of the fields in data from outside, and the check of a value against them.

A format is a ``TypedDict`` of these types, and pydantic checks its entries: a number is a finite number and no word,
an id fits into 64 bits, a text can be written to a file. Fields that a ``TypedDict`` does not name are dropped.
"""

from collections.abc import Hashable, Mapping
from functools import cache
from typing import Annotated, Any, TypeVar, cast

from pydantic import AfterValidator, BeforeValidator, Field, TypeAdapter, ValidationError

T = TypeVar("T")

_LONGEST_NAME = 1000
_SHOWN_ERRORS = 3
_SHOWN_CHARACTERS = 40


def _no_word(value: Any) -> Any:
    if isinstance(value, bool | str | bytes):
        raise ValueError("must be a number")
    return value


def _no_truth(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("must be a number")
    return value


def _writable(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("broken characters (half of a surrogate pair)") from None
    return value


Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
"""A finite number."""
Cell = Annotated[float, BeforeValidator(_no_truth), Field(strict=False, allow_inf_nan=False)]
"""A finite number, or the text of one, as CSV files hold it."""
Whole = Annotated[int, BeforeValidator(_no_word), Field(strict=False, ge=-(2**63), lt=2**63)]
"""A whole number of 64 bits; 7.0 is one."""
Side = Annotated[int, BeforeValidator(_no_word), Field(strict=False, gt=0, lt=2**31)]
"""Width or height of a photo in pixels."""
Text = Annotated[str, Field(strict=True), AfterValidator(_writable)]
"""A text without halves of surrogate pairs, which JSON can hold and no file can."""
Name = Annotated[str, Field(strict=True, min_length=1, max_length=_LONGEST_NAME), AfterValidator(_writable)]
"""A name of something or of a file."""
Box = Annotated[list[Number], Field(min_length=4, max_length=4)]
"""[x, y, width, height] in pixels."""


def checked(kind: type[T], value: Any) -> T:
    """A value as its type wants it.

    Args:
        kind: a ``TypedDict`` of the types above.
        value: as it was read.

    Raises:
        ValueError: A field is missing or of another type; says which, what is allowed and what came.

    Example:
        >>> checked(CocoAnnotation, {"image_id": 3, "category_id": 1, "bbox": [0, 0, 10, None]})
        Traceback (most recent call last):
        ValueError: bbox.3: must be a valid number, got None
    """
    try:
        return _adapter(cast(Hashable, kind)).validate_python(value)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False)
        lines = [_line(one) for one in found[:_SHOWN_ERRORS]]
        lines += [f"and {len(found) - _SHOWN_ERRORS} more"] if len(found) > _SHOWN_ERRORS else []
        raise ValueError("; ".join(lines)) from None


def checked_field(kind: Any, row: Mapping[str, Any], name: str) -> Any:
    """A field of a row, as :func:`checked` gives it; the error names the field."""
    try:
        return checked(kind, row.get(name))
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def shown(value: Any) -> str:
    """A value from outside as a message shows it: cut where it is long, in characters that can be printed."""
    try:
        text = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits, or lists in lists in lists
        return f"a {type(value).__name__}"
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _line(error: Any) -> str:
    place = [str(part) if isinstance(part, int) else shown(part).strip("'") for part in error["loc"]]
    field = ".".join(part for part in place if "[" not in part)  # a bracket stands in names of types only
    if error["type"] == "missing":
        return f"{field} is missing"
    said = error["msg"].removeprefix("Value error, ").replace("Input should", "must").partition(", unable")[0]
    return f"{field + ': ' if field else ''}{said}, got {shown(error['input'])}"
