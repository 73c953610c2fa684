"""One's own points: a folder of photos with ``metadata.csv`` or ``metadata.jsonl``, as the app exports it.

One row a point: ``file_name`` (below the folder), ``x``, ``y`` (pixels of the photo as a person sees it), ``text``,
``label``; of the last two one may be missing. The layout is that of the ``imagefolder`` builder of Hugging Face
datasets. Splits are subfolders ``train`` and ``val``; without ``val`` every tenth photo is kept for validation.
"""

from collections.abc import Iterator
from functools import partial
from itertools import groupby
from pathlib import Path

from talkingpoints.data.readers.custom_points import (
    VAL_NAMES,
    OwnPoints,
    PhotoPoints,
    Row,
    RowGroup,
    check_groups,
    hold_out,
)
from talkingpoints.data.validation.files import Numbered, table_rows
from talkingpoints.data.validation.findings import Findings
from talkingpoints.data.validation.paths import inside

METADATA = ("metadata.csv", "metadata.jsonl")
NEEDED = ("file_name", "x", "y")
WORDS = ("text", "label")


def is_point_folder(folder: str | Path) -> bool:
    """Whether a folder (or its subfolder ``train``) holds such a file."""
    return any((Path(folder) / part / name).is_file() for part in (".", "train") for name in METADATA)


def read_points(folder: str | Path, split: str, *, skip_bad_rows: bool = False) -> list[PhotoPoints]:
    """One split of :func:`read_folder`, checked.

    Args:
        folder: with ``metadata.csv`` or ``metadata.jsonl``, or with subfolders that have.
        split: "train" or "val".
        skip_bad_rows: log the rows that something is wrong with and leave them out, instead of refusing all.

    Returns:
        The photos in order of their names, each with at least one point.

    Raises:
        ValueError: what the reader refuses, wrong rows, or no photo in the split.
    """
    own = read_folder(folder)
    own.problems.settle(skip_bad_rows)
    photos = {"train": own.train, "val": own.val}[split]
    if not photos:
        raise ValueError(f"{folder} has no photo for the split {split!r}; it takes at least two, or subfolders")
    return photos


def read_folder(folder: str | Path, unit: str = "pixels") -> OwnPoints:
    """Read both splits, and check every row and, once, every photo.

    Wrong rows are taken down, not refused: a missing column or text, a photo that is not there or cannot be read, a
    point outside its photo. Their numbers are those of the lines; of a CSV, row 1 is the header.

    Args:
        folder: as for :func:`read_points`.
        unit: of x and y: pixels, fraction or percent.

    Raises:
        ValueError: no metadata file, or one that is no table with the columns that it takes.
    """
    root = Path(folder)
    train_folder, val_folder = (split_folder(root, split) for split in ("train", "val"))
    train, problems = read_split(train_folder, unit)
    if val_folder == root:
        return OwnPoints(*hold_out(train), problems)
    val, more = read_split(val_folder, unit)
    problems.update(more)
    return OwnPoints(train, val, problems)


def read_split(folder: Path, unit: str = "pixels") -> tuple[list[PhotoPoints], Findings]:
    """All photos of a folder (of one split), in order of their names, and what is wrong; see :func:`read_folder`."""
    rows: dict[str, list[tuple[int, Row | ValueError]]] = {}
    for number, row in _rows(folder):
        rows.setdefault(_name(row), []).append((number, row))
    return check_groups(_group(folder, name, rows[name], unit) for name in sorted(rows))


def stream_folder(folder: Path, unit: str = "pixels") -> Iterator[RowGroup]:
    """The photos of a folder (of one split) as its rows come; what is wrong is found when a group is checked."""
    for name, rows in groupby(_rows(folder), key=lambda numbered: _name(numbered[1])):
        yield _group(folder, name, list(rows), unit)


def split_folder(root: Path, split: str) -> Path:
    """The subfolder of a split, or the folder itself where it has none."""
    names = VAL_NAMES if split == "val" else (split,)
    return next((root / part for part in names for name in METADATA if (root / part / name).is_file()), root)


def metadata_file(folder: Path) -> Path:
    """The metadata file of a folder; ValueError where there is none."""
    file = next((folder / name for name in METADATA if (folder / name).is_file()), None)
    if file is None:
        raise ValueError(f"{folder} has no {' or '.join(METADATA)}")
    return file


def _group(folder: Path, name: str, rows: list[tuple[int, Row | ValueError]], unit: str) -> RowGroup:
    return RowGroup(str(metadata_file(folder)), partial(_path, folder, name), rows, NEEDED, unit)


def _rows(folder: Path) -> Numbered:
    """Rows with the numbers under which a person finds them."""
    file = metadata_file(folder)
    columns, rows = table_rows(file)
    if columns is not None:
        _check_header(file, columns)
    return rows


def _check_header(file: Path, columns: list[str]) -> None:
    missing = [name for name in NEEDED if name not in columns]
    if not set(WORDS) & set(columns):
        missing.append(" or ".join(WORDS))
    if missing:
        raise ValueError(f"{file} has no column {', '.join(missing)}; row 1 must name the columns, it is: {columns}")


def _name(row: Row | ValueError) -> str:
    return "" if isinstance(row, ValueError) else str(row.get("file_name") or "")


def _path(folder: Path, name: str) -> Path:
    file = inside(folder, name)
    if file is None:
        raise ValueError(f"there is no file {name!r}")
    return file
