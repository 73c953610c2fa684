"""The rewards of GRPO as plain functions: how near the listener's point is, and which texts get no reward.

There are two rewards. The paper's is the negative squared distance in the unit square (arXiv 2510.14583, section on
GRPO). Ours is a Gaussian of the distance, measured in shares of the object's box. Its width grows with the distance of
the part to its neighbours, so it asks for the precision that tells a part from the next one; its maximum is 1. Texts
with numbers or coordinates get no reward, and neither do texts that are too short or too long: a listener may be able
to read them, but people do not talk like that.

The models that read the texts are in ``listeners.py``, the functions that TRL calls in ``reward_functions.py``.
"""

import itertools
import re
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from talkingpoints.writer.facts import split_side
from talkingpoints.writer.phrases import COLOUR_WORDS, DIRECTION_PHRASES, PHOTO, PLACES, TEXTURE_WORDS
from talkingpoints.writer.scene import Scene

Array = NDArray[np.float64]

WORST_MSE = -2.0
"""The lowest value of :func:`negative_mse`: from corner to corner."""

WIDTH_RANGE = (0.05, 0.25)
"""Allowed widths of a part's Gaussian, in shares of the longer side of the object's box."""

_NUMBER = (
    r"(?:zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|"
    r"seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred)"
)
_COORDINATES = re.compile(
    rf"<loc_|%|\b(?:per\s?cent|pixels?|px|coordinates?|[xy]-?\s?axis|[xy]\s*[=:])|"
    rf"\b{_NUMBER}(?:[\s,-]+(?:point\s+)?{_NUMBER})+\b|\bpoint\s+{_NUMBER}\b",
    re.IGNORECASE,
)
_SIDE = re.compile(r"\b(left|right)(?=most\b|-hand\b|\b)", re.IGNORECASE)
_ADVERB = re.compile(r"(?<!the )(?<!far )(?<!\w-)\bright (?=at the|on the|on its|on their|beside|next to|under)", re.I)
_SYNONYMS = {
    PHOTO[0]: PHOTO[1],
    **{row[i][0].partition(" of the ")[0]: row[i][1].partition(" of the ")[0] for row in PLACES for i in range(3)},
    **{words[0]: words[1] for words in (*DIRECTION_PHRASES.values(), *COLOUR_WORDS.values()) if len(words) > 1},
    **{words[0]: words[1] for words in TEXTURE_WORDS.values()},
}
_SYNONYM = re.compile(r"\b(?:" + "|".join(sorted(map(re.escape, _SYNONYMS), key=len, reverse=True)) + r")\b")


def negative_mse(found: ArrayLike, truth: ArrayLike) -> Array:
    """The paper's reward: minus the squared distance of unit points (n, 2), from 0 down to -2, which is also the reward
    for no point (NaN)."""
    errors = ((np.asarray(found, dtype=np.float64) - np.asarray(truth, dtype=np.float64)) ** 2).sum(-1)
    return np.where(np.isnan(errors), WORST_MSE, -errors)


def box_distances(found: ArrayLike, truth: ArrayLike, boxes: ArrayLike, sizes: ArrayLike) -> Array:
    """Distance in pixels, in shares of the longer side of the object's box.

    Args:
        found, truth: (n, 2) unit points (x, y); NaN in ``found`` for no point.
        boxes: (n, 4) unit x0, y0, x1, y1, not empty.
        sizes: (n, 2) (height, width) of the photos in pixels.

    Returns:
        (n,), inf where there is no point.

    Raises:
        ValueError: If a box is empty.
    """
    side = np.asarray(sizes, dtype=np.float64)[:, ::-1]
    corners = np.asarray(boxes, dtype=np.float64).reshape(-1, 2, 2)
    longer = ((corners[:, 1] - corners[:, 0]) * side).max(-1)
    if not (longer > 0).all():
        raise ValueError(f"boxes must not be empty, got {np.asarray(boxes)[longer <= 0][0].tolist()}")
    errors = np.linalg.norm((np.asarray(found, dtype=np.float64) - np.asarray(truth, dtype=np.float64)) * side, axis=-1)
    return np.where(np.isnan(errors), np.inf, errors / longer)


def closeness(distances: ArrayLike, widths: ArrayLike, tail: float = 0.3) -> Array:
    """The shaped reward (n,), from 1 at the point down to 0.

    The reward is (1 - tail) exp(-d² / 2w²) + tail exp(-d² / 2(3w)²). The narrow Gaussian asks for the right part. The
    wide one still tells a miss from a far miss, where the narrow one is flat.

    Args:
        distances: (n,) in shares of the box, inf for no point.
        widths: (n,) of the narrow Gaussian, above 0.
        tail: Share of the wide one, 0 to 1.

    Raises:
        ValueError: If a width is not above 0, or the tail is outside [0, 1].
    """
    width = np.asarray(widths, dtype=np.float64)
    if not (width > 0).all() or not 0 <= tail <= 1:
        raise ValueError(f"need widths above 0 and tail in [0, 1], got {width.min()} and {tail}")
    scaled = (np.asarray(distances, dtype=np.float64) / width) ** 2
    return (1 - tail) * np.exp(-scaled / 2) + tail * np.exp(-scaled / 18)


