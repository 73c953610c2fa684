import json
from dataclasses import replace

import numpy as np
import pytest

from talkingpoints.data.readers.coco_panoptic import (
    Category,
    PanopticPhoto,
    PanopticPhotos,
    PanopticWriter,
    Segment,
    measured,
)
from talkingpoints.evaluation.metrics.panoptic_quality import PanopticEvaluation, overlaps, pairs_of

CATEGORIES = {
    1: Category(1, "dog", True),
    2: Category(2, "cat", True),
    3: Category(3, "grass", False),
    4: Category(4, "sky", False),
}


def photo_of(folder, image_id, ids, categories, crowds=(), scores=None, texts=None):
    """A photo whose segments have the categories of a dict; its PNG is written by `write`."""
    segments = tuple(
        measured(
            Segment(
                i, category, CATEGORIES[category].name, CATEGORIES[category].is_thing, i in crowds, (0, 0, 0, 0), 0,
                (texts or {}).get(i), (scores or {}).get(i),
            ),
            ids,
        )
        for i, category in categories.items()
    )  # fmt: skip
    name = f"{image_id:012d}.png"
    return PanopticPhoto(image_id, folder / name, folder / "maps" / name, ids.shape, segments)


def write(folder, photos, field="description"):
    """[(photo, ids)] -> the photos as read."""
    with PanopticWriter(folder / "a.json", CATEGORIES.values(), folder / "maps", field) as writer:
        for photo, ids in photos:
            writer.add(photo, ids)
    return PanopticPhotos(folder / "a.json", folder, folder / "maps")


def evaluated(tmp_path, truth, predicted):
    """Evaluate [(ids, categories, crowds)] against [(ids, categories)]."""
    one = [(photo_of(tmp_path / "t", n, ids, c, crowds), ids) for n, (ids, c, crowds) in enumerate(truth, 1)]
    other = [(photo_of(tmp_path / "p", n, ids, c), ids) for n, (ids, c) in enumerate(predicted, 1)]
    one, other = write(tmp_path / "t", one), write(tmp_path / "p", other, "caption")
    evaluation = PanopticEvaluation(one.categories)
    for a, b in pairs_of(one, other):
        evaluation.add(overlaps(a, b), a.image_id)
    return evaluation


def strip(*runs):
    """One row of pixels from (id, length) pairs."""
    return np.concatenate([np.full(length, i, dtype=np.int32) for i, length in runs])[None]


def test_perfect_and_hopeless(tmp_path):
    ids = strip((1, 10), (2, 20), (3, 30))
    perfect = evaluated(tmp_path / "a", [(ids, {1: 1, 2: 1, 3: 3}, ())], [(ids, {1: 1, 2: 1, 3: 3})])
    assert perfect.quality() == perfect.quality(False).__class__(1.0, 1.0, 1.0, 2) and perfect.coverage() == 1.0
    wrong = evaluated(tmp_path / "b", [(ids, {1: 1, 2: 1, 3: 3}, ())], [(ids, {1: 2, 2: 2, 3: 4})])
    assert wrong.quality().pq == wrong.quality().sq == wrong.quality().rq == 0.0 and wrong.quality().categories == 4
    assert wrong.coverage() == 0.0 and PanopticEvaluation(CATEGORIES).quality() is None


def test_by_hand(tmp_path):
    """Two dogs, one found with IoU 8/12, one missed; a dog made up; grass found with IoU 30/36."""
    truth = strip((1, 10), (2, 20), (3, 30), (4, 10))
    predicted = strip((7, 8), (8, 4), (9, 12), (5, 40), (6, 6))
    # Dog 1: pixels 0-9 against 7: 0-7 -> 8/10. Dog 2: 10-29 against 9: 12-23 -> 12/20 = 0.6, and 8: 8-11.
    result = evaluated(tmp_path, [(truth, {1: 1, 2: 1, 3: 3, 4: 4}, ())], [(predicted, {7: 1, 8: 1, 9: 1, 5: 3, 6: 4})])
    dog, grass, sky = result.counts[1], result.counts[3], result.counts[4]
    assert (dog.matched, dog.false_positives, dog.false_negatives) == (2, 1, 0)
    assert dog.iou == pytest.approx(0.8 + 0.6)
    assert grass.iou == pytest.approx(30 / 40) and sky.iou == pytest.approx(0.6)
    pq = (1.4 / 2.5 + 0.75 + 0.6) / 3
    assert result.quality().pq == pytest.approx(pq, abs=1e-12)
    assert result.quality(True).pq == pytest.approx(1.4 / 2.5) and result.quality(True).categories == 1
    assert result.quality(False).sq == pytest.approx((0.75 + 0.6) / 2) and result.quality(False).rq == 1.0
    assert result.coverage() == pytest.approx(4 / 5)


def test_just_half_is_no_match(tmp_path):
    result = evaluated(tmp_path, [(strip((1, 10), (3, 10)), {1: 1, 3: 3}, ())], [(strip((1, 20)), {1: 1})])
    assert result.counts[1].matched == 0 and result.counts[1].false_negatives == 1
    assert result.counts[1].false_positives == 1


def test_void_is_left_out(tmp_path):
    """Predicted pixels on void do not enlarge the union; a prediction mostly on void does not count."""
    truth = strip((1, 10), (0, 20), (3, 10))
    predicted = strip((1, 22), (2, 8), (3, 10))
    result = evaluated(tmp_path, [(truth, {1: 1, 3: 3}, ())], [(predicted, {1: 1, 2: 1, 3: 3})])
    assert result.counts[1].iou == pytest.approx(1.0)  # 10 / (22 + 10 - 10 - 12)
    assert (result.counts[1].matched, result.counts[1].false_positives) == (1, 0)


