"""What ``batch`` is to do: photos of folders, annotation files and datasets, with the questions about them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from talkingpoints.data.formats.conversion import detect, read_annotations
from talkingpoints.data.formats.records import PhotoRecord
from talkingpoints.images import ImageLike
from talkingpoints.points import to_unit

PHOTO_ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".tif", ".tiff", ".bmp", ".ppm", ".avif")


@dataclass
class Work:
    """A photo and what is asked about it.

    Attributes:
        key: names it in the output; no other photo has it.
        image: opens it.
        points: unit points to describe.
        texts: to be found.
        given: for each question what the source says beside it, to be handed on.
    """

    key: str
    image: Callable[[], ImageLike]
    points: list[tuple[float, float]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    given: list[dict[str, Any]] = field(default_factory=list)


def photos_of(folder: Path) -> Iterator[Path]:
    """The photos below a folder (or the file itself), in order of their names; hidden ones apart."""
    if folder.is_file():
        yield folder
        return
    for file in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
        if file.suffix.lower() in PHOTO_ENDINGS and not hidden and file.is_file():
            yield file


def grid(side: int) -> list[tuple[float, float]]:
    """``side`` x ``side`` unit points, evenly over the photo, row by row."""
    return [((column + 0.5) / side, (row + 0.5) / side) for row in range(side) for column in range(side)]


def plain_work(folder: Path, points: Sequence[tuple[float, float]], texts: Sequence[str]) -> list[Work]:
    """The photos of a folder, with the same questions about each.

    Raises:
        ValueError: If there is no photo.
    """
    root = folder if folder.is_dir() else folder.parent
    work = [
        Work(file.relative_to(root).as_posix(), partial(Path, file), list(points), list(texts))
        for file in photos_of(folder)
    ]
    if not work:
        raise ValueError(f"{folder} holds no photo; endings that are read: {', '.join(PHOTO_ENDINGS)}")
    return work


def annotated_work(source: str, task: str, photos: Path | None, skip_bad_rows: bool) -> list[Work]:
    """The photos of an annotation file or folder, or of a dataset, with their points (describe) or texts (localize).

    Raises:
        ValueError: If it cannot be read, a photo is not at hand, or there is nothing to ask.
    """
    from talkingpoints.data.readers.point_datasets import is_dataset_folder

    path = Path(source)
    if not path.exists() or is_dataset_folder(path):
        work = _dataset_work(source, task, skip_bad_rows)
    else:
        found = read_annotations(path, photos=photos, skip_bad_rows=skip_bad_rows)
        work = [_work(photo, task) for photo in found.photos]
    work = [one for one in work if one.points or one.texts]
    if not work:
        raise ValueError(f"{source} holds no {'texts to localize' if task == 'localize' else 'points to describe'}")
    return work


def is_annotated(source: str) -> bool:
    """Whether a source is more than a folder of photos; an id of the Hub is.

    Raises:
        ValueError: If a folder holds annotations of several formats.
    """
    from talkingpoints.data.readers.point_datasets import is_dataset_folder

    path = Path(source)
    if path.is_file():
        return path.suffix.lower() not in PHOTO_ENDINGS
    if not path.exists() or is_dataset_folder(path):
        return True
    try:
        return detect(path) is not None
    except ValueError as error:
        if "several formats" in str(error):
            raise
        return False


def _work(photo: PhotoRecord, task: str) -> Work:
    file = photo.path
    if file is None or photo.size is None:
        raise ValueError(f"the photo {photo.file_name!r} is not at hand; say where the photos are")
    key = f"{photo.split}/{photo.file_name}" if photo.split else photo.file_name
    work = Work(key, partial(Path, file))
    for point in photo.points:
        given = {name: value for name in ("label", "name", "text") if (value := getattr(point, name))}
        if task == "describe":
            x, y = to_unit((point.x, point.y), photo.size).tolist()
            work.points.append((x, y))
            work.given.append({f"given_{name}" if name == "text" else name: value for name, value in given.items()})
        elif point.text:
            work.texts.append(point.text)
            work.given.append({"given_x": point.x, "given_y": point.y})
    return work


def _dataset_work(source: str, task: str, skip_bad_rows: bool) -> list[Work]:
    """Both splits of a dataset as Hugging Face ``datasets`` keeps it."""
    from talkingpoints.data.readers.custom_points import read_photo
    from talkingpoints.data.readers.point_datasets import open_dataset, read_dataset

    splits = list(open_dataset(source))  # its errors say what a dataset must be
    own = read_dataset(source)
    wrong = [f"{where}: row {one.row}{one.message}" for where, found in own.problems.items() for one in found]
    if wrong and not skip_bad_rows:
        raise ValueError("\n".join(wrong[:20]))
    work = []
    for split, photos in (("train", own.train), ("val", own.val)):
        for number, photo in enumerate(photos):
            one = Work(f"{split if split in splits else 'held_out'}/{number}", partial(read_photo, photo.image))
            for point, text in zip(photo.points, photo.texts, strict=True):
                if task == "describe":
                    one.points.append(point)
                elif text:
                    one.texts.append(text)
            one.given = [{} for _ in one.points or one.texts]
            work.append(one)
    return work
