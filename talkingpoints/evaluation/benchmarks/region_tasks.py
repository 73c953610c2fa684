"""Questions about regions, read from the official files of Visual Genome captioning and ViP-Bench, and their answers
written as the official scripts want them.

The files are not part of this project. Visual Genome: the COCO-style ``test_caption.json`` of GLaMM, one region a
photo; a file with several regions a photo is read too, but its figures do not compare with the other's. ViP-Bench: the
folder of the dataset (``vip-bench-meta-data.json``, ``bbox/``, ``human/``, ``source_image/``).
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import Field
from typing_extensions import TypedDict

from talkingpoints.data.validation.coco import about, coco_images, image_of, listed_ids, source
from talkingpoints.data.validation.fields import Box as CocoBox
from talkingpoints.data.validation.fields import Name, Number, Text, Whole, checked, shown
from talkingpoints.data.validation.files import json_rows, read_object, read_text
from talkingpoints.data.validation.findings import Findings
from talkingpoints.data.validation.paths import below

T = TypeVar("T")

Box = tuple[float, float, float, float]
"""(x0, y0, x1, y1) in pixels of the photo."""

VG_QUESTION = "Can you give a description of the region mentioned by {region}?"
SPLITS = ("bbox", "human")

_OBJECT = re.compile(r"<(obj\d*)>")


class _Image(TypedDict):
    id: Whole
    file_name: Name


class _Caption(TypedDict):
    id: Whole | Name
    image_id: Whole
    bbox: CocoBox
    caption: Text


class _Question(TypedDict):
    question_id: Whole
    image: Name
    text: Text


class _Meta(TypedDict):
    answer: Text | Number
    capability: list[Text]
    question: Text
    image_source: Name


class _Shape(TypedDict):
    label: Text
    shape_type: Text
    points: Annotated[list[Annotated[list[Number], Field(min_length=2, max_length=2)]], Field(min_length=1)]


@dataclass(frozen=True)
class RegionTask:
    """A question about regions of a photo.

    Args:
        key: of the answer: the annotation's id, or "v1_<number>".
        image: file.
        question: in it ``{region1}``, ``{region2}``, ... stand where a region is named; none where the photo shows what
            is meant.
        boxes: of the regions, in the order of their numbers.
        answers: right ones.
        tags: what the question asks for, as "ocr"; empty where questions are not sorted.
        photo: id of the photo that official answers go by; the key where they go by that.
    """

    key: str
    image: Path
    question: str
    boxes: tuple[Box, ...]
    answers: tuple[str, ...]
    tags: tuple[str, ...] = ()
    photo: int = 0

    def worded(self, names: Sequence[str]) -> str:
        """The question with its regions' names filled in.

        Raises:
            ValueError: not one name for each box.
        """
        if len(names) != len(self.boxes):
            raise ValueError(f"{self.key}: {len(names)} names for {len(self.boxes)} regions")
        question = self.question
        for number, name in enumerate(names, start=1):
            question = question.replace(f"{{region{number}}}", name)
        return question


def visual_genome(annotations: Path, photos: Path) -> list[RegionTask]:
    """The regions of a COCO-style file of Visual Genome.

    Args:
        annotations: with ``images`` and ``annotations`` (id, image_id, bbox, caption).
        photos: folder.

    Raises:
        ValueError: another layout, or an annotation without its photo.
    """
    content = read_object(annotations, ("images", "annotations"))
    findings, where = Findings(), source(annotations, "annotations")
    images = coco_images(annotations, content["images"], findings, _Image, names_once=False)
    listed, tasks = listed_ids(content["images"]), []
    for number, entry in enumerate(content["annotations"]):
        with findings.entry(where, number, about(entry)):
            values = checked(_Caption, entry)
            found = image_of(values, images, listed)
            if found is None:
                continue
            x, y, width, height = values["bbox"]
            tasks.append(
                RegionTask(
                    key=str(values["id"]),
                    image=below(photos, found[1]["file_name"]),
                    question=VG_QUESTION.format(region="{region1}"),
                    boxes=((x, y, x + width, y + height),),
                    answers=(values["caption"],),
                    photo=values["image_id"],
                )
            )
    findings.settle(skip_bad_rows=False)
    return tasks


def one_region_a_photo(tasks: Sequence[RegionTask]) -> bool:
    """Whether no photo has two regions, as in the file that published figures are mostly made with."""
    return len({task.photo for task in tasks}) == len(tasks)


def write_visual_genome(file: Path, tasks: Sequence[RegionTask], texts: Mapping[str, str]) -> None:
    """The official answers: a list of {image_id, caption}; with several regions a photo also the annotation's id."""
    alone = one_region_a_photo(tasks)
    rows = [
        {"image_id": task.photo, **({} if alone else {"id": int(task.key)}), "caption": texts[task.key]}
        for task in tasks
        if task.key in texts
    ]
    _write(file, json.dumps(rows, indent=2, ensure_ascii=False))


