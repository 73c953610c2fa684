"""Many photos: points described, texts found or segments captioned, into one table, in a run that can be killed.

Answers go, a line for each photo, into a file beside the output, ``OUTPUT.part``. The same command reads which photos
are done and goes on. At the end the lines become the table; so no row is lost or doubled, however often a run ends.
"""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from tqdm.auto import tqdm

from talkingpoints import EncodedPhoto, TalkingPoints
from talkingpoints.commands.work import Work
from talkingpoints.data.appended_lines import AppendedLines
from talkingpoints.data.validation.files import csv_text
from talkingpoints.photo_batches import PhotoQuestions

COLUMNS: dict[str, tuple[str, ...]] = {
    "describe": ("photo", "x", "y", "text", "label", "name", "given_text", "error"),
    "localize": ("photo", "query", "x", "y", "found", "presence", "confidence", "given_x", "given_y", "error"),
    "segments": ("photo", "id", "label", "is_thing", "score", "text", "x0", "y0", "x1", "y1", "error"),
}
"""Of a table, by task; what a row lacks stays empty."""
_NUMBERS = ("x", "y", "x0", "y0", "x1", "y1", "presence", "confidence", "score", "given_x", "given_y")
_TYPES = {**dict.fromkeys(_NUMBERS, "float64"), **dict.fromkeys(("found", "is_thing"), "bool"), "id": "int64"}
ENDINGS = (".jsonl", ".csv", ".parquet")
_ROWS_AT_ONCE = 1000  # of a Parquet row group


@dataclass(frozen=True)
class BatchOptions:
    """What a run's answers depend on, beside its photos; two runs with other options never share a file."""

    source: str
    task: str
    descriptor: str | None = None
    localizer: str | None = None
    grid: int = 0
    texts: tuple[str, ...] = ()
    segmenter: str | None = None


