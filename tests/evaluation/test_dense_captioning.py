"""The two modes of the dense-captioning measure; every defect of the public evaluator has a test that shows it."""

import numpy as np
import pytest

from talkingpoints.data.readers.coco_panoptic import Segment
from talkingpoints.evaluation.metrics.dense_captioning import IOUS, METEORS, dense_captioning
from talkingpoints.evaluation.metrics.panoptic_quality import Overlaps
from talkingpoints.evaluation.metrics.word_meteor import NoSynonyms, WordMeteor


def photo(truth, predicted):
    """A row of pixels with [(start, end, category, text)] and [(start, end, category, text, score)]."""
    one, other = np.zeros(200, dtype=int), np.zeros(200, dtype=int)
    segments, guesses = {}, {}
    for i, (start, end, category, text, *crowd) in enumerate(truth, 1):
        one[start:end] = i
        box = (float(start), 0.0, float(end), 1.0)
        segments[i] = Segment(i, category, "c", True, bool(crowd), box, end - start, text)
    for i, (start, end, category, text, *score) in enumerate(predicted, 1):
        other[start:end] = i
        box = (float(start), 0.0, float(end), 1.0)
        guesses[i] = Segment(i, category, "c", True, False, box, end - start, text, score[0] if score else None)
    shared: dict[tuple[int, int], int] = {}
    for pair in zip(one.tolist(), other.tolist(), strict=True):
        shared[pair] = shared.get(pair, 0) + 1
    areas = {i: int((other == i).sum()) for i in guesses}
    return Overlaps(segments, guesses, shared, areas)


def equal_words(references, candidates):
    """A stand-in for METEOR: whether the candidate is one of the references."""
    return [float(candidate in texts) for texts, candidate in zip(references, candidates, strict=True)]


FOUND = photo([(0, 40, 1, "a dog"), (40, 90, 2, "a cat")], [(0, 40, 1, "a dog", 0.9), (40, 90, 2, "a cat", 0.8)])


def test_perfect_and_hopeless():
    perfect = dense_captioning([FOUND, FOUND], "corrected", equal_words)
    assert perfect.map == perfect.detection == 1.0 and len(perfect.by_threshold) == len(IOUS) * (len(METEORS) + 1)
    silent = photo([(0, 40, 1, "a dog")], [(0, 40, 1, "a horse", 0.9)])
    assert dense_captioning([silent], "corrected", equal_words).map == 0.0
    assert dense_captioning([silent], "corrected", equal_words).detection == 1.0
    other = photo([(0, 40, 1, "a dog")], [(0, 40, 2, "a dog", 0.9)])
    assert dense_captioning([other], "corrected", equal_words).detection == 0.0
    empty = photo([(0, 40, 1, "a dog")], [])
    for mode in ("released", "corrected"):
        assert dense_captioning([empty], mode, equal_words).map == 0.0
    assert dense_captioning([FOUND], "corrected", None).map is None


def test_by_hand():
    """IoUs of 1, 0.65 and 0.45; the surest is the worst."""
    scene = photo(
        [(0, 20, 1, "a"), (20, 40, 1, "b"), (40, 60, 1, "c")],
        [(0, 20, 1, "a", 0.2), (20, 33, 1, "b", 0.5), (40, 49, 1, "c", 0.9)],
    )
    result = dense_captioning([scene], "corrected", equal_words)
    third = 34 / 101  # recalls 0 .. 0.33
    at = {iou: result.by_threshold[iou, 0.1] for iou in IOUS}
    assert at[0.3] == at[0.4] == 1.0
    # By score: wrong, right, right: precisions 1/2 at 1/3 and 2/3 at 2/3, so 2/3 up to recall 2/3.
    assert at[0.5] == at[0.6] == pytest.approx(67 / 101 * 2 / 3)
    assert at[0.7] == pytest.approx(third * 1 / 3)
    assert [result.detection, result.map] == pytest.approx([np.mean(list(at.values()))] * 2)


def test_defect_1_records_are_never_sorted():
    """A sure prediction that is right and a doubtful one that is wrong, the wrong one first in the file."""
    scene = photo(
        [(0, 40, 1, "a dog"), (100, 140, 1, "a cow")],
        [(0, 10, 1, "a dog", 0.1), (100, 140, 1, "a cow", 0.9)],
    )
    corrected = dense_captioning([scene], "corrected", equal_words).by_threshold[0.5, 0.0]
    assert corrected == pytest.approx(51 / 101)  # precision 1 up to recall 1/2
    released = dense_captioning([scene], "released", None).by_threshold[0.5, -1.0]
    assert released == pytest.approx(51 / 101 * 0.5)  # the wrong one counts before the right one
    swapped = photo(
        [(0, 40, 1, "a cow"), (100, 140, 1, "a dog")],
        [(0, 40, 1, "a cow", 0.9), (100, 110, 1, "a dog", 0.1)],
    )
    assert dense_captioning([swapped], "released", None).by_threshold[0.5, -1.0] == pytest.approx(51 / 101)
    assert dense_captioning([swapped], "corrected", equal_words).by_threshold[0.5, 0.0] == corrected


def test_defect_2_one_segment_is_found_twice():
    """Two predictions share a segment; only one of them can be its."""
    scene = photo([(0, 40, 1, "a dog")], [(0, 20, 1, "a dog", 0.9), (20, 38, 1, "a dog", 0.8)])
    released = dense_captioning([scene], "released", None).by_threshold[0.3, -1.0]
    corrected = dense_captioning([scene], "corrected", equal_words)
    assert corrected.by_threshold[0.3, 0.0] == 1.0 and corrected.by_threshold[0.3, -1.0] == 1.0
    two = photo([(0, 40, 1, "a dog"), (100, 140, 1, "a cow")], [(0, 20, 1, "a dog", 0.9), (20, 38, 1, "a dog", 0.8)])
    assert released == 1.0
    # With a second segment that nobody found, the released mode reports full recall all the same.
    assert dense_captioning([two], "released", None).by_threshold[0.3, -1.0] == 1.0
    assert dense_captioning([two], "corrected", None).by_threshold[0.3, -1.0] == pytest.approx(51 / 101)


