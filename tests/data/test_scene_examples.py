"""Training examples of scenes: the same by index, refused where held out, with targets that fit the points."""

import numpy as np
import pytest

from talkingpoints.data.examples.augmentation import Augmentation
from talkingpoints.data.examples.scene_examples import IGNORED, SceneExamples, SceneOptions, scene_mixture
from talkingpoints.data.scenes.scene_sets import load_scenes
from talkingpoints.writer.fluent.lexicon import lexicon
from tests.data.test_scenes import SQUARE, coco

CAR = [{"category_id": 1, "bbox": [10, 10, 20, 20], "segmentation": SQUARE}]
BIRD = {"category_id": 1, "bbox": [10, 10, 60, 40], "keypoints": [20, 15, 2, 0, 0, 0, 60, 45, 2, 40, 30, 2]}
NAMES = {"name": "bird", "keypoints": ["left eye", "right eye", "tail", "back"]}


@pytest.fixture
def data(tmp_path):
    coco(tmp_path / "birds", [NAMES], [BIRD])
    coco(tmp_path / "carparts", ["wheel"], CAR)
    return tmp_path


def test_example_is_a_function_of_its_index(data):
    options = SceneOptions(
        4, {"typed": 1.0, "fluent": 1.0}, augmentation=Augmentation(), tiers={1: 0.2, 2: 0.2, 4: 0.2}
    )
    examples = SceneExamples(load_scenes(data, "birds", "train"), options, passes=40)
    assert len(examples) == 40
    seen = [examples[i] for i in (7, 3, 7)]
    assert seen[0]["texts"] == seen[2]["texts"] and seen[0]["texts"] != seen[1]["texts"]
    assert np.array_equal(seen[0]["points"], seen[2]["points"])
    absent = [e for e in map(examples.__getitem__, range(40)) if not e["presence"].all()]
    assert len(absent) > 10


def test_targets_are_what_is_at_the_point(data):
    example = SceneExamples(load_scenes(data, "birds", "train"), SceneOptions(30))[0]
    words = lexicon()
    for seen, kind, part, side in zip(
        example["observed"], example["kinds"], example["parts"], example["sides"], strict=True
    ):
        assert kind == words.kind_ids[seen.kind] and part == words.part_ids[seen.part]
        if seen.part is not None:
            assert side == {None: 0, "left": 1, "right": 2}[seen.side]
        elif seen.kind is not None:
            assert side == IGNORED
    assert {seen.kind for seen in example["observed"]} >= {"bird"} and example["points"].dtype == np.float32


def test_mixture_draws_by_weight_and_refuses_what_is_held_out(data, tmp_path):
    options = SceneOptions(2)
    mixed = scene_mixture(data, "train", options, 60, {"birds": 3, "carparts": 1}, cache=tmp_path / "cache")
    kinds = [mixed[i]["kinds"][0] == lexicon().kind_ids["car"] for i in range(60)]
    assert 5 <= sum(kinds) <= 25
    again = scene_mixture(data, "train", options, 60, {"birds": 3, "carparts": 1}, cache=tmp_path / "cache")
    assert again[11]["texts"] == mixed[11]["texts"]
    with pytest.raises(ValueError, match="bees is held out"):
        scene_mixture(data, "train", options, 10, {"bees": 1})
    coco(tmp_path / "wildlife_boxes", ["raccoon"], [{"category_id": 1, "bbox": [10, 10, 20, 20]}])
    with pytest.raises(ValueError, match="raccoon: held out, never trained on"):
        SceneExamples(load_scenes(tmp_path, "wildlife_boxes", "train"), options)


@pytest.mark.parametrize(
    "wrong, message",
    [({"styles": {"long": 1.0}}, "long; allowed"), ({"tiers": {7: 0.1}}, "7; allowed"),
     ({"anywhere": 0.9, "nothing": 0.2}, "at most 1"), ({"styles": {"plain": 0.0}}, "one must be above 0")],
)  # fmt: skip
def test_wrong_options_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        SceneOptions(**wrong)
