"""A dataset as the training and measuring scripts of this project read it.

One folder for both: photos and `metadata.csv` in `train/`, `val/` and `test/`, which `sft_descriptor.py` and
`sft_localizer.py` take as one's own points; and `annotations/SPLIT.json`, COCO keypoints with a keypoint for each
point, named like its part, which `training.evaluate` measures on and, where the metadata are left out, the sft scripts
train on with texts that are written anew for every crop.
"""

import csv
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from talkingpoints.dataset_builder.points.preparation import SPLITS, PreparedPhoto
from talkingpoints.dataset_builder.points.tasks import BoxPx

METADATA_FIELDS = ("file_name", "x", "y", "text", "label", "part", "kind", "style", "key")


class _Annotated(NamedTuple):
    """What `annotations/` says of one object: its box and (part, x, y) of its points, in pixels."""

    image_id: int
    label: str
    box: BoxPx
    points: list[tuple[str, float, float]]


class FolderLayout:
    """Writes the folder, one photo at a time. Only the keypoints lie in memory till the end: COCO is one JSON value.

    All is written into ``layout.part`` first; `close` moves it into its place.

    Args:
        folder: made if missing; `close` takes away what an earlier run left of these files, with its photos.
        metadata: write photos' texts to `metadata.csv`.
        keypoints: write `annotations/`.
    """

    def __init__(self, folder: Path, metadata: bool = True, keypoints: bool = True):
        self.folder, self.metadata, self.keypoints = folder, metadata, keypoints
        self._files: dict[str, Any] = {}
        self._rows: dict[str, Any] = {}
        self._photos: dict[str, list[dict[str, Any]]] = {}
        self._annotations: dict[str, list[_Annotated]] = {}
        self._names: dict[str, dict[str, str]] = {split: {} for split in SPLITS}  # file -> photo's key
        self._part = folder / "layout.part"
        shutil.rmtree(self._part, ignore_errors=True)  # of a run that was cut

    def add(self, photo: PreparedPhoto, texts: Mapping[str, Sequence[tuple[str, str]]]) -> None:
        """One photo.

        Args:
            photo: with its tasks.
            texts: (style, text) pairs by key of a task; tasks that are not in it are left out.

        Raises:
            ValueError: another photo of the split has the same file name here.
        """
        tasks = [task for task in photo.tasks if texts.get(task.key)]
        if not tasks:
            return
        split = photo.split
        folder = self._part / split
        folder.mkdir(parents=True, exist_ok=True)
        name = file_stem(photo.key) + Path(photo.image).suffix
        other = self._names[split].setdefault(name, photo.key)
        if other != photo.key:
            raise ValueError(f"the photos {other!r} and {photo.key!r} would both be {split}/{name}; rename one")
        shutil.copyfile(photo.image, folder / name)
        if self.metadata:
            if split not in self._files:
                self._files[split] = (folder / "metadata.csv.part").open("w", encoding="utf-8", newline="")
                self._rows[split] = csv.writer(self._files[split])
                self._rows[split].writerow(METADATA_FIELDS)
            for task in tasks:
                x, y = (f"{value:.2f}" for value in task.point_px)
                for number, (style, text) in enumerate(texts[task.key]):
                    about = (task.label, task.part, task.kind, style, task.text_key(number))
                    self._rows[split].writerow((name, x, y, text, *about))
        if self.keypoints:
            photos = self._photos.setdefault(split, [])
            height, width = photo.size
            photos.append({"id": len(photos) + 1, "file_name": f"{split}/{name}", "width": width, "height": height})
            for index, (label, box) in enumerate(photo.objects):
                points = [(task.part, *task.point_px) for task in tasks if task.object_index == index]
                self._annotations.setdefault(split, []).append(_Annotated(len(photos), label, box, points))

    def close(self) -> None:
        """Write what is left, and put all in its place."""
        for file in self._files.values():
            file.close()
        for split, photos in self._photos.items():
            annotations = self._annotations[split]
            names = _keypoint_names(annotations)
            labels = sorted(names)
            content = {
                "images": photos,
                "categories": [
                    {"id": i, "name": label, "keypoints": list(names[label])} for i, label in enumerate(labels, start=1)
                ],
                "annotations": [
                    _annotation(number, item, labels, names) for number, item in enumerate(annotations, start=1)
                ],
            }
            file = self._part / "annotations" / f"{split}.json"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(content), encoding="utf-8")
        for split in SPLITS:
            self._put(split)
        shutil.rmtree(self._part, ignore_errors=True)

    def _put(self, split: str) -> None:
        """Move a split into its place; photos come before the files that list them, and go before them too."""
        place, names = self.folder / split, self._names[split]
        for name in _listed(self.folder, split) - set(names):
            (place / name).unlink(missing_ok=True)
        if names:
            place.mkdir(exist_ok=True)
        for name in names:
            os.replace(self._part / split / name, place / name)
        for new, old in (
            (self._part / split / "metadata.csv.part", place / "metadata.csv"),
            (self._part / "annotations" / f"{split}.json", self.folder / "annotations" / f"{split}.json"),
        ):
            if new.is_file():
                old.parent.mkdir(exist_ok=True)
                os.replace(new, old)
            else:
                old.unlink(missing_ok=True)


def file_stem(key: str) -> str:
    """What a photo's file is called in the folder, without its ending."""
    return key.replace("/", "_")


def _listed(folder: Path, split: str) -> set[str]:
    """Names of the photos that an earlier run put into a split's folder, by what it wrote of them."""
    names: set[str] = set()
    metadata, annotations = folder / split / "metadata.csv", folder / "annotations" / f"{split}.json"
    if metadata.is_file():
        with metadata.open(encoding="utf-8", newline="") as file:
            rows = csv.reader(file)
            if tuple(next(rows, ())) == METADATA_FIELDS:
                names |= {row[0] for row in rows if row}
    if annotations.is_file():
        files = [str(image["file_name"]) for image in json.loads(annotations.read_bytes())["images"]]
        names |= {file.removeprefix(f"{split}/") for file in files if file.startswith(f"{split}/")}
    return {name for name in names if Path(name).name == name}


def _keypoint_names(annotations: Iterable[_Annotated]) -> dict[str, list[str]]:
    """For each label its parts, each as often as one object has points in it at most."""
    most: dict[str, Counter[str]] = {}
    for item in annotations:
        most.setdefault(item.label, Counter())
        most[item.label] |= Counter(part for part, _, _ in item.points)
    return {label: sorted(counts.elements()) for label, counts in most.items()}


def _annotation(number: int, item: _Annotated, labels: list[str], names: dict[str, list[str]]) -> dict[str, Any]:
    x0, y0, x1, y1 = item.box
    left = {name: [(x, y) for part, x, y in item.points if part == name] for name in set(names[item.label])}
    flat: list[float] = []
    for part in names[item.label]:
        flat += [*left[part].pop(0), 2] if left[part] else [0, 0, 0]
    return {
        "id": number,
        "image_id": item.image_id,
        "category_id": labels.index(item.label) + 1,
        "bbox": [x0, y0, x1 - x0, y1 - y0],
        "keypoints": flat,
        "num_keypoints": len(item.points),
    }
