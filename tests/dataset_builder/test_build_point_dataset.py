"""The one command: what it lays out loads, trains and measures; a run that was cut goes on; it pushes."""

import csv
import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset
from PIL import Image

from talkingpoints.data.readers.coco_keypoints import load_keypoints
from talkingpoints.data.readers.point_folders import read_points
from talkingpoints.dataset_builder.output import parquet
from talkingpoints.dataset_builder.output.dataset_output import DatasetOutput
from talkingpoints.dataset_builder.output.layouts import FolderLayout
from talkingpoints.dataset_builder.output.parquet import FEATURES, ParquetShards
from talkingpoints.dataset_builder.points.preparation import PreparedPhoto
from tests.helpers.drawn_cars import drawn_cars
from tests.helpers.hub import running_hub
from tests.helpers.stand_in import stand_in
from training import build_point_dataset
from training.build_point_dataset import main
from training.dataset.review_sheet import _RING_PX, _close

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def cars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "cars"
    drawn_cars(folder, 6)
    drawn_cars(folder, 2, split="test", seed=1)
    return folder


def build(cars: Path, output: Path, *flags: str) -> Path:
    main(["--source", "coco_parts", "--data", str(cars), "--splits", "train", "test", "--output_dir", str(output),
          "--sheet_rows", "0", *flags])  # fmt: skip
    return output


@pytest.fixture(scope="module")
def built(cars: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(cars, tmp_path_factory.mktemp("out") / "set", "--val_share", "0.3")


def rows_of(folder: Path, split: str) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / split / "metadata.csv").open(encoding="utf-8", newline="")))


def dataset_of(folder: Path, split: str, tmp_path: Path):
    files = [str(path) for path in sorted((folder / "data").glob(f"{split}-*.parquet"))]
    return load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path / "cache"))


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.relative_to(folder).parts[0] != "work"
    }


def test_a_run_that_yields_nothing_fails_with_the_reasons(cars, tmp_path):
    flags = ["--writer", "server", "--model", "m", "--max_points", "4", "--formats", "folder"]
    with stand_in(reasoning="hm") as server, pytest.raises(RuntimeError) as failed:
        build(cars, tmp_path / "set", *flags, "--base_url", server.url)
    assert "texts have no usable answer" in str(failed.value) and "x the answer is reasoning without" in str(
        failed.value
    )
    assert not list((tmp_path / "set").rglob("metadata.csv"))


def test_what_the_checks_found_is_said_with_the_flags_that_drop_it(cars, tmp_path, capsys):
    build(cars, tmp_path / "a", "--max_words", "4", "--drop", "refusal", "--max_points", "20")
    said = capsys.readouterr().out
    assert "texts are kept" in said and "found, but not dropped: length" in said
    assert "--drop refusal length drops these too" in said


def test_the_close_up_on_the_review_sheet_has_a_mark(tmp_path):
    Image.new("RGB", (300, 200), (90, 120, 60)).save(tmp_path / "a.png")
    close = np.asarray(_close(str(tmp_path / "a.png"), (100, 50)))
    middle = close.shape[0] // 2
    assert (close[middle - 5 : middle + 5, middle - 5 : middle + 5] == (90, 120, 60)).all()  # the point stays in sight
    ring = close[middle, middle - _RING_PX - 3 : middle - _RING_PX + 4]
    assert (ring == 255).all(axis=-1).any() and (ring == 0).all(axis=-1).any()


def test_parquet_holds_photos_points_and_texts(built, cars, tmp_path):
    splits = {split: dataset_of(built, split, tmp_path) for split in ("train", "val", "test")}
    photos: set[str] = set()
    for split, rows in splits.items():
        assert rows.features == FEATURES
        here = set(rows["image_id"])
        assert here and photos.isdisjoint(here)  # a photo is in one split
        photos |= here
        keys = rows["key"]
        assert len(set(keys)) == len(keys) and {row["key"] for row in rows_of(built, split)} == set(keys)
    assert len(photos) == 8 and set(splits["test"]["image_id"]) == {"cars/test/test_001", "cars/test/test_002"}
    row = splits["test"][0]
    name = row["image_id"].rpartition("/")[2]
    assert row["image"].tobytes() == Image.open(cars / "images" / f"{name}.png").tobytes()
    assert row["image"].size == (row["width"], row["height"]) and row["label"] == "car"
    x0, y0, x1, y1 = row["part_box"]
    assert x0 <= row["x"] <= x1 and y0 <= row["y"] <= y1
    kinds = Counter(kind for rows in splits.values() for kind in rows["kind"])
    assert {"even", "border"} <= set(kinds)


