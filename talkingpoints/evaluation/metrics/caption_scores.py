"""BLEU-4, ROUGE-L, CIDEr, METEOR and SPICE of captions, by the code that the field reports them with (pycocoevalcap).

What cannot run here is not run, with the reason, and never a zero: METEOR, SPICE and the tokenizer that published
figures are made with need Java, SPICE also models that have to be fetched first.
"""

import importlib.util
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

METRICS = ("BLEU-4", "ROUGE-L", "CIDEr", "METEOR", "SPICE")
PTB = "Penn Treebank (Stanford 3.4.1)"
PLAIN = "plain words"
"""Name of the tokenizer that is used without Java; figures differ from published ones."""

_SPICE_MODELS = ("stanford-corenlp-3.6.0.jar", "stanford-corenlp-3.6.0-models.jar")
_WORD = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*")

Tokens = dict[int, list[str]]
"""Texts by number, as pycocoevalcap takes them: tokens joined by blanks."""


@dataclass(frozen=True)
class Score:
    """A metric's value, or why there is none.

    Args:
        value: 0 to 1 (CIDEr: 0 to 10); None if it was not run.
        reason: "" where there is a value.
    """

    value: float | None
    reason: str = ""

    def __post_init__(self) -> None:
        if (self.value is None) != bool(self.reason):
            raise ValueError(f"a score has a value or a reason, got {self.value} and {self.reason!r}")

    def times(self, coverage: float) -> "Score":
        """The score where a share of the captions counts as 0."""
        return self if self.value is None else Score(self.value * coverage)


@dataclass(frozen=True)
class CaptionScores:
    """Scores by metric, and how texts were cut into words."""

    scores: Mapping[str, Score]
    tokenizer: str

    def times(self, coverage: float) -> "CaptionScores":
        """All scores where a share of the captions counts as 0."""
        return CaptionScores({name: score.times(coverage) for name, score in self.scores.items()}, self.tokenizer)

    def to_json(self) -> dict[str, object]:
        """Values x 100, as they are reported; {"not_run": reason} where there is none."""
        values: dict[str, object] = {
            name: {"not_run": score.reason} if score.value is None else round(100 * score.value, 4)
            for name, score in self.scores.items()
        }
        return {**values, "tokenizer": self.tokenizer}


def caption_scores(
    references: Sequence[Sequence[str]], candidates: Sequence[str], metrics: Sequence[str] = METRICS
) -> CaptionScores:
    """Score captions.

    Args:
        references: for each caption one or more right ones.
        candidates: the captions.
        metrics: of `METRICS`.

    Raises:
        ValueError: different numbers, a caption without a reference, or an unknown metric.
    """
    if len(references) != len(candidates) or not all(references):
        raise ValueError(
            f"every candidate needs a reference, got {len(references)} lists of them for {len(candidates)} candidates"
        )
    if unknown := sorted(set(metrics) - set(METRICS)):
        raise ValueError(f"metrics: {unknown}; allowed: {METRICS}")
    missing = _missing_library() or ("" if candidates else "no captions to score")
    if missing:
        return CaptionScores({name: Score(None, missing) for name in metrics}, "none")
    truth, said, tokenizer = _tokens(references, candidates)
    return CaptionScores({name: _score(name, truth, said) for name in metrics}, tokenizer)


def java() -> str | None:
    """The program, None where there is none."""
    return shutil.which("java")


def no_meteor() -> str:
    """Why `meteor_scores` cannot run here, "" if it can."""
    return _missing_library() or _missing("METEOR")


def meteor_scores(references: Sequence[Sequence[str]], candidates: Sequence[str]) -> list[float]:
    """METEOR 1.5 of each caption on its own.

    Raises:
        RuntimeError: it cannot run here.
    """
    if missing := no_meteor():
        raise RuntimeError(missing)
    if not candidates:
        return []
    truth, said, _ = _tokens(references, candidates)
    return _meteor(truth, said)[1]


def _missing_library() -> str:
    """Why nothing can run, "" if it can."""
    found = importlib.util.find_spec("pycocoevalcap") is not None
    return "" if found else 'pycocoevalcap is not installed (pip install "talkingpoints[pix2cap]")'


def _missing(metric: str) -> str:
    """Why a metric cannot run although the library is there, "" if it can."""
    if metric not in ("METEOR", "SPICE"):
        return ""
    if java() is None:
        return f"{metric} needs Java, and there is no java in PATH"
    if metric == "SPICE" and not all((_folder("spice") / "lib" / name).is_file() for name in _SPICE_MODELS):
        return f"SPICE's models are missing: put {' and '.join(_SPICE_MODELS)} into {_folder('spice') / 'lib'}"
    return ""


def _folder(part: str) -> Path:
    spec = importlib.util.find_spec(f"pycocoevalcap.{part}")
    assert spec is not None and spec.submodule_search_locations is not None
    return Path(next(iter(spec.submodule_search_locations)))


def _tokens(references: Sequence[Sequence[str]], candidates: Sequence[str]) -> tuple[Tokens, Tokens, str]:
    """Both in tokens, and by which tokenizer."""
    truth = {i: [_line(text) for text in texts] for i, texts in enumerate(references)}
    said = {i: [_line(text)] for i, text in enumerate(candidates)}
    if java() is not None:
        from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

        both = [{i: [{"caption": text} for text in texts] for i, texts in group.items()} for group in (truth, said)]
        try:
            return PTBTokenizer().tokenize(both[0]), PTBTokenizer().tokenize(both[1]), PTB
        except OSError:  # it writes beside its own files, which may be somebody else's
            pass
    plain = [{i: [" ".join(_words(text)) for text in texts] for i, texts in g.items()} for g in (truth, said)]
    return plain[0], plain[1], PLAIN


def _line(text: str) -> str:
    return " ".join(text.split())


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]


def _score(metric: str, truth: Tokens, said: Tokens) -> Score:
    if missing := _missing(metric):
        return Score(None, missing)
    try:
        return Score(float(_computed(metric, truth, said)))
    except (OSError, ValueError, RuntimeError, IndexError) as error:  # what a Java program that dies comes to
        return Score(None, f"{metric} failed: {type(error).__name__}: {error}")


def _computed(metric: str, truth: Tokens, said: Tokens) -> float:
    if metric == "BLEU-4":
        from pycocoevalcap.bleu.bleu import Bleu

        return Bleu(4).compute_score(truth, said, verbose=0)[0][3]
    if metric == "ROUGE-L":
        from pycocoevalcap.rouge.rouge import Rouge

        return Rouge().compute_score(truth, said)[0]
    if metric == "CIDEr":
        from pycocoevalcap.cider.cider import Cider

        return Cider().compute_score(truth, said)[0]
    if metric == "METEOR":
        return _meteor(truth, said)[0]
    from pycocoevalcap.spice.spice import Spice

    return Spice().compute_score(truth, said)[0]


def _meteor(truth: Tokens, said: Tokens) -> tuple[float, list[float]]:
    """Of all captions together and of each; reading its table of paraphrases takes METEOR some 10 s."""
    from pycocoevalcap.meteor.meteor import Meteor

    together, each = Meteor().compute_score(truth, said)
    return float(together), [float(value) for value in each]
