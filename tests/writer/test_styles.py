"""The writer: facts measured right, true under mirroring, and texts that keep each style's rules."""

import dataclasses
import random
import re
import time

import numpy as np
import pytest

from talkingpoints.data.readers.coco_keypoints import load_keypoints
from talkingpoints.writer import phrases
from talkingpoints.writer.colours import COLOURS, TEXTURES, look_at
from talkingpoints.writer.facts import DIRECTIONS, Neighbour, PointFacts, point_facts
from talkingpoints.writer.phrases import has_position
from talkingpoints.writer.scene import Keypoint, Scene, SceneObject, scene_of, swap_sides
from talkingpoints.writer.styles import ALL_STYLES, CANONICAL, FREE, HELD_STYLES, STYLES, write, write_told
from talkingpoints.writer.wording import Wording
from tests.data.test_coco_keypoints import real
from tests.writer.test_scene import random_scene

BROWN = np.full((80, 100, 3), (75, 45, 20), dtype=np.uint8)

DOG = SceneObject(
    "dog",
    (0.25, 0.25, 0.75, 0.75),
    (Keypoint("left ear", 0.74, 0.27), Keypoint("left eye", 0.74, 0.32), Keypoint("tailbase", 0.28, 0.4)),
)
ONE_DOG = Scene((DOG,), (80, 100))


def boxes(label: str, *values: tuple[float, float, float, float]) -> Scene:
    """A scene of objects of one label without keypoints."""
    return Scene(tuple(SceneObject(label, box, ()) for box in values), (100, 100))


