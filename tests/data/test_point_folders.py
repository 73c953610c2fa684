"""One's own points: read, checked row by row, and trained on; the app's export is such a folder."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from space import kept
from space.photos import Photo
from talkingpoints.data.examples.custom_examples import OwnExamples
from talkingpoints.data.readers.point_folders import is_point_folder, read_points
from training import sft_descriptor, sft_localizer


def write_folder(folder: Path, rows: list[dict], photos: int = 12, name: str = "metadata.csv") -> Path:
    """Photos 0.png, 1.png, ... of 40 x 20 px, and a file of points."""
    folder.mkdir(parents=True)
    for i in range(photos):
        Image.new("RGB", (40, 20), (10 * i, 50, 90)).save(folder / f"{i}.png")
    with (folder / name).open("w", encoding="utf-8", newline="") as file:
        if name.endswith(".csv"):
            writer = csv.DictWriter(file, ["file_name", "x", "y", "text"])
            writer.writeheader()
            writer.writerows(rows)
        else:
            file.writelines(json.dumps(row) + "\n" for row in rows)
    return folder


def good_rows(photos: int = 12) -> list[dict]:
    return [{"file_name": f"{i}.png", "x": 10 + k, "y": 5, "text": f"a, {k}"} for i in range(photos) for k in range(3)]


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl"])
def test_rows_become_points_of_photos(tmp_path, name):
    folder = write_folder(tmp_path / "own", good_rows(), name=name)
    train, val = read_points(folder, "train"), read_points(folder, "val")
    assert len(train) + len(val) == 12 and len(val) == 2
    assert {photo.image for photo in train}.isdisjoint(photo.image for photo in val)
    assert train[0].points == pytest.approx(np.array([(k / 40, 5 / 20) for k in (10, 11, 12)]))
    assert train[0].texts == ["a, 0", "a, 1", "a, 2"]


def test_subfolders_are_splits(tmp_path):
    write_folder(tmp_path / "own" / "train", good_rows(3), photos=3)
    write_folder(tmp_path / "own" / "val", good_rows(2), photos=2)
    assert is_point_folder(tmp_path / "own")
    assert [len(read_points(tmp_path / "own", split)) for split in ("train", "val")] == [3, 2]


def test_every_wrong_row_is_named_before_training(tmp_path, caplog):
    bad = [
        {"file_name": "0.png", "x": 41, "y": 5, "text": "outside"},
        {"file_name": "none.png", "x": 1, "y": 5, "text": "missing"},
        {"file_name": "broken.png", "x": 1, "y": 5, "text": "broken"},
        {"file_name": "0.png", "x": "left", "y": 5, "text": "no number"},
        {"file_name": "0.png", "x": 1, "y": 5, "text": " "},
        {"file_name": "", "x": 1, "y": 5, "text": "nameless"},
        {"file_name": "../secret.png", "x": 1, "y": 5, "text": "elsewhere"},
    ]
    folder = write_folder(tmp_path / "own", [*good_rows(), *bad])
    (folder / "broken.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match="7 wrong rows") as caught:
        read_points(folder, "train")
    words = ("point (41, 5) is outside", "there is no file 'none.png'", "cannot read 'broken.png'",
             "x: must be a valid number, got 'left'",
             "text must be words", "no file_name", "lies outside the folder")  # fmt: skip
    lines = str(caught.value).splitlines()[1:]
    for number, (line, wanted) in enumerate(zip(lines, words, strict=True), start=38):
        assert line.startswith(f"row {number}: ") and wanted in line
    kept_photos = read_points(folder, "train", skip_bad_rows=True)
    assert sum(len(photo.points) for photo in kept_photos) + 3 * 2 == 36
    assert "7 wrong rows" in caplog.text


def test_files_that_are_no_tables(tmp_path):
    folder = write_folder(tmp_path / "own", [])
    with pytest.raises(ValueError, match="no photo for the split 'train'"):
        read_points(folder, "train")
    (folder / "metadata.csv").write_bytes("füße".encode("latin-1"))
    with pytest.raises(ValueError, match="not UTF-8"):
        read_points(folder, "train")
    (folder / "metadata.csv").unlink()
    with pytest.raises(ValueError, match=r"no metadata\.csv or metadata\.jsonl"):
        read_points(folder, "train")
    (folder / "metadata.jsonl").write_text('[1, 2]\nno json\n{"file_name": "0.png"}\n')
    with pytest.raises(
        ValueError, match=r"3 wrong rows\nrow 1: no JSON object.*\nrow 2: no valid JSON.*\nrow 3: no x, y, text"
    ):
        read_points(folder, "train")


def test_examples_keep_places_and_repeat_themselves(tmp_path):
    photos = read_points(write_folder(tmp_path / "own", good_rows()), "train")
    examples = OwnExamples(photos, points_per_photo=5, passes=2, colour=1.0, seed=3)
    assert len(examples) == 2 * len(photos)
    again = OwnExamples(photos, points_per_photo=5, passes=2, colour=1.0, seed=3)
    for i in range(len(examples)):
        one, other = examples[i], again[i]
        assert one["image"].size == (40, 20) and np.array_equal(np.asarray(one["image"]), np.asarray(other["image"]))
        assert one["texts"] == other["texts"] and len(one["texts"]) == 5
        for (x, y), text in zip(one["points"], one["texts"], strict=True):
            assert (x * 40, y * 20) == pytest.approx((10 + int(text[-1]), 5))
        assert set(one["texts"]) == {"a, 0", "a, 1", "a, 2"}


def test_the_app_s_export_is_trained_on(base, tmp_path):
    """Points kept in the app, exported, next to their photos: both scripts take the folder as it is."""
    folder = tmp_path / "own"
    folder.mkdir()
    lines: list[str] = []
    for i in range(3):
        image = Image.new("RGB", (60, 40), (200, 80 * i, 20))
        image.save(folder / f"{i}.png")
        photo = Photo(image, (40, 60), f"{i}.png")
        points = kept.add(kept.add((), (0.25, 0.5), "the corner, orange"), (0.75, 0.5), "the other, “red”")
        lines += kept.to_csv(points, photo).splitlines()[bool(i) :]
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    flags = ["--base", str(base), "--datasets", str(folder), "--max_steps", "1", "--points_per_photo", "2"]
    flags += [
        "--per_device_train_batch_size",
        "2",
        "--use_cpu",
        "true",
        "--report_to",
        "none",
        "--disable_tqdm",
        "true",
    ]
    for script in (sft_descriptor, sft_localizer):
        trainer = script.main([*flags, "--output_dir", str(tmp_path / script.__name__)])
        assert trainer.state.global_step == 1
        example = trainer.train_dataset[0]
        found = dict(zip(example["texts"], example["points"].tolist(), strict=True))
        assert found == {"the corner, orange": [0.25, 0.5], "the other, “red”": [0.75, 0.5]}
    with pytest.raises(ValueError, match="negatives: only for annotated keypoints"):
        sft_localizer.main([*flags, "--output_dir", str(tmp_path / "x"), "--negatives", "0.1"])
    with pytest.raises(ValueError, match="labels: only for annotated keypoints"):
        sft_localizer.main([*flags, "--output_dir", str(tmp_path / "x"), "--labels", "dog"])
    with pytest.raises(ValueError, match="crowded: only for annotated keypoints"):
        sft_localizer.main([*flags, "--output_dir", str(tmp_path / "x"), "--crowded", "2"])
    flags.insert(flags.index("--datasets") + 1, str(tmp_path))
    with pytest.raises(ValueError, match="are of two kinds"):
        sft_localizer.main([*flags, "--output_dir", str(tmp_path / "x")])
