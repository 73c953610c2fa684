"""What a description is worth: by hand, and against the writer's own mirrored and varied texts."""

from pathlib import Path

import numpy as np
import pytest
import torch

from talkingpoints import TalkingPoints
from talkingpoints.data.readers.coco_keypoints import load_keypoints
from talkingpoints.writer.facts import point_facts
from talkingpoints.writer.scene import Keypoint, Scene, SceneObject, scene_of
from talkingpoints.writer.styles import CANONICAL, write
from tests.helpers.drawn import drawn_dataset
from tests.helpers.tiny import photo, tiny_descriptor, tiny_localizer
from training.grpo import rewards
from training.grpo.listeners import FluencyJudge, Listener


def test_the_papers_reward_by_hand() -> None:
    found, truth = [[0.5, 0.5], [0.0, 0.0], [np.nan, np.nan]], [[0.2, 0.1], [1.0, 1.0], [0.5, 0.5]]
    np.testing.assert_allclose(rewards.negative_mse(found, truth), [-0.25, -2.0, rewards.WORST_MSE])


def test_distances_in_shares_of_the_box() -> None:
    """A photo 200 px wide and 100 px high, a box of 100 x 40 px: 30 px across and 40 px down are half a box."""
    boxes, sizes = [[0.1, 0.1, 0.6, 0.5]] * 2, [[100, 200]] * 2
    found = [[0.35, 0.6], [np.nan, np.nan]]
    np.testing.assert_allclose(rewards.box_distances(found, [[0.2, 0.2]] * 2, boxes, sizes), [0.5, np.inf])
    with pytest.raises(ValueError, match=r"must not be empty, got \[0.1, 0.1, 0.1, 0.1\]"):
        rewards.box_distances([[0, 0]], [[0, 0]], [[0.1, 0.1, 0.1, 0.1]], [[9, 9]])


def test_the_shaped_reward() -> None:
    near = rewards.closeness([0.0, 0.1, 0.2, 0.6, np.inf], [0.1] * 5, tail=0.3)
    assert near[0] == 1 and near[-1] == 0 and (np.diff(near) < 0).all()
    assert near[1] == pytest.approx(0.7 * np.exp(-0.5) + 0.3 * np.exp(-1 / 18))
    assert (rewards.closeness([0.2], [0.2]) > rewards.closeness([0.2], [0.1])).all()  # a wide part asks for less
    assert rewards.closeness([0.4], [0.1], tail=0.0)[0] < 1e-3 < near[3]  # only the tail tells far from farther
    with pytest.raises(ValueError, match="widths above 0"):
        rewards.closeness([0.1], [0.0])
    with pytest.raises(ValueError, match="tail"):
        rewards.closeness([0.1], [0.1], tail=1.5)


def test_widths_come_from_the_distance_to_the_nearest_part() -> None:
    """A box of 100 px: eyes 20 px apart, the tail 70 px from the nearest eye."""
    points = (Keypoint("left eye", 0.1, 0.5), Keypoint("right eye", 0.2, 0.5), Keypoint("tailbase", 0.55, 0.5))
    scene = Scene((SceneObject("dog", (0.0, 0.0, 0.5, 1.0), points),), (100, 200))
    widths = rewards.part_widths([scene], scale=0.5)
    assert widths == pytest.approx({"eye": 0.1, "tailbase": 0.25, "": 0.175})  # 0.35 is cut off at 0.25
    assert rewards.width_of("right eye", widths) == 0.1 and rewards.width_of("hoof", widths) == widths[""]
    assert rewards.part_widths([scene], scale=0.1)["eye"] == 0.05
    with pytest.raises(ValueError, match="no object of the photos has two keypoints"):
        rewards.part_widths([Scene((SceneObject("dog", (0, 0, 1, 1), points[:1]),), (9, 9))])


@pytest.mark.parametrize(
    "text",
    ["at (12, 30)", "40% from the left", "x = a bit", "forty percent", "<loc_0512>", "twenty-three steps down",
     "at zero point four", "nought, point five", "a few pixels above", "½ of the way", "٣ steps", "on the x-axis"],
)  # fmt: skip
def test_numbers_and_coordinates_are_found(text: str) -> None:
    assert rewards.has_coordinates(text) and not rewards.is_fair(f"The left ear of the dog, {text}")


def test_the_writers_texts_are_fair(tmp_path: Path) -> None:
    for text in written(tmp_path):
        assert rewards.is_fair(text), text
    assert not rewards.has_coordinates("The left one of two dogs, third from the right; the point is there.")
    assert not rewards.is_fair("An ear") and not rewards.is_fair("very " * 61) and not rewards.is_fair("")


def test_distinct_2_by_hand() -> None:
    assert rewards.distinct_2(["a b a b", "A b"]) == 0.5  # ab, ba, ab, ab: two of four
    assert rewards.distinct_2(["one", ""]) == 0.0


def test_rarity_by_hand() -> None:
    """Two texts hold "a b", one "b c"."""
    assert rewards.rarity(["a b c", "A b a b", "", "d e"]) == pytest.approx([0.75, 0.75, 0.0, 1.0])


