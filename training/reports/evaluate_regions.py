"""Visual Genome region captioning and ViP-Bench: asks a model, writes the official answer files, scores them.

    python -m training.reports.evaluate_regions --benchmark visual_genome --annotations vg/test_caption.json \\
        --photos vg/images --writer server --model qwen --base_url http://localhost:8000/v1 --output_dir runs/vg
    python -m training.reports.evaluate_regions --benchmark vip_bench --data ViP-Bench --writer server --model qwen \\
        --base_url http://localhost:8000/v1 --output_dir runs/vip --judge gpt-4-0613 --judge_url https://HOST/v1 \\
        --judge_prompt vip-bench_evaluator.py

``--writer descriptor`` asks a Point Descriptor about each region's box (Visual Genome only: it answers no questions).
Answers are kept in ``work/``; a run that was cut is started again with the same command. The judge's key is read from
``TALKINGPOINTS_JUDGE_API_KEY``; that of the answering server, ``TALKINGPOINTS_API_KEY``, is not sent to it.
"""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw
from tqdm.auto import tqdm

from talkingpoints.dataset_builder.texts.model_writer import plain_text
from talkingpoints.evaluation.benchmarks.judging import (
    MAX_TOKENS,
    OWN_PROMPT,
    TEMPERATURES,
    Grade,
    Judge,
    grades_json,
    judge_prompt,
    scores_csv,
    tag_scores,
)
from talkingpoints.evaluation.benchmarks.region_tasks import (
    RegionTask,
    one_region_a_photo,
    vip_bench,
    vip_questions,
    visual_genome,
    write_vip_bench,
    write_visual_genome,
)
from talkingpoints.evaluation.metrics.caption_scores import METRICS, caption_scores
from talkingpoints.images import load_image
from talkingpoints.llm.answer_store import AnswerStore
from talkingpoints.llm.asker import Limits
from talkingpoints.llm.background import in_order
from talkingpoints.llm.requests import GaveUpError, RejectedError, WriteRequest
from talkingpoints.llm.server import ServerChat
from training.dataset.writer_arguments import WriterArguments, asker_of
from training.sft.arguments import parse_arguments

BENCHMARKS = ("visual_genome", "vip_bench")
WRITERS = ("server", "local", "descriptor")
JUDGE_KEY = "TALKINGPOINTS_JUDGE_API_KEY"
"""Environment variable with the key for the judge's server: mostly another company's."""
COLOURS = ((230, 25, 75), (0, 130, 200), (60, 180, 75), (245, 130, 48), (145, 30, 180), (70, 240, 240))


@dataclass(kw_only=True)
class RegionArguments:
    """What is measured."""

    benchmark: str = field(metadata={"help": f"one of {BENCHMARKS}"})
    output_dir: str = field(metadata={"help": "where answers and scores go; work/ in it keeps what is done"})
    annotations: str | None = field(default=None, metadata={"help": "visual_genome: the COCO-style file"})
    photos: str | None = field(default=None, metadata={"help": "visual_genome: folder of the photos"})
    data: str | None = field(default=None, metadata={"help": "vip_bench: folder of the dataset"})
    split: str = field(default="bbox", metadata={"help": "vip_bench: bbox or human"})
    drawn: bool = field(default=False, metadata={"help": "vip_bench: show the split's photos with drawn regions"})
    name: str | None = field(default=None, metadata={"help": "of the model in the answer files; default: --model"})
    limit: int = field(default=0, metadata={"help": "questions; 0 asks all"})
    metrics: list[str] = field(default_factory=lambda: list(METRICS), metadata={"help": f"visual_genome: of {METRICS}"})
    judge: str | None = field(default=None, metadata={"help": "vip_bench: model that grades; none: no grades"})
    judge_url: str | None = field(default=None, metadata={"help": "its server"})
    judge_prompt: str = field(default=str(OWN_PROMPT), metadata={"help": "the benchmark's evaluator (.py), or a text"})
    judge_runs: int = field(default=1, metadata={"help": "grades of each answer; ViP-Bench's paper has 5"})

    def __post_init__(self) -> None:
        if self.benchmark not in BENCHMARKS:
            raise ValueError(f"benchmark: {self.benchmark!r}; allowed: {BENCHMARKS}")
        needed = ("annotations", "photos") if self.benchmark == "visual_genome" else ("data",)
        for name in needed:
            if getattr(self, name) is None:
                raise ValueError(f"--benchmark {self.benchmark} needs --{name}")
        if (self.judge is None) != (self.judge_url is None):
            raise ValueError("--judge and --judge_url belong together")
        if self.judge is not None and self.benchmark != "vip_bench":
            raise ValueError("--judge grades vip_bench; visual_genome is scored without one")
        if self.judge_runs < 1 or self.limit < 0:
            raise ValueError(f"judge_runs must be at least 1 and limit at least 0, got {self.judge_runs}, {self.limit}")