def test_a_photo_lies_in_a_shard_once(built, cars):
    (file,) = (built / "data").glob("test-*.parquet")
    photos = sum((cars / "images" / f"test_00{i}.png").stat().st_size for i in (1, 2))
    assert photos < file.stat().st_size < 2 * photos + 50_000


def test_own_points_and_keypoints_come_out_of_one_folder(built):
    for split in ("train", "val"):
        photos = read_points(built, split)
        assert sum(len(photo.texts) for photo in photos) == len(rows_of(built, split))
    keypoints = load_keypoints(built, "test")
    points = {(row["file_name"], row["x"], row["y"], row["part"]) for row in rows_of(built, "test")}
    found = {
        (row["file_name"].partition("/")[2], f"{k['x']:.2f}", f"{k['y']:.2f}", k["name"])
        for row in keypoints
        for item in row["objects"]
        for k in item["keypoints"]
    }
    assert found == points
    styles = Counter(row["style"] for row in rows_of(built, "train"))
    assert {"full", "canonical", "short", "colloquial", "semantic", "reordered"} == set(styles)


def test_the_card_counts(built, tmp_path):
    text = (built / "README.md").read_text(encoding="utf-8")
    rows = {split: dataset_of(built, split, tmp_path) for split in ("train", "val", "test")}
    for split, own in rows.items():
        points = len({key.rpartition("/")[0] for key in own["key"]})
        assert f"| {split} | {len(set(own['image_id']))} | {points} | {len(own)} |" in text
    loaded = load_dataset(str(built), split="val", cache_dir=str(tmp_path / "card"))  # by the card's configuration
    assert len(loaded) == len(rows["val"])
    assert "1 categories, 6 parts" in text and '"rules"' in text


def test_a_cut_run_goes_on_without_a_lost_or_repeated_row(built, cars, tmp_path, monkeypatch):
    output = tmp_path / "set"
    done = 0
    whole = build_point_dataset.prepare_from

    def dies(*arguments):
        nonlocal done
        done += 1
        if done == 4:
            raise KeyboardInterrupt
        return whole(*arguments)

    monkeypatch.setattr(build_point_dataset, "prepare_from", dies)
    with pytest.raises(KeyboardInterrupt):
        build(cars, output, "--val_share", "0.3")
    prepared = output / "work" / "prepared.jsonl"
    assert len(prepared.read_text().splitlines()) == 4  # the header and three photos
    prepared.write_bytes(prepared.read_bytes()[:-40])  # and the last of them cut off
    monkeypatch.setattr(DatasetOutput, "close", lambda *_: 1 / 0)  # and again, while it is laid out
    monkeypatch.setattr(build_point_dataset, "prepare_from", whole)
    with pytest.raises(ZeroDivisionError):
        build(cars, output, "--val_share", "0.3")
    monkeypatch.undo()
    assert not list(output.rglob("*.parquet")) and not list(output.rglob("metadata.csv"))
    build(cars, output, "--val_share", "0.3")
    assert files_of(output) == files_of(built)
    with pytest.raises(ValueError, match="made with other options"):
        build(cars, output, "--val_share", "0.2")


def test_another_dataset_does_not_go_on_with_prepared_photos(built, tmp_path):
    drawn_cars(tmp_path / "cars", 6, seed=7)  # of the same name, with photos of the same names
    drawn_cars(tmp_path / "cars", 2, split="test", seed=8)
    output = tmp_path / "set"
    shutil.copytree(built, output)
    with pytest.raises(ValueError, match="made with other options"):
        build(tmp_path / "cars", output, "--val_share", "0.3")


@pytest.mark.parametrize(("one", "other"), [("x.png", "x.jpg"), ("a b.png", "a_b.png")])
def test_photos_that_would_have_one_key_are_refused(tmp_path, one, other):
    root = tmp_path / "cars"
    drawn_cars(root, 2)
    file = root / "annotations" / "train.json"
    content = json.loads(file.read_text())
    for image, name in zip(content["images"], (one, other), strict=True):
        (root / "images" / image["file_name"]).rename(root / "images" / name)
        image["file_name"] = name
    file.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"'cars_train_.*' would be the name of two photos"):
        main(["--source", "coco_parts", "--data", str(root), "--output_dir", str(tmp_path / "set")])
    assert not (tmp_path / "set" / "work" / "prepared.jsonl").exists()


def test_two_runs_do_not_write_into_one_folder(cars, tmp_path):
    with build_point_dataset.file_lock(tmp_path / "set" / "work"), pytest.raises(RuntimeError, match="in use by"):
        build(cars, tmp_path / "set")
    assert not (tmp_path / "set" / "work" / "prepared.jsonl").exists()


