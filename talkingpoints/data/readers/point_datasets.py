"""One's own points: a dataset as Hugging Face ``datasets`` keeps it, on the Hub or in a folder.

A row is a photo (``image``) with one point (``x``, ``y``, ``text``, ``label``) or with lists of them (``points`` as
[x, y] may stand for x and y). Folders are those of ``save_to_disk``, and folders of parquet files; everything else is
an id on the Hub. Reports count rows from 0, as ``dataset[0]`` does.
"""

import hashlib
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import datasets
from datasets import ClassLabel, Dataset, DatasetDict, Features, IterableDataset, IterableDatasetDict

from talkingpoints.data.readers.custom_points import (
    VAL_NAMES,
    OwnPoints,
    PhotoPoints,
    PhotoSource,
    Row,
    RowGroup,
    StoredPhoto,
    check_groups,
    encoded,
    hold_out,
)
from talkingpoints.data.validation.findings import Findings

Splits = dict[str, Dataset | IterableDataset]

_SAVED = ("dataset_dict.json", "state.json")  # what save_to_disk writes
_PARQUET = ("*.parquet", "*/*.parquet")


def is_dataset_folder(folder: str | Path) -> bool:
    """Whether a folder was written by ``save_to_disk``, or holds parquet files."""
    root = Path(folder)
    return any((root / name).is_file() for name in _SAVED) or any(any(root.glob(pattern)) for pattern in _PARQUET)


def open_dataset(source: str, streaming: bool = False) -> Splits:
    """Open a folder or an id.

    Args:
        source: a folder that :func:`is_dataset_folder` knows, or an id on the Hub.
        streaming: read rows as they are needed, in place of all at once.

    Returns:
        "train", and "val" where there is such a split; photos are not decoded.

    Raises:
        ValueError: it cannot be loaded, has no split "train", or lacks columns.
    """
    root = Path(source)
    try:
        if any((root / name).is_file() for name in _SAVED):
            loaded = datasets.load_from_disk(source)
        else:
            loaded = datasets.load_dataset(source, streaming=streaming)
    except Exception as error:  # of the network, of the Hub, of any file format
        kind = "the dataset in this folder" if root.is_dir() else "no such folder, and as a dataset of the Hub it"
        raise ValueError(f"{source}: {kind} cannot be loaded: {error}") from error
    if not isinstance(loaded, DatasetDict | IterableDatasetDict):
        loaded = {"train": loaded}
    if "train" not in loaded:
        raise ValueError(f"{source} has no split 'train'; it has {', '.join(loaded)}")
    splits = {"train": loaded["train"]}
    for name in VAL_NAMES:
        if name in loaded:
            splits["val"] = loaded[name]
    return {name: _undecoded(f"{source}, split {name}", rows, streaming) for name, rows in splits.items()}


def read_dataset(source: str, unit: str = "pixels") -> OwnPoints:
    """Read both splits, and check every row and, once, every photo; wrong rows are taken down, not refused.

    Args:
        source: as for :func:`open_dataset`.
        unit: of x and y: pixels, fraction or percent.

    Raises:
        ValueError: as :func:`open_dataset`.
    """
    photos: dict[str, list[PhotoPoints]] = {}
    problems = Findings()
    for split, rows in open_dataset(source).items():
        photos[split], wrong = check_groups(_groups(rows, where(source, split), unit))
        problems.update(wrong)
    if "val" not in photos:
        return OwnPoints(*hold_out(photos["train"]), problems)
    return OwnPoints(photos["train"], photos["val"], problems)


def stream_dataset(rows: IterableDataset, name: str, unit: str = "pixels") -> Iterator[RowGroup]:
    """The photos of a split as its rows come; neighbouring rows with the same photo belong together.

    Args:
        rows: of :func:`open_dataset`.
        name: of :func:`where`.
        unit: of x and y: pixels, fraction or percent.
    """
    features = rows.features or Features()
    for _, numbered in groupby(enumerate(rows), key=lambda one: _key(one[1]["image"])):
        group = list(numbered)
        image = group[0][1]["image"]
        words = [(number, _words(row, features)) for number, row in group]
        yield RowGroup(name, partial(_photo, image), words, unit=unit)


def where(source: str, split: str) -> str:
    """How reports name a split."""
    return f"{source}, split {split} (its first row is 0)"


def _groups(rows: Dataset, name: str, unit: str) -> Iterable[RowGroup]:
    """All rows, those with the same photo together."""
    groups: dict[Any, tuple[partial[PhotoSource], list[tuple[int, Row]]]] = {}
    for number, row in enumerate(rows):
        stored = partial(_stored, rows, number, row["image"] is None)
        _, words = groups.setdefault(_key(row["image"]), (stored, []))
        words.append((number, _words(row, rows.features)))
    return [RowGroup(name, stored, words, unit=unit) for stored, words in groups.values()]


def _undecoded(name: str, rows: Dataset | IterableDataset, streaming: bool) -> Dataset | IterableDataset:
    """The same rows, the column ``image`` as bytes or a path."""
    if streaming and isinstance(rows, Dataset):
        rows = rows.to_iterable_dataset()
    columns = rows.column_names if rows.column_names is not None else list(next(iter(rows), {}))
    missing = [] if "image" in columns else ["image"]
    if "points" not in columns:
        missing += [column for column in ("x", "y") if column not in columns]
    if not {"text", "label"} & set(columns):
        missing.append("text or label")
    if missing:
        raise ValueError(f"{name} has no column {', '.join(missing)}; its columns are {', '.join(columns)}")
    return rows.cast_column("image", datasets.Image(decode=False))


def _stored(rows: Dataset, number: int, absent: bool) -> PhotoSource:
    if absent:
        raise ValueError("no image")
    return StoredPhoto(rows, number)


def _photo(image: Any) -> PhotoSource:
    path = image.get("path") if isinstance(image, dict) and not image.get("bytes") else None
    if path and "://" in path:  # of a photo that is a file of its own, elsewhere
        try:
            return datasets.Image().decode_example(image)
        except Exception as error:  # of the network, or of a decoder
            raise ValueError(f"cannot read {path}: {error}") from error
    return encoded(image)


def _key(image: Any) -> Any:
    """The same for the same photo."""
    if isinstance(image, dict):
        return hashlib.sha256(image["bytes"]).digest() if image.get("bytes") else image.get("path")
    return None


def _words(row: Row, features: Features) -> Row:
    """The row without its photo, its labels as names."""
    row = {name: value for name, value in row.items() if name != "image"}
    feature = features.get("label")
    feature = getattr(feature, "feature", feature)  # of a list
    if isinstance(feature, ClassLabel) and row["label"] is not None:
        numbers = row["label"] if isinstance(row["label"], list) else [row["label"]]
        names = [None if number is None or number < 0 else feature.int2str(number) for number in numbers]
        row["label"] = names if isinstance(row["label"], list) else names[0]
    return row