def photo(rng: random.Random, scene: Scene) -> np.ndarray:
    """Random coloured patches with some noise, of the scene's size."""
    generator = np.random.default_rng(rng.randrange(10**6))
    height, width = scene.size
    patches = generator.integers(0, 256, (height // 12 + 1, width // 12 + 1, 3))
    pixels = patches.repeat(12, axis=0).repeat(12, axis=1)[:height, :width]
    return np.clip(pixels + generator.integers(-12, 12, pixels.shape), 0, 255).astype(np.uint8)


def random_points(n: int, seed: int):
    """(scene, point, pixels, object_index, part) of keypoints, arbitrary points and background points."""
    rng = random.Random(seed)
    for i in range(n):
        scene = random_scene(rng)
        pixels = photo(rng, scene)
        index = rng.randrange(len(scene.objects))
        item = scene.objects[index]
        if i % 3 == 0:
            keypoint = rng.choice(item.keypoints)
            yield scene, (keypoint.x, keypoint.y), pixels, index, keypoint.name
        elif i % 3 == 1:
            x0, y0, x1, y1 = item.box
            yield scene, (rng.uniform(x0, x1), rng.uniform(y0, y1)), pixels, index, None
        else:
            yield scene, (rng.random(), rng.random()), pixels, None, None


def random_facts(n: int, seed: int = 0) -> list[PointFacts]:
    return [point_facts(*arguments) for arguments in random_points(n, seed)]


def swap_words(text: str) -> str:
    """Exchange left and right in a text, but for "right" as an intensifier."""
    text = re.sub(r"\b[Rr]ight (?=at the (?:top|bottom)|beside)|^Right (?=on )", "", text)
    swapped = {"left": "right", "right": "left", "Left": "Right", "Right": "Left"}
    return re.sub(r"\b(left|right|Left|Right)(?=most\b|\b)", lambda match: swapped[match.group(1)], text)


# facts


def test_facts_of_a_keypoint():
    facts = point_facts(ONE_DOG, (0.74, 0.27), BROWN, 0, "left ear")
    assert facts == PointFacts(
        label="dog", n_same=1, which=None, size=None, image_column=1, image_row=1,
        part="left ear", side="left", view_side=None, region="head", near=(Neighbour("left eye", "above", True),),
        column=4, row=0, third_column=2, third_row=0, point_column=2, point_row=0,
        colours=("dark brown",), texture="smooth",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("point", "near"),
    [
        ((0.51, 0.36), (Neighbour("left eye", "between", False), Neighbour("tailbase", "between", False))),
        ((0.28, 0.4), (Neighbour("tailbase", "at", True),)),
        ((0.30, 0.65), (Neighbour("tailbase", "below", False),)),
        ((0.33, 0.4), (Neighbour("tailbase", "right", True),)),
    ],
)
def test_neighbours_of_an_arbitrary_point(point, near):
    assert point_facts(ONE_DOG, point, BROWN, 0).near == near


@pytest.mark.parametrize(
    ("point", "direction", "column", "row"),
    [
        ((0.05, 0.3), "left", 0, 0),
        ((0.9, 0.7), "right", 4, 4),
        ((0.5, 0.05), "above", 2, 0),
        ((0.95, 0.95), "below right", 4, 4),
        ((0.4, 0.6), "around", 1, 3),
    ],
)
def test_background_is_placed_beside_the_nearest_object(point, direction, column, row):
    facts = point_facts(ONE_DOG, point, BROWN, None)
    assert facts.label is None
    assert (facts.near[0].name, facts.near[0].direction) == ("dog", direction)
    assert (facts.column, facts.row) == (column, row)


def test_background_without_objects():
    facts = point_facts(Scene((), (80, 100)), (0.9, 0.1), BROWN, None)
    assert (facts.near, facts.column, facts.image_column, facts.image_row) == ((), None, 2, 0)
    assert write(facts, CANONICAL, random.Random(0)) == (
        "Background in the upper right of the photo. Dark brown, smooth."
    )


@pytest.mark.parametrize(
    ("scene", "expected"),
    [
        (boxes("dog", (0.0, 0.1, 0.3, 0.4), (0.6, 0.1, 0.9, 0.4)), ["left", "right"]),
        (boxes("dog", (0.1, 0.0, 0.4, 0.3), (0.1, 0.6, 0.4, 0.9)), ["upper", "lower"]),
        (
            boxes("dog", (0.4, 0.1, 0.5, 0.4), (0.0, 0.1, 0.2, 0.4), (0.8, 0.1, 0.9, 0.4)),
            ["middle", "left", "right"],
        ),
        (
            boxes("dog", *((x, 0.1, x + 0.1, 0.4) for x in (0.0, 0.25, 0.5, 0.75))),
            ["left", "second left", "second right", "right"],
        ),
        (boxes("dog", (0.1, 0.1, 0.5, 0.5), (0.12, 0.12, 0.52, 0.52)), [None, None]),
        (boxes("dog", *((x, 0.1, x + 0.1, 0.4) for x in np.linspace(0, 0.9, 8))), [None] * 8),
    ],
)
def test_which_one_by_place(scene, expected):
    found = [point_facts(scene, (0.5, 0.5), BROWN, i).which for i in range(len(scene.objects))]
    assert found == expected


def test_which_one_by_size():
    scene = boxes("dog", (0.1, 0.1, 0.9, 0.9), (0.4, 0.4, 0.6, 0.6))
    facts = [point_facts(scene, (0.5, 0.5), BROWN, i) for i in (0, 1)]
    assert [(f.which, f.size, f.n_same) for f in facts] == [(None, "larger", 2), (None, "smaller", 2)]
    assert write(facts[0], CANONICAL, random.Random(0)).startswith("The larger one of two dogs in the centre")


def test_other_labels_do_not_count():
    scene = Scene((DOG, dataclasses.replace(DOG, label="cat")), (80, 100))
    assert point_facts(scene, (0.5, 0.5), BROWN, 0).n_same == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((1.2, 0.5), BROWN, 0, None), r"point: \(1.2, 0.5\) is outside"),
        (((float("nan"), 0.5), BROWN, 0, None), "is outside"),
        (((0.5, 0.5), BROWN[..., 0], 0, None), "pixels: uint8 of shape"),
        (((0.5, 0.5), BROWN / 255.0, 0, None), "pixels: float64"),
        (((0.5, 0.5), BROWN, 1, None), "object_index: 1 of 1 objects"),
        (((0.5, 0.5), BROWN, None, "left ear"), "part: 'left ear' was given for a background point"),
    ],
)
def test_impossible_facts_raise(arguments, message):
    with pytest.raises(ValueError, match=message):
        point_facts(ONE_DOG, *arguments)


