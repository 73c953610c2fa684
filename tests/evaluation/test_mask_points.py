"""Points drawn from class masks lie where their kind says, and are measured like any others."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from talkingpoints.data.readers.coco_keypoints import load_keypoints
from talkingpoints.evaluation import mask_points
from tests.helpers.table_pair import HEIGHT, WIDTH, TablePair, write_dataset


def write_masks(folder: Path, dogs: np.ndarray) -> Path:
    """A mask for photo 0, whose dog has the box (6, 8, 66, 32)."""
    folder.mkdir()
    Image.fromarray(np.where(dogs, 12, 0).astype(np.uint8)).save(folder / "0.png")
    return folder


@pytest.fixture
def dataset(tmp_path):
    return load_keypoints(write_dataset(tmp_path / "animals"), "test")


@pytest.fixture
def dog():
    """A body of 40 x 20 px with a tail of 5 px that is 15 px long."""
    region = np.zeros((HEIGHT, WIDTH), dtype=bool)
    region[10:30, 10:50] = True
    region[14:19, 50:65] = True
    return region


def test_kinds_lie_where_they_should(dataset, tmp_path, dog):
    points = mask_points.mask_points(dataset, write_masks(tmp_path / "masks", dog), per_kind=4)
    assert {point.row for point in points} == {0} and {point.label for point in points} == {"dog"}
    by_kind = {kind: [p.point for p in points if p.name == kind] for kind in mask_points.KINDS}
    assert {kind: len(found) for kind, found in by_kind.items()} == {
        "smooth": 4, "textured": 0, "thin": 4, "border": 4,
    }  # fmt: skip
    for kind, found in by_kind.items():
        for x, y in np.multiply(found, (WIDTH, HEIGHT)) if found else []:
            assert dog[int(y), int(x)]
            depth = min(np.hypot(x - u - 0.5, y - v - 0.5) for v, u in np.argwhere(~dog))
            assert (depth <= 2) == (kind == "border")
            assert (x >= 47) == (kind == "thin") or kind == "border"
    assert points == mask_points.mask_points(dataset, tmp_path / "masks", per_kind=4)
    assert points != mask_points.mask_points(dataset, tmp_path / "masks", per_kind=4, seed=1)


def test_pixels_of_two_like_objects_belong_to_neither(dataset, tmp_path, dog):
    scene_row = dict(dataset[0])
    points = mask_points.mask_points(dataset, write_masks(tmp_path / "masks", dog))
    item = mask_points.scene_of(scene_row).objects[0]
    scene = mask_points.scene_of(scene_row)
    doubled = dataclasses.replace(scene, objects=(item, dataclasses.replace(item)))
    classes = np.where(dog, 12, 0).astype(np.uint8)
    pixels = np.asarray(scene_row["image"])
    rng = np.random.default_rng(0)
    assert points and mask_points._draw(doubled, item, classes, pixels, 2, rng) == []


def test_figures_by_kind(dataset, tmp_path, dog):
    masks = write_masks(tmp_path / "masks", dog)
    noisy = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    noisy[0, 0] = 0
    Image.fromarray(noisy).save(tmp_path / "animals" / "images" / "0.png")
    second = np.zeros_like(dog)
    second[40:60, 80:100] = True
    Image.fromarray(np.where(second, 12, 0).astype(np.uint8)).save(masks / "2.png")
    dataset = load_keypoints(tmp_path / "animals", "test")
    points = mask_points.mask_points(dataset, masks)
    assert {p.row for p in mask_points.mask_points(dataset, masks, limit=1)} == {0}
    figures = mask_points.evaluate_mask_points(TablePair(dataset), dataset, points, resamples=10)
    assert list(figures) == list(mask_points.KINDS)
    assert figures["smooth"]["n_points"] == 0 and figures["textured"]["n_points"] == 2
    assert figures["textured"]["rows"]["descriptor"]["mpck_img"] == 100.0
    assert figures["textured"]["rows"]["reference"]["mpck_img"] == 0.0


def test_masks_that_are_not_there_or_not_right(dataset, tmp_path):
    with pytest.raises(ValueError, match="no object of this split has a mask"):
        mask_points.mask_points(dataset, tmp_path)
    Image.new("L", (5, 5)).save(tmp_path / "0.png")
    with pytest.raises(ValueError, match=r"mask 0\.png has shape \(5, 5\), its photo \(80, 120\)"):
        mask_points.mask_points(dataset, tmp_path)
    (tmp_path / "0.png").write_text("no picture")
    with pytest.raises(ValueError, match=r"0\.png is no readable mask"):
        mask_points.mask_points(dataset, tmp_path)
