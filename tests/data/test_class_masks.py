"""Class masks as panoptic segments: the rule, pixel by pixel, the files, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from talkingpoints.data.readers.class_masks import CATEGORIES, read_class_mask, segments_of
from talkingpoints.data.readers.coco_panoptic import PanopticPhotos
from tests.helpers.drawn_masks import drawn_masks, save_mask
from training.dataset.build_panoptic_masks import main


def test_things_are_the_connected_pieces_of_their_class() -> None:
    classes = np.zeros((20, 30), dtype=np.uint8)
    classes[2:8, 2:8] = 12
    classes[8:12, 8:12] = 12  # touches the first at a corner: one dog
    classes[2:8, 9:14] = 255  # void: no piece of anything
    classes[2:8, 14:20] = 12  # beyond the void: another dog
    classes[14:18, 2:8] = 9  # a chair is background here
    classes[14:16, 20:22] = 8  # four pixels of a cat
    classes[17:20, 20:30] = 8
    ids, segments = segments_of(classes, smallest=0.01)
    assert [(s.id, s.category, s.is_thing) for s in segments] == [
        (1, "background", False), (2, "cat", True), (3, "dog", True), (4, "dog", True),
    ]  # fmt: skip
    assert [s.area for s in segments] == [int((ids == s.id).sum()) for s in segments]
    assert segments[1].box == (20.0, 17.0, 30.0, 20.0) and segments[1].area == 30
    assert len(np.unique(ids[classes == 12])) == 2 and ids[8, 8] == ids[7, 7] == 3 and ids[3, 15] == 4
    assert (ids[classes == 255] == 0).all() and (ids[14:16, 20:22] == 0).all()
    assert (ids[14:18, 2:8] == 1).all() and ids[0, 0] == 1
    assert len(segments_of(classes, smallest=0)[1]) == 5


def test_a_photo_may_be_all_thing_or_all_void() -> None:
    _, segments = segments_of(np.full((4, 4), 17, dtype=np.uint8))
    assert [s.category for s in segments] == ["sheep"]
    ids, segments = segments_of(np.full((4, 4), 255, dtype=np.uint8))
    assert segments == () and not ids.any()
    with pytest.raises(ValueError, match="smallest: 2; allowed"):
        segments_of(np.zeros((4, 4), dtype=np.uint8), smallest=2)


def test_one_command_writes_what_the_reader_reads(tmp_path: Path) -> None:
    data = drawn_masks(tmp_path / "data")
    report = main(["--dataset", str(data), "--output_dir", str(tmp_path / "out"), "--splits", "train", "val"])
    assert report["train"]["photos"] == 3 and report["train"]["without_mask"] == 1
    assert report["val"]["segments"] == {"background": 3, "cat": 3, "dog": 6, "person": 3}
    assert json.loads((tmp_path / "out" / "counts.json").read_text()) == report
    photos = PanopticPhotos(tmp_path / "out" / "annotations" / "train.json", data / "images")
    assert tuple(photos.categories.values()) == CATEGORIES and len(photos) == 3
    for photo in photos:
        classes = read_class_mask(data / "masks" / f"{photo.image.stem}.png")
        ids = photo.id_map()  # checks that PNG and JSON agree
        assert photo.image.is_file() and photo.size == classes.shape
        for segment in photo.segments:
            inside = ids == segment.id
            assert segment.area == inside.sum()
            assert segment.category == "background" or (classes[inside] == segment.category_id).all()
    assert photos[1].size == (96, 64)


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda d: (d / "annotations/train.json").unlink(), "cannot be read: .*No such file"),
        (lambda d: (d / "annotations/train.json").write_text("[]"), "holds a list; it must be an object with images"),
        (
            lambda d: (d / "annotations/train.json").write_text('{"images": [{"id": 1}]}'),
            "file_name is missing; width",
        ),
        (lambda d: [mask.unlink() for mask in (d / "masks").iterdir()], "none of the 4 photos of train has a mask"),
        (lambda d: (d / "images/train_0.png").unlink(), "there is a mask .*, but no photo"),
        (lambda d: (d / "masks/train_0.png").write_text("no image"), "cannot read 'train_0.png' as an image of PNG"),
        (lambda d: Image.new("RGB", (96, 64)).save(d / "masks/train_0.png"), "mode RGB; allowed: P"),
        (lambda d: save_mask(d / "masks/train_0.png", np.full((64, 96), 99, np.uint8)), r"pixels \[99\]; allowed"),
        (lambda d: save_mask(d / "masks/train_0.png", np.zeros((96, 64), np.uint8)), r"size \(96, 64\); the photo's"),
    ],
)
def test_bad_input_is_refused(tmp_path: Path, break_it, message: str) -> None:
    data = drawn_masks(tmp_path / "data", splits=("train",))
    break_it(data)
    with pytest.raises(ValueError, match=message):
        main(["--dataset", str(data), "--output_dir", str(tmp_path / "out"), "--splits", "train"])
    assert not (tmp_path / "out" / "annotations" / "train.json").exists()


def test_a_share_that_is_none_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="smallest: -1"):
        main(["--dataset", str(tmp_path), "--output_dir", str(tmp_path), "--smallest", "-1"])
