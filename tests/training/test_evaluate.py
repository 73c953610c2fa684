"""The command line: arguments, files, the table and the page."""

import json
import re

import numpy as np
import pytest
from accelerate import PartialState

from talkingpoints.data.readers.coco_keypoints import load_keypoints
from talkingpoints.evaluation import protocol
from tests.helpers.drawn import drawn_dataset
from tests.helpers.table_pair import TablePair, write_dataset
from tests.helpers.tiny import tiny_pair
from training import evaluate as script
from training.sft.arguments import parse_arguments


@pytest.fixture
def dataset(tmp_path):
    return load_keypoints(write_dataset(tmp_path / "animals"), "test")


class FromPretrained:
    """Stands in for TalkingPoints: hands out the same pair and notes what was asked for."""

    def __init__(self, pair):
        self.pair, self.asked = pair, []

    def from_pretrained(self, *, descriptor=None, localizer=None, device=None):
        assert device == str(PartialState().device)
        self.asked.append((descriptor, localizer))
        return self.pair


def test_command_line(tmp_path, monkeypatch, capsys, dataset):
    stand_in = FromPretrained(TablePair(dataset, protocol.labelled_points(dataset)))
    monkeypatch.setattr(script, "TalkingPoints", stand_in)
    output, saved = tmp_path / "new" / "report.json", tmp_path / "new" / "predictions.npz"
    arguments = [
        "--dataset",
        str(tmp_path / "animals"),
        "--split",
        "test",
        "--output",
        str(output),
        "--limit",
        "3",
    ]
    arguments += [
        "--localizer",
        "ours",
        "--blind_localizer",
        "blind",
        "--listeners",
        "other=theirs",
        "--report",
        str(tmp_path / "page"),
        "--work_dir",
        str(tmp_path / "work"),
        "--predictions",
        str(saved),
        "--threads",
        "1",
    ]
    report = script.main([*arguments, "--quiet"])

    assert stand_in.asked == [(None, "ours"), (None, "blind"), (None, "theirs")]
    assert json.loads(output.read_text()) == report
    assert (report["n_images"], report["n_points"], report["seed"]) == (3, 9, 0)
    assert report["command"][:4] == ["python", "-m", "training.evaluate", "--dataset"]
    assert {"python", "torch", "transformers"} <= set(report["versions"])
    assert set(report["rows"]["reference"]) == {
        "mpck_img",
        "ci95",
        "pck_img",
        "mpck_bbox",
        "median_error_px",
        "auc",
    }
    table = capsys.readouterr().out
    assert "animals test: 9 points in 3 photos" in table
    assert "reference minus blind: +100.00 mpck_img" in table
    assert all(name in table for name in protocol.ROW_ORDER)
    assert "through listener other: reference 100.00, descriptor 100.00, shuffled 0.00 mpck_img" in table
    page = (tmp_path / "page" / "index.html").read_text()
    assert page.count("<figure>") == 3 + 8 + 3  # one a photo of the best and the worst, eight of the median
    assert page.count("data:image/jpeg") == 14 and page.count("data:image/svg+xml") == 2
    assert not re.search(r'(src|href)="(?!data:)', page)
    for name, row in report["rows"].items():
        assert f"<td>{name}</td><td>{row['mpck_img']:.1f}</td>" in page

    with np.load(saved) as arrays:
        errors = np.linalg.norm(arrays["prediction_reference"] - arrays["truth"], axis=1)
        assert (100 * (errors <= 0.1).mean(), len(errors)) == (
            report["rows"]["reference"]["pck_img"]["0.1"],
            9,
        )
        assert arrays["photo"].tolist() == [0] * 3 + [1] * 3 + [2] * 3
        assert arrays["label"].tolist() == ["dog"] * 3 + ["cat"] * 3 + ["dog"] * 3
        texts = json.loads(str(arrays["texts"]))
        assert len(texts["descriptor"]) == 9
        assert np.isnan(arrays["confidence_image_centre"]).all()


def test_photos_of_some_labels_only(tmp_path, monkeypatch, dataset):
    dogs = [i for i, objects in enumerate(dataset["objects"]) if {item["label"] for item in objects} == {"dog"}]
    kept = dataset.select(dogs)
    assert 0 < len(kept) < len(dataset)
    monkeypatch.setattr(script, "TalkingPoints", FromPretrained(TablePair(kept, protocol.labelled_points(kept))))
    arguments = ["--dataset", str(tmp_path / "animals"), "--split", "test", "--output", str(tmp_path / "report.json")]
    report = script.main([*arguments, "--labels", "dog", "--rows", "descriptor", "--threads", "1", "--quiet"])
    assert set(report["by_label"]) == {"dog"} and report["labels"] == ["dog"] and report["n_images"] == len(kept)
    assert report["rows"]["descriptor"]["mpck_img"] == 100
    with pytest.raises(ValueError, match="no photo shows unicorn"):
        script.main([*arguments, "--labels", "unicorn"])


