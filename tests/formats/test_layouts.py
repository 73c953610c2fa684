"""Files in the layouts that the tools' own documentation shows, each read by its reader; and what is refused."""

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from talkingpoints.data.formats.conversion import convert, detect, read_annotations
from talkingpoints.data.formats.interface import ReadOptions

LAYOUTS = Path(__file__).parent / "layouts"
TEXT = "The cat's nose, pink."
PHOTOS = {
    "yolo": ["images/train/cat.jpg", "images/val/cat2.JPG"],
    "roboflow": ["valid/cat_jpg.rf.1a2b3c.jpg"],
    "roboflow_yolo": ["valid/images/cat_jpg.rf.1a2b3c.jpg"],
    "coco": ["images/train2017/cat.jpg"],
    "supervisely": ["train/img/cat.jpg"],
    "label_studio": ["0a1b2c3d-cat.jpg"],
    "datumaro": ["images/default/cat.jpg"],
}
"""Where each tool has its photos; else beside the annotations."""
SEEN = {
    "cvat_task": (
        "cvat",
        [("cat", "", TEXT, (320, 240)), ("paw", "", "", (100.5, 400.25)), ("paw", "", "", (180, 410))],
    ),
    "cvat_project": ("cvat", [("cat", "nose", "", (320, 240)), ("cat", "left ear", "", (380, 150))]),
    "datumaro": (
        "datumaro",
        [
            ("cat", "nose", TEXT, (320, 240)),
            ("cat", "left ear", "The tip of its left ear.", (380, 150)),
            ("paw", "", "", (100.5, 400.25)),
        ],
    ),
    "coco": ("coco", [("cat", "nose", "", (320, 240)), ("cat", "left_ear", "", (380, 150))]),
    "roboflow": ("coco", [("cat", "nose", "", (320, 240)), ("cat", "left ear", "", (380, 150))]),
    "label_studio": ("label_studio", [("cat", "", TEXT, (320, 240)), ("cat", "", "", (100.5, 400.25))]),
    "label_studio_predictions": ("label_studio", [("cat", "", "", (320, 240))]),
    "labelme": ("labelme", [("cat", "", TEXT, (320, 240)), ("cat", "", "", (380, 150))]),
    "yolo": (
        "yolo",
        [("cat", "nose", "", (320, 240)), ("cat", "left_ear", "", (380, 150)), ("cat", "nose", "", (320, 240))],
    ),
    "roboflow_yolo": ("yolo", [("cat", "", "", (320, 240))]),
    "supervisely": (
        "supervisely",
        [
            ("cat", "", TEXT, (320, 240)),
            ("cat pose", "nose", "", (318.5, 238)),
            ("cat pose", "left ear", "", (380, 150)),
        ],
    ),
    "via": ("via", [("cat", "", TEXT, (320, 240))]),
    "via_csv": ("via", [("cat", "", TEXT, (320, 240))]),
    "pixmo": (
        "pixmo",
        [("", "", TEXT, (320, 240)), ("paws", "", "", (100.48, 400.32)), ("paws", "", "", (179.84, 409.92))],
    ),
}
LEFT_OUT = {
    "cvat_task": "shapes of type box",
    "datumaro": "annotations of type bbox",
    "coco": "annotations without keypoints (boxes, masks)",
    "label_studio": "results of type rectanglelabels",
    "labelme": "shapes of type rectangle",
    "supervisely": "objects of type rectangle",
    "via": "regions of shape rect",
    "via_csv": "regions of shape circle",
    "cvat_project": "keypoints that are marked as not there",
}


def laid_out(name: str, folder: Path, size: tuple[int, int] = (640, 480)) -> Path:
    """A copy of a layout with its photos."""
    shutil.copytree(LAYOUTS / name, folder / name)
    for photo in PHOTOS.get(name, ["cat.jpg", "dog.jpg"]):
        file = folder / name / photo
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size).save(file)
    return folder / name


@pytest.mark.parametrize("name", sorted(SEEN))
def test_a_tool_s_own_layout_is_found_out_and_read(name: str, tmp_path: Path) -> None:
    folder = laid_out(name, tmp_path)
    form, wanted = SEEN[name]
    assert detect(folder).name == form
    read = read_annotations(folder)
    points = [point for photo in read.photos for point in photo.points]
    assert [(p.label, p.name, p.text) for p in points] == [one[:3] for one in wanted]
    assert [(p.x, p.y) for p in points] == [pytest.approx(one[3], abs=1e-3) for one in wanted]
    assert read.photos[0].size == (480, 640) and read.photos[0].path is not None
    assert read.left_out[LEFT_OUT.get(name, "")] == (name in LEFT_OUT)
    assert json.dumps([p.__dict__ for p in points])  # plain values


def test_what_only_some_layouts_have(tmp_path: Path) -> None:
    read = {name: read_annotations(laid_out(name, tmp_path)) for name in ("label_studio", "pixmo", "cvat_task", "via")}
    assert read["label_studio"].photos[0].points[0].attributes == {"mood": "calm"}
    assert read["pixmo"].photos[0].absent == ["bicycles"]
    nose, *paws = read["cvat_task"].photos[0].points
    assert nose.group is None and [paw.group for paw in paws] == [1, 1] and all(paw.occluded for paw in paws)
    assert read["via"].photos[0].points[0].attributes == {"quality": "good"}
    roboflow = read_annotations(laid_out("roboflow", tmp_path))
    assert [photo.split for photo in roboflow.photos] == ["val"]


