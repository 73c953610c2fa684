"""Grades of ViP-Bench answers by a judge behind an OpenAI-compatible server, the way the benchmark's evaluator asks.

One user message: the judge's prompt, a table, and a last row "question | ground truth | prediction | " that it ends. An
answer that is no number from 0 to 1 is asked for again as the evaluator does: the question in the words of the meta
data, a request for a digit, and a rising temperature; after five such tries the grade is 0.

The benchmark's own prompt is not part of this project. `judge_prompt` takes it out of the benchmark's
``vip-bench_evaluator.py``; only grades made with it, and with the same judge (gpt-4-0613), compare with published ones.
"""

import ast
import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from talkingpoints.evaluation.benchmarks.region_tasks import RegionTask
from talkingpoints.llm.answer_store import AnswerStore
from talkingpoints.llm.asker import Asker, Limits
from talkingpoints.llm.prompt_files import Prompt
from talkingpoints.llm.requests import Chat, Completion, WriteRequest

OWN_PROMPT = Path(__file__).parent / "prompts" / "judge.txt"
MAX_TOKENS = 3
AGAIN = "\nPredict the correctness of the answer (digit): "
TEMPERATURES = (0.0, 0.0, 0.5, 1.0, 1.5)
"""Of the first call and of those after unusable answers; the evaluator makes one more and drops what it says."""


@dataclass(frozen=True)
class Grade:
    """What the judge said of an answer in one run, and the score that it comes to."""

    content: str
    score: float


def judge_prompt(file: Path = OWN_PROMPT) -> Prompt:
    """The judge's prompt.

    Args:
        file: a text, or the benchmark's evaluator, a Python file that assigns a text to ``prompt`` (it is read, never
            run).

    Raises:
        ValueError: no such file, or no prompt in it.
    """
    if file.suffix != ".py":
        return Prompt(file.stem, f"{Prompt.read(file).template}\n")
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (OSError, SyntaxError) as error:
        raise ValueError(f"cannot read the prompt {file}: {error}") from error
    for node in tree.body:
        if not (isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)):
            continue
        names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        if "prompt" in names and isinstance(node.value.value, str):
            return Prompt(file.stem, node.value.value)
    raise ValueError(f"{file} assigns no text to prompt")


class Judge:
    """Grades answers.

    Args:
        chats: one for each of `TEMPERATURES`, with `MAX_TOKENS`; equal ones may be the same.
        store: keeps what the judge said.
        prompt: see `judge_prompt`.
        limits: of the calls.

    Raises:
        ValueError: another number of chats.
    """

    def __init__(self, chats: Sequence[Chat], store: AnswerStore, prompt: Prompt, limits: Limits | None = None):
        if len(chats) != len(TEMPERATURES):
            raise ValueError(f"chats: {len(chats)}; one for each of {TEMPERATURES}")
        self.prompt = prompt
        self._askers = [Asker(_Short(chat), store, limits) for chat in chats]

    async def grade(self, task: RegionTask, questions: tuple[str, str], prediction: str, run: int = 0) -> Grade:
        """Grade one answer.

        Args:
            task: with the ground truth.
            questions: in the words of the split, and of the meta data, which the evaluator takes when it asks again.
            prediction: the answer.
            run: the evaluator may ask several times; each run is asked anew.

        Raises:
            RejectedError, GaveUpError, ServerError: see :meth:`Asker.ask`; there is no grade then.
        """
        truth = task.answers[0].replace("<AND>", " <AND> ").replace("<OR>", " <OR> ")
        content = ""
        for attempt, asker in enumerate(self._askers):
            row = " | ".join((questions[min(attempt, 1)], truth, prediction, ""))
            request = WriteRequest(
                key=f"{task.key}/run {run}/try {attempt}",
                prompt=self.prompt.version,
                text=f"{self.prompt.template}\n{row}{AGAIN if attempt else ''}",
                parse=str,
            )
            content = await asker.ask(request)
            score = _score(content)
            if score is not None:
                return Grade(content, score)
        return Grade(content, 0.0)


@dataclass(frozen=True)
class _Short:
    """A chat whose answers may end at the largest number of tokens: a grade is three long."""

    chat: Chat

    @property
    def identity(self) -> str:
        return self.chat.identity

    async def complete(self, request: WriteRequest[Any]) -> Completion:
        answer = await self.chat.complete(request)
        return replace(answer, ended="stop") if answer.ended == "length" else answer


def _score(content: str) -> float | None:
    """The number in front of the first blank, None if it is no grade."""
    try:
        value = float(content.split(" ")[0].strip())
    except ValueError:
        return None
    return value if 0.0 <= value <= 1.0 else None


def grades_json(grades: Mapping[str, Sequence[Grade]], model: str) -> dict[str, dict[str, list[Any]]]:
    """The benchmark's grade file: {key: {"model", "content", "score"}}, an entry a run."""
    return {
        key: {
            "model": [model] * len(runs),
            "content": [grade.content for grade in runs],
            "score": [grade.score for grade in runs],
        }
        for key, runs in grades.items()
    }


def tag_scores(
    tasks: Sequence[RegionTask], grades: Mapping[str, Sequence[Grade]], together: bool = False
) -> dict[str, float | str]:
    """Means x 100, one decimal, as the benchmark reports them.

    Args:
        tasks: all of them.
        grades: a sequence of runs, as many for each task.
        together: by combinations of tags instead of single ones.

    Returns:
        By tag, the commonest first; "total"; "std" of the runs' totals; "runs", the totals.

    Raises:
        ValueError: a task without a grade, or with another number of runs.
    """
    runs = {len(grades.get(task.key, ())) for task in tasks}
    if len(runs) != 1 or 0 in runs:
        raise ValueError(f"every task needs the same number of grades, at least one; there are {sorted(runs)}")
    groups = {task.key: ["_".join(sorted(task.tags))] if together else sorted(set(task.tags)) for task in tasks}
    counts = Counter(name for names in groups.values() for name in names)
    scores = {task.key: np.array([grade.score for grade in grades[task.key]]) for task in tasks}
    result: dict[str, float | str] = {}
    for name, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        chosen = [scores[key] for key, names in groups.items() if name in names]
        result[name] = round(100 * float(np.mean(chosen)), 1)
    totals = 100 * np.mean(list(scores.values()), axis=0)
    result["total"] = round(float(totals.mean()), 1)
    result["std"] = round(float(totals.std()), 1)
    result["runs"] = str([round(float(value), 1) for value in totals])
    return result


def scores_csv(name: str, scores: Mapping[str, float | str]) -> str:
    """The benchmark's table: a header, and a row that begins with the model's name."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["", *scores])
    writer.writerow([name, *scores.values()])
    return text.getvalue()
