"""One's own points: photos with points and words, checked row by row, wherever they come from.

One point is ``x``, ``y`` (pixels of the photo as a person sees it), ``text``, and ``label`` (what the point is on). A
point without a text can be trained on if it has a label: the text is then written from the label and what the photo
shows there. The readers are point_folders.py and point_datasets.py; here is what they have in common.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from datasets import Dataset
from PIL import Image

from talkingpoints.data.validation.fields import Cell, Text, checked_field, shown
from talkingpoints.data.validation.findings import Findings, Problem
from talkingpoints.data.validation.units import TOPS, in_pixels, likely_unit
from talkingpoints.images import load_image
from talkingpoints.points import check_points_px, to_pixels, to_unit

VAL_EVERY = 10
"""Where the data have no validation split, every so many-th photo is kept for it."""
VAL_NAMES = ("val", "validation", "valid")
NEEDED = ("x", "y")

_log = logging.getLogger(__name__)


class StoredPhoto(NamedTuple):
    """A photo in row ``row`` of a dataset whose column ``image`` is not decoded."""

    dataset: Dataset
    row: int


PhotoSource = Path | bytes | Image.Image | StoredPhoto
Row = Mapping[str, Any]


@dataclass
class PhotoPoints:
    """A photo with its size (height, width), its unit points (x, y), and for each its text, or else its label, from
    which one is written."""

    image: PhotoSource
    points: list[tuple[float, float]] = field(default_factory=list)
    texts: list[str | None] = field(default_factory=list)
    labels: list[str | None] = field(default_factory=list)
    size: tuple[int, int] = (0, 0)


class GivenPoint(NamedTuple):
    """A point as a row gives it: (x, y) in the rows' unit, and a text or at least a label."""

    point: tuple[float, float]
    text: str | None
    label: str | None


class RowGroup(NamedTuple):
    """Rows about one photo, neither checked nor decoded.

    Attributes:
        where: names their source in reports, and says how its rows are counted.
        image: gives the photo; ValueError where there is none.
        rows: with their numbers; an error in place of a row that could not be read.
        needed: columns that each must have.
        unit: of x and y, of units.py.
    """

    where: str
    image: Callable[[], PhotoSource]
    rows: Sequence[tuple[int, Row | ValueError]]
    needed: tuple[str, ...] = NEEDED
    unit: str = "pixels"


@dataclass
class OwnPoints:
    """Photos to train on and to validate with, and by source what was wrong."""

    train: list[PhotoPoints]
    val: list[PhotoPoints]
    problems: Findings


def read_photo(source: PhotoSource) -> Image.Image:
    """Decode a photo, as :func:`load_image` does."""
    if isinstance(source, StoredPhoto):
        source = encoded(source.dataset[source.row]["image"])
    return load_image(source)


def encoded(value: Any) -> Path | bytes | Image.Image:
    """A photo as a row of a dataset holds it, undecoded -> what :func:`load_image` takes; ValueError for none."""
    if isinstance(value, Mapping):
        value = value.get("bytes") or value.get("path")
    if isinstance(value, str):
        value = Path(value)
    if not isinstance(value, Path | bytes | Image.Image):
        raise ValueError(f"image must be a photo, got {shown(value)}")
    return value


def check_groups(groups: Iterable[RowGroup]) -> tuple[list[PhotoPoints], Findings]:
    """Decode each photo once and check all rows: the photos with good points; what is wrong, by source and row.

    Warns where the points seem to be in another unit than is stated.
    """
    photos: list[PhotoPoints] = []
    problems, in_pixels_of = Findings(), []
    for group in groups:
        photo, wrong = check_group(group)
        problems.setdefault(group.where, []).extend(wrong)
        if photo.points:
            photos.append(photo)
            if group.unit == "pixels":
                in_pixels_of.append((to_pixels(photo.points, photo.size).tolist(), photo.size))
    unit = likely_unit(in_pixels_of)
    if unit is not None:
        _log.warning(
            "%s: all points lie in the upper left %g pixels of their photos: x and y seem to be a %s of its sides; "
            "if so, say --unit %s", next(iter(problems)), TOPS[unit], unit, unit,
        )  # fmt: skip
    for wrong in problems.values():
        wrong.sort(key=lambda problem: problem.row)
    return photos, problems


