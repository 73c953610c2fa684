"""The one command before a server that fails, stalls, cuts and babbles, killed three times: nothing lost or twice."""

import csv
import json

from datasets import load_dataset

from tests.helpers.drawn_cars import drawn_cars
from tests.helpers.killed import CONCURRENCY, built


def test_a_killed_run_ends_in_the_dataset_of_an_undisturbed_one(tmp_path):
    drawn_cars(tmp_path / "cars", n=3)
    arguments = ["--source", "coco_parts", "--data", str(tmp_path / "cars"), "--stream", "true"]
    plain = built(tmp_path / "plain" / "set", arguments, refusals=0.1)
    questions = len(plain.server.answered)
    assert plain.server.calls == {"answered": questions} and questions > 60
    kill_at = [questions // 5, questions // 2, questions * 4 // 5]
    hurt = built(tmp_path / "hurt" / "set", arguments, kill_at, failures=0.2, slowness_s=0.06, refusals=0.1)
    assert hurt.kills == 3 and hurt.server.calls.total() > 1.1 * hurt.server.calls["answered"]
    assert set(hurt.server.answered) == set(plain.server.answered)  # asked what it would have been asked anyway
    assert hurt.asked_again <= hurt.kills * CONCURRENCY  # only what was under way when it was killed
    assert hurt.files == plain.files and len(plain.files) > 3
    folder = tmp_path / "hurt" / "set"
    keys = [row["key"] for row in csv.DictReader((folder / "train" / "metadata.csv").open(encoding="utf-8"))]
    checks = json.loads((folder / "work" / "checks.json").read_text())
    assert len(keys) == len(set(keys)) == checks["kept"] and 3 * checks["texts"] == questions
    assert checks["dropped"]["refusal"] == checks["texts"] - checks["kept"] > 0
    rows = load_dataset("parquet", data_files=str(folder / "data" / "train*.parquet"), split="train")
    assert sorted(rows["key"]) == sorted(keys)
    usage = json.loads((folder / "work" / "writing.json").read_text())["usage"]
    assert usage["answers"] == questions and usage["prompt_tokens"] >= 100 * questions
