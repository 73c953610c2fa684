"""Data from outside: what each reader says of wrong fields, sizes, units, paths, pixels and geometry."""

import json
import logging
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from talkingpoints.data.readers.coco_keypoints import load_keypoints
from talkingpoints.data.readers.coco_masks import check_segmentation, mask_of
from talkingpoints.data.readers.coco_panoptic import PanopticPhotos, read_id_map
from talkingpoints.data.readers.point_folders import read_folder
from talkingpoints.data.readers.region_captions import checked_photos, coco_regions
from talkingpoints.data.validation.files import csv_rows, csv_text, json_line, json_rows
from talkingpoints.data.validation.findings import Findings
from talkingpoints.data.validation.paths import inside
from talkingpoints.data.validation.photos import seen_size
from tests.data.test_point_folders import good_rows, write_folder
from tests.helpers.drawn import drawn_dataset
from tests.helpers.drawn_panoptic import drawn_panoptic
from training.sft.arguments import DataArguments
from training.sft.custom_data import holds_own_points

TRICKY = [
    "a\u2028b", "a\u0085b\u2029c", '=HYPERLINK("x")', "'=1", "''+a", "-x", "@a", "'quoted'", 'say "no"\n, twice',
    "ü 🐈",
]  # fmt: skip
"""Texts that a line reader, a spreadsheet or CSV may change."""


def edited(directory: Path, change) -> Path:
    """A dataset whose train annotations are changed."""
    file = directory / "annotations" / "train.json"
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))
    return directory