# look


@pytest.mark.parametrize(
    ("rgb", "colour"),
    [
        ((5, 5, 5), "black"), ((60, 60, 62), "dark grey"), ((120, 120, 120), "grey"),
        ((180, 180, 178), "light grey"), ((250, 250, 250), "white"), ((60, 38, 20), "dark brown"),
        ((120, 80, 45), "brown"), ((190, 150, 105), "tan"), ((235, 220, 190), "cream"),
        ((140, 65, 40), "reddish brown"), ((215, 25, 30), "red"), ((240, 150, 20), "orange"),
        ((235, 220, 40), "yellow"), ((70, 150, 50), "green"), ((25, 70, 25), "dark green"),
        ((40, 160, 150), "teal"), ((40, 80, 200), "blue"), ((30, 40, 110), "dark blue"),
        ((150, 190, 235), "light blue"), ((130, 40, 150), "purple"), ((235, 160, 165), "pink"),
    ],
)  # fmt: skip
def test_plain_colours(rgb, colour):
    pixels = np.full((50, 50, 3), rgb, dtype=np.uint8)
    assert look_at(pixels, (0.5, 0.5)) == ((colour,), "smooth")


def test_two_colours_with_an_edge_and_window_at_the_border():
    pixels = np.zeros((100, 100, 3), dtype=np.uint8)
    pixels[:, 50:] = 255
    colours, texture = look_at(pixels, (0.5, 0.5))
    assert (set(colours), texture) == ({"black", "white"}, "with a sharp edge")
    assert look_at(pixels, (0.0, 0.0)) == (("black",), "smooth")
    assert look_at(pixels, (1.0, 1.0)) == (("white",), "smooth")


def test_noise_is_textured_and_a_single_pixel_works():
    noise = np.random.default_rng(0).integers(0, 256, (100, 100, 1), dtype=np.uint8).repeat(3, axis=2)
    assert look_at(noise, (0.5, 0.5))[1] == "textured"
    assert look_at(noise[:1, :1], (0.3, 0.9))[1] == "smooth"
    assert look_at(noise[:1], (0.5, 0.5))[1] in TEXTURES


# mirroring


def test_facts_of_the_mirrored_photo_are_mirrored():
    for scene, (x, y), pixels, index, part in random_points(600, seed=5):
        facts = point_facts(scene, (x, y), pixels, index, part)
        mirrored = point_facts(
            scene.flipped(), (1 - x, y), pixels[:, ::-1], index, None if part is None else swap_sides(part)
        )
        same = ("label", "n_same", "size", "row", "third_row", "image_row", "point_row", "region", "colours", "texture")
        for name in same:
            assert getattr(facts, name) == getattr(mirrored, name)
        assert mirrored.image_column == 2 - facts.image_column
        assert mirrored.point_column == 2 - facts.point_column
        if facts.column is not None:
            assert mirrored.column == 4 - facts.column
            assert mirrored.third_column == 2 - facts.third_column
        for name in ("which", "side", "view_side", "part"):
            value = getattr(facts, name)
            assert getattr(mirrored, name) == (None if value is None else swap_sides(value))
        assert mirrored.near == tuple(
            Neighbour(swap_sides(n.name), swap_sides(n.direction), n.close) for n in facts.near
        )


@pytest.mark.parametrize("style", ALL_STYLES)
def test_text_of_the_mirrored_photo_has_left_and_right_exchanged(style):
    for i, (scene, (x, y), pixels, index, part) in enumerate(random_points(300, seed=6)):
        text = write(point_facts(scene, (x, y), pixels, index, part), style, random.Random(i))
        other = None if part is None else swap_sides(part)
        mirrored = point_facts(scene.flipped(), (1 - x, y), pixels[:, ::-1], index, other)
        assert swap_words(swap_words(text)) == swap_words(write(mirrored, style, random.Random(i)))


# texts


def test_canonical_text():
    facts = point_facts(ONE_DOG, (0.74, 0.27), BROWN, 0, "left ear")
    assert write(facts, CANONICAL, random.Random(0)) == (
        "A dog in the centre of the photo. Its left ear, far right, top of the dog, just above the left eye. "
        "Dark brown, smooth."
    )


