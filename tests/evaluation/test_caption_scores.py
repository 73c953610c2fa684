import importlib.util

import pytest

from talkingpoints.evaluation.metrics import caption_scores as module
from talkingpoints.evaluation.metrics.caption_scores import (
    METRICS,
    PLAIN,
    PTB,
    CaptionScores,
    Score,
    caption_scores,
    meteor_scores,
)

TRUTH = [["A brown dog runs over the wet grass."], ["Two people sit on a red bench."], ["The sky is blue and clear."]]
SAID = ["A brown dog runs over the grass.", "A man sits on a red bench.", "A plate with food."]
needs_library = pytest.mark.skipif(
    importlib.util.find_spec("pycocoevalcap") is None, reason="pycocoevalcap is not installed"
)
needs_java = pytest.mark.skipif(module.java() is None, reason="there is no Java")


def test_what_cannot_run_is_not_zero(monkeypatch):
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    result = caption_scores(TRUTH, SAID)
    assert set(result.scores) == set(METRICS)
    for score in result.scores.values():
        assert score.value is None and "not installed" in score.reason
        assert score.times(0.0).value is None
    assert "not_run" in result.to_json()["METEOR"]
    with pytest.raises(RuntimeError, match="not installed"):
        meteor_scores(TRUTH, SAID)


def test_coverage_counts_the_rest_as_zero():
    scores = CaptionScores({"BLEU-4": Score(0.3), "SPICE": Score(None, "no Java")}, PTB).times(0.5)
    assert scores.to_json() == {"BLEU-4": 15.0, "SPICE": {"not_run": "no Java"}, "tokenizer": PTB}
    with pytest.raises(ValueError, match="a value or a reason"):
        Score(None)
    with pytest.raises(ValueError, match="a value or a reason"):
        Score(1.0, "why")


def test_wrong_calls_are_refused():
    with pytest.raises(ValueError, match="2 lists of them for 3"):
        caption_scores(TRUTH[:2], SAID)
    with pytest.raises(ValueError, match="needs a reference"):
        caption_scores([["a"], []], ["a", "b"])
    with pytest.raises(ValueError, match=r"\['BLEU'\]"):
        caption_scores(TRUTH, SAID, ("BLEU",))


@needs_library
def test_without_java(monkeypatch):
    monkeypatch.setattr(module, "java", lambda: None)
    result = caption_scores(TRUTH, SAID)
    assert result.tokenizer == PLAIN
    assert "needs Java" in result.scores["METEOR"].reason and "needs Java" in result.scores["SPICE"].reason
    perfect = caption_scores(TRUTH, [texts[0] for texts in TRUTH], ("BLEU-4", "ROUGE-L", "CIDEr"))
    assert perfect.scores["BLEU-4"].value == pytest.approx(1.0, abs=1e-6)
    assert perfect.scores["ROUGE-L"].value == pytest.approx(1.0)
    assert result.scores["BLEU-4"].value < 1 and 0 < result.scores["CIDEr"].value < perfect.scores["CIDEr"].value
    assert caption_scores([], []).scores["BLEU-4"].reason == "no captions to score"


@needs_library
def test_rouge_by_hand(monkeypatch):
    monkeypatch.setattr(module, "java", lambda: None)
    result = caption_scores([["a b c d"]], ["a c x"], ("ROUGE-L",))
    precision, recall = 2 / 3, 2 / 4  # the longest common subsequence is "a c"
    expected = (1 + 1.2**2) * precision * recall / (recall + 1.2**2 * precision)
    assert result.scores["ROUGE-L"].value == pytest.approx(expected)
    several = caption_scores([["x", "a b c d"]], ["a b c d"], ("BLEU-4",))
    assert several.scores["BLEU-4"].value == pytest.approx(1.0, abs=1e-6)


@needs_library
@needs_java
def test_with_java():
    result = caption_scores(TRUTH, SAID, ("BLEU-4", "SPICE"))
    assert result.tokenizer == PTB and 0 < result.scores["BLEU-4"].value < 1
    models = (module._folder("spice") / "lib" / "stanford-corenlp-3.6.0-models.jar").is_file()
    assert (result.scores["SPICE"].value is not None) == models
    if not models:
        assert "models are missing" in result.scores["SPICE"].reason


@needs_library
@needs_java
@pytest.mark.slow
def test_meteor():
    single = meteor_scores([*TRUTH, ["The sky is blue and clear."]], [*SAID, "The sky is blue and clear."])
    assert single[3] == pytest.approx(1.0) and 0.3 < single[0] < 0.9 and single[2] < 0.05
    assert meteor_scores([], []) == []