def test_splits_are_what_they_are_said_to_be(tmp_path):
    root, output = tmp_path / "cars", tmp_path / "set"
    drawn_cars(root, 2, split="train2017")
    drawn_cars(root, 1, split="val2017", seed=1)
    flags = ["--source", "coco_parts", "--data", str(root), "--output_dir", str(output), "--formats", "folder"]
    with pytest.raises(ValueError, match="what 'val2017' is its name does not say"):
        main([*flags, "--splits", "train2017=train", "val2017"])
    with pytest.raises(ValueError, match="'train2017' comes twice"):
        main([*flags, "--splits", "train2017=train", "train2017=val"])
    assert not output.exists()
    main([*flags, "--splits", "train2017=train", "val2017=val"])
    photos = {split: {row["file_name"] for row in rows_of(output, split)} for split in ("train", "val")}
    assert photos["train"] == {"cars_train2017_train2017_001.png", "cars_train2017_train2017_002.png"}
    assert photos["val"] == {"cars_val2017_val2017_001.png"}


def test_bad_photos_are_told_or_skipped(tmp_path, capsys):
    root, output = tmp_path / "cars", tmp_path / "set"
    drawn_cars(root, 5)
    (root / "images" / "train_002.png").write_bytes(b"no photo")
    turned = Image.open(root / "images" / "train_003.png")
    turned.crop((0, 0, turned.width - 7, turned.height)).save(root / "images" / "train_003.png")
    file = root / "annotations" / "train.json"
    content = json.loads(file.read_text())
    next(a for a in content["annotations"] if a["image_id"] == 4)["segmentation"] = [[1, 2, 3, 4]]
    file.write_text(json.dumps(content))
    flags = ["--source", "coco_parts", "--data", str(root), "--output_dir", str(output), "--sheet_rows", "0"]
    with pytest.raises(ValueError, match=r"cars/train/train_002: .*--skip_bad_photos goes on without"):
        main(flags)
    main([*flags, "--skip_bad_photos"])
    assert {row["file_name"] for row in rows_of(output, "train")} == {"cars_train_train_001.png",
                                                                      "cars_train_train_005.png"}  # fmt: skip
    skipped = json.loads((output / "work" / "skipped.json").read_text())
    assert list(skipped) == [f"cars/train/train_00{i}" for i in (2, 3, 4)]
    assert "pixels, its masks" in skipped["cars/train/train_003"] and "segmentation" in skipped["cars/train/train_004"]
    assert "3 photos skipped" in capsys.readouterr().out
    assert '"photos_skipped": 3' in (output / "README.md").read_text()
    main(flags)  # what was skipped is done
    assert len(load_keypoints(output, "train")) == 2


def test_photos_of_one_file_name_are_refused(tmp_path):
    root = tmp_path / "cars"
    drawn_cars(root, 2)
    file = root / "annotations" / "train.json"
    content = json.loads(file.read_text())
    (root / "images" / "cam").mkdir()
    for image, name in zip(content["images"], ("cam/1.png", "cam_1.png"), strict=True):
        (root / "images" / image["file_name"]).rename(root / "images" / name)
        image["file_name"] = name
    file.write_text(json.dumps(content))
    flags = ["--source", "coco_parts", "--data", str(root), "--sheet_rows", "0", "--output_dir"]
    with pytest.raises(ValueError, match="'cars_train_cam_1' would be the name of two photos, 'cam/1' and 'cam_1'"):
        main([*flags, str(tmp_path / "set")])
    main([*flags, str(tmp_path / "set"), "--formats", "parquet"])
    lines = (tmp_path / "set" / "work" / "prepared.jsonl").read_text(encoding="utf-8").splitlines()
    prepared = [PreparedPhoto.from_json(json.loads(line)) for line in lines[1:]]
    layout = FolderLayout(tmp_path / "folder")
    layout.add(prepared[0], {task.key: [("s", "t")] for task in prepared[0].tasks})
    with pytest.raises(ValueError, match=r"would both be train/cars_train_cam_1\.png"):
        layout.add(prepared[1], {task.key: [("s", "t")] for task in prepared[1].tasks})


