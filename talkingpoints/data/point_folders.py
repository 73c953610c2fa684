"""One's own points: a folder of photos with ``metadata.csv`` or ``metadata.jsonl``, as the app exports it.

One row a point: ``file_name`` (below the folder), ``x``, ``y`` (pixels of the photo as a person sees it), ``text``, and
``label`` if there is one. The layout is that of the ``imagefolder`` builder of Hugging Face datasets. Splits are
subfolders ``train`` and ``val``; without them every tenth photo is kept for validation.
"""

import csv
import io
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from talkingpoints.data.augmentation import Augmentation, augment
from talkingpoints.data.examples import PointExample, photo_in_pass
from talkingpoints.data.scenes import Scene
from talkingpoints.images import load_image
from talkingpoints.points import check_points_px, to_unit

METADATA = ("metadata.csv", "metadata.jsonl")
NEEDED = ("file_name", "x", "y", "text")
VAL_EVERY = 10

_SHOWN_PROBLEMS = 20
_log = logging.getLogger(__name__)


@dataclass
class PhotoPoints:
    """A photo, its unit points (x, y) and the texts for them."""

    path: Path
    points: list[tuple[float, float]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)


def is_point_folder(folder: str | Path) -> bool:
    """Whether a folder (or its subfolder ``train``) holds such a file."""
    return any((Path(folder) / part / name).is_file() for part in (".", "train") for name in METADATA)


def read_points(folder: str | Path, split: str, *, skip_bad_rows: bool = False) -> list[PhotoPoints]:
    """Read one split, and check every row and every photo before anything is trained.

    Args:
        folder: with ``metadata.csv`` or ``metadata.jsonl``, or with subfolders that have.
        split: "train" or "val".
        skip_bad_rows: log the rows that something is wrong with and leave them out, instead of refusing all.

    Returns:
        The photos in order of their names, each with at least one point.

    Raises:
        ValueError: no such file, unreadable content, or wrong rows: a missing column or text, a photo that is not
            there or cannot be read, a point outside its photo. The message lists up to 20 of them by row number (of a
            CSV, row 1 is the header) and says how many there are.
    """
    root = Path(folder)
    own = (root / split).is_dir() and is_point_folder(root / split)
    source = root / split if own else root
    file = next((source / name for name in METADATA if (source / name).is_file()), None)
    if file is None:
        raise ValueError(f"{root} has no {' or '.join(METADATA)} for the split {split!r}")
    photos: dict[str, PhotoPoints] = {}
    sizes: dict[str, tuple[int, int] | ValueError] = {}
    problems = []
    for number, row in _rows(file):
        try:
            name, point_px, text = _checked(row)
            if name not in sizes:
                sizes[name] = _size(source, name)
            size = sizes[name]
            if isinstance(size, ValueError):
                raise size
            point = to_unit(check_points_px(point_px, size), size)
        except ValueError as error:
            problems.append(f"row {number}: {error}")
            continue
        photo = photos.setdefault(name, PhotoPoints(source / name))
        photo.points.append((float(point[0]), float(point[1])))
        photo.texts.append(text)
    if problems:
        shown = "\n".join(problems[:_SHOWN_PROBLEMS])
        more = f"\nand {len(problems) - _SHOWN_PROBLEMS} more" if len(problems) > _SHOWN_PROBLEMS else ""
        report = f"{file}: {len(problems)} wrong rows\n{shown}{more}"
        if not skip_bad_rows:
            raise ValueError(report)
        _log.warning("%s\nthese rows are left out", report)
    ordered = [photos[name] for name in sorted(photos)]
    if not own:
        ordered = [photo for i, photo in enumerate(ordered) if (i % VAL_EVERY == 0) == (split == "val")]
    if not ordered:
        raise ValueError(f"{root} has no photo for the split {split!r}; it takes at least two, or subfolders")
    return ordered


class FolderExamples(torch.utils.data.Dataset):
    """Views of one's own photos: a map-style dataset like :class:`PointExamples`, with the texts as they are.

    Photos are neither cropped nor mirrored, for texts may speak of places and sides.

    Args:
        photos: of :func:`read_points`.
        points_per_photo: n; photos with fewer points repeat theirs.
        passes: how often each photo is shown; each pass has another order.
        colour: probability of changed colours.
        seed: of everything random.
    """

    def __init__(
        self,
        photos: list[PhotoPoints],
        points_per_photo: int = 8,
        passes: int = 1,
        colour: float = 0.0,
        seed: int = 0,
    ):
        self.photos = photos
        self.points_per_photo = points_per_photo
        self.passes = passes
        self.augmentation = Augmentation(crop=0.0, flip=0.0, colour=colour)
        self.seed = seed

    def __len__(self) -> int:
        return self.passes * len(self.photos)

    def __getitem__(self, index: int) -> PointExample:
        photo = self.photos[photo_in_pass(index, len(self.photos), self.seed)]
        rng = np.random.default_rng((self.seed, 1, index))
        image = load_image(photo.path)
        image, _ = augment(image, Scene((), (image.height, image.width)), self.augmentation, rng)
        chosen = np.resize(rng.permutation(len(photo.points)), self.points_per_photo)
        return PointExample(
            image=image,
            points=np.array([photo.points[i] for i in chosen], np.float32),
            texts=[photo.texts[i] for i in chosen],
            presence=np.ones(self.points_per_photo, np.float32),
            facts=[],
            told=[],
        )


def _rows(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Rows with the numbers under which a person finds them."""
    try:
        content = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is not UTF-8 text") from error
    if file.suffix == ".csv":
        try:
            yield from enumerate(csv.DictReader(io.StringIO(content, newline=""), strict=True), start=2)
        except csv.Error as error:
            raise ValueError(f"{file} is no valid CSV: {error}") from error
        return
    for number, line in enumerate(content.splitlines(), start=1):
        if line.strip():
            try:
                row = json.loads(line)
            except ValueError:
                row = None
            yield number, row if isinstance(row, dict) else {}


def _checked(row: dict[str, Any]) -> tuple[str, tuple[float, float], str]:
    """(file_name, point in pixels, text) of a row."""
    missing = [name for name in NEEDED if row.get(name) in (None, "")]
    if missing:
        raise ValueError(f"no {', '.join(missing)}")
    try:
        point_px = float(row["x"]), float(row["y"])
    except (TypeError, ValueError):
        raise ValueError(f"x and y must be numbers, got {row['x']!r} and {row['y']!r}") from None
    text = row["text"]
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"text must be words, got {text!r}")
    return str(row["file_name"]), point_px, text.strip()


def _size(folder: Path, name: str) -> tuple[int, int] | ValueError:
    """(height, width) of a photo, or what is wrong with it, to be said at each of its rows."""
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        return ValueError(f"{name!r} lies outside the folder")
    if not path.is_file():
        return ValueError(f"there is no file {name!r}")
    try:
        image = load_image(path)
    except ValueError as error:
        return error
    return image.height, image.width
