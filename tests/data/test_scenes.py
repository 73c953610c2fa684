"""Scenes of annotations: points on the parts, whose each pixel is, splits, and what is never trained on."""

import json
import os

import numpy as np
import pytest
from PIL import Image

from talkingpoints.data.scenes.coco_scenes import instance_scene, keypoint_scene, read_entries
from talkingpoints.data.scenes.pixel_cache import PixelCache
from talkingpoints.data.scenes.point_sampling import draw_anywhere, draw_named, draw_nothing, speakable
from talkingpoints.data.scenes.scene_photos import hashed_split, packed_photo
from talkingpoints.data.scenes.scene_sets import load_scenes, refuse_held_out, scene_sets, trainable
from talkingpoints.data.scenes.voc_scenes import CLASSES, voc_scene
from talkingpoints.writer.fluent.annotated_scene import NOTHING, UNLABELLED, innermost
from talkingpoints.writer.fluent.lexicon import UNKNOWN, lexicon

SQUARE = [[10, 10, 30, 10, 30, 30, 10, 30]]
RING = [[40, 10, 80, 10, 80, 50, 40, 50]]


def coco(folder, categories, annotations, split="train", size=(100, 60)):
    """A COCO file with one grey photo; categories by name or as entries."""
    (folder / "annotations").mkdir(parents=True, exist_ok=True)
    (folder / "images").mkdir(exist_ok=True)
    Image.new("RGB", size, (128, 128, 128)).save(folder / "images" / "a.png")
    entries = [c if isinstance(c, dict) else {"name": c} for c in categories]
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": size[0], "height": size[1]}],
        "categories": [{"id": i + 1, **c} for i, c in enumerate(entries)],
        "annotations": [{"id": i + 1, "image_id": 1, "area": 1, **a} for i, a in enumerate(annotations)],
    }
    file = folder / "annotations" / f"{split}.json"
    file.write_text(json.dumps(content))
    return file


def test_keypoints_keep_sides_and_say_what_is_hidden(tmp_path):
    category = {"name": "bird", "keypoints": ["left eye", "right_eye", "tail"]}
    entry = {
        "category_id": 1,
        "bbox": [10, 10, 50, 40],
        "keypoints": [20, 15, 2, 0, 0, 0, 60, 45, 2],
        "species": "Crow",
    }
    (found,) = read_entries(coco(tmp_path, [category], [entry]))
    scene = keypoint_scene(found, {"hidden": "unlabelled", "bare_ground": True})
    (bird,) = scene.things
    assert [(p.name, p.side, p.point) for p in bird.parts] == [
        ("eye", "left", (0.2, 0.25)),
        ("tail", None, (0.6, 0.75)),
    ]
    assert bird.hidden == {("eye", "right")} and bird.noun == "crow"
    assert scene.owners[0, 0] == NOTHING and scene.owners[30, 30] == UNLABELLED


def test_points_of_polygons_lie_on_them(tmp_path):
    hole = [[40, 10, 80, 10, 80, 50, 75, 50, 75, 15, 40, 15]]  # the box's middle is off the part
    annotations = [
        {"category_id": 1, "bbox": [10, 10, 20, 20], "segmentation": SQUARE, "point": [12, 12]},
        {"category_id": 2, "bbox": [40, 10, 40, 40], "segmentation": hole},
        {"category_id": 3, "bbox": [0, 40, 30, 10],
         "segmentation": [[0, 40, 10, 40, 10, 50, 0, 50], [20, 40, 30, 40, 30, 50, 20, 50]]},
    ]  # fmt: skip
    (entry,) = read_entries(coco(tmp_path, ["hood", "left_mirror", "wheel"], annotations))
    scene = instance_scene(entry, {"owner": "car", "hidden": ["tailgate"]}, tmp_path / "images" / "a.png")
    (car,) = scene.things
    assert car.kind == "car" and {(p.name, p.side) for p in car.parts} == {
        ("bonnet", None),
        ("mirror", "left"),
        ("wheel", None),
    }
    assert sum(p.name == "wheel" for p in car.parts) == 2 and car.hidden == {("tailgate", None)}
    for i, part in enumerate(car.parts):
        x, y = int(part.point[0] * 100), int(part.point[1] * 60)
        assert scene.piece[y, x] == scene.part_number(0, i)
    assert next(p.point for p in car.parts if p.name == "bonnet") == (0.125, 12.5 / 60)


def test_flips_and_crops_keep_points_on_their_parts(tmp_path):
    annotations = [
        {"category_id": 1, "bbox": [10, 10, 20, 20], "segmentation": SQUARE},
        {"category_id": 2, "bbox": [40, 10, 40, 40], "segmentation": RING},
    ]
    (entry,) = read_entries(coco(tmp_path, ["left_mirror", "hood"], annotations))
    scene = instance_scene(entry, {"owner": "car"}, tmp_path / "images" / "a.png")
    mirrored = scene.flipped()
    assert {(p.name, p.side) for p in mirrored.things[0].parts} == {("mirror", "right"), ("bonnet", None)}
    assert (mirrored.owners == scene.owners[:, ::-1]).all()
    cut = scene.cropped((50, 0, 100, 40))
    (bonnet,) = cut.things[0].parts
    assert ("mirror", None) in cut.things[0].hidden and cut.size == (40, 50)
    assert cut.piece[int(bonnet.point[1] * 40), int(bonnet.point[0] * 50)] == 1
    with pytest.raises(ValueError, match="is no part of a photo of 100 x 60"):
        scene.cropped((50, 0, 120, 40))