@dataclass(kw_only=True)
class AnswererArguments(WriterArguments):
    """Who answers."""

    writer: str = field(default="descriptor", metadata={"help": f"one of {WRITERS}"})

    def __post_init__(self) -> None:
        if self.writer not in WRITERS:
            raise ValueError(f"writer: {self.writer!r}; allowed: {WRITERS}")
        if self.writer != "descriptor" and self.model is None:
            raise ValueError(f"--writer {self.writer} needs --model")


def tasks_of(arguments: RegionArguments) -> list[RegionTask]:
    """The questions."""
    if arguments.benchmark == "visual_genome":
        tasks = visual_genome(Path(str(arguments.annotations)), Path(str(arguments.photos)))
    else:
        tasks = vip_bench(Path(str(arguments.data)), arguments.split, arguments.drawn)
    return tasks[: arguments.limit or None]


def shown(task: RegionTask) -> Image.Image:
    """The photo with its regions' boxes drawn, numbered where there are several."""
    image = load_image(task.image)
    draw = ImageDraw.Draw(image)
    width = max(2, round(max(image.size) / 250))
    for number, box in enumerate(task.boxes, start=1):
        colour = COLOURS[(number - 1) % len(COLOURS)]
        draw.rectangle(box, outline=colour, width=width)
        if len(task.boxes) > 1:
            size = max(12, round(max(image.size) / 40))
            draw.rectangle((box[0], box[1], box[0] + size, box[1] + size), fill=colour)
            draw.text(
                (box[0] + size / 2, box[1] + size / 2), str(number), fill="white", anchor="mm", font_size=size - 3
            )
    return image


def names_of(task: RegionTask) -> list[str]:
    """How regions are called where their boxes are drawn."""
    if len(task.boxes) == 1:
        return ["the drawn rectangle"]
    return [f"rectangle {number}" for number in range(1, len(task.boxes) + 1)]


def answers(
    arguments: RegionArguments, answerer: AnswererArguments, tasks: Sequence[RegionTask]
) -> Iterator[tuple[str, str | None, str]]:
    """(key, answer, why there is none) for every task: "" was turned down for good, None may be answered later."""
    if answerer.writer == "descriptor":
        yield from _described(answerer, tasks)
        return
    with AnswerStore(Path(arguments.output_dir) / "work" / "answers.jsonl") as store:
        asker = asker_of(answerer, str(answerer.model), store)

        async def answer(task: RegionTask) -> tuple[str, str | None, str]:
            request = WriteRequest(
                key=f"{task.key} of {'/'.join(task.image.parts[-2:])} at {task.boxes}",  # ids are one file's only
                prompt=f"{arguments.benchmark}/{arguments.split}/{'drawn' if arguments.drawn else 'plain'}",
                text=task.worded(names_of(task)) if task.boxes else task.question,
                parse=_answer,
                images=lambda: [shown(task)],
            )
            try:
                return task.key, await asker.ask(request), ""
            except RejectedError as error:
                return task.key, "", str(error)
            except GaveUpError as error:
                return task.key, None, str(error)

        yield from in_order(tqdm(tasks, desc="answers", unit="question"), answer, 4 * asker.limits.concurrency)


def _answer(text: str) -> str:
    """A model's words as one paragraph; numbers are answers too."""
    try:
        return plain_text(text)
    except ValueError:
        words = " ".join(text.split())
        if not words or "\ufffd" in words:
            raise
        return words


def _described(answerer: AnswererArguments, tasks: Sequence[RegionTask]) -> Iterator[tuple[str, str | None, str]]:
    from talkingpoints.inference import TalkingPoints

    pair = TalkingPoints.from_pretrained(descriptor=answerer.model)
    for task in tqdm(tasks, desc="answers", unit="question"):
        image = load_image(task.image)
        box = inside(task.boxes[0], image.size)
        yield task.key, pair.describe(image, box=box).text, ""


def inside(box: tuple[float, float, float, float], size: tuple[int, int]) -> tuple[float, float, float, float]:
    """A box cut to a photo of ``size`` (width, height), a pixel wide and high at least."""
    (x0, x1), (y0, y1) = (
        (min(max(low, 0.0), side - 1.0), min(max(high, 1.0), float(side)))
        for low, high, side in ((box[0], box[2], size[0]), (box[1], box[3], size[1]))
    )
    return x0, y0, max(x1, x0 + 1.0), max(y1, y0 + 1.0)


