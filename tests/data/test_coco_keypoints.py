"""The COCO-keypoints reader: rows, names, what it keeps, and what it says when files are wrong."""

import json
import os
from pathlib import Path

import pytest
from datasets import Image

from talkingpoints.data.readers.coco_keypoints import keypoint_name, load_keypoints
from tests.helpers.drawn import KEYPOINTS, LABELS, drawn_dataset

REPOSITORY = Path(__file__).resolve().parents[2]
REAL_DATA = Path(os.environ.get("TALKINGPOINTS_DATA", REPOSITORY.parent / "shared" / "data"))


def real(name: str) -> Path:
    """Folder of a real dataset; skips the test where it is absent."""
    if not (REAL_DATA / name).is_dir():
        pytest.skip(f"no real photos: {name} not found, set TALKINGPOINTS_DATA")
    return REAL_DATA / name


def edit(directory: Path, change) -> Path:
    """Change the parsed train annotations of a dataset."""
    path = directory / "annotations" / "train.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return directory


def test_rows_hold_photos_objects_and_named_keypoints(tmp_path):
    rows = load_keypoints(drawn_dataset(tmp_path, n=3), "val")
    assert len(rows) == 3
    assert set(rows.column_names) == {"image", "image_id", "file_name", "width", "height", "objects"}
    for row in rows:
        assert row["image"].size == (row["width"], row["height"])
        assert row["file_name"] == f"{row['image_id']:04d}.png"
        for item in row["objects"]:
            assert item["label"] in LABELS
            assert len(item["bbox"]) == 4
            assert {keypoint["name"] for keypoint in item["keypoints"]} <= {keypoint_name(k) for k in KEYPOINTS}


def test_photos_are_not_decoded_while_loading(tmp_path):
    directory = drawn_dataset(tmp_path, n=2)
    for photo in (directory / "images").iterdir():
        photo.write_bytes(photo.read_bytes()[:60])  # the header, from which its size is read
    rows = load_keypoints(directory, "train")
    paths = rows.cast_column("image", Image(decode=False))
    assert Path(paths[0]["image"]["path"]).is_file()


@pytest.mark.parametrize(
    ("given", "expected"),
    [("left_front_paw", "left front paw"), ("Left Eye", "left eye"), ("root_of_tail", "root of tail")],
)
def test_names_are_normalised(given, expected):
    assert keypoint_name(given) == expected


def test_unlabelled_and_outside_keypoints_are_left_out(tmp_path):
    def change(content):
        annotation = content["annotations"][0]
        annotation["keypoints"] = [10, 10, 2, 11, 11, 0, 5000, 12, 2] + [0, 0, 0] * (len(KEYPOINTS) - 3)

    rows = load_keypoints(edit(drawn_dataset(tmp_path), change), "train")
    assert rows[0]["objects"][0]["keypoints"] == [{"name": "left eye", "x": 10.0, "y": 10.0}]


def test_a_photo_without_objects_stays(tmp_path):
    rows = load_keypoints(edit(drawn_dataset(tmp_path), lambda content: content["annotations"].clear()), "train")
    assert len(rows) == 4
    assert rows[0]["objects"] == []


def test_missing_directory(tmp_path):
    with pytest.raises(ValueError, match="not a folder"):
        load_keypoints(tmp_path / "nowhere", "train")


def test_missing_split_names_the_splits_found(tmp_path):
    with pytest.raises(ValueError, match=r"'trian'.*\['test', 'train', 'val'\]"):
        load_keypoints(drawn_dataset(tmp_path), "trian")


def test_missing_photo_is_named(tmp_path):
    directory = drawn_dataset(tmp_path)
    (directory / "images" / "0001.png").unlink()
    with pytest.raises(ValueError, match=r"photo '0001\.png' is listed but not found"):
        load_keypoints(directory, "train")


def test_broken_json(tmp_path):
    directory = drawn_dataset(tmp_path)
    (directory / "annotations" / "train.json").write_text("{not json")
    with pytest.raises(ValueError, match="no valid JSON"):
        load_keypoints(directory, "train")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content.pop("categories"), "no list 'categories'"),
        (lambda content: content["annotations"][0].pop("bbox"), r"row 0, id \d+: bbox is missing"),
        (lambda content: content["annotations"][0].update(bbox=[1, 2]), r"row 0, id \d+: bbox: .* at least 4 items"),
        (lambda content: content["annotations"][0].update(keypoints=[1, 2]), "2 keypoint numbers.*needs 60"),
        (lambda content: content["annotations"][0].update(image_id=9999), "image_id 9999"),
        (lambda content: content["annotations"][0].update(category_id=77), "category_id 77"),
    ],
)
def test_malformed_annotations(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        load_keypoints(edit(drawn_dataset(tmp_path), change), "train")


def test_json_that_is_a_list(tmp_path):
    directory = drawn_dataset(tmp_path)
    (directory / "annotations" / "train.json").write_text("[]")
    with pytest.raises(ValueError, match="holds a list"):
        load_keypoints(directory, "train")


def test_drawn_dataset_is_the_same_for_the_same_seed(tmp_path):
    first, second, other = (
        drawn_dataset(tmp_path / name, n=2, seed=seed) for name, seed in zip("abc", (1, 1, 2), strict=True)
    )
    for name in ("annotations/train.json", "images/0001.png"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
    assert (first / "images/0001.png").read_bytes() != (other / "images/0001.png").read_bytes()


@pytest.mark.parametrize(
    ("name", "split", "count", "labels"),
    [
        ("animalpose", "val", 216, {"dog", "cat", "sheep", "horse", "cow"}),
        ("people", "val", 53, {"person"}),
        ("ap10k_sample", "test_ap10k", 2, None),
    ],
)
def test_real_datasets(name, split, count, labels):
    rows = load_keypoints(real(name), split)
    assert len(rows) == count
    items = [item for row in rows.remove_columns("image") for item in row["objects"]]
    assert sum(bool(item["keypoints"]) for item in items) > 0.9 * len(items)
    if labels is not None:
        assert {item["label"] for item in items} == labels
    assert rows[0]["image"].size == (rows[0]["width"], rows[0]["height"])