def check_group(group: RowGroup, decoded: bool = False) -> tuple[PhotoPoints, list[Problem]]:
    """The good points of a photo, maybe none, and what is wrong with the other rows.

    Args:
        group: the rows.
        decoded: hand the photo on as it was decoded, in place of its source.
    """
    problems: list[Problem] = []
    given: list[tuple[int, str, GivenPoint]] = []
    for number, row in group.rows:
        try:
            if isinstance(row, ValueError):
                raise row
            for name, values in points_of_row(row):
                try:
                    given.append((number, name, given_point(values, group.needed)))
                except ValueError as error:
                    problems.append(Problem(number, f"{name}: {error}"))
        except ValueError as error:
            problems.append(Problem(number, f": {error}"))
    photo = PhotoPoints(b"")
    if not given:
        return photo, problems
    try:
        photo.image = group.image()
        image = read_photo(photo.image)
    except ValueError as error:
        return photo, problems + [Problem(number, f"{name}: {error}") for number, name, _ in given]
    if decoded:
        photo.image = image
    photo.size = size = (image.height, image.width)
    for number, name, point in given:
        try:
            x, y = to_unit(check_points_px(in_pixels(point.point, group.unit, size), size), size)
        except ValueError as error:
            problems.append(Problem(number, f"{name}: {error}"))
            continue
        photo.points.append((float(x), float(y)))
        photo.texts.append(point.text)
        photo.labels.append(point.label)
    return photo, problems


def points_of_row(row: Row) -> Iterator[tuple[str, dict[str, Any]]]:
    """The points of a row that may hold several: (how a report names each, its values).

    ``x``, ``y``, ``text`` and ``label`` are single values or lists of one length; ``points``, a list of [x, y], stands
    for x and y. A single label is that of all.

    Raises:
        ValueError: lists of different lengths, or no point.
    """
    columns: dict[Any, Any] = dict(row)
    if columns.get("points") is not None:
        try:
            pairs = [(x, y) for x, y in columns["points"]]
        except (TypeError, ValueError):
            raise ValueError(f"points must be a list of [x, y], got {shown(columns['points'])}") from None
        columns |= {"x": [x for x, _ in pairs], "y": [y for _, y in pairs]}
    lists = {n: columns[n] for n in ("x", "y", "text", "label") if isinstance(columns.get(n), list | tuple)}
    if not lists:
        yield "", columns
        return
    lengths = {name: len(values) for name, values in lists.items()}
    lengths |= {name: 1 for name in ("x", "y", "text") if name not in lists and columns.get(name) is not None}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"lists of different lengths: {', '.join(f'{n} {k}' for n, k in lengths.items())}")
    length = next(iter(lengths.values()))
    if not length:
        raise ValueError("no points")
    for i in range(length):
        yield f", point {i + 1}", columns | {name: values[i] for name, values in lists.items()}


def given_point(row: Row, needed: Sequence[str] = NEEDED) -> GivenPoint:
    """The point of a row with ``x``, ``y``, and ``text`` or ``label``.

    Raises:
        ValueError: something is missing, no number, or no words.
    """
    missing = [name for name in needed if row.get(name) in (None, "")]
    text, label = (_words(row, name) for name in ("text", "label"))
    if missing:
        raise ValueError(f"no {', '.join(missing if text or label else [*missing, 'text'])}")
    if not text and not label:
        raise ValueError("neither a text nor a label, from which one could be written")
    return GivenPoint((checked_field(Cell, row, "x"), checked_field(Cell, row, "y")), text, label)


def _words(row: Row, name: str) -> str | None:
    """The words of a column; None where there is nothing."""
    value = row.get(name)
    if value in (None, ""):
        return None
    words = checked_field(Text, row, name).strip()
    if not words:
        raise ValueError(f"{name} must be words, got {value!r}")
    return words


def hold_out(photos: Sequence[PhotoPoints]) -> tuple[list[PhotoPoints], list[PhotoPoints]]:
    """(train, val): every ``VAL_EVERY``-th photo is for validation."""
    return [photo for i, photo in enumerate(photos) if i % VAL_EVERY], list(photos[::VAL_EVERY])
