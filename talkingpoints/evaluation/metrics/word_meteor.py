"""METEOR as nltk computes it: words, stems, and WordNet's synonyms; what the public evaluator of Pix2Cap calls."""

from collections.abc import Sequence
from typing import Any


class WordMeteor:
    """Compares captions, words being what stands between blanks.

    Args:
        wordnet: where synonyms are looked up; None takes nltk's WordNet.

    Raises:
        RuntimeError: nltk is not installed, or its WordNet not there.
    """

    def __init__(self, wordnet: Any = None):
        try:
            from nltk.corpus import wordnet as full
            from nltk.translate.meteor_score import meteor_score
        except ImportError:
            raise RuntimeError('nltk is not installed (pip install "talkingpoints[pix2cap]")') from None
        if wordnet is None:
            try:
                full.ensure_loaded()
            except (LookupError, OSError):
                raise RuntimeError(
                    "nltk's WordNet is not there: python -m nltk.downloader wordnet, or set NLTK_DATA"
                ) from None
        self._wordnet = full if wordnet is None else wordnet
        self._score = meteor_score

    def __call__(self, references: Sequence[Sequence[str]], candidates: Sequence[str]) -> list[float]:
        """A score, 0 to 1, for each candidate: its best with any of its references."""
        return [
            float(self._score([text.split() for text in texts], candidate.split(), wordnet=self._wordnet))
            for texts, candidate in zip(references, candidates, strict=True)
        ]


class NoSynonyms:
    """In place of WordNet: words and stems alone."""

    def synsets(self, word: str) -> list[Any]:
        """None."""
        return []
