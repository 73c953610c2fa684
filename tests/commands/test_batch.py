"""batch and prelabel: every row once, in order, however often a run ends; tables in three formats."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from filelock import FileLock

from talkingpoints import TalkingPoints
from talkingpoints.commands import batch, work
from talkingpoints.commands.batch import BatchOptions, run_batch
from talkingpoints.commands.prelabel import prelabel, write_prelabels
from talkingpoints.data.appended_lines import AppendedLines
from talkingpoints.data.formats.conversion import read_annotations
from tests.formats.test_layouts import laid_out
from tests.helpers.tiny import photo

pytestmark = pytest.mark.usefixtures("short_texts")


@pytest.fixture(scope="module")
def tp(pair: tuple[Path, Path]) -> TalkingPoints:
    return TalkingPoints.from_pretrained(*pair)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "photos" / "more").mkdir(parents=True)
    for seed in range(7):
        photo(seed=seed).save(tmp_path / "photos" / ("more" if seed % 2 else "") / f"{seed}.png")
    return tmp_path / "photos"


def table(file: Path) -> list[dict[str, Any]]:
    if file.suffix == ".jsonl":
        return [json.loads(line) for line in file.read_text().splitlines()]
    if file.suffix == ".csv":
        with file.open(newline="") as opened:
            return list(csv.DictReader(opened))
    return pyarrow.parquet.read_table(file).to_pylist()


def describe(tp: TalkingPoints, folder: Path, output: Path, **options: Any) -> dict[str, int]:
    todo = work.plain_work(folder, work.grid(2), ())
    return run_batch(tp, todo, output, BatchOptions(str(folder), "describe", grid=2), progress=False, **options)


@pytest.mark.parametrize("ending", batch.ENDINGS)
def test_tables(tp: TalkingPoints, folder: Path, tmp_path: Path, ending: str) -> None:
    output = tmp_path / f"out{ending}"
    assert describe(tp, folder, output) == {"photos": 7, "rows": 28, "errors": 0, "resumed": 0}
    rows = table(output)
    assert [row["photo"] for row in rows[::4]] == [
        "0.png",
        "2.png",
        "4.png",
        "6.png",
        "more/1.png",
        "more/3.png",
        "more/5.png",
    ]
    single = tp.describe(folder / "2.png", point=(0.75, 0.25))
    assert (float(rows[5]["x"]), float(rows[5]["y"]), rows[5]["text"]) == (single.point.x, single.point.y, single.text)
    assert [file.name for file in tmp_path.iterdir()] == ["photos", output.name] or len(list(tmp_path.iterdir())) == 2
    with pytest.raises(ValueError, match="exists, so this run is done"):
        describe(tp, folder, output)


def test_a_run_that_ends_anywhere_goes_on_without_a_lost_or_doubled_row(
    tp: TalkingPoints, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, output = tmp_path / "whole.jsonl", tmp_path / "out.jsonl"
    describe(tp, folder, whole)
    part = tmp_path / "out.jsonl.part"
    append = AppendedLines.append
    for stop in (1, 2, 0, 3):
        count = 0

        def failing(self: AppendedLines, row: dict[str, Any], stop: int = stop) -> tuple[int, int]:
            nonlocal count
            if count == stop:
                raise KeyboardInterrupt
            count += 1
            return append(self, row)

        monkeypatch.setattr(AppendedLines, "append", failing)
        with pytest.raises(KeyboardInterrupt):
            describe(tp, folder, output, photos_at_once=3)
        assert not output.exists()
        with part.open("ab") as file:  # a line that was cut off by the kill
            file.write(b'{"photo": "more/5.p')
    monkeypatch.setattr(AppendedLines, "append", append)
    assert describe(tp, folder, output, photos_at_once=3)["resumed"] == 6
    assert output.read_bytes() == whole.read_bytes()


def test_other_options_or_a_second_run_never_share_a_file(tp: TalkingPoints, folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    AppendedLines(tmp_path / "out.jsonl.part", {"format": 1, "task": "localize"}).close()
    with pytest.raises(ValueError, match="was made with other options"):
        describe(tp, folder, output)
    (tmp_path / "out.jsonl.part").unlink()
    with FileLock(tmp_path / "out.jsonl.part.lock"), pytest.raises(ValueError, match="another run is writing"):
        describe(tp, folder, output)


def test_a_broken_photo_stops_the_run_or_is_taken_down(tp: TalkingPoints, folder: Path, tmp_path: Path) -> None:
    (folder / "3.png").write_bytes(b"none")
    (folder / "more" / "9.png").write_bytes(b"none")
    with pytest.raises(ValueError, match=r"3\.png: cannot read"):
        describe(tp, folder, tmp_path / "out.csv")
    counts = describe(tp, folder, tmp_path / "out.csv", skip_bad_rows=True)
    assert (counts["photos"], counts["rows"], counts["errors"]) == (9, 28, 2)
    rows = table(tmp_path / "out.csv")
    wrong = [row for row in rows if row["error"]]
    assert [row["photo"] for row in wrong] == ["3.png", "more/9.png"] and len(rows) == 30


def test_points_and_texts_of_annotations(tp: TalkingPoints, tmp_path: Path) -> None:
    source = str(laid_out("datumaro", tmp_path))
    todo = work.annotated_work(source, "describe", None, False)
    run_batch(tp, todo, tmp_path / "out.parquet", BatchOptions(source, "describe"), progress=False)
    rows = table(tmp_path / "out.parquet")
    assert [(row["x"], row["y"], row["label"], row["name"]) for row in rows[:2]] == [
        (320, 240, "cat", "nose"),
        (380, 150, "cat", "left ear"),
    ]
    assert rows[0]["given_text"] == "The cat's nose, pink."
    todo = work.annotated_work(source, "localize", None, False)
    run_batch(tp, todo, tmp_path / "found.jsonl", BatchOptions(source, "localize"), progress=False)
    rows = table(tmp_path / "found.jsonl")
    assert [(row["query"], row["given_x"]) for row in rows] == [
        ("The cat's nose, pink.", 320),
        ("The tip of its left ear.", 380),
    ]


def test_segments_of_a_folder(folder: Path, tmp_path: Path) -> None:
    class Segmenting:
        """Finds nothing in the first photo and a segment in each other."""

        def caption_segments(self, image: Any) -> Iterator[Any]:
            from talkingpoints.results import SegmentCaption

            empty = not hasattr(self, "asked")
            self.asked = True
            return iter([] if empty else [SegmentCaption(1, "cat", True, 0.5, "a cat", None, (1.0, 2.0, 3.0, 4.0))])

    todo = work.plain_work(folder, [], [])
    counts = run_batch(Segmenting(), todo, tmp_path / "s.csv", BatchOptions("", "segments"), progress=False)
    assert counts == {"photos": 7, "rows": 6, "errors": 0, "resumed": 0}
    assert table(tmp_path / "s.csv")[0]["label"] == "cat"


@pytest.mark.parametrize("to", ["label_studio", "cvat"])
def test_prelabels_are_read_again(tp: TalkingPoints, folder: Path, tmp_path: Path, to: str) -> None:
    found = prelabel(tp, folder, ["the nose"], ["cat"], threshold=0.0, progress=False)
    counts, _ = write_prelabels(found, tmp_path / "out", to)
    assert counts == {"photos": 7, "points": 14}
    read = read_annotations(tmp_path / "out", photos=folder)
    assert [photo.file_name for photo in read.photos][4:] == ["more/1.png", "more/3.png", "more/5.png"]
    nose, cat = read.photos[2].points
    single = tp.localize(folder / "4.png", "the nose")
    assert (nose.text, nose.x) == ("the nose", pytest.approx(single.x, abs=0.01)) and cat.label == "cat"
    assert not [photo for photo in prelabel(tp, folder, ["x"], [], threshold=1.0, progress=False) if photo.points]