def judged(
    arguments: RegionArguments, answerer: AnswererArguments, tasks: Sequence[RegionTask], texts: dict[str, str]
) -> tuple[dict[str, list[Grade]], dict[str, str]]:
    """Grades by key, one for each run, and why there are none for the others."""
    questions = vip_questions(Path(str(arguments.data)), arguments.split)
    url, key = arguments.judge_url, os.environ.get(JUDGE_KEY) or "none"
    chats = [
        ServerChat(str(arguments.judge), url, api_key=key, max_tokens=MAX_TOKENS, temperature=temperature)
        for temperature in TEMPERATURES
    ]
    limits = Limits(answerer.concurrency, answerer.requests_per_minute, answerer.attempts, 5, answerer.first_wait_s)
    grades: dict[str, list[Grade]] = {}
    problems: dict[str, str] = {}
    with AnswerStore(Path(arguments.output_dir) / "work" / "grades.jsonl") as store:
        judge = Judge(chats, store, judge_prompt(Path(arguments.judge_prompt)), limits)

        async def grade(task: RegionTask) -> list[Grade] | str:
            try:
                runs = range(arguments.judge_runs)
                if not texts[task.key]:
                    return [Grade("", 0.0) for _ in runs]
                return [await judge.grade(task, questions[task.key], texts[task.key], run) for run in runs]
            except (RejectedError, GaveUpError) as error:
                return str(error)

        for task, result in zip(tasks, in_order(tqdm(tasks, desc="grades", unit="answer"), grade, 32), strict=True):
            if isinstance(result, str):
                problems[task.key] = result
            else:
                grades[task.key] = result
    return grades, problems


def main(argv: list[str]) -> None:
    """Evaluate; see the module docstring."""
    arguments, answerer = parse_arguments((RegionArguments, AnswererArguments), argv)
    if arguments.benchmark == "vip_bench" and answerer.writer == "descriptor":
        raise ValueError("a Point Descriptor answers no questions: take --writer server or local for vip_bench")
    output, tasks = Path(arguments.output_dir), tasks_of(arguments)
    texts: dict[str, str] = {}
    problems: dict[str, str] = {}
    for key, text, problem in answers(arguments, answerer, tasks):
        if text is not None:
            texts[key] = text
        if not text:
            problems[key] = problem
    name = arguments.name or Path(answerer.model or "talkingpoints").name
    report: dict[str, Any] = {"benchmark": arguments.benchmark, "model": name, "questions": len(tasks)}
    answered, missing = [task for task in tasks if texts.get(task.key)], len(tasks) - len(texts)
    report |= {"answered": len(answered), "turned_down": len(texts) - len(answered), "missing": missing}
    report["without_answer"] = problems
    not_run = {
        "scores": {
            "not_run": f"{missing} questions have no answer yet; run it again" if missing else "none is answered"
        }
    }
    if arguments.benchmark == "visual_genome":
        write_visual_genome(output / f"{name}_vg.json", tasks, texts)
        report["regions"] = "one a photo" if one_region_a_photo(tasks) else "several a photo"
        report |= not_run if missing or not answered else {"scores": described_scores(arguments, tasks, texts)}
    else:
        name = f"{name}-{arguments.split}"
        write_vip_bench(output, name, tasks, texts)
        if arguments.judge is not None:
            report |= not_run if missing else graded(arguments, answerer, tasks, texts, name)
    output.mkdir(parents=True, exist_ok=True)
    (output / "report.json").write_text(json.dumps(report, indent=2, ensure_ascii=False), encoding="utf-8")
    if problems:
        down = len(problems) - missing
        print(f"{len(tasks)} questions: {down} were turned down and count as 0, {missing} have no answer yet")
    print(json.dumps(report.get("scores", report), ensure_ascii=False))


def described_scores(
    arguments: RegionArguments, tasks: Sequence[RegionTask], texts: dict[str, str]
) -> dict[str, object]:
    """Caption scores over all tasks; an empty text counts as 0."""
    answered = [task for task in tasks if texts[task.key]]
    references, said = [task.answers for task in answered], [texts[task.key] for task in answered]
    return caption_scores(references, said, arguments.metrics).times(len(answered) / len(tasks)).to_json()


def graded(
    arguments: RegionArguments,
    answerer: AnswererArguments,
    tasks: Sequence[RegionTask],
    texts: dict[str, str],
    name: str,
) -> dict[str, Any]:
    """Grade, and write the benchmark's three files; scores only where every answer has its grades."""
    grades, problems = judged(arguments, answerer, tasks, texts)
    results = Path(arguments.output_dir) / "results"
    stem, runs = f"{name}_{Path(str(arguments.judge)).name}", f"{arguments.judge_runs}runs"
    content = json.dumps(grades_json(grades, str(arguments.judge)), indent=4)
    (results / f"{stem}-grade-{runs}.json").write_text(content, encoding="utf-8")
    version = judge_prompt(Path(arguments.judge_prompt)).version
    report: dict[str, Any] = {"judge": arguments.judge, "judge_prompt": version, "without_grade": problems}
    if problems or not grades:
        return {**report, "scores": {"not_run": f"{len(problems)} answers have no grade; run it again"}}
    scores = tag_scores(tasks, grades)
    (results / f"{stem}-cap-score-{runs}.csv").write_text(scores_csv(name, scores), encoding="utf-8")
    by_combination = scores_csv(name, tag_scores(tasks, grades, together=True))
    (results / f"{stem}-cap-int-score-{runs}.csv").write_text(by_combination, encoding="utf-8")
    return {**report, "scores": scores}


if __name__ == "__main__":
    main(sys.argv[1:])
