"""Absent texts in four tiers, operating points, calibration, variants, and the measurement that goes on when cut."""

import json
import random
from dataclasses import dataclass

import numpy as np
import pytest

from talkingpoints.evaluation.truth import measure, refusal
from talkingpoints.evaluation.truth.annotations import read_photos
from talkingpoints.evaluation.truth.places import places_of
from talkingpoints.evaluation.truth.refusal import Heard
from talkingpoints.evaluation.truth.texts import KNOWN, absent_texts, present_texts
from talkingpoints.evaluation.truth.variants import variants
from talkingpoints.evaluation.truth.vocabulary import HELD_OUT
from tests.helpers.drawn import drawn_dataset
from training.evaluate_truth import format_tables


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return read_photos(drawn_dataset(tmp_path_factory.mktemp("drawn"), n=6), "test")


def heard(tier, presence, error=np.nan, photo="a", held_out=False):
    return Heard(photo, tier, presence, 0.9, error, held_out)


def test_figures_by_hand():
    rows = [heard(0, 0.9, 0.01), heard(0, 0.8, 0.3, "b"), heard(1, 0.7, photo="b"), heard(3, 0.1, photo="c")]
    found = refusal.refusal_figures(rows, 0.5)
    assert found["t_acc"]["mean"] == 100 and found["n_acc"]["1"]["mean"] == 0 and found["n_acc"]["3"]["mean"] == 100
    assert found["n_acc"]["2"] is None and found["n_acc"]["all"]["mean"] == 50
    assert found["f1"] == pytest.approx(50.0)  # one right; one wrong, which is missed too
    assert found["mcc"] == pytest.approx(100 * 2 / (3 * 2 * 2 * 1) ** 0.5)
    assert found["point_cgf1"] == pytest.approx(found["f1"] * found["mcc"] / 100)
    assert refusal.refusal_figures([heard(0, 0.9, 0.0)], 0.5)["point_cgf1"] is None


def test_a_perfect_and_a_hopeless_listener():
    present = [heard(0, 0.9, 0.0, str(i)) for i in range(20)]
    absent = [heard(2, 0.1, photo=str(i)) for i in range(20)]
    assert refusal.refusal_figures(present + absent, 0.5)["point_cgf1"] == 100
    always = [heard(2, 0.9, photo=str(i)) for i in range(20)]
    assert refusal.refusal_figures(present + always, 0.5)["point_cgf1"] == 0


def test_operating_points_are_chosen_with_a_bound():
    present = [heard(0, 0.6 + i / 1000, 0.0) for i in range(100)]
    absent = [heard(1, i / 1000) for i in range(200)]
    points = refusal.operating_points(present + absent)
    assert 0.199 < points["balanced"] <= 0.6
    passing = sum(row.presence >= points["careful"] for row in absent)
    assert refusal.upper_bound(passing, 200) <= 0.05 < refusal.upper_bound(passing + 2, 200)
    assert refusal.operating_points(present + absent[:20])["careful"] > 0.6 or refusal.upper_bound(0, 20) > 0.05
    assert refusal.upper_bound(0, 59) < 0.05 < refusal.upper_bound(0, 57)  # the rule of three
    with pytest.raises(ValueError, match="held-out"):
        refusal.operating_points([*present, heard(2, 0.5, held_out=True)])
    with pytest.raises(ValueError, match="100 present of 100"):
        refusal.operating_points(present)


def test_calibration():
    sure = [Heard("a", 0, 0.9, 1.0, 0.0) for _ in range(5)] + [Heard("a", 0, 0.9, 1.0, 0.5) for _ in range(5)]
    assert refusal.calibration(sure) == {"confidence": pytest.approx(0.5), "presence": None}


