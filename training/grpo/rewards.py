"""What a description is worth, as plain functions: how near a listener came, and which texts are worth nothing.

Two rewards. The paper's is the negative squared distance in the unit square (arXiv 2510.14583, section on GRPO). Ours
is a Gaussian of the distance in shares of the object's box, as wide as the part is far from its neighbours: it asks for
as much precision as tells a part from the next one, and is at most 1. Texts that give numbers or coordinates are worth
nothing, and so are those that are too short or too long: the listener reads them, but nobody talks like that.

Leaves out the models that read (listening.py) and the training (grpo_descriptor.py).
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
"""The least that :func:`negative_mse` can be: corner to corner."""

WIDTH_RANGE = (0.05, 0.25)
"""Of a part's Gaussian, in shares of the longer side of the object's box."""

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
    """The paper's reward: minus the squared distance of unit points (n, 2), from 0 down to -2; no answer (NaN) is worth
    the least."""
    errors = ((np.asarray(found, dtype=np.float64) - np.asarray(truth, dtype=np.float64)) ** 2).sum(-1)
    return np.where(np.isnan(errors), WORST_MSE, -errors)


def box_distances(found: ArrayLike, truth: ArrayLike, boxes: ArrayLike, sizes: ArrayLike) -> Array:
    """Distance in pixels, in shares of the longer side of the object's box.

    Args:
        found, truth: (n, 2) unit points (x, y); NaN in ``found`` for no answer.
        boxes: (n, 4) unit x0, y0, x1, y1, not empty.
        sizes: (n, 2) (height, width) of the photos in pixels.

    Returns:
        (n,), inf where there is no answer.

    Raises:
        ValueError: an empty box.
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

    (1 - tail) exp(-d² / 2w²) + tail exp(-d² / 2(3w)²): the narrow Gaussian asks for the part, the wide one still tells
    a miss from a far miss, where the narrow one is flat.

    Args:
        distances: (n,) in shares of the box, inf for no answer.
        widths: (n,) of the narrow Gaussian, above 0.
        tail: share of the wide one, 0 to 1.

    Raises:
        ValueError: a width that is not above 0, or a tail outside [0, 1].
    """
    width = np.asarray(widths, dtype=np.float64)
    if not (width > 0).all() or not 0 <= tail <= 1:
        raise ValueError(f"need widths above 0 and tail in [0, 1], got {width.min()} and {tail}")
    scaled = (np.asarray(distances, dtype=np.float64) / width) ** 2
    return (1 - tail) * np.exp(-scaled / 2) + tail * np.exp(-scaled / 18)


def part_widths(scenes: Sequence[Scene], scale: float = 0.5) -> dict[str, float]:
    """How wide each part's Gaussian is: ``scale`` times the median distance to its nearest neighbour on the object.

    Needs keypoints only. In shares of the longer side of the box, at least 0.05 and at most 0.25; sides of a part count
    together ("left ear" and "right ear" as "ear").

    Args:
        scenes: annotated photos.
        scale: at the default two neighbours' Gaussians cross at 0.6 of their height.

    Returns:
        Part (without its side) -> width; "" for any other part: the median of all widths.

    Raises:
        ValueError: no object has two keypoints.
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
        raise ValueError("no object of the photos has two keypoints, so nothing says how far parts are from each other")
    widths = {part: float(np.clip(scale * np.median(seen), *WIDTH_RANGE)) for part, seen in nearest.items()}
    return {**widths, "": float(np.median(list(widths.values())))}


def width_of(part: str, widths: Mapping[str, float]) -> float:
    """A part's width, by its name with or without its side."""
    return widths.get(split_side(part)[1], widths[""])


def has_coordinates(text: str) -> bool:
    """Whether a text gives a number or a coordinate: a digit in any script, percent, pixels, axes, "point four",
    "twenty-three". One number word alone is none: "one of two dogs"."""
    return any(character.isnumeric() for character in text) or _COORDINATES.search(text) is not None


def is_fair(text: str, fewest_words: int = 3, most_words: int = 60) -> bool:
    """Whether a text may be rewarded at all: no coordinates, and neither too short nor too long."""
    return fewest_words <= len(text.split()) <= most_words and not has_coordinates(text)


def distinct_2(texts: Sequence[str]) -> float:
    """Share of different ones among all pairs of neighbouring words, 0 to 1 (Li et al., 2016); 0 if there are none."""
    words = [text.lower().split() for text in texts]
    pairs = [pair for row in words for pair in itertools.pairwise(row)]
    return len(set(pairs)) / len(pairs) if pairs else 0.0


def rarity(texts: Sequence[str]) -> list[float]:
    """How rare each text's wording is among all: the mean, over its pairs of neighbouring words, of 1 / texts with that
    pair; in (0, 1], 0 for a text without a pair."""
    pairs = [set(itertools.pairwise(text.lower().split())) for text in texts]
    texts_with = Counter(pair for row in pairs for pair in row)
    return [sum(1 / texts_with[pair] for pair in row) / len(row) if row else 0.0 for row in pairs]


def mirrored_words(text: str) -> str:
    """What the text would say of the mirrored photo: left and right swapped, also in "leftmost" and "right-hand".

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
    """The same in other words, by the writer's synonyms: a reward that is bound to one wording is worth less.

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
