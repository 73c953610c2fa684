"""Free texts are read, matched to keypoints of the split, and measured beside the writer's."""

import json
import re
from pathlib import Path

import pytest

from talkingpoints.data.readers.coco_keypoints import load_keypoints
from talkingpoints.evaluation.free_texts import FreeText, evaluate_free_texts, match_points, read_free_texts
from talkingpoints.evaluation.protocol import Systems, labelled_points
from tests.helpers.table_pair import TablePair, write_dataset

TRAINING = Path(__file__).resolve().parents[2] / "training"
BUNDLED = TRAINING / "bundled"
TEST = TRAINING / "reports" / "free_texts.json"


@pytest.fixture
def dataset(tmp_path):
    return load_keypoints(write_dataset(tmp_path / "animals"), "test")


def test_a_known_and_an_unknown_text(dataset):
    pair = TablePair(dataset, labelled_points(dataset))
    pair.table[(0, "its left eye")] = (12 / 120, 20 / 80)
    texts = [FreeText("0.png", "its left eye", 12, 20), FreeText("1.png", "what?", 13, 20)]
    figures = evaluate_free_texts(Systems(pair, listeners={"deaf": TablePair(dataset)}), [(dataset, texts)])
    assert figures["n_points"] == 2
    assert figures["ratio"] == 0.5
    assert [text["found"] for text in figures["texts"]] == [True, False]
    assert figures["texts"][0]["error_img"] == 0.0
    assert figures["difference"]["mpck_img"] == -50.0
    assert figures["rows"]["free_text@deaf"]["mpck_img"] == figures["rows"]["reference@deaf"]["mpck_img"] == 0.0
    assert figures["rows"]["free_text"]["mpck_img"] == 50.0
    assert figures["rows"]["reference"]["mpck_img"] == 100.0


def test_several_datasets_together(dataset, tmp_path):
    """The same photo name in two datasets is two photos."""
    pair = TablePair(dataset, labelled_points(dataset))
    pair.table[(0, "its left eye")] = (12 / 120, 20 / 80)
    other = load_keypoints(write_dataset(tmp_path / "others", n_photos=5), "test")
    text = FreeText("0.png", "its left eye", 12, 20)
    figures = evaluate_free_texts(Systems(pair), [(dataset, [text]), (other, [text])])
    assert figures["n_points"] == 2
    assert figures["rows"]["free_text"]["ci95"][0] < figures["rows"]["free_text"]["ci95"][1] or (
        figures["rows"]["free_text"]["mpck_img"] == 100.0
    )


def test_points_that_are_not_there(dataset):
    with pytest.raises(ValueError, match=r"no labelled keypoint at \(99, 20\) of '0.png'"):
        match_points(dataset, [FreeText("0.png", "ear", 99, 20)])
    with pytest.raises(ValueError, match=r"of 'other.png'"):
        match_points(dataset, [FreeText("other.png", "ear", 12, 20)])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "must hold a list"),
        ([{"image": "a.png"}], "entry 0"),
        ([{"dataset": "d", "image": "a.png", "text": " ", "x": 1, "y": 2}], "entry 0: the text is empty"),
        ([{"image": "a.png", "text": 7, "x": 1, "y": 2}], "entry 0: text: must be a valid string, got 7"),
    ],
)
def test_wrong_files(tmp_path, content, message):
    (tmp_path / "texts.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message):
        read_free_texts(tmp_path / "texts.json")


def test_the_typed_texts_of_the_training():
    texts = read_free_texts(BUNDLED / "free_texts_train.json")
    assert len(texts) == len({text.text for text in texts}) == 1270
    assert len({(text.dataset, text.image) for text in texts}) == 320
    assert not [text.text for text in texts if re.search(r"\d|\b(ring|circle|marker|coordinates?)\b", text.text, re.I)]
    held = {(t.dataset, t.image) for file in (TEST, BUNDLED / "free_texts_val.json") for t in read_free_texts(file)}
    assert not held & {(text.dataset, text.image) for text in texts}


def test_the_typed_texts_lie_on_train_photos(data_root):
    texts = read_free_texts(BUNDLED / "free_texts_train.json")
    for name in ("animalpose", "people"):
        rows = load_keypoints(data_root / name, "train").remove_columns("image")
        sizes = {row["file_name"]: (row["width"], row["height"]) for row in rows}
        for text in texts:
            if text.dataset == name:
                width, height = sizes[text.image]
                assert 0 <= text.x < width and 0 <= text.y < height, text


@pytest.mark.parametrize(("file", "split", "n"), [(TEST, "test", 60), (BUNDLED / "free_texts_val.json", "val", 100)])
def test_the_committed_texts_belong_to_their_splits(data_root, file, split, n):
    texts = read_free_texts(file)
    assert len(texts) == n
    for name in ("animalpose", "people"):
        of_set = [text for text in texts if text.dataset == name]
        assert len(match_points(load_keypoints(data_root / name, split), of_set)) == len(of_set) > 0