def part_widths(scenes: Sequence[Scene], scale: float = 0.5) -> dict[str, float]:
    """Width of each part's Gaussian: ``scale`` times the median distance to the nearest other part of the object.

    Only keypoints are needed. Widths are in shares of the longer side of the box, limited to ``WIDTH_RANGE``. Both
    sides of a part share one width ("left ear" and "right ear" are "ear").

    Args:
        scenes: Annotated photos.
        scale: At the default the Gaussians of two neighbours cross at 0.6 of their height.

    Returns:
        Part (without its side) -> width; "" for any other part: the median of all widths.

    Raises:
        ValueError: If no object has two keypoints.
    """
    nearest: dict[str, list[float]] = {}
    for scene in scenes:
        height, width = scene.size
        for item in scene.objects:
            if len(item.keypoints) < 2:
                continue
            points = np.array([(k.x * width, k.y * height) for k in item.keypoints])
            longer = max((item.box[2] - item.box[0]) * width, (item.box[3] - item.box[1]) * height)
            distances = np.linalg.norm(points[:, None] - points[None], axis=-1) / longer
            np.fill_diagonal(distances, np.inf)
            for keypoint, distance in zip(item.keypoints, distances.min(axis=1), strict=True):
                nearest.setdefault(split_side(keypoint.name)[1], []).append(float(distance))
    if not nearest:
        raise ValueError("no object of the photos has two keypoints, so the distance between parts is unknown")
    widths = {part: float(np.clip(scale * np.median(seen), *WIDTH_RANGE)) for part, seen in nearest.items()}
    return {**widths, "": float(np.median(list(widths.values())))}


def width_of(part: str, widths: Mapping[str, float]) -> float:
    """A part's width, by its name with or without its side."""
    return widths.get(split_side(part)[1], widths[""])


def has_coordinates(text: str) -> bool:
    """Whether a text holds a number or a coordinate: a digit in any script, percent, pixels, axes, "point four",
    "twenty-three". A single number word is allowed: "one of two dogs"."""
    return any(character.isnumeric() for character in text) or _COORDINATES.search(text) is not None


def is_fair(text: str, min_words: int = 3, max_words: int = 60) -> bool:
    """Whether a text may get a reward: it has no coordinates and is neither too short nor too long."""
    return min_words <= len(text.split()) <= max_words and not has_coordinates(text)


def distinct_2(texts: Sequence[str]) -> float:
    """Share of distinct pairs among all pairs of neighbouring words, 0 to 1 (Li et al., 2016); 0 without pairs."""
    words = [text.lower().split() for text in texts]
    pairs = [pair for row in words for pair in itertools.pairwise(row)]
    return len(set(pairs)) / len(pairs) if pairs else 0.0


def rarity(texts: Sequence[str]) -> list[float]:
    """How rare each text's wording is among all texts: the mean of 1 / (number of texts with this pair) over its pairs
    of neighbouring words. In (0, 1]; 0 for a text without a pair."""
    pairs = [set(itertools.pairwise(text.lower().split())) for text in texts]
    texts_with = Counter(pair for row in pairs for pair in row)
    return [sum(1 / texts_with[pair] for pair in row) / len(row) if row else 0.0 for row in pairs]


def mirrored_words(text: str) -> str:
    """The text for the mirrored photo: left and right are swapped, also in "leftmost" and "right-hand".

    "Right" as an adverb ("right at the top") stays.

    Example:
        >>> mirrored_words("Its left ear, far right, right at the top.")
        'Its right ear, far left, right at the top.'
    """
    swapped = {"left": "right", "right": "left", "Left": "Right", "Right": "Left"}
    adverbs = {match.start() for match in _ADVERB.finditer(text)}

    def swap(match: re.Match) -> str:
        return match[0] if match.start() in adverbs else swapped.get(match[0], match[0])

    return _SIDE.sub(swap, text)


def paraphrased(text: str) -> str:
    """The text in other words, by the writer's synonyms: a good description does not depend on one wording.

    Example:
        >>> paraphrased("A dog in the centre of the photo. Its nose, just above the throat. Grey, smooth.")
        'A dog in the middle of the picture. Its nose, just over the throat. Gray, plain.'
    """

    def other(match: re.Match) -> str:
        return _SYNONYMS[match[0]]

    lowered = text[:1].lower() + text[1:]
    lowered = re.sub(r"([.?] )([A-Z])", lambda match: match[1] + match[2].lower(), lowered)
    changed = _SYNONYM.sub(other, lowered)
    return re.sub(r"(^|[.?] )([a-z])", lambda match: match[1] + match[2].upper(), changed)
