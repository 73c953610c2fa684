"""YOLO-pose: ``data.yaml``, and for each photo a text file of objects.

Layout (Ultralytics' pose page): a line is ``class cx cy w h x1 y1 [v1] x2 y2 [v2] ...`` from 0 to 1; ``data.yaml``
holds ``names``, ``kpt_shape: [K, 2 or 3]``, ``flip_idx`` and ``kpt_names``; labels lie in ``labels/`` where photos lie
in ``images/``. There is no place for a text. Every object needs a box: ours is drawn around its points.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from talkingpoints.data.formats.interface import Format, ReadOptions, files_below, folder_of, words
from talkingpoints.data.formats.records import UNLABELLED, Annotations, PhotoRecord, PointRecord, without_lone_groups
from talkingpoints.data.formats.yolo_labels import ABSENT, HIDDEN, photo_place, write
from talkingpoints.data.validation.fields import shown
from talkingpoints.data.validation.files import read_text
from talkingpoints.data.validation.paths import below, inside

_PHOTOS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")


def _yaml_file(path: Path) -> Path | None:
    files = [path] if path.is_file() else [*path.glob("*.yaml"), *path.glob("*.yml")]
    for file in files:
        if file.suffix.lower() in (".yaml", ".yml") and "kpt_shape" in read_text(file):
            return file
    return None


def fits(path: Path) -> bool:
    """Whether there is a YAML file with ``kpt_shape``."""
    return _yaml_file(path) is not None


def read(path: Path, options: ReadOptions) -> Annotations:
    """The keypoints of all splits; boxes are left out."""
    file = _yaml_file(path)
    if file is None:
        raise ValueError(f"{path} has no data.yaml with kpt_shape")
    try:
        content = yaml.safe_load(read_text(file))
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"{file}: no valid YAML: {error}") from error
    labels, names, (count, numbers) = _classes(file, content)
    found = Annotations([], str(file))
    root = folder_of(path)
    read_already: set[Path] = set()  # one folder may stand for several splits
    for split in ("train", "val", "test"):
        images = _images_folder(root, split, content.get(split))
        if images is None or images in read_already:
            continue
        read_already.add(images)
        texts = Path("labels".join(images.as_posix().rsplit("images", 1)))
        for text in files_below(texts, ".txt"):
            row = len(found.photos)
            photo = PhotoRecord(
                _photo_name(root, images, texts, text), split=split, row=row, folder=root, unit="fraction"
            )
            found.photos.append(photo)
            for number, line in enumerate(read_text(text).split("\n"), start=1):
                if line.strip():
                    with found.findings.entry(str(text), number):
                        label, points = _line(line, count, numbers)
                        if label not in labels:
                            raise ValueError(f": class {label} is not in names: {', '.join(map(str, labels))}")
                        keypoints = names.get(label) or [""] * count
                        photo.points += _points(points, labels[label], keypoints, number, found)
                        found.left_out["boxes of objects"] += 1
            photo.points = without_lone_groups(photo.points)
    return found


def _classes(file: Path, content: Any) -> tuple[dict[int, str], dict[int, list[str]], tuple[int, int]]:
    """Names of classes, names of their keypoints, and kpt_shape."""
    try:
        given = content["names"]
        labels = {
            int(key): words(name) for key, name in (given.items() if isinstance(given, Mapping) else enumerate(given))
        }
        named = content.get("kpt_names") or {}
        named = named if isinstance(named, Mapping) else dict.fromkeys(labels, named)
        names = {int(key): [words(name) for name in rows] for key, rows in named.items()}
        count, numbers = (int(value) for value in content["kpt_shape"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{file} must hold names and kpt_shape [K, 2 or 3]: {error!r}") from None
    if count < 1 or numbers not in (2, 3) or any(len(rows) != count for rows in names.values()):
        raise ValueError(f"{file}: kpt_shape {[count, numbers]} must be [K, 2 or 3], with K kpt_names for each class")
    return labels, names, (count, numbers)


def _images_folder(root: Path, split: str, value: Any) -> Path | None:
    """The folder of a split's photos: as the file says, from here or from one above, else in the usual places."""
    given = str(value).removeprefix("../") if isinstance(value, str) else ""
    other = {"val": "valid"}.get(split, split)
    for name in filter(None, (given, f"{split}/images", f"{other}/images", f"images/{split}", f"images/{other}")):
        if not Path(name).is_absolute() and (folder := below(root, name)).is_dir() and "images" in folder.parts:
            return folder
    return None


def _photo_name(root: Path, images: Path, texts: Path, text: Path) -> str:
    """The photo beside a text file, or how it would be called."""
    stem = (images / text.relative_to(texts)).with_suffix("")
    for ending in (*_PHOTOS, *map(str.upper, _PHOTOS)):
        photo = stem.with_name(stem.name + ending)
        if inside(root, photo.relative_to(root).as_posix()):
            return photo.relative_to(root).as_posix()
    return stem.with_name(f"{stem.name}.jpg").relative_to(root).as_posix()


def _line(line: str, count: int, numbers: int) -> tuple[int, list[list[float]]]:
    parts = line.split()
    if len(parts) != 5 + count * numbers:
        raise ValueError(f": {len(parts)} numbers, must be 5 + {count} * {numbers}")
    try:
        values = [float(part) for part in parts]
        label = int(parts[0])
    except ValueError:
        raise ValueError(f": must be numbers, got {shown(line)}") from None
    return label, [values[i : i + numbers] for i in range(5, len(values), numbers)]


def _points(
    points: Sequence[Sequence[float]], label: str, names: Sequence[str], group: int, found: Annotations
) -> Iterator[PointRecord]:
    for (x, y, *visible), name in zip(points, names, strict=True):
        if visible == [ABSENT] or (not visible and x == 0 and y == 0):
            found.left_out["keypoints that are marked as not there"] += 1
        else:
            yield PointRecord(x, y, "", label, "" if name == UNLABELLED else name, group, visible == [HIDDEN])


FORMAT = Format(
    "yolo",
    "YOLO-pose (Ultralytics)",
    "a folder with data.yaml that has kpt_shape, and labels/ beside images/",
    fits,
    read,
    write,
    photo_place,
    needs_photos=True,
)
