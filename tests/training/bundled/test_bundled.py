"""The bundled pair on real photos: it must look, and the loop must close."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from talkingpoints import RoundTrip, TalkingPoints
from talkingpoints.data.readers.coco_keypoints import load_keypoints
from talkingpoints.inference import CHECKPOINTS
from talkingpoints.points import to_pixels
from talkingpoints.writer.scene import scene_of

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
    assert sum(path.stat().st_size for path in CHECKPOINTS.rglob("*") if path.is_file()) <= 24 * 2**20
    for role in ("descriptor", "localizer"):
        assert "Limits" in (CHECKPOINTS / role / "README.md").read_text(encoding="utf-8")


def test_descriptions_name_the_animal_and_are_found_again(tp: TalkingPoints, cases) -> None:
    named, errors, centre = [], [], []
    for image, label, points in cases:
        descriptions = tp.describe(image, points)
        named += [label in d.text.lower() for d in descriptions]
        found = tp.localize(image, [d.text for d in descriptions])
        errors += [RoundTrip.of(d, f).error_img for d, f in zip(descriptions, found, strict=True)]
        centre += [np.hypot(d.point.unit[0] - 0.5, d.point.unit[1] - 0.5) for d in descriptions]
    assert np.mean(named) > 0.6
    assert np.mean(np.array(errors) < 0.1) > 0.5
    assert np.median(errors) < 0.5 * np.median(centre)


def test_it_looks_and_does_not_only_read(tp: TalkingPoints, cases) -> None:
    """Words without any place lead near the keypoint in its photo, and not near it in a photo of one colour."""
    seen, blank = [], []
    for image, label, points in cases:
        text = f"the {label}'s nose"
        nearest = [
            min(np.hypot(there.x - x, there.y - y) for x, y in points) / max(image.size)
            for there in (tp.localize(image, text), tp.localize(Image.new("RGB", image.size, "gray"), text))
        ]
        seen.append(nearest[0])
        blank.append(nearest[1])
    assert np.median(seen) < 0.5 * np.median(blank)


def test_words_about_another_animal_are_less_present(tp: TalkingPoints, cases) -> None:
    others = {"dog": "sheep", "cat": "horse", "sheep": "cat", "horse": "cat", "cow": "cat"}
    lower = []
    for image, label, _ in cases:
        texts = [f"A {name} in the centre of the photo. Its nose." for name in (label, others[label])]
        present, absent = tp.localize(image, texts)
        lower.append(absent.presence < present.presence)
    assert np.mean(lower) > 0.85


def test_presence_of_nothing_is_a_number_on_any_photo(tp: TalkingPoints) -> None:
    for size in ((1, 1), (3000, 40), (40, 3000)):
        there = tp.localize(Image.new("RGB", size, "gray"), "the dog's left ear 🐕 אוזן")
        assert 0 <= there.presence <= 1 and 0 <= there.x <= size[0] and 0 <= there.y <= size[1]
        assert isinstance(tp.describe(Image.new("RGB", size), (size[0] / 2, size[1] / 2)).text, str)
