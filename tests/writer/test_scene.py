"""Scenes: unit coordinates, mirroring, cropping."""

import random

import pytest

from talkingpoints.writer.scene import Keypoint, Scene, SceneObject, scene_of, swap_sides

ROW = {
    "width": 200,
    "height": 100,
    "objects": [
        {
            "label": "dog",
            "bbox": [20.0, 10.0, 100.0, 80.0],
            "keypoints": [
                {"name": "left ear", "x": 50.0, "y": 25.0},
                {"name": "withers", "x": 80.0, "y": 40.0},
            ],
        }
    ],
}


def random_scene(rng: random.Random) -> Scene:
    """One to four objects of few labels with random boxes and keypoints."""
    objects = []
    for _ in range(rng.randint(1, 4)):
        x0, y0 = rng.uniform(0, 0.6), rng.uniform(0, 0.6)
        x1, y1 = rng.uniform(x0 + 0.1, 1), rng.uniform(y0 + 0.1, 1)
        names = rng.sample(["left ear", "right ear", "nose", "left front paw", "right front paw", "withers"], 4)
        keypoints = tuple(Keypoint(name, rng.uniform(x0, x1), rng.uniform(y0, y1)) for name in names)
        objects.append(SceneObject(rng.choice(("dog", "cat")), (x0, y0, x1, y1), keypoints))
    return Scene(tuple(objects), (rng.randint(50, 200), rng.randint(50, 200)))


def test_scene_of_a_row_is_in_unit_coordinates():
    scene = scene_of(ROW)
    assert scene.size == (100, 200)
    assert scene.objects[0].label == "dog"
    assert scene.objects[0].box == pytest.approx((0.1, 0.1, 0.6, 0.9))
    assert scene.objects[0].keypoints[0] == Keypoint("left ear", 0.25, 0.25)


def test_scene_of_clips_boxes_and_drops_empty_ones():
    boxes = [[-20.0, 10.0, 100.0, 200.0], [250.0, 10.0, 20.0, 20.0], [10.0, 10.0, 0.0, 5.0]]
    row = {**ROW, "objects": [{"label": "dog", "bbox": box, "keypoints": []} for box in boxes]}
    scene = scene_of(row)
    assert [item.box for item in scene.objects] == [pytest.approx((0.0, 0.1, 0.4, 1.0))]


def test_flip_mirrors_coordinates_and_own_sides():
    item = scene_of(ROW).flipped().objects[0]
    assert item.box == pytest.approx((0.4, 0.1, 0.9, 0.9))
    assert item.keypoints[0].name == "right ear"
    assert (item.keypoints[0].x, item.keypoints[0].y) == pytest.approx((0.75, 0.25))
    assert item.keypoints[1].name == "withers"


def test_flipping_twice_gives_the_scene_back():
    rng = random.Random(0)
    for _ in range(50):
        scene = random_scene(rng)
        again = scene.flipped().flipped()
        assert again.size == scene.size
        for item, other in zip(scene.objects, again.objects, strict=True):
            assert item.label == other.label
            assert item.box == pytest.approx(other.box)
            assert [k.name for k in item.keypoints] == [k.name for k in other.keypoints]
            for keypoint, back in zip(item.keypoints, other.keypoints, strict=True):
                assert (keypoint.x, keypoint.y) == pytest.approx((back.x, back.y))


def test_crop_moves_clips_and_drops():
    scene = scene_of(ROW).cropped((0.2, 0.0, 0.7, 0.5))
    assert scene.size == (50, 100)
    item = scene.objects[0]
    assert item.box == pytest.approx((0.0, 0.2, 0.8, 1.0))
    assert [(k.name, pytest.approx(k.x), pytest.approx(k.y)) for k in item.keypoints] == [
        ("left ear", 0.1, 0.5),
        ("withers", 0.4, 0.8),
    ]
    assert [k.name for k in scene.cropped((0.2, 0.0, 1.0, 1.0)).objects[0].keypoints] == ["withers"]


def test_crop_drops_objects_of_which_less_than_a_quarter_is_left():
    scene = scene_of(ROW)
    assert scene.cropped((0.5, 0.0, 1.0, 1.0)).objects == ()
    assert len(scene.cropped((0.4, 0.0, 1.0, 1.0)).objects) == 1


def test_cropped_points_are_inside():
    rng = random.Random(1)
    for _ in range(100):
        scene = random_scene(rng).cropped((0.3, 0.2, 0.8, 0.9))
        for item in scene.objects:
            assert all(0 <= value <= 1 for value in item.box)
            assert all(0 <= k.x <= 1 and 0 <= k.y <= 1 for k in item.keypoints)


@pytest.mark.parametrize("box", [(0.5, 0.0, 0.5, 1.0), (-0.1, 0.0, 1.0, 1.0), (0.0, 0.9, 1.0, 0.1)])
def test_crop_outside_the_photo_raises(box):
    with pytest.raises(ValueError, match="is not a crop"):
        scene_of(ROW).cropped(box)


@pytest.mark.parametrize(
    ("name", "mirrored"), [("left front paw", "right front paw"), ("right eye", "left eye"), ("nose", "nose")]
)
def test_swap_sides(name, mirrored):
    assert swap_sides(name) == mirrored
    assert swap_sides(mirrored) == name
