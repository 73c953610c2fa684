from dataclasses import replace

import pytest

from talkingpoints.dataset_builder.checks.near_duplicates import NearDuplicates, shingles, similarity
from talkingpoints.dataset_builder.checks.text_checks import CHECKS, TextLimits, contradictions, text_problems
from talkingpoints.dataset_builder.points.preparation import PreparationOptions, prepare_photo
from talkingpoints.dataset_builder.texts.rule_texts import rule_texts
from talkingpoints.writer.facts import Neighbour
from talkingpoints.writer.styles import ALL_STYLES, FREE
from tests.helpers.drawn_cars import drawn_cars


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    parts = drawn_cars(tmp_path_factory.mktemp("cars"), n=8)
    return [task for part in parts for task in prepare_photo(part, PreparationOptions()).tasks]


@pytest.fixture
def task(tasks):
    """A point in the upper left of the hood, the hood on the left of a car in the upper right of the photo."""
    facts = replace(tasks[0].skeleton.facts, near=(Neighbour("front wheel", "left", True),))
    neighbours = (Neighbour("front door", "above left", True), Neighbour("front wheel", "right", True))
    skeleton = replace(tasks[0].skeleton, facts=facts, neighbours=neighbours)
    return replace(
        tasks[0],
        label="car",
        part="left hood",
        size=(100, 200),
        object_box=(120.0, 10.0, 190.0, 40.0),
        part_box=(125.0, 20.0, 145.0, 30.0),
        point_px=(128.0, 22.0),
        skeleton=skeleton,
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("**Location:** the hood of the car is red.", "format"),
        ('{"text": "the hood of the red car"}', "format"),
        ("Here is the merged description: the hood of the red car.", "format"),
        ("The hood of the car.<|im_end|> It is red.", "format"),
        ("Капот красной машины, the hood of the car.", "format"),
        ("# Point\nThe hood of the car.", "format"),
        ("I'm sorry, but I can't help with that.", "refusal"),
        ("As an AI language model I have no eyes.", "refusal"),
        ("The point on the hood cannot be determined from this.", "refusal"),
        ("The hood of the car, 12 pixels from its edge.", "numbers"),
        ("The hood of the car, twenty percent from its edge.", "numbers"),
        ("The hood of the car at these coordinates.", "numbers"),
        ("Hood.", "length"),
        ("The hood of the car is red and shiny. " * 20, "length"),
        ("A red ring marks the hood of the car.", "marker"),
        ("The cropped image shows the hood of a car.", "marker"),
        ("According to the notes it is the hood of a car.", "marker"),
        ("A car in the lower right of the photo. Its hood.", "contradiction"),
    ],
)
def test_what_is_flagged(task, text, problem):
    assert list(text_problems(text, task)) == [problem]


@pytest.mark.parametrize(
    "text",
    [
        "A red car in the upper right of the photo. Its left hood, on the left of the car; glossy, with a thin seam.",
        "On the hood, close to its upper left edge, where the paint is chipped - a faint scratch runs across it.",
        "The smooth, well-lit metal of the car's hood; I can see a reflection of the sky there.",
        "The ring-shaped emblem on the café's car, just above and left of the front door.",
    ],
)
def test_good_texts_pass(task, text):
    assert text_problems(text, task) == {}


@pytest.mark.parametrize(
    "text",
    [
        "A car at the bottom of the photo.",
        "On the left side of the image there is a car.",
        "The hood in the bottom left corner of the frame.",
        "It lies on the right of the car.",
        "It is on the right-hand side of the red car.",
        "In the lower right of the hood.",
        "Near the bottom edge of the hood.",
        "The rightmost part of the car.",
        "It is below the front door.",
        "It is just to the right of the front door.",
        "The car's right hood.",
    ],
)
def test_contradictions(task, text):
    assert len(contradictions(text, task)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "To the right of the car there is a tree.",  # beside it, not in it
        "The right front door is near.",  # another part's own side
        "It lies above the front door and left of the front door.",
        "In the centre of the photo.",  # not sure enough
        "On the right of the car's bumper.",  # of something else
        "The right hood and the left hood meet here.",
        "It is to the left of the front wheel and to the right of the front wheel.",  # there are two of them
        "Its right side is in the sun, the lower lip in the shade.",  # no frame
        "The top right of the photo; the left of the car; the upper left of the hood.",
    ],
)
def test_no_contradictions(task, text):
    assert contradictions(text, task) == []