def test_a_finished_folder_stays_until_the_next_is_whole(built, cars, tmp_path, monkeypatch):
    output = tmp_path / "set"
    shutil.copytree(built, output)
    before = files_of(output)
    (output / "train" / "mine.txt").write_text("not of this command")
    fewer = ["--val_share", "0.3", "--formats", "folder", "--max_points", "2", "--texts_per_point", "1"]
    with monkeypatch.context() as context:
        context.setattr(DatasetOutput, "close", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            build(cars, output, *fewer)
    after = files_of(output)
    assert {name: after[name] for name in before} == before
    build(cars, output, *fewer)
    for split in ("train", "val", "test"):
        photos = {path.name for path in (output / split).glob("*.png")}
        assert photos == {row["file_name"] for row in rows_of(output, split)} and len(photos) <= 2
    assert (output / "train" / "mine.txt").is_file() and not list(output.rglob("*.part"))
    assert not list((output / "annotations").iterdir())
    with pytest.raises(ValueError, match="is the folder of the data"):
        build(cars, cars)


def test_balanced_and_in_several_shards(cars, tmp_path):
    output = build(cars, tmp_path / "set", "--max_points", "30", "--per_kind", "3", "--formats", "parquet",
                   "--rows_per_shard", "16", "--embed_images", "false", "--texts_per_point", "2")  # fmt: skip
    shards = sorted(path.name for path in (output / "data").iterdir())
    assert shards[:2] == ["test-00000-of-00002.parquet", "test-00001-of-00002.parquet"]
    assert sorted(path.name for path in output.iterdir()) == ["README.md", "data", "work"]
    rows = dataset_of(output, "train", tmp_path)
    points = {row["key"].rpartition("/")[0]: row["part"] for row in rows}
    counts = Counter(points.values())
    assert sum(counts.values()) == 30 and max(counts.values()) - min(counts.values()) <= 1
    assert rows[0]["image"].size == (rows[0]["width"], rows[0]["height"])  # read from its path


def test_wrong_arguments(cars, tmp_path):
    with pytest.raises(ValueError, match="formats: "):
        build(cars, tmp_path / "a", "--formats", "csv")
    with pytest.raises(ValueError, match="rows_per_shard: 0"):
        build(cars, tmp_path / "b", "--rows_per_shard", "0")
    with pytest.raises(ValueError, match="style"):
        build(cars, tmp_path / "c", "--styles", "rude=1")
    with pytest.raises(ValueError, match="points to push are not"):
        build(cars, tmp_path / "d", "--formats", "folder", "--push_to_hub", "me/cars")


def test_pushed_and_loaded_back(built, tmp_path):
    script = """
import sys
from pathlib import Path
from datasets import load_dataset
from training.build_point_dataset import push
push(Path(sys.argv[1]), "me/cars", False)
rows = load_dataset("me/cars", split="test", cache_dir=sys.argv[2])
print(len(rows), rows[0]["image"].size, rows[0]["key"])
push(Path(sys.argv[1]), "me/cars", False)
"""
    command = [sys.executable, "-c", script, str(built), str(tmp_path / "cache")]
    with running_hub(tmp_path / "home") as environment:
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    first = rows_of(built, "test")[0]
    with Image.open(built / "test" / first["file_name"]) as image:
        assert done.stdout.strip() == f"{len(rows_of(built, 'test'))} {image.size} {first['key']}"


def test_the_parquet_writer_holds_one_row_group(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "ROW_GROUP_BYTES", 1 << 20)
    shards = ParquetShards(tmp_path, rows_per_shard=10**9)
    row: dict[str, Any] = dict.fromkeys(FEATURES, "")
    row |= {"x": 1.0, "y": 1.0, "width": 64, "height": 64, "object_box": [0.0] * 4, "part_box": [0.0] * 4}
    photos = [np.random.default_rng(number).bytes(size) for number, size in enumerate([6000] * 12 + [40_000] * 2)]
    for number, photo in enumerate(photos):
        image = {"bytes": photo, "path": "p.png"}
        shards.add("train", [row | {"key": f"{number}/{i}", "image": image} for i in range(50)])
    (file,) = shards.close()
    table = pq.ParquetFile(file)
    groups = [table.read_row_group(i, columns=["image", "key"]).to_pylist() for i in range(table.num_row_groups)]
    assert [len(group) for group in groups] == [150] * 4 + [50, 50]  # three photos of 300 kB, then each of 2 MB alone
    for group in groups:
        assert sum(len(one["image"]["bytes"]) for one in group) <= (1 << 20) or len(group) == 50
    assert [one["key"] for group in groups for one in group] == [f"{n}/{i}" for n in range(14) for i in range(50)]
    assert sum(map(len, photos)) < file.stat().st_size < 1.2 * sum(map(len, photos))  # each once all the same


@pytest.mark.slow
def test_two_ray_workers_prepare_the_same(built, cars, tmp_path):
    pytest.importorskip("ray", reason="Ray is not installed (the extra 'ray')")
    output = build(cars, tmp_path / "set", "--val_share", "0.3", "--ray_workers", "2")
    assert (output / "work" / "prepared.jsonl").read_bytes() == (built / "work" / "prepared.jsonl").read_bytes()
    assert files_of(output) == files_of(built)
