"""The bundled pair on real photos: it must look, and the loop must close."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from talkingpoints import TalkingPoints
from talkingpoints.data import load_keypoints, scene_of
from talkingpoints.inference import CHECKPOINTS
from talkingpoints.points import to_pixels

pytestmark = pytest.mark.skipif(not CHECKPOINTS.is_dir(), reason="no bundled checkpoints in this tree")

PHOTOS = 24


@pytest.fixture(scope="module")
def tp() -> TalkingPoints:
    return TalkingPoints.from_pretrained()


@pytest.fixture(scope="module")
def cases(data_root: Path) -> list[tuple[Image.Image, str, list[tuple[float, float]]]]:
    """Val photos of one large animal each: the photo, its label, its keypoints in pixels."""
    found = []
    for row in load_keypoints(data_root / "animalpose", "val"):
        scene = scene_of(row)
        item = scene.objects[0]
        x0, y0, x1, y1 = item.box
        if len(scene.objects) == 1 and (x1 - x0) * (y1 - y0) > 0.15 and len(item.keypoints) >= 6:
            points = [tuple(to_pixels((k.x, k.y), scene.size)) for k in item.keypoints[:6]]
            found.append((row["image"].convert("RGB"), item.label, points))
        if len(found) == PHOTOS:
            return found
    raise AssertionError("the val split has too few photos of one large animal")


def test_sizes_are_within_bounds() -> None:
    assert sum(path.stat().st_size for path in CHECKPOINTS.rglob("*") if path.is_file()) <= 20 * 2**20
    for role in ("descriptor", "localizer"):
        assert "Limits" in (CHECKPOINTS / role / "README.md").read_text(encoding="utf-8")


def test_descriptions_name_the_animal_and_are_found_again(tp: TalkingPoints, cases) -> None:
    named, errors, centre = [], [], []
    for image, label, points in cases:
        descriptions = tp.describe(image, points)
        named += [label in d.text.lower() for d in descriptions]
        found = tp.localize(image, [d.text for d in descriptions])
        errors += [tp.measure(d, f).error_img for d, f in zip(descriptions, found, strict=True)]
        centre += [np.hypot(d.point.unit[0] - 0.5, d.point.unit[1] - 0.5) for d in descriptions]
    assert np.mean(named) > 0.6
    assert np.mean(np.array(errors) < 0.1) > 0.5
    assert np.median(errors) < 0.5 * np.median(centre)


def test_it_looks_and_does_not_only_read(tp: TalkingPoints, cases) -> None:
    """The same words are found at the mirrored place in the mirrored photo."""
    moved = []
    for image, label, _ in cases:
        there = tp.localize(image, f"the {label}'s nose")
        mirrored = tp.localize(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), f"the {label}'s nose")
        moved.append(np.hypot(1 - mirrored.unit[0] - there.unit[0], mirrored.unit[1] - there.unit[1]))
    assert np.median(moved) < 0.1


def test_other_animals_are_not_there(tp: TalkingPoints, cases) -> None:
    present, absent = [], []
    for image, label, _ in cases:
        present.append(tp.localize(image, f"A {label} in the centre of the photo. Its nose.").presence)
        absent.append(tp.localize(image, "A person in the centre of the photo. Their nose.").presence)
    assert np.mean(present) > np.mean(absent) + 0.2


def test_presence_of_nothing_is_a_number_on_any_photo(tp: TalkingPoints) -> None:
    for size in ((1, 1), (3000, 40), (40, 3000)):
        there = tp.localize(Image.new("RGB", size, "gray"), "the dog's left ear 🐕 אוזן")
        assert 0 <= there.presence <= 1 and 0 <= there.x <= size[0] and 0 <= there.y <= size[1]
        assert isinstance(tp.describe(Image.new("RGB", size), (size[0] / 2, size[1] / 2)).text, str)
