"""Texts that are almost the same: in one photo, where they cannot both lead to their points, and in all of a dataset,
where many of them show a writer that says little. Compares three-word shingles (Jaccard), through MinHash where there
are many.
"""

from collections import defaultdict

import numpy as np
from datasketch import MinHash, MinHashLSH

from talkingpoints.dataset_builder.checks.text_checks import words_of

PERMUTATIONS = 64
SHINGLE = 3


class NearDuplicates:
    """Compares each text with those that came before.

    Args:
        threshold: similarity from which two texts are almost the same, above 0 and at most 1.

    Raises:
        ValueError: another threshold.
    """

    def __init__(self, threshold: float = 0.85):
        if not 0 < threshold <= 1:
            raise ValueError(f"threshold must be above 0 and at most 1, got {threshold}")
        self.threshold = threshold
        # Rather too many candidates than too few; they are compared by their sketches.
        self._index = MinHashLSH(threshold=threshold, num_perm=PERMUTATIONS, weights=(0.05, 0.95))
        self._sketches: dict[str, np.ndarray] = {}
        self._photos: dict[str, list[tuple[str, frozenset[str]]]] = defaultdict(list)

    def in_photo(self, photo: str, key: str, text: str, remember: bool = True) -> str | None:
        """The first earlier text of a photo that is almost the same, by its key; None if there is none.

        A text for which there is one is not compared with later ones.

        Args:
            photo: which one; of its texts the shingles are kept until :meth:`end_photo`.
            key: of the point. Several texts of one point may be alike.
            text: of the point.
            remember: whether later texts are compared with it; not with one that is dropped for another reason.
        """
        own = shingles(text)
        earlier = self._photos[photo]
        found = next((k for k, other in earlier if k != key and similarity(own, other) >= self.threshold), None)
        if found is None and remember:
            earlier.append((key, own))
        return found

    def end_photo(self, photo: str) -> None:
        """No more texts come for a photo."""
        self._photos.pop(photo, None)

    def anywhere(self, name: str, text: str) -> bool:
        """Whether an earlier text of the dataset is almost the same, as MinHash estimates it.

        A text for which there is one is not compared with later ones: a writer that says the same of every point costs
        neither memory nor time.

        Args:
            name: of the text, each once.
        """
        sketch = MinHash(num_perm=PERMUTATIONS, seed=1)
        sketch.update_batch([shingle.encode() for shingle in shingles(text)])
        values = sketch.hashvalues.astype(np.uint32)
        others = (self._sketches[other] for other in self._index.query(sketch))
        if any(float((values == other).mean()) >= self.threshold for other in others):
            return True
        self._index.insert(name, sketch, check_duplication=False)
        self._sketches[name] = values
        return False


def shingles(text: str) -> frozenset[str]:
    """The runs of three words of a text, in small letters; of a shorter text the text itself."""
    words = words_of(text)
    runs = [" ".join(words[i : i + SHINGLE]) for i in range(len(words) - SHINGLE + 1)]
    return frozenset(runs or [" ".join(words)])


def similarity(one: frozenset[str], other: frozenset[str]) -> float:
    """Shared shingles as a share of all (Jaccard), 0 to 1."""
    return len(one & other) / len(one | other)