def written(folder: Path, flipped: bool = False) -> list[str]:
    """Canonical texts of every drawn keypoint, of the photos or of their mirror images, in the same order."""
    rows = load_keypoints(drawn_dataset(folder / "drawn", n=6), "train")
    texts = []
    for row in rows:
        scene, pixels = scene_of(row), np.asarray(row["image"].convert("RGB"))
        if flipped:
            scene, pixels = scene.flipped(), pixels[:, ::-1]
        for index, item in enumerate(scene.objects):
            for keypoint in item.keypoints:
                facts = point_facts(scene, (keypoint.x, keypoint.y), pixels, index, keypoint.name)
                texts.append(write(facts, CANONICAL, None))
    return texts


def test_mirrored_words_are_those_of_the_mirrored_photo(tmp_path: Path) -> None:
    plain, flipped = written(tmp_path), written(tmp_path, flipped=True)
    mirrored = [rewards.mirrored_words(text) for text in plain]
    assert [rewards.mirrored_words(text) for text in mirrored] == plain
    same = np.mean([one == other for one, other in zip(mirrored, flipped, strict=True)])
    assert same > 0.85  # the rest lies on a border between two places, or between two neighbours
    assert np.mean([one == other for one, other in zip(plain, flipped, strict=True)]) < 0.1


def test_mirrored_words_leave_adverbs_alone() -> None:
    text = "Its left ear, far right, right at the top; the leftmost, right-hand one on the right at the back. Right?"
    assert rewards.mirrored_words(text) == (
        "Its right ear, far left, right at the top; the rightmost, left-hand one on the left at the back. Left?"
    )


def test_paraphrases_change_words_and_keep_facts(tmp_path: Path) -> None:
    assert rewards.paraphrased("A dog in the centre of the photo. Its nose, just above the throat. Grey, smooth.") == (
        "A dog in the middle of the picture. Its nose, just over the throat. Gray, plain."
    )
    for text in written(tmp_path):
        other = rewards.paraphrased(text)
        assert other != text and other.count("left") == text.count("left") and other[0].isupper()


PHOTOS = [photo(seed=1), photo(80, 90, seed=2)]
TEXTS = ["the left ear of the dog", "the nose", "its tail, far right"]


def test_a_listener_finds_what_localize_finds(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three texts about two photos in one pass; the photos are encoded once, also for later calls."""
    model, processor = tiny_localizer(base, share_image_prefix=True)
    pair = TalkingPoints(*tiny_descriptor(base), model, processor)
    listener = Listener(model, processor)
    photos, keys = [PHOTOS[0], PHOTOS[1], PHOTOS[0]], ["first", "second", "first"]
    encoded: list[int] = []
    encode = model.encode_images
    for _ in range(2):
        with monkeypatch.context() as patch:
            patch.setattr(model, "encode_images", lambda **i: encoded.append(len(i["pixel_values"])) or encode(**i))
            found = listener.find(photos, keys, TEXTS)
        expected = [pair.localize(image, text).unit for image, text in zip(photos, TEXTS, strict=True)]
        np.testing.assert_allclose(found, expected, atol=1e-4)
    assert encoded == [2]
    assert np.isnan(listener.find(photos, keys, ["", "the nose", " "])[[0, 2]]).all()
    with pytest.raises(ValueError, match="view must be one of"):
        listener.find(photos, keys, TEXTS, "backwards")


def test_the_mirrored_view_is_of_the_mirrored_photo(base: Path) -> None:
    model, processor = tiny_localizer(base, share_image_prefix=True)
    listener = Listener(model, processor)
    found = listener.find(PHOTOS[:1], ["first"], TEXTS[:1], "mirrored")[0]
    turned = TalkingPoints(*tiny_descriptor(base), model, processor).localize(
        PHOTOS[0].transpose(0), "the right ear of the dog"
    )
    np.testing.assert_allclose(found, [1 - turned.unit[0], turned.unit[1]], atol=1e-4)
    assert not np.allclose(found, listener.find(PHOTOS[:1], ["first"], TEXTS[:1])[0], atol=1e-3)


def test_features_are_forgotten_when_there_are_too_many(base: Path) -> None:
    listener = Listener(*tiny_localizer(base), capacity=1)
    listener.find(PHOTOS, ["first", "second"], TEXTS[:2])
    assert list(listener.photos._kept) == [("second", False)]


@pytest.mark.parametrize("share", [True, False])
def test_fluency_is_the_mean_log_likelihood(share: bool, base: Path) -> None:
    model, processor = tiny_descriptor(base, share_image_prefix=share)
    judge = FluencyJudge(model, processor)
    photos, keys, points = [PHOTOS[0], PHOTOS[1], PHOTOS[0]], [0, 1, 0], [(0.2, 0.3), (0.5, 0.5), (0.9, 0.8)]
    scores = judge.score(photos, keys, points, TEXTS)
    for i in range(3):
        inputs = processor(images=[photos[i]], points=[[points[i]]], answers=[[TEXTS[i]]])
        with torch.inference_mode():
            assert scores[i] == pytest.approx(-model(**inputs).loss.item(), abs=1e-3)
    elsewhere = judge.score(photos[1:2] * 3, [1, 1, 1], points, TEXTS)
    assert abs(elsewhere[0] - scores[0]) > 1e-3  # it looks at the photo
    moved = judge.score(photos, keys, points[::-1], TEXTS)
    assert abs(moved[0] - scores[0]) > 1e-3  # and at the point
