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
from typing import Any

Box = tuple[float, float, float, float]
"""(x0, y0, x1, y1) in pixels of the photo."""

VG_QUESTION = "Can you give a description of the region mentioned by {region}?"
SPLITS = ("bbox", "human")

_OBJECT = re.compile(r"<(obj\d*)>")


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
    content = _json(annotations)
    if not isinstance(content, dict) or not {"images", "annotations"} <= set(content):
        raise ValueError(f"{annotations} needs images and annotations, as COCO has them")
    files = {image["id"]: image["file_name"] for image in content["images"]}
    tasks = []
    for values in content["annotations"]:
        missing = {"id", "image_id", "bbox", "caption"} - set(values)
        if missing or values["image_id"] not in files:
            what = f"no {sorted(missing)}" if missing else f"image {values['image_id']} is not in images"
            raise ValueError(f"{annotations}: annotation {values.get('id')}: {what}")
        x, y, width, height = (float(value) for value in values["bbox"])
        tasks.append(
            RegionTask(
                key=str(values["id"]),
                image=photos / files[values["image_id"]],
                question=VG_QUESTION.format(region="{region1}"),
                boxes=((x, y, x + width, y + height),),
                answers=(str(values["caption"]),),
                photo=int(values["image_id"]),
            )
        )
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
    meta = _json(folder / "vip-bench-meta-data.json")
    tasks = []
    for question in _questions(folder / split / "questions.jsonl"):
        key = f"v1_{question['question_id']}"
        if key not in meta:
            raise ValueError(f"{folder}: question {key} is not in vip-bench-meta-data.json")
        values = meta[key]
        answers, tags = (str(values["answer"]),), tuple(values["capability"])
        if drawn:
            image = folder / split / "images" / question["image"]
            tasks.append(RegionTask(key, image, question["text"], (), answers, tags))
            continue
        names = list(dict.fromkeys(_OBJECT.findall(values["question"])))
        source = folder / "source_image" / values["image_source"]
        boxes = _labelled_boxes(source.with_suffix(".json"), names) if names else ()
        text = values["question"]
        for number, name in enumerate(names, start=1):
            text = text.replace(f"<{name}>", f"{{region{number}}}")
        tasks.append(RegionTask(key, source, text, boxes, answers, tags))
    return tasks


def vip_questions(folder: Path, split: str) -> dict[str, tuple[str, str]]:
    """The questions by key as the judge reads them: in the words of the split (which name colours), and of the meta
    data (which name objects)."""
    meta = _json(folder / "vip-bench-meta-data.json")
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
    for shape in _json(file)["shapes"]:
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


def _questions(file: Path) -> list[dict[str, Any]]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ValueError(f"cannot read {file}: {error}") from error
    rows = [json.loads(line) for line in lines if line.strip()]
    for number, row in enumerate(rows, start=1):
        if missing := {"question_id", "image", "text"} - set(row):
            raise ValueError(f"{file}, line {number}: no {sorted(missing)}")
    return rows


def _json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise ValueError(f"cannot read {file}: {error}") from error


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