def test_crowds_are_neither_found_nor_missed(tmp_path):
    truth = strip((1, 20), (2, 10), (3, 10))
    found = {5: 1, 6: 1, 7: 2, 3: 3}
    predicted = strip((5, 10), (7, 10), (6, 10), (3, 10))
    result = evaluated(tmp_path, [(truth, {1: 1, 2: 1, 3: 3}, (1,))], [(predicted, found)])
    dog = result.counts[1]
    assert (dog.matched, dog.false_positives, dog.false_negatives) == (1, 0, 0)  # 5 lies on the crowd of dogs
    assert result.counts[2].false_positives == 1  # a cat on a crowd of dogs is made up


def random_scene(rng, with_crowd):
    """Blocks of segments with void between; (ids, categories, crowds)."""
    ids = np.zeros((24, 32), dtype=np.int32)
    categories = {}
    for number in range(1, rng.integers(4, 9)):
        y, x = rng.integers(0, 16), rng.integers(0, 24)
        ids[y : y + rng.integers(4, 16), x : x + rng.integers(4, 16)] = number * 257
        categories[number * 257] = int(rng.integers(1, 5))
    left = set(np.unique(ids).tolist()) - {0}
    categories = {i: c for i, c in categories.items() if i in left}
    crowds = {i for i in list(categories)[:2] if with_crowd and CATEGORIES[categories[i]].is_thing}
    return ids, categories, crowds


def shaken(rng, ids, categories):
    """A prediction: the scene moved by a few pixels, some segments with another category or gone."""
    moved = np.roll(ids, (rng.integers(-2, 3), rng.integers(-2, 3)), axis=(0, 1))
    changed = {i: int(rng.integers(1, 5)) if rng.random() < 0.2 else c for i, c in categories.items()}
    for i in list(changed):
        if rng.random() < 0.15:
            moved[moved == i] = 0
    return moved, {i: c for i, c in changed.items() if (moved == i).any()}


def test_agrees_with_panopticapi(tmp_path):
    reference = pytest.importorskip("panopticapi.evaluation", reason="panopticapi is not installed")
    rng = np.random.default_rng(0)
    truth = [random_scene(rng, number % 2 == 0) for number in range(60)]
    predicted = [shaken(rng, ids, categories) for ids, categories, _ in truth]
    ours = evaluated(tmp_path, truth, predicted)
    one, other = (json.loads((tmp_path / name / "a.json").read_text()) for name in ("t", "p"))
    categories = {c["id"]: c for c in one["categories"]}
    pairs = list(zip(one["annotations"], other["annotations"], strict=True))
    sums = reference.pq_compute_single_core(0, pairs, str(tmp_path / "t/maps"), str(tmp_path / "p/maps"), categories)
    for things in (None, True, False):
        theirs, _ = sums.pq_average(categories, isthing=things)
        mine = ours.quality(things)
        assert (mine.pq, mine.sq, mine.rq) == pytest.approx((theirs["pq"], theirs["sq"], theirs["rq"]), abs=1e-6)
        assert mine.categories == theirs["n"] and 0.1 < mine.pq < 0.9
    # The cases are in there: crowds, void under predictions, and predictions left out for them.
    assert any(crowds for _, _, crowds in truth) and any((ids == 0).any() for ids, _, _ in truth)


def test_agrees_with_an_independent_sum(tmp_path):
    """The definition written down anew, pixel sets and all, on scenes with void and crowds."""
    rng = np.random.default_rng(1)
    truth = [random_scene(rng, True) for _ in range(12)]
    predicted = [shaken(rng, ids, categories) for ids, categories, _ in truth]
    ours = evaluated(tmp_path, truth, predicted)
    sums = {category: [0, 0, 0, 0.0] for category in CATEGORIES}
    for (ids, categories, crowds), (other, guesses) in zip(truth, predicted, strict=True):
        matched = set()
        for i, category in categories.items():
            if i in crowds:
                continue
            best = 0.0
            for j, guess in guesses.items():
                one, two = ids == i, (other == j) & ((ids != 0) | (ids == i))
                iou = (one & two).sum() / (one | two).sum()
                if guess == category and iou > 0.5:
                    best = iou
                    matched.add(j)
            sums[category][0 if best else 2] += 1
            sums[category][3] += best
        for j, guess in guesses.items():
            if j in matched:
                continue
            last = [i for i in categories if i in crowds and categories[i] == guess][-1:]
            ignored = (ids == 0) | np.isin(ids, last)
            sums[guess][1] += not ignored[other == j].mean() > 0.5
    for category, (tp, fp, fn, iou) in sums.items():
        counts = ours.counts[category]
        assert (counts.matched, counts.false_positives, counts.false_negatives) == (tp, fp, fn)
        assert counts.iou == pytest.approx(iou, abs=1e-9)


def test_what_does_not_fit_is_refused(tmp_path):
    ids = strip((1, 4))
    one = write(tmp_path / "t", [(photo_of(tmp_path / "t", 1, ids, {1: 1}), ids)])
    other = write(tmp_path / "p", [(photo_of(tmp_path / "p", 2, ids, {1: 1}), ids)])
    with pytest.raises(ValueError, match="no prediction for image 1"):
        list(pairs_of(one, other))
    with pytest.raises(ValueError, match="image 1, predicted of image 2"):
        overlaps(one[0], other[0])
    with pytest.raises(ValueError, match="height, width"):
        wide = strip((1, 5))
        again = write(tmp_path / "q", [(photo_of(tmp_path / "q", 1, wide, {1: 1}), wide)])
        overlaps(one[0], again[0])
    foreign = replace(one[0], segments=(replace(one[0].segments[0], category_id=9),))
    with pytest.raises(ValueError, match="category 9"):
        PanopticEvaluation(CATEGORIES).add(overlaps(one[0], foreign), 1)