def test_defect_2_a_neighbours_pixel_is_a_false_positive():
    """Prediction 1 covers its dog and one pixel of the next dog."""
    scene = photo([(0, 40, 1, "a dog"), (40, 80, 1, "a pup")], [(0, 41, 1, "a dog", 0.9), (41, 80, 1, "a pup", 0.8)])
    assert dense_captioning([scene], "corrected", equal_words).map == 1.0
    released = dense_captioning([scene], "released", None).by_threshold[0.5, -1.0]
    assert released == pytest.approx((51 * 1 + 50 * 2 / 3) / 101)


def test_defect_3_predictions_that_overlap_nothing_do_not_count():
    truth = [(0, 40, 1, "a dog"), (100, 150, 3, "grass")]
    clean = photo(truth, [(0, 40, 1, "a dog", 0.5)])
    made_up = photo(truth, [(0, 40, 1, "a dog", 0.5), (100, 120, 1, "a dog", 0.9), (120, 150, 2, "a cat", 0.8)])
    released = [dense_captioning([p], "released", None).detection for p in (clean, made_up)]
    assert released[0] == released[1] > 0
    corrected = [dense_captioning([p], "corrected", None).detection for p in (clean, made_up)]
    assert corrected[1] == pytest.approx(corrected[0] / 3)  # two surer ones are wrong


def test_defect_4_meteor_gets_its_arguments_swapped_and_letter_by_letter():
    asked = []

    def meteor(references, candidates):
        asked.append((references, candidates))
        return [0.0] * len(candidates)

    scene = photo([(0, 40, 1, "a brown dog")], [(0, 40, 1, "red car", 0.9)])
    dense_captioning([scene], "released", meteor)
    dense_captioning([scene], "corrected", meteor)
    assert asked == [
        ([["r", "e", "d", " ", "c", "a", "r"]], ["a brown dog"]),
        ([["a brown dog"]], ["red car"]),
    ]


def test_defect_4_makes_the_released_score_blind_to_captions():
    """Any caption with the letter a is right where the annotation has the word "a"; the right one without it is not."""
    pytest.importorskip("nltk")
    meteor = WordMeteor(NoSynonyms())
    truth = "a dog runs over the lawn towards its owner and barks at two others there"  # 15 words

    def result(mode, caption):
        return dense_captioning([photo([(0, 40, 1, truth)], [(0, 40, 1, caption, 0.9)])], mode, meteor)

    wrong = result("released", "a parked car")
    assert wrong.map == result("released", truth).map == pytest.approx(5 / 6)
    assert meteor([["a"]], [truth])[0] == pytest.approx(0.5 * 10 / (9 + 15))  # above 0.2, below 0.25
    right = "dog runs over the lawn"
    assert result("released", right.replace("a", "o")).map == 0.0
    assert result("corrected", "parked cars by night").map == 0.0
    assert result("corrected", truth).map == 1.0 and result("corrected", right).map > 0.5


def test_defect_5_crowds_are_among_what_is_to_be_found():
    scene = photo([(0, 40, 1, "a dog"), (100, 140, 1, "dogs", "crowd")], [(0, 40, 1, "a dog", 0.9)])
    assert dense_captioning([scene], "released", None).detection == pytest.approx(51 / 101)
    assert dense_captioning([scene], "corrected", None).detection == 1.0


def test_predictions_on_void_or_crowd_do_not_count():
    scene = photo(
        [(0, 40, 1, "a dog"), (100, 140, 1, "dogs", "crowd")],
        [(0, 40, 1, "a dog", 0.5), (100, 130, 1, "a dog", 0.9), (150, 190, 1, "a dog", 0.9)],
    )
    assert dense_captioning([scene], "corrected", equal_words).map == 1.0


def test_without_scores_the_order_does_not_matter():
    def scene(flip):
        guesses = [(0, 40, 1, "a dog"), (100, 110, 1, "a cow")]
        return photo([(0, 40, 1, "a dog"), (100, 140, 1, "a cow")], guesses[::-1] if flip else guesses)

    results = [dense_captioning([scene(flip)], "corrected", equal_words).map for flip in (False, True)]
    assert results[0] == results[1] == pytest.approx(51 / 101 * 0.5)
    mixed = photo([(0, 40, 1, "a")], [(0, 20, 1, "a", 0.5), (20, 40, 1, "b")])
    with pytest.raises(ValueError, match="1 of 2 predictions have a score"):
        dense_captioning([mixed], "corrected", None)


def test_wrong_calls_are_refused():
    with pytest.raises(ValueError, match="mode: 'fixed'"):
        dense_captioning([FOUND], "fixed", None)
    with pytest.raises(ValueError, match="no segment to be found"):
        dense_captioning([photo([], [])], "corrected", None)


def test_word_meteor():
    pytest.importorskip("nltk")
    meteor = WordMeteor(NoSynonyms())
    values = meteor([["a dog"], ["the dogs", "a cat"], ["x"], [""]], ["a dog", "the dog", "y", "y"])
    assert values[0] == pytest.approx(1 - 0.5 * (1 / 2) ** 3)  # one chunk of two words
    assert values[1] == values[0]  # the better of two references, by stems
    assert values[2:] == [0.0, 0.0]