@pytest.mark.parametrize("style", ALL_STYLES)
def test_texts_hold_no_digit_and_no_unfilled_slot(style):
    rng = random.Random(2)
    for facts in random_facts(900):
        text = write(facts, style, rng)
        assert not re.search(r"[0-9{}]|None|\s\s|\s[,.;?]|\b[Aa] [aeio]", text), text
        assert text[0].isupper() or text[0] == "(" or style == FREE, text


@pytest.mark.parametrize("style", ALL_STYLES)
def test_same_seed_same_text(style):
    for facts in random_facts(60):
        assert write(facts, style, random.Random(7)) == write(facts, style, random.Random(7))


def test_canonical_does_not_depend_on_the_rng_and_the_others_do():
    facts = random_facts(1)[0]
    for style in ALL_STYLES:
        texts = {write(facts, style, random.Random(seed)) for seed in range(60)}
        assert (len(texts) == 1) == (style == CANONICAL)


def test_canonical_leaves_the_rng_alone():
    rng = random.Random(3)
    state = rng.getstate()
    write(random_facts(1)[0], CANONICAL, rng)
    assert rng.getstate() == state


@pytest.mark.parametrize("style", ["full", "reordered", CANONICAL])
def test_long_styles_always_say_the_fifth_and_the_third(style):
    """Whatever the wording, another column, row, place in the photo or label makes another text."""
    facts = point_facts(ONE_DOG, (0.74, 0.27), BROWN, 0, "left ear")
    for seed in range(80):
        text = write(facts, style, random.Random(seed))
        for name, value in (
            ("column", 3),
            ("row", 1),
            ("image_column", 0),
            ("image_row", 2),
            ("label", "cat"),
        ):
            changed = dataclasses.replace(facts, **{name: value})
            assert write(changed, style, random.Random(seed)) != text


@pytest.mark.parametrize("style", ALL_STYLES)
def test_what_is_told_changes_the_text_and_what_is_not_does_not(style):
    others = {"image_column": 3, "image_row": 3, "column": 5, "row": 5, "third_column": 3, "third_row": 3}
    others |= {"point_column": 3, "point_row": 3}
    for seed, facts in enumerate(random_facts(300, seed=3)):
        text, told = write_told(facts, style, random.Random(seed))
        changes = {n: (getattr(facts, n) + 1) % size for n, size in others.items() if getattr(facts, n) is not None}
        changes["colours"] = ("white",) if facts.colours == ("black",) else ("black",)
        changes["object_colours"] = ("white",) if facts.object_colours != ("white",) else ("black",)
        changes["texture"] = "smooth" if facts.texture != "smooth" else "textured"
        changes["near"] = (Neighbour("throat", "left", True),) if facts.near == () else ()
        if facts.n_same in (2, 3) and facts.which in ("left", "right"):
            changes["which"] = "right" if facts.which == "left" else "left"
        if facts.n_same == 2 and facts.size is not None:
            changes["size"] = "larger" if facts.size == "smaller" else "smaller"
        if facts.part is not None and "part" not in told:
            changes |= {"part": "left ear", "side": "right" if facts.side == "left" else "left"}
        for name, value in changes.items():
            changed = write(dataclasses.replace(facts, **{name: value}), style, random.Random(seed))
            if name in told or name not in ("colours", "texture"):  # another look changes what chance picks next
                assert (changed != text) == (name in told), (name, text, changed)


def test_held_back_styles_name_places_in_words_of_their_own():
    held = [word for table in (phrases.HELD_PHOTO_ROWS, phrases.HELD_COLUMNS, phrases.HELD_ROWS) for word in table]
    rng = random.Random(8)
    for facts in random_facts(200, seed=4):
        for style in ALL_STYLES:
            text = write(facts, style, rng).lower()
            assert any(word in text for word in held) == (style in HELD_STYLES), text
            if style in HELD_STYLES:
                assert not any(place.format(photo=photo) in text for row in phrases.PLACES for column in row
                               for place in column for photo in phrases.PHOTO)  # fmt: skip