def test_absent_texts_speak_of_nothing_in_the_photo(photos):
    rng, tiers = random.Random(0), set()
    for photo in photos:
        shown = photo.kinds()
        for text in absent_texts(photo, rng, held_out=False):
            tiers.add((text.tier, text.variety))
            assert not text.held_out and not any(kind in text.text for kind in HELD_OUT)
            if text.tier == 1:
                assert not any(f"the {kind}" in text.text for kind in shown)
            if text.tier >= 3:
                assert any(kind in text.text for kind in shown)
        held = [t for _ in range(20) for t in absent_texts(photo, rng, held_out=True) if t.held_out]
        assert held and all(t.tier == 2 for t in held)
        for text, _ in present_texts(photo, places_of(photo, rng, 3)):
            assert any(kind in text.lower() for kind in shown)
    assert {tier for tier, _ in tiers} == {1, 2, 3, 4} and {(2, "nonsense"), (4, "colour")} <= tiers


def test_variants_keep_their_words():
    text = "A dog in the centre of the photo. Its left ear, far right, top of the dog. Dark brown, smooth."
    made = variants(text)
    assert len(made) == 10 and len({text, *made.values()}) == 11 and made == variants(text)
    assert made["capitals"] == text.upper() and made["question"].endswith("?")
    assert sorted(made["swapped_letters"]) == sorted(text) and len(made["dropped_letter"]) < len(text)
    for name in ("swapped_letters", "dropped_letter", "word_order"):
        assert "left" in made[name] and "right" in made[name]
    assert made["word_order"].startswith("Dark brown, smooth.")


@dataclass
class Answer:
    text: str = ""
    unit: tuple[float, float] = (0.5, 0.5)
    presence: float = 0.9
    confidence: float = 0.5


class Pair:
    """Calls everything a dog, finds everything in the middle."""

    def __init__(self):
        self.calls = 0

    def describe(self, image, points):
        self.calls += 1
        return [
            Answer("A dog in the centre of the photo. Its nose, left, top of the dog. Black, smooth.") for _ in points
        ]

    def localize(self, image, texts):
        return [Answer() for _ in texts]


def test_a_cut_measurement_goes_on(photos, tmp_path):
    file, pair, asking = tmp_path / "work" / "set.jsonl", Pair(), measure.Asking(points=2)
    whole = measure.measure(pair, photos, asking, file)
    lines = file.read_text().split("\n")
    file.write_text("\n".join(lines[:3]) + '\n{"photo": "cu')
    pair.calls = 0
    again = measure.measure(pair, photos, asking, file)
    assert 0 < pair.calls < 3 * len(photos)
    assert [record["photo"] for record in again] == [record["photo"] for record in whole]
    assert len(file.read_text().split("\n")) == len(photos) + 2
    with pytest.raises(ValueError, match="another question"):
        measure.measure(pair, photos, measure.Asking(points=1), file)


def test_summary_of_a_pair_that_always_says_dog(photos):
    records = measure.measure(Pair(), photos, measure.Asking(points=3))
    found = measure.summary(records, {"default": 0.5, "careful": 0.95})
    dogs = found["by_kind"].get("dog", {"n": 0})["n"]
    assert found["truth"]["descriptor"]["precision"]["object"]["mean"] == pytest.approx(
        100 * dogs / found["truth"]["descriptor"]["n_texts"]
    )
    assert found["truth"]["reference"]["all_true"]["mean"] == 100
    assert found["truth"]["flipped_kind"]["precision"]["object"]["mean"] == 0
    assert found["truth"]["flipped_kind"]["all_true"]["mean"] == 0
    assert found["kinds_said"]["known"]["named"] == 100 and set(KNOWN) >= set(found["by_kind"]) - {"animal"}
    assert found["refusal"]["careful"]["all"]["t_acc"]["mean"] == 0
    assert found["refusal"]["default"]["all"]["mcc"] == 0
    json.dumps(found, allow_nan=False)
    report = {"sets": {"drawn": found}, "all": found}
    assert "| drawn |" in format_tables(report) and "point-cgF1" in format_tables(report)