def test_the_other_side_may_be_named_where_it_is_next_to_the_point(task):
    text = "The car's bonnet on the left, just above the right hood."
    assert contradictions(text, task) == ["right hood"]
    neighbours = (Neighbour("right hood", "above", True),)
    assert contradictions(text, replace(task, skeleton=replace(task.skeleton, neighbours=neighbours))) == []


def test_the_rule_based_writer_never_contradicts_its_skeleton_and_its_mirror_image_does(tasks):
    """Every style, against the point, and against the same point in the mirrored photo."""
    flagged, placed = 0, 0
    for task in tasks:
        styles = [style for style in ALL_STYLES if style != FREE]  # which speaks of marks, and makes things up
        texts = rule_texts(task, dict.fromkeys(styles, 1.0), 12, seed=0, spot=0.5)
        for style, text in [*texts, ("skeleton", task.skeleton.text)]:
            found = text_problems(text, task, TextLimits(2, 120))
            assert not found, (style, text, found)
            mirrored = _mirrored(task)
            told = abs(task.point_px[0] / task.size[1] - 0.5) > 0.3 and f"left {task.label}" not in text
            if style in ("full", "reordered", "canonical") and told:
                placed += 1
                flagged += bool(contradictions(text, mirrored))
    assert placed > 30 and flagged / placed > 0.8, (flagged, placed)


def _mirrored(task):
    width = task.size[1]

    def box(values):
        x0, y0, x1, y1 = values
        return (width - x1, y0, width - x0, y1)

    swap = {"left": "right", "right": "left"}
    near = tuple(
        replace(one, direction=" ".join(swap.get(word, word) for word in one.direction.split(" ")))
        for one in task.skeleton.neighbours
    )
    facts = replace(task.skeleton.facts, near=near)
    return replace(
        task,
        point_px=(width - task.point_px[0], task.point_px[1]),
        object_box=box(task.object_box),
        part_box=box(task.part_box),
        skeleton=replace(task.skeleton, facts=facts, neighbours=near),
    )


def test_limits():
    assert set(CHECKS) >= {"format", "refusal", "numbers", "length", "contradiction"}
    with pytest.raises(ValueError, match="min_words"):
        TextLimits(5, 4)


# Near-duplicates.


def test_similarity_by_hand():
    one, other = shingles("The red hood of a car"), shingles("the RED hood, of a bus!")
    assert one == {"the red hood", "red hood of", "hood of a", "of a car"}
    assert similarity(one, other) == pytest.approx(3 / 5)
    assert shingles("Hood, red") == {"hood red"}


def test_duplicates_in_a_photo_are_of_other_points(task):
    found = NearDuplicates(threshold=0.6)
    assert found.in_photo("p", "a", "The red hood of a car.") is None
    assert found.in_photo("p", "a", "The red hood of a car!") is None  # another text of the same point
    assert found.in_photo("p", "b", "the red hood of a bus") == "a"
    assert found.in_photo("p", "c", "a blue door of the bus") is None
    assert found.in_photo("q", "d", "The red hood of a car.") is None
    found.end_photo("p")
    assert found.in_photo("p", "e", "The red hood of a car.") is None
    with pytest.raises(ValueError, match="threshold"):
        NearDuplicates(1.5)


def test_duplicates_anywhere():
    found = NearDuplicates(threshold=0.85)
    words = "the smooth dark green paint of the front door catches a soft reflection of the sky near its handle"
    assert not found.anywhere("a", words)
    assert found.anywhere("b", words + " edge")
    assert not found.anywhere("c", "a worn silver wheel nut, slightly rusty, in the shadow of the arch above it")
    many = NearDuplicates(threshold=0.85)
    texts = [" ".join(f"{chr(97 + i // 26)}{chr(97 + i % 26)}{chr(97 + j)}" for j in range(15)) for i in range(300)]
    assert sum(many.anywhere(str(i), text) for i, text in enumerate(texts)) == 0
    assert all(many.anywhere(f"again {i}", text) for i, text in enumerate(texts))
    assert len(many._sketches) == 300  # what is there already is not kept again