def vip_bench(folder: Path, split: str = "bbox", drawn: bool = False) -> list[RegionTask]:
    """The questions of ViP-Bench, in the order of ``questions.jsonl``.

    Args:
        folder: of the dataset.
        split: one of `SPLITS`: whose questions are asked.
        drawn: show the split's photos, on which the regions are drawn, with questions that name their colours;
            otherwise plain photos with boxes and questions that name regions, as GPT4RoI is asked.

    Raises:
        ValueError: a file is missing or has another layout, or a region has no box.
    """
    if split not in SPLITS:
        raise ValueError(f"split: {split!r}; allowed: {SPLITS}")
    meta, tasks = _meta(folder), []
    for question in _questions(folder / split / "questions.jsonl"):
        key = f"v1_{question['question_id']}"
        if key not in meta:
            raise ValueError(f"{folder}: question {key} is not in vip-bench-meta-data.json")
        values = meta[key]
        answers, tags = (str(values["answer"]),), tuple(values["capability"])
        if drawn:
            image = below(folder / split / "images", question["image"])
            tasks.append(RegionTask(key, image, question["text"], (), answers, tags))
            continue
        names = list(dict.fromkeys(_OBJECT.findall(values["question"])))
        photo = below(folder / "source_image", values["image_source"])
        boxes = _labelled_boxes(photo.with_suffix(".json"), names) if names else ()
        text = values["question"]
        for number, name in enumerate(names, start=1):
            text = text.replace(f"<{name}>", f"{{region{number}}}")
        tasks.append(RegionTask(key, photo, text, boxes, answers, tags))
    return tasks


def vip_questions(folder: Path, split: str) -> dict[str, tuple[str, str]]:
    """The questions by key as the judge reads them: in the words of the split (which name colours), and of the meta
    data (which name objects)."""
    meta = _meta(folder)
    rows = {f"v1_{row['question_id']}": row["text"] for row in _questions(folder / split / "questions.jsonl")}
    return {key: (text, meta[key]["question"]) for key, text in rows.items()}


def write_vip_bench(folder: Path, name: str, tasks: Sequence[RegionTask], texts: Mapping[str, str]) -> Path:
    """The official answers: ``answers/NAME.jsonl`` as the models' scripts leave them, and ``results/NAME.json``, which
    the benchmark's server and judge take.

    Returns:
        The results' file.
    """
    rows = []
    for task in tasks:
        if task.key in texts:
            number = int(task.key.removeprefix("v1_"))
            named = task.worded([f"region {n}" for n in range(1, len(task.boxes) + 1)])
            rows.append(
                {
                    "question_id": number,
                    "prompt": named,
                    "text": texts[task.key],
                    "answer_id": f"{name}-{number}",
                    "model_id": name,
                    "metadata": {},
                }
            )
    _write(folder / "answers" / f"{name}.jsonl", "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows))
    results = folder / "results" / f"{name}.json"
    _write(results, json.dumps({task.key: texts[task.key] for task in tasks if task.key in texts}, indent=2))
    return results


def _labelled_boxes(file: Path, names: Sequence[str]) -> tuple[Box, ...]:
    """Boxes of LabelMe shapes by their labels; a polygon's is tight around it."""
    shapes: dict[str, Sequence[Sequence[float]]] = {}
    for number, values in enumerate(read_object(file, ("shapes",))["shapes"]):
        shape = _entry(_Shape, values, f"{file}: shapes, row {number}")
        if shape["shape_type"] not in ("rectangle", "polygon"):
            raise ValueError(f"{file}: shape {shape['label']!r} is a {shape['shape_type']}; known: rectangle, polygon")
        shapes.setdefault(shape["label"], shape["points"])
    boxes = []
    for name in names:
        if name not in shapes:
            raise ValueError(f"{file}: no shape {name!r}; there are {sorted(shapes)}")
        xs, ys = zip(*shapes[name], strict=True)
        boxes.append((float(min(xs)), float(min(ys)), float(max(xs)), float(max(ys))))
    return tuple(boxes)


def _questions(file: Path) -> list[_Question]:
    rows = []
    for number, row in json_rows(read_text(file)):
        if isinstance(row, ValueError):
            raise ValueError(f"{file}, line {number}: {row}")
        rows.append(_entry(_Question, row, f"{file}, line {number}"))
    return rows


def _meta(folder: Path) -> dict[str, _Meta]:
    file = folder / "vip-bench-meta-data.json"
    return {key: _entry(_Meta, values, f"{file}: {shown(key)}") for key, values in read_object(file).items()}


def _entry(kind: type[T], values: Any, where: str) -> T:
    try:
        return checked(kind, values)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