def run_batch(
    tp: TalkingPoints,
    work: Sequence[Work],
    output: Path,
    options: BatchOptions,
    *,
    photos_at_once: int = 8,
    skip_bad_rows: bool = False,
    progress: bool = True,
) -> dict[str, int]:
    """Answer everything that is not answered yet, and write the table.

    Args:
        tp: the models.
        work: the photos.
        output: ``.jsonl``, ``.csv`` or ``.parquet``.
        options: are kept in the file of answers.
        photos_at_once: so many go through the model together.
        skip_bad_rows: take down why a photo could not be read, and go on.
        progress: show a bar.

    Returns:
        How many ``photos``, ``rows`` and ``errors`` the table has, and how many photos were ``resumed``.

    Raises:
        ValueError: If the output exists or has another ending, the part file is of another run or in use, or a photo is
            wrong.
    """
    part = check_output(output)
    lock = FileLock(f"{part}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise ValueError(f"another run is writing to {part}") from None
    lines = None
    try:
        lines = AppendedLines(part, {"format": 1, **asdict(options), "texts": list(options.texts)})
        done = {row["photo"] for _, _, row in lines}
        left = [one for one in work if one.key not in done]
        with tqdm(total=len(work), initial=len(work) - len(left), unit="photo", disable=not progress) as bar:
            for answer in _answers(tp, left, options.task, photos_at_once, skip_bad_rows):
                lines.append(answer)
                bar.update()
        counts = _write_table(output, options.task, (row for _, _, row in lines))
        part.unlink()
    finally:
        if lines is not None:
            lines.close()
        lock.release()
        Path(lock.lock_file).unlink(missing_ok=True)
    return {**counts, "resumed": len(work) - len(left)}


def check_output(output: Path) -> Path:
    """The part file of an output.

    Raises:
        ValueError: If the output has no ending that is written, or is there already.
    """
    if output.suffix.lower() not in ENDINGS:
        raise ValueError(f"the output must end with {', '.join(ENDINGS)}, got {output.name!r}")
    if output.exists():
        raise ValueError(f"{output} exists, so this run is done; remove it or name another one")
    return output.with_name(output.name + ".part")


def _answers(
    tp: TalkingPoints, work: Sequence[Work], task: str, photos_at_once: int, skip_bad_rows: bool
) -> Iterator[dict[str, Any]]:
    """A line for each photo, in order; photos are opened as they are needed."""
    opened: list[Work] = []  # those whose photo could be read, until they are answered
    failed: list[dict[str, Any]] = []

    def questions() -> Iterator[PhotoQuestions[Any]]:
        for one in work:
            try:
                photo = EncodedPhoto(one.image())
            except (ValueError, OSError) as error:
                if not skip_bad_rows:
                    raise ValueError(f"{one.key}: {error}") from error
                failed.append({"photo": one.key, "rows": [], "error": str(error)})
                continue
            opened.append(one)
            yield PhotoQuestions(photo, one.texts if task == "localize" else one.points)

    answers: Iterator[list[dict[str, Any]]]
    if task == "describe":
        found = tp.describe_many(questions(), unit=True, photos_at_once=photos_at_once)
        answers = ([_described(row.to_dict()) for row in rows] for rows in found)
    elif task == "localize":
        located = tp.localize_many(questions(), photos_at_once=photos_at_once)
        answers = ([_located(row.to_dict()) for row in rows] for rows in located)
    else:
        answers = ([_segment(row.to_dict()) for row in tp.caption_segments(one.image)] for one in questions())
    for rows in answers:
        one = opened.pop(0)
        yield from failed
        failed.clear()
        extras: Iterable[dict[str, Any]] = one.given or [{} for _ in rows]
        if task == "localize":
            extras = [{"query": text, **given} for text, given in zip(one.texts, extras, strict=True)]
        yield {"photo": one.key, "rows": [row | extra for row, extra in zip(rows, extras, strict=True)]}
    yield from failed


def _described(row: dict[str, Any]) -> dict[str, Any]:
    return {"x": row["x"], "y": row["y"], "text": row["text"]}


def _located(row: dict[str, Any]) -> dict[str, Any]:
    confidence = None if np.isnan(row["confidence"]) else row["confidence"]
    return {"x": row["x"], "y": row["y"], "found": row["found"], "presence": row["presence"], "confidence": confidence}


def _segment(row: dict[str, Any]) -> dict[str, Any]:
    x0, y0, x1, y1 = row["box"]
    named = {name: row[name] for name in ("id", "label", "is_thing", "score", "text")}
    return {**named, "x0": x0, "y0": y0, "x1": x1, "y1": y1}


def _flat(answers: Iterable[dict[str, Any]], counts: dict[str, int]) -> Iterator[dict[str, Any]]:
    """The rows of the table; a photo that could not be read has one with its error."""
    for answer in answers:
        counts["photos"] += 1
        if "error" in answer:
            counts["errors"] += 1
            yield {"photo": answer["photo"], "error": answer["error"]}
        for row in answer["rows"]:
            counts["rows"] += 1
            yield {"photo": answer["photo"], **row}


def _write_table(output: Path, task: str, answers: Iterable[dict[str, Any]]) -> dict[str, int]:
    """All answers as JSON lines, CSV or Parquet; the table is there as a whole or not at all."""
    counts = {"photos": 0, "rows": 0, "errors": 0}
    unfinished = output.with_name(f"{output.name}.unfinished")
    rows = _flat(answers, counts)
    kind = output.suffix.lower()
    if kind == ".jsonl":
        with unfinished.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    elif kind == ".csv":
        _write_csv(unfinished, COLUMNS[task], rows)
    else:
        _write_parquet(unfinished, COLUMNS[task], rows)
    os.replace(unfinished, output)
    return counts


def _write_csv(file: Path, columns: Sequence[str], rows: Iterator[dict[str, Any]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as opened:
        opened.write(csv_text(columns, ()))
        while some := list(islice(rows, _ROWS_AT_ONCE)):
            opened.write(csv_text(columns, some).partition("\n")[2])


def _write_parquet(file: Path, columns: Sequence[str], rows: Iterator[dict[str, Any]]) -> None:
    import pyarrow
    from pyarrow.parquet import ParquetWriter

    schema = pyarrow.schema([(name, _TYPES.get(name, "string")) for name in columns])
    with ParquetWriter(file, schema) as writer:
        while some := list(islice(rows, _ROWS_AT_ONCE)):
            writer.write_table(pyarrow.Table.from_pylist(some, schema))