def test_all_places_have_different_words():
    facts = point_facts(ONE_DOG, (0.74, 0.27), BROWN, 0, "left ear")
    fifths = {Wording(dataclasses.replace(facts, column=c, row=r), None).position() for c in range(5) for r in range(5)}
    thirds = {
        Wording(dataclasses.replace(facts, image_column=c, image_row=r), None).place()
        for c in range(3)
        for r in range(3)
    }
    assert (len(fifths), len(thirds)) == (25, 9)


def test_semantic_texts_hold_no_position():
    rng = random.Random(4)
    for facts in random_facts(2000, seed=1):
        text = write(facts, "semantic", rng)
        assert not has_position(text), text
        sides = re.findall(r"\b(left|right)\b", text.lower())
        assert sides == ([facts.side] if facts.side else []), text
        assert facts.label is None or facts.label in text.lower()


def test_position_words_are_found_in_the_other_styles():
    rng = random.Random(4)
    for facts in random_facts(300, seed=1):
        if facts.label is not None:
            assert has_position(write(facts, CANONICAL, rng))


def test_no_size_words_but_to_tell_objects_apart():
    rng = random.Random(5)
    for facts in random_facts(1000, seed=2):
        for style in STYLES:
            text = write(facts, style, rng)
            if re.search(r"\b(larg|small|big|tiny|huge)", text.lower()):
                assert facts.n_same > 1
                assert facts.size is not None


def test_words_of_every_direction_colour_and_texture():
    facts = random_facts(1)[0]
    for direction in (*DIRECTIONS, "at"):
        near = (Neighbour("left eye", direction, True),)
        assert "left eye" in write(dataclasses.replace(facts, near=near), CANONICAL, random.Random(0))
    for colour in COLOURS:
        for texture in TEXTURES:
            text = write(dataclasses.replace(facts, colours=(colour,), texture=texture), CANONICAL, random.Random(0))
            assert f"{colour}, {texture}" in text.lower()


@pytest.mark.parametrize(
    ("label", "part", "words"),
    [
        ("horse", "left front paw", "Its left front hoof"),
        ("dog", "left front paw", "Its left front paw"),
        ("person", "right wrist", "Their right wrist"),
        ("cow", "tailbase", "The base of its tail"),
        ("argali sheep", "root of tail", "The base of its tail"),
        ("dog", "left whisker", "Its left whisker"),
    ],
)
def test_parts_are_named_for_the_animal(label, part, words):
    item = dataclasses.replace(DOG, label=label)
    facts = point_facts(Scene((item,), (80, 100)), (0.5, 0.5), BROWN, 0, part)
    assert f". {words}, " in write(facts, CANONICAL, random.Random(0))


def test_unknown_style_raises():
    with pytest.raises(ValueError, match="style: 'telegram' is unknown; allowed"):
        write(random_facts(1)[0], "telegram", random.Random(0))


# real photos


@pytest.mark.parametrize(("name", "split", "longest"), [("animalpose", "val", 44), ("people", "val", 40)])
def test_texts_of_real_photos(name, split, longest):
    rng = random.Random(0)
    for row in load_keypoints(real(name), split).select(range(20)):
        scene, pixels = scene_of(row), np.asarray(row["image"].convert("RGB"))
        for index, item in enumerate(scene.objects):
            for keypoint in item.keypoints:
                facts = point_facts(scene, (keypoint.x, keypoint.y), pixels, index, keypoint.name)
                for style in ALL_STYLES:
                    assert not re.search(r"[0-9{}]|None", write(facts, style, rng))
                assert len(write(facts, CANONICAL, rng).split()) <= longest


def test_a_point_takes_well_under_a_millisecond():
    rng = random.Random(0)
    pixels = np.random.default_rng(0).integers(0, 256, (168, 224, 3), dtype=np.uint8)
    point_facts(ONE_DOG, (0.5, 0.5), pixels, 0)  # the colour table is built on first use
    durations = []
    for _ in range(50):
        start = time.perf_counter()
        write(point_facts(ONE_DOG, (0.74, 0.27), pixels, 0, "left ear"), "full", rng)
        durations.append(time.perf_counter() - start)
    assert sorted(durations)[25] < 0.7e-3