def test_the_text_may_lie_in_another_attribute(tmp_path: Path) -> None:
    folder = laid_out("via", tmp_path)
    (point,) = read_annotations(folder, options=ReadOptions("type", "quality")).photos[0].points
    assert (point.text, point.label) == ("cat", "good")


def edited(folder: Path, pattern: str, old: str, new: str) -> None:
    (file,) = folder.rglob(pattern)
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("name", "pattern", "old", "new", "message"),
    [
        ("cvat_task", "*.xml", 'points="320.00,240.00"', 'points="320.00"', r'image .cat\.jpg.: points must be "x,y'),
        ("cvat_task", "*.xml", "320.00,240.00", "320.00,480.10", r"point 0: \(320, 480\.1\) is outside the photo"),
        ("cvat_task", "*.xml", 'name="cat.jpg"', 'name="../cat.jpg"', "lies outside the folder"),
        ("cvat_task", "*.xml", 'width="640"', 'width="480"', "was annotated as 480 x 480"),
        ("coco", "*.json", "320,\n    240,\n    2,", "320, 240,", "keypoints: 8 numbers, must be 3"),
        ("coco", "*.json", '"image_id": 397133', '"image_id": null', "row 0, id 1: image_id: must be a valid integer"),
        ("datumaro", "*.json", '"label_id": 1,', '"label_id": 9,', "label_id 9 is not in categories.label"),
        ("label_studio", "*.json", '"x": 50.0', '"x": null', "task 11: value.x: must"),
        ("label_studio_predictions", "*.json", '"image_rotation": 0', '"image_rotation": 90', "turn the photo itself"),
        ("labelme", "*.json", "240.0\n", "NaN\n", r"points\.0\.1: must be a finite number"),
        ("yolo", "cat.txt", " 1\n", "\n", r"10 numbers, must be 5 \+ 2 \* 3"),
        ("supervisely", "cat.jpg.json", '"height": 480', '"height": 0', "must be greater than 0"),
        ("via", "*.json", '"cx": 320', '"cx": "left"', "region 0: must be a valid number"),
        ("pixmo", "*.jsonl", '"x": 50.0', '"x": 320', "PixMo-Points are in percent"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(name: str, pattern: str, old: str, new: str, message: str, tmp_path: Path) -> None:
    folder = laid_out(name, tmp_path)
    edited(folder, pattern, old, new)
    with pytest.raises(ValueError, match=message):
        read_annotations(folder)


def test_wrong_entries_can_be_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = laid_out("cvat_task", tmp_path)
    edited(folder, "*.xml", "320.00,240.00", "320.00,480.10")
    read = read_annotations(folder, skip_bad_rows=True)
    assert [point.label for point in read.photos[0].points] == ["paw", "paw"]
    assert "is outside the photo of 640 x 480 pixels" in caplog.text


def test_hostile_files_are_refused(tmp_path: Path) -> None:
    lol = '<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;">]><annotations>&b;</annotations>'
    (tmp_path / "bomb.xml").write_text(lol)
    with pytest.raises(ValueError, match="DTD or entities"):
        read_annotations(tmp_path / "bomb.xml")
    outside = '<!DOCTYPE l [<!ENTITY a SYSTEM "file:///etc/passwd">]><annotations>&a;</annotations>'
    (tmp_path / "bomb.xml").write_text(outside)
    with pytest.raises(ValueError, match="DTD or entities"):
        read_annotations(tmp_path / "bomb.xml", "cvat")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    with pytest.raises(ValueError, match="no valid JSON"):
        read_annotations(tmp_path / "deep.json")


def test_the_error_says_what_was_expected(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("none")
    with pytest.raises(ValueError, match=r"fits no format; expected one of(.|\n)*cvat: annotations\.xml"):
        detect(tmp_path)
    laid_out("labelme", tmp_path)
    laid_out("via", tmp_path)
    with pytest.raises(ValueError, match="several formats: labelme, via"):
        detect(tmp_path)
    with pytest.raises(ValueError, match="there is no file or folder"):
        detect(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"only read; formats that are written: points, .*cvat"):
        convert(tmp_path / "labelme", tmp_path / "out", "pixmo")


def test_conversion_says_what_is_lost(tmp_path: Path) -> None:
    done = convert(laid_out("datumaro", tmp_path), tmp_path / "yolo", "yolo")
    assert "lost: 2 texts of points" in done.lines() and "not read: 1 annotations of type bbox" in done.lines()
    done = convert(laid_out("coco", tmp_path), tmp_path / "own", "points", name_texts=True)
    assert "The cat's left_ear" in (tmp_path / "own/train/metadata.csv").read_text()
    assert done.left_out["texts that were made of keypoints' names"] == 2
    assert (tmp_path / "own/train/cat.jpg").is_file()


def test_an_annotated_photo_is_never_overwritten(tmp_path: Path) -> None:
    folder = laid_out("labelme", tmp_path)
    with pytest.raises(ValueError, match="must be an empty folder"):
        convert(folder, folder, "cvat")