def test_voc_part_boxes_need_the_class_mask(tmp_path):
    category = {"name": "dog", "keypoints": ["nose"]}
    file = coco(tmp_path, [category], [{"category_id": 1, "bbox": [10, 10, 50, 40], "keypoints": [20, 15, 2]}])
    classes = np.zeros((60, 100), np.uint8)
    classes[10:50, 10:60] = CLASSES.index("dog")
    classes[20:55, 65:95] = CLASSES.index("couch")
    classes[50:60, 10:60] = 255
    palette = Image.fromarray(classes, "P")
    palette.putpalette([0] * 768)
    palette.save(tmp_path / "mask.png")
    boxes = [
        {"category_id": 1, "bbox": [10, 10, 50, 40]},
        {"category_id": 2, "bbox": [10, 10, 20, 20], "parent": 1},
        {"category_id": 3, "bbox": [64, 5, 30, 14], "parent": 1},  # a tail where the mask has no dog
    ]
    parts = coco(tmp_path / "parts", ["dog", "head", "tail"], boxes)
    (entry,), (part_entry,) = read_entries(file), read_entries(parts)
    scene = voc_scene(entry, {}, tmp_path / "mask.png", part_entry)
    assert [(thing.kind, [p.name for p in thing.parts]) for thing in scene.things] == [
        ("dog", ["nose", "head"]),
        ("couch", []),
    ]
    assert scene.owners[40, 80] == 2 and scene.owners[20, 20] == 1 and scene.owners[55, 20] == UNLABELLED
    assert "cat" in scene.absent and "couch" not in scene.absent and "tiger" not in scene.absent


def test_drawn_points_lie_where_they_say(tmp_path):
    annotations = [
        {"category_id": 1, "bbox": [10, 10, 20, 20], "area": 400, "segmentation": SQUARE},
        {"category_id": 2, "bbox": [40, 10, 40, 40], "area": 1600, "segmentation": RING},
    ]
    (entry,) = read_entries(coco(tmp_path, ["car", "toaster"], annotations))
    scene = instance_scene(entry, {}, tmp_path / "images" / "a.png")
    assert [thing.kind for thing in scene.things] == [UNKNOWN, "car"]
    rng = np.random.default_rng(0)
    assert draw_nothing(scene, rng) is None  # what nobody labelled is not nothing
    for draw in [draw_named] * 30 + [draw_anywhere] * 30:
        found = draw(scene, rng)
        x, y = int(found.point[0] * 100), int(found.point[1] * 60)
        assert scene.owners[y, x] == found.thing + 1
    assert speakable(scene, 0) and innermost(scene.owners == 2)[1] >= 9


def test_splits_by_hash_do_not_move_and_held_out_kinds_are_refused(tmp_path):
    shares = {"train": 0.7, "val": 0.15, "test": 0.15}
    names = [f"{i:012d}.jpg" for i in range(2000)]
    counts = [sum(hashed_split(name, shares) == split for name in names) for split in shares]
    assert hashed_split("000000000009.jpg", shares) == hashed_split("a/000000000009.png", shares) == "val"
    assert abs(counts[0] - 1400) < 80 and abs(counts[1] - 300) < 60
    coco(tmp_path / "wildlife_boxes", ["kangaroo", "tiger"], [{"category_id": 1, "bbox": [10, 10, 20, 20]}])
    photos = load_scenes(tmp_path, "wildlife_boxes", "train")
    assert photos[0].bare.things[0].kind == "kangaroo" and not trainable(photos)
    with pytest.raises(ValueError, match=r"a\.png of wildlife_boxes shows kangaroo: held out"):
        refuse_held_out(photos)
    with pytest.raises(ValueError, match="'zoo' is no set"):
        load_scenes(tmp_path, "zoo", "train")
    with pytest.raises(ValueError, match="split: 'dev'"):
        load_scenes(tmp_path, "wildlife_boxes", "dev")
    for options in scene_sets().values():
        assert options["absent"] <= set(lexicon().kinds) and set(options.get("counted", ())) <= set(lexicon().kinds)


def test_packed_scenes_and_cached_pixels_are_the_same(tmp_path):
    annotations = [{"category_id": 1, "bbox": [10, 10, 20, 20], "segmentation": SQUARE}]
    (entry,) = read_entries(coco(tmp_path, ["car"], annotations))
    scene = instance_scene(entry, {}, tmp_path / "images" / "a.png")
    photo = packed_photo("camvid", tmp_path / "images" / "a.png", scene)
    assert (photo.scene().owners == scene.owners).all() and photo.bare.owners is None
    for _ in range(2):
        assert (PixelCache([photo], tmp_path / "cache" / "pixels")[0] == PixelCache([photo])[0]).all()
    assert (PixelCache([photo, photo], tmp_path / "cache" / "pixels")[1] == PixelCache([photo])[0]).all()
    changed = packed_photo("camvid", tmp_path / "images" / "a.png", scene)
    Image.new("RGB", scene.size[::-1], "red").save(tmp_path / "images" / "a.png")
    os.utime(tmp_path / "images" / "a.png", ns=(1, 1))
    assert (PixelCache([changed], tmp_path / "cache" / "pixels")[0] == [255, 0, 0]).all()  # nothing stale is read
