"""The colours of whole objects: of drawn animals and persons on coloured grounds, and where nothing can be said."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from talkingpoints.data.readers.coco_keypoints import load_keypoints
from talkingpoints.images import load_image
from talkingpoints.writer.colours import COLOURS
from talkingpoints.writer.facts import point_facts
from talkingpoints.writer.object_colours import _CLOTHES_SHADES, _COAT_SHADES, object_colours_of
from talkingpoints.writer.scene import Keypoint, Scene, SceneObject, scene_of
from tests.helpers.drawn import drawn_dataset

PERSON = SceneObject(
    "person",
    (0.2, 0.0, 0.8, 1.0),
    (
        Keypoint("nose", 0.5, 0.1), Keypoint("left shoulder", 0.65, 0.3), Keypoint("right shoulder", 0.35, 0.3),
        Keypoint("left hip", 0.6, 0.6), Keypoint("right hip", 0.4, 0.6), Keypoint("left knee", 0.6, 0.8),
    ),
)  # fmt: skip


def dressed(*colours: tuple[int, int, int]) -> np.ndarray:
    """A photo of skin and grass with clothes in equal stripes down the trunk."""
    photo = Image.new("RGB", (100, 100), (60, 150, 40))
    canvas = ImageDraw.Draw(photo)
    canvas.rectangle((20, 0, 80, 99), fill=(220, 170, 140))
    for i, colour in enumerate(colours):
        canvas.rectangle((30, 28 + 34 * i // len(colours), 70, 27 + 34 * (i + 1) // len(colours)), fill=colour)
    return np.asarray(photo)


def test_drawn_animals_have_the_colour_of_their_fur(tmp_path: Path) -> None:
    rows = load_keypoints(drawn_dataset(tmp_path, n=12), "train")
    expected = {"dog": "brown", "sheep": "white", "horse": "dark brown", "cow": "black"}  # a cat's grey is in between
    named = []
    for row in rows:
        scene, pixels = scene_of(row), np.asarray(load_image(row["image"]))
        for item in scene.objects:
            if item.label in expected:
                named.append(object_colours_of(pixels, item)[:1] == (expected[item.label],))
    assert len(named) > 10 and np.mean(named) > 0.9


@pytest.mark.parametrize(
    ("colours", "named"),
    [
        ([(200, 20, 30)], ("red",)),
        ([(40, 60, 200)], ("blue",)),
        ([(245, 245, 245), (20, 20, 20)], ("black", "white")),
        ([(50, 50, 50)], ("grey",)),
        ([(50, 50, 50), (10, 10, 10)], ("black",)),
        ([(200, 20, 30), (245, 245, 245), (40, 60, 200), (20, 20, 20), (240, 220, 40)], ()),
    ],
)
def test_clothes_on_the_trunk(colours, named) -> None:
    found = object_colours_of(dressed(*colours), PERSON)
    assert tuple(sorted(found)) == named
    facts = point_facts(Scene((PERSON,), (100, 100)), (0.5, 0.1), dressed(*colours), 0, "nose")
    assert facts.object_colours == found
    assert point_facts(Scene((PERSON,), (100, 100)), (0.5, 0.1), dressed(*colours), None).object_colours == ()


def test_a_mirrored_photo_names_the_same_colours() -> None:
    scene, pixels = Scene((PERSON,), (100, 100)), dressed((200, 20, 30), (245, 245, 245), (200, 20, 30))
    assert object_colours_of(pixels, PERSON) == ("red", "white")
    assert object_colours_of(pixels[:, ::-1], scene.flipped().objects[0]) == ("red", "white")


def test_nothing_is_said_of_what_is_too_small_or_has_too_few_keypoints() -> None:
    red = dressed((200, 20, 30))
    assert object_colours_of(red, dataclasses.replace(PERSON, keypoints=PERSON.keypoints[:2])) == ()
    assert object_colours_of(red, dataclasses.replace(PERSON, keypoints=())) == ()
    wheels = tuple(Keypoint(f"{side} wheel", k.x, k.y) for side, k in zip("abcdef", PERSON.keypoints, strict=True))
    assert object_colours_of(red, SceneObject("car", PERSON.box, wheels)) == ()
    assert object_colours_of(red[::10, ::10], PERSON) == ()


def test_keypoints_on_the_border_are_looked_at_inside() -> None:
    corners = [("withers", 1.0, 0.0), ("tailbase", 0.0, 1.0), ("throat", 1.0, 1.0), ("neck", 0.0, 0.0)]
    item = SceneObject("dog", (0.0, 0.0, 1.0, 1.0), tuple(Keypoint(*corner) for corner in corners))
    assert object_colours_of(np.full((40, 40, 3), 20, np.uint8), item) == ("black",)


def test_shades_are_colours_that_look_knows() -> None:
    for groups in (_COAT_SHADES, _CLOTHES_SHADES):
        shades = [shade for group in groups.values() for shade in group]
        assert len(shades) == len(set(shades)) and set(shades) <= set(COLOURS)
        assert {name for group in groups.values() for name in group.values()} <= set(COLOURS)
    assert {shade for group in _CLOTHES_SHADES.values() for shade in group} == set(COLOURS)