# --- fields and entries -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["annotations"][0].update(keypoints=None), r"row 0, id \d+: keypoints: must be .* list, got None"),
        (lambda c: c["annotations"][0]["keypoints"].__setitem__(4, None), r"row 0, id \d+: keypoints\.4: .* got None"),
        (lambda c: c["annotations"][0]["keypoints"].__setitem__(4, "9"), r"keypoints\.4: must be a valid number"),
        (lambda c: c["annotations"][0]["keypoints"].__setitem__(4, float("nan")), r"keypoints\.4: must be a finite"),
        (lambda c: c["annotations"][0]["keypoints"].__setitem__(4, 10**400), r"keypoints\.4"),
        (lambda c: c["annotations"][0].update(bbox=[0, 0, True, 4]), r"bbox\.2: must be a valid number, got True"),
        (lambda c: c["annotations"].append(7), "row .*: must be a valid dictionary, got 7"),
        (lambda c: c["images"][0].update(id=10**30), "row 0: id: must be less than"),
        (lambda c: c["images"][0].update(width=-3), "row 0: width: must be greater than 0, got -3"),
        (lambda c: c["images"][0].update(file_name="x" * 5000), "row 0: file_name: .* at most 1000 characters"),
        (lambda c: c["images"][0].update(file_name="\ud800.png"), "row 0: file_name: must be a valid string"),
        (lambda c: c["images"][0].update(file_name="a" * 300), "is no name of a file"),
        (lambda c: c["images"][0].update(file_name="../x/0001.png"), r"'\.\./x/0001\.png' lies outside"),
        (lambda c: c["images"][0].update(file_name="/etc/x.png"), "'/etc/x.png' lies outside the folder"),
        (lambda c: c["categories"][0].update(name=None), "categories, row 0: name: must be a valid string"),
        (lambda c: c["images"].append(c["images"][0]), r"row 4: id 1 comes twice, here for '0001\.png'; were"),
        (lambda c: c["images"].append({**c["images"][0], "id": 99}), "is listed twice, as id 1 and 99"),
    ],
)  # fmt: skip
def test_entries_of_other_types_are_named(tmp_path: Path, change, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_keypoints(edited(drawn_dataset(tmp_path), change), "train")


def test_lists_in_lists_in_lists_are_no_json(tmp_path: Path) -> None:
    folder = drawn_dataset(tmp_path)
    (folder / "annotations" / "train.json").write_text('{"images": ' + "[" * 100_000)
    with pytest.raises(ValueError, match=r"train\.json: no valid JSON: too many lists"):
        load_keypoints(folder, "train")


def test_merged_exports_lose_the_photos_that_nobody_can_tell_apart(tmp_path: Path) -> None:
    def merge(content) -> None:
        content["images"].append({**content["images"][0], "file_name": content["images"][1]["file_name"]})

    findings = Findings()
    rows = load_keypoints(edited(drawn_dataset(tmp_path), merge), "train", findings)
    assert rows["image_id"] == [2, 3, 4]
    assert "id 1 comes twice" in str(next(iter(findings.values()))[0])


def test_boxes_without_an_area_surround_their_keypoints(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def change(content) -> None:
        content["annotations"][0]["bbox"] = [0, 0, 0, 0]
        content["annotations"][1]["bbox"] = [500, 0, 10, 10]  # outside the photo

    rows = load_keypoints(edited(drawn_dataset(tmp_path), change), "train")
    items = [item for row in rows.remove_columns("image") for item in row["objects"]]
    for item in items[:2]:
        x, y, width, height = item["bbox"]
        assert width > 0 and height > 0
        assert all(x <= k["x"] <= x + width and y <= k["y"] <= y + height for k in item["keypoints"])
    assert "2 boxes without an area in their photo now surround the keypoints" in caplog.text


def test_keypoints_outside_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def change(content) -> None:
        content["annotations"][0]["keypoints"][:3] = [5000, 1, 2]

    folder, findings = edited(drawn_dataset(tmp_path), change), Findings()
    load_keypoints(folder, "train")
    assert "1 are left out, the first: row 0" in caplog.text and "left eye (5000, 1) is outside" in caplog.text
    load_keypoints(folder, "train", findings)
    with pytest.raises(ValueError, match=r"left eye \(5000, 1\) is outside"):
        findings.settle(skip_bad_rows=False)


# --- sizes, units, splits -----------------------------------------------------------------------------------


def turned(file: Path, orientation: int = 6) -> None:
    """Save a photo anew, with an EXIF orientation."""
    with Image.open(file) as image:
        exif = image.getexif()
        exif[ExifTags.Base.Orientation] = orientation
        image.copy().save(file, exif=exif)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_the_size_of_a_photo_is_that_which_a_person_sees(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"a.{suffix}"
    Image.new("RGB", (30, 20)).save(file)
    assert seen_size(file) == (20, 30)
    turned(file)
    assert seen_size(file) == (30, 20)


def test_photos_of_another_size_than_annotated(tmp_path: Path) -> None:
    folder = drawn_dataset(tmp_path)
    file = next(f for f in sorted((folder / "images").glob("000[1-4].png")) if len(set(Image.open(f).size)) == 2)
    turned(file)
    with pytest.raises(ValueError, match=f"'{file.name}' is .* as a person sees it, but was annotated as .* EXIF"):
        load_keypoints(folder, "train")
    findings = Findings()
    assert file.name not in load_keypoints(folder, "train", findings)["file_name"]
    assert sum(map(len, findings.values())) == 1
    Image.new("RGB", (200, 100)).save(file)
    with pytest.raises(ValueError, match=r"200 x 100 pixels.*scale its annotations"):
        load_keypoints(folder, "train")


@pytest.mark.parametrize(("unit", "top"), [("fraction", 1), ("percent", 100)])
def test_points_in_another_unit(tmp_path: Path, caplog: pytest.LogCaptureFixture, unit: str, top: int) -> None:
    rows = [{"file_name": f"{i}.png", "x": top * 0.5, "y": top * (i + 1) / 20, "text": "a"} for i in range(12)]
    folder = write_folder(tmp_path / "own", rows)
    for i in range(12):
        Image.new("RGB", (400, 300)).save(folder / f"{i}.png")
    assert read_folder(folder).train and f"say --unit {unit}" in caplog.text
    caplog.clear()
    own = read_folder(folder, unit)
    assert caplog.text == "" and {x for photo in own.train for x, _ in photo.points} == {0.5}
    with pytest.raises(ValueError, match="unit: 'inch'; allowed"):
        read_folder(folder, "inch").problems.settle(skip_bad_rows=False)


def test_points_in_pixels_bring_no_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    read_folder(write_folder(tmp_path / "own", good_rows()))
    load_keypoints(drawn_dataset(tmp_path / "drawn"), "train")
    assert caplog.text == ""


def test_the_layout_of_roboflow(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    drawn, root = drawn_dataset(tmp_path / "drawn"), tmp_path / "export"
    for split, theirs in (("train", "train"), ("val", "valid")):
        (root / theirs).mkdir(parents=True)
        content = json.loads((drawn / "annotations" / f"{split}.json").read_text())
        content["categories"].insert(0, {"id": 0, "name": "animals", "supercategory": "none"})
        (root / theirs / "_annotations.coco.json").write_text(json.dumps(content))
        for image in content["images"]:
            os.link(drawn / "images" / image["file_name"], root / theirs / image["file_name"])
    assert not holds_own_points([str(root)])
    for split in ("train", "val"):
        assert load_keypoints(root, split)["objects"] == load_keypoints(drawn, split)["objects"]
    with pytest.raises(ValueError, match=r"splits found: \['train', 'valid'\].*--train_split"):
        load_keypoints(root, "test")
    named = DataArguments(base="", datasets=[str(root)], train_split="valid", val_split="train")
    assert named.load("train")["file_name"] == load_keypoints(drawn, "val")["file_name"]


# --- paths --------------------------------------------------------------------------------------------------


def test_links_may_not_leave_the_folder(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "own", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    Image.new("RGB", (40, 20)).save(elsewhere / "secret.png")
    (folder / "a.png").symlink_to(elsewhere / "secret.png")
    (folder / "round").symlink_to(folder / "round")
    (tmp_path / "linked").symlink_to(folder)
    (folder / "b.png").write_bytes(b"")
    assert inside(tmp_path / "linked", "b.png") and inside(folder, "c.png") is None
    for name in ("a.png", "../elsewhere/secret.png", str(elsewhere / "secret.png")):
        with pytest.raises(ValueError, match="lies outside"):
            inside(folder, name)
    for name in ("a\0b", "x" * 300, "round/a.png"):
        with pytest.raises(ValueError, match="is no name of a file"):
            inside(folder, name)


def test_snapshots_of_the_hub_link_to_their_blobs(tmp_path: Path) -> None:
    snapshot, blobs = tmp_path / "datasets--me--x" / "snapshots" / "abc", tmp_path / "datasets--me--x" / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    (blobs / "123").write_bytes(b"x")
    (snapshot / "a.png").symlink_to("../../blobs/123")
    assert inside(snapshot, "a.png") == snapshot / "a.png"


# --- tables -------------------------------------------------------------------------------------------------


def test_what_is_written_is_read_back_by_csv_and_json_lines() -> None:
    rows = [{"file_name": "a.png", "text": text} for text in TRICKY]
    written = csv_text(["file_name", "text"], rows)
    assert [row for _, row in csv_rows(written)[1]] == rows
    lines = "".join(map(json_line, rows))
    assert [row for _, row in json_rows(lines)] == rows and len(lines.splitlines()) == len(rows)
    assert "\n=" not in written and ",=" not in written
    with pytest.raises(ValueError, match="broken characters"):
        json_line({"text": "\ud800"})


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl"])
def test_lines_end_at_newlines_only(tmp_path: Path, name: str) -> None:
    rows = [{"file_name": f"{i}.png", "x": 1, "y": 2, "text": text} for i, text in enumerate(TRICKY)]
    folder = write_folder(tmp_path / "own", rows[:1], name=name)
    content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)  # as other tools write it
    (folder / name).write_text(content if name.endswith("jsonl") else csv_text(list(rows[0]), rows), encoding="utf-8")
    own = read_folder(folder)
    assert not any(own.problems.values())
    found = {photo.image.stem: photo.texts[0] for photo in own.train + own.val}
    assert found == {str(i): text for i, text in enumerate(TRICKY)}


def test_a_csv_with_semicolons_and_decimal_commas(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "own", [])
    (folder / "metadata.csv").write_text("file_name;x;y;text\n0.png;10,5;5;a, b\n1.png;1;2;c\n", encoding="utf-8-sig")
    own = read_folder(folder)
    assert own.val[0].points == [(10.5 / 40, 5 / 20)] and own.val[0].texts == ["a, b"]
    (folder / "metadata.csv").write_text("file_name,x,x,y,text\n")
    with pytest.raises(ValueError, match="names the column 'x' twice"):
        read_folder(folder)


# --- pixels and geometry ------------------------------------------------------------------------------------


def test_maps_of_ids_have_the_limits_of_photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "ids.png"
    Image.new("RGB", (40, 20)).save(file)
    monkeypatch.setattr("talkingpoints.data.validation.photos.MAX_IMAGE_PIXELS", 799)
    with pytest.raises(ValueError, match="40 x 20 pixels; at most 799"):
        read_id_map(file)
    Image.new("RGB", (4, 2)).save(file, "JPEG")
    with pytest.raises(ValueError, match=r"cannot read 'ids\.png' as an image of PNG"):
        read_id_map(file)


SIZE = (20, 30)


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ([[1, 1, 9, 1, 5, 1]], "no polygon has an area"),
        ([[1, 1, 1, 1, 1, 1], [2, 2, 5, 5, 8, 8]], "no polygon has an area"),
        ([], "no polygon has an area"),
        ([1, 1, 9, 1, 5, 5], "polygons of 3 or more corners"),
        ([[1, 1, 9, 1]], "polygons of 3 or more corners"),
        ([[1, 1, 9, None, 5, 5]], "corners must be finite|polygons of 3"),
        ([["a", 1, 9, 1, 5, 5]], "polygons of 3 or more corners"),
        ([[1, 1, 9, float("inf"), 5, 5]], "must be finite"),
        ([[1, 1, 1e9, 1, 5, 5]], "far outside the photo, which is 30 x 20"),
        ({"counts": [100, 500], "size": [30, 20]}, r"size is \(30, 20\); the photo's \(height, width\) is \(20, 30\)"),
        ({"counts": [100, 400], "size": [20, 30]}, "cover 500 pixels, the photo has 600"),
        ({"counts": [700, -100], "size": [20, 30]}, "cover 600 pixels"),
        ({"counts": [600.5], "size": [20, 30]}, r"counts: counts\.0|counts: 0"),
        ({"counts": "g0250c0", "size": [20, 30]}, "run lengths cover"),
        ({"counts": "PPPPPPPPPPPPPPPPPPPPPPPPP", "size": [20, 30]}, "no text of run lengths|cut off"),
        ({"counts": "\u00e9\u00ff", "size": [20, 30]}, "no text of run lengths"),
        ({"size": [20, 30]}, "counts: must be a valid list"),
        ("abc", "polygons of 3 or more corners"),
        (None, "polygons of 3 or more corners"),
    ],
)  # fmt: skip
def test_wrong_geometry_is_refused(segmentation, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_segmentation(segmentation, SIZE)
    with pytest.raises(ValueError, match="here: "):
        mask_of(segmentation, SIZE, "here")


def test_regions_of_wrong_geometry_are_named_or_left_out(tmp_path: Path) -> None:
    Image.new("RGB", SIZE[::-1]).save(tmp_path / "a.png")
    box, runs = [1, 1, 8, 8], {"size": [30, 20], "counts": [100, 500]}
    entries = [
        {"id": 5, "image_id": 1, "bbox": box, "caption": "good"},
        {"id": 6, "image_id": 1, "bbox": box, "caption": "flat", "segmentation": [[1, 1, 9, 1, 5, 1]]},
        {"id": 7, "image_id": 1, "bbox": box, "caption": "turned", "segmentation": runs},
        {"id": 8, "image_id": 1, "bbox": [900, 1, 8, 8], "caption": "outside"},
        {"id": 9, "image_id": 2, "bbox": box, "caption": "of a photo that is missing"},
    ]
    images = [{"id": i, "file_name": name, "height": 20, "width": 30} for i, name in ((1, "a.png"), (2, "b.png"))]
    file = tmp_path / "r.json"
    file.write_text(json.dumps({"images": images, "annotations": entries}))
    with pytest.raises(ValueError, match=r"row 1, id 6: segmentation: no poly.*\nrow 2, id 7: segmentation: size"):
        coco_regions(file, tmp_path)
    findings = Findings()
    (photo,) = checked_photos(coco_regions(file, tmp_path, findings), str(file), findings)
    assert [region.text for region in photo.regions] == ["good"]
    said = "\n".join(str(problem) for wrong in findings.values() for problem in wrong)
    assert "row 3, 'outside': its box" in said and "row 4: there is no file" in said


def test_masks_are_right_for_pixels_that_the_polygons_surround() -> None:
    mask = mask_of([[4, 6, 24, 6, 24, 16, 4, 16], [1, 1, 9, 1, 5, 1]], SIZE, "here")
    assert mask[6:16, 4:24].all() and mask.sum() <= 21 * 11
    runs = mask_of({"counts": [21, 3, 576], "size": [20, 30]}, SIZE, "here")
    assert np.array_equal(runs.nonzero(), ([1, 2, 3], [1, 1, 1]))


# --- panoptic -----------------------------------------------------------------------------------------------


def test_truth_without_areas_and_boxes_is_measured(tmp_path: Path) -> None:
    file = drawn_panoptic(tmp_path)
    before = [photo.segments for photo in PanopticPhotos(file, tmp_path / "val")]
    content = json.loads(file.read_text())
    for number, info in enumerate(i for entry in content["annotations"] for i in entry["segments_info"]):
        for name in (("area",), ("bbox",), ("area", "bbox"), ())[number % 4]:
            info.pop(name)
    file.write_text(json.dumps(content))
    assert [photo.segments for photo in PanopticPhotos(file, tmp_path / "val")] == before


def test_no_warning_of_units_where_all_are_right(caplog: pytest.LogCaptureFixture, data_root: Path) -> None:
    with caplog.at_level(logging.WARNING):
        rows = load_keypoints(data_root / "animalpose", "val")
    assert len(rows) == 216 and "look like" not in caplog.text