def test_stored_answers_of_another_model_are_not_taken(tmp_path, dataset):
    del dataset
    model = tmp_path / "model"
    model.mkdir()
    (model / "model.safetensors").write_bytes(b"one")
    arguments = ["--dataset", str(tmp_path / "animals"), "--split", "test", "--output", "r.json"]
    (arguments,) = parse_arguments(script.ARGUMENTS, [*arguments, "--localizer", str(model)])
    before = script.question(arguments)
    assert before == script.question(arguments)
    (model / "model.safetensors").write_bytes(b"other")
    assert script.question(arguments) != before


def test_free_texts_for_another_dataset(tmp_path, dataset):
    del dataset
    (tmp_path / "free.json").write_text('[{"dataset": "people", "image": "0.png", "text": "an ear", "x": 1, "y": 2}]')
    arguments = ["--dataset", str(tmp_path / "animals"), "--split", "test", "--output", str(tmp_path / "r.json")]
    with pytest.raises(ValueError, match=r"free\.json holds no text for a dataset called 'animals'"):
        script.main([*arguments, "--free_texts", str(tmp_path / "free.json"), "--threads", "1"])


def test_command_line_without_blind_listener(tmp_path, monkeypatch, dataset):
    stand_in = FromPretrained(TablePair(dataset))
    monkeypatch.setattr(script, "TalkingPoints", stand_in)
    arguments = [
        "--dataset",
        str(tmp_path / "animals"),
        "--split",
        "test",
        "--output",
        str(tmp_path / "r.json"),
    ]
    report = script.main([*arguments, "--quiet", "--threads", "1"])
    assert "blind" not in report["rows"]
    assert "reference_minus_blind" not in report["differences"]
    assert stand_in.asked == [(None, None)]


def test_command_line_with_models(tmp_path):
    """Random models on drawn photos: all parts fit, and the same command gives the same figures."""
    directory = drawn_dataset(tmp_path / "drawn", n=3)
    descriptor, localizer = (str(folder) for folder in tiny_pair(tmp_path / "models"))
    arguments = ["--dataset", str(directory), "--split", "test", "--output", str(tmp_path / "r.json")]
    arguments += ["--descriptor", descriptor, "--localizer", localizer, "--blind_localizer", localizer]
    arguments += ["--limit", "2", "--threads", "1", "--device", "cpu", "--quiet"]
    report = script.main(arguments)
    assert list(report["rows"]) == list(protocol.ROW_ORDER)
    assert report["n_images"] == 2 and report["mask_points"] is None
    again = script.main(arguments)
    for part in ("rows", "differences", "by_label", "calibration", "presence"):
        assert report[part] == again[part]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--limit", "0"], "limit must be a whole number of at least 1, got 0"),
        (["--threads", "-2"], "threads must be a whole number of at least 1, got -2"),
        (["--predictions", "all.json"], "ends in .npz, got 'all.json'"),
        (["--listeners", "folder"], r"NAME=DIR, the name without '@', got \['folder'\]"),
        (["--listeners", "a=x", "a=y"], "two have the name 'a'"),
        (["--rows", "best"], r"rows must be some of .*, got \['best'\]"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        parse_arguments(script.ARGUMENTS, ["--datasets", "d", "--split", "test", "--output", "r.json", *arguments])


def test_missing_arguments(capsys):
    with pytest.raises(SystemExit):
        parse_arguments(script.ARGUMENTS, ["--limit", "some"])
    assert "--limit: invalid int value: 'some'" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        parse_arguments(script.ARGUMENTS, [])
    assert "required: --dataset, --split, --output" in capsys.readouterr().err


def test_dataset_that_is_not_there(tmp_path):
    arguments = ["--output", str(tmp_path / "report.json"), "--threads", "1"]
    with pytest.raises(ValueError, match="is not a folder"):
        script.main(["--dataset", str(tmp_path / "nowhere"), "--split", "test", *arguments])
    write_dataset(tmp_path / "animals")
    with pytest.raises(ValueError, match="no annotation file for 'tset'"):
        script.main(["--dataset", str(tmp_path / "animals"), "--split", "tset", *arguments])
