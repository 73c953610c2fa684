"""What can be wrong with a text, seen from the text and the point's skeleton alone.

Each check looks for one thing that makes a description useless or harmful to train on. They are meant to be sure of
what they flag rather than to find everything: see `contradictions` for what is compared with the masks.
"""

import re
from dataclasses import dataclass

import numpy as np

from talkingpoints.dataset_builder.points.tasks import PointTask

CHECKS = ("format", "refusal", "numbers", "length", "marker", "contradiction")

CLEARLY = 0.1
"""A place "on the left" is wrong where the middle is passed by so much of the frame."""

_FORMAT = re.compile(
    r"```|\*\*|^\s*[#*>|-]\s|\n\s*[#*>|\d-]|</?\w+[^>]*>|<\||\[/?[A-Z]{3,}\]|[{}\[\]\\|]|https?://|"
    r"^(sure|certainly|of course|here is|here's|okay|ok|description|answer|merged|note)\b[^.]{0,40}[:!,]",
    re.IGNORECASE | re.MULTILINE,
)
_REFUSAL = re.compile(
    r"\b(i'?m|i am) (sorry|unable|not able|afraid)|\bi (can ?not|can't|could not|couldn't|do not|don't) "
    r"(see|tell|help|assist|provide|determine|identify|describe|view|fulfil|have)|\bas an? (ai|language model)|"
    r"\b(unable|impossible|not possible) to (see|tell|determine|identify|describe|say)|"
    r"\bno (image|photo|picture) (was|is|has been)|\b(please|could you) (provide|share|upload|send)|"
    r"\b(cannot|can't) be (determined|identified|described|seen)",
    re.IGNORECASE,
)
_NUMBERS = re.compile(
    r"\d|\bpixels?\b|\bcoordinates?\b|\bper ?cent\b|%|\b[xy][- ]ax[ie]s|\bdegrees\b|[²³½¼¾]", re.IGNORECASE
)
_MARKER = re.compile(
    r"\b(red|drawn|small|marked|circled|highlighted) (ring|circle|marker|dot)\b(?!-)|"
    r"\b(the|a) (ring|marker|annotation)\b(?!-)|\bmarked (point|spot|location|area)|"
    r"\bcropped?\b|\bcut-?out\b|\bblurr(ed|y) (edges?|background|surround)|"
    r"\bfad(es|ing|ed) (in)?to gr[ae]y|\bvignett|\bgr[ae]y (background|border|surroundings)|"
    r"\b(the|these|those) (first|second|third|three|two)? ?notes?\b|\bskeleton\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019-][^\W\d_]+)*")

_SIDES = {"left": (0, -1), "right": (0, 1), "top": (1, -1), "upper": (1, -1), "bottom": (1, 1), "lower": (1, 1)}
"""Word -> axis (0 across, 1 down) and direction."""
_SIDE = r"(?:far[ -])?(?:left|right|top|upper|bottom|lower)(?:most)?"
_PHOTO = r"(?:photo|photograph|image|picture|frame|shot|scene)"
_THING = r"(?:side|part|edge|corner|half|third|end|area|portion|region|quarter|section|centre|center|hand)"
_OTHER = r"(?:left|right|front|back|rear|hind|fore|upper|lower|inner|outer|middle|side)\b"
"""What makes a part another one of its kind."""
_OPPOSITE = {"left": "right", "right": "left", "above": "below", "below": "above"}
_RELATIONS = {
    "left": r"(?:left|on the left) of",
    "right": r"(?:right|on the right) of",
    "above": r"(?:above|over)",
    "below": r"(?:below|under|underneath|beneath)",
}


@dataclass(frozen=True)
class TextLimits:
    """Lengths in words of a text that is neither too little nor too much."""

    min_words: int = 3
    max_words: int = 120

    def __post_init__(self) -> None:
        if not 0 < self.min_words <= self.max_words:
            raise ValueError(f"min_words and max_words: {self.min_words}, {self.max_words}; needs 0 < min <= max")


def text_problems(text: str, task: PointTask, limits: TextLimits | None = None) -> dict[str, str]:
    """What is wrong with a text.

    Args:
        text: the description.
        task: the point that it describes.
        limits: of its length.

    Returns:
        Name of each check that it fails (of `CHECKS`) -> what was found. Empty for a good text.
    """
    limits = limits or TextLimits()
    found: dict[str, str] = {}
    for name, pattern in (("format", _FORMAT), ("refusal", _REFUSAL), ("numbers", _NUMBERS), ("marker", _MARKER)):
        if match := pattern.search(text):
            found[name] = match[0].strip()
    if "format" not in found and (foreign := _foreign(text)):
        found["format"] = foreign
    words = len(words_of(text))
    if not limits.min_words <= words <= limits.max_words:
        found["length"] = f"{words} words"
    if wrong := contradictions(text, task):
        found["contradiction"] = wrong[0]
    return found


def words_of(text: str) -> list[str]:
    """The words of a text in small letters, without digits and signs."""
    return _WORD.findall(text.lower())


def contradictions(text: str, task: PointTask) -> list[str]:
    """Phrases of a text that say left for right, or top for bottom.

    Looked at are places in a named frame ("in the upper left of the photo", "the bottom edge of the hood"), places
    beside a neighbour that the skeleton knows ("below the roof"), and the part's own side ("right mirror" of a left
    one). A place is only wrong if it fits nothing that the text may speak of: in the photo the object, the part and the
    point; in the object the part and the point; in the part the point. Places without a frame are not judged.

    Returns:
        The phrases, as they stand in the text.
    """
    text = text.replace("\u2019", "'")
    return [*_wrong_places(text, task), *_wrong_neighbours(text, task), *_wrong_side(text, task)]


def _wrong_places(text: str, task: PointTask) -> list[str]:
    height, width = task.size
    point, part, item = task.point_px, _middle(task.part_box), _middle(task.object_box)
    part_name = task.part.removeprefix("left ").removeprefix("right ")
    noun = part_name.rpartition(" ")[2]
    # A frame's name and its box, and what may be meant to lie in it.
    frames = (
        (_PHOTO, (0.0, 0.0, float(width), float(height)), (point, part, item)),
        (rf"{re.escape(task.label)}(?! {re.escape(noun)}\b)", task.object_box, (point, part)),
        (re.escape(part_name), task.part_box, (point,)),
    )
    wrong = []
    for name, box, referents in frames:
        places = [_unit(referent, box) for referent in referents]
        sides = rf"({_SIDE}(?:(?:[ -]| and | or |, ){_SIDE})*)(?:((?:[ -]{_THING})+) (?:of|in|on)| of)"
        pattern = rf"(to the )?\b{sides} (?:the|its|this|that|a) (?:(?!{_OTHER})[\w-]+ )?{name}\b(?!')"
        for match in re.finditer(pattern, text, re.IGNORECASE):
            beside = match[1] and not match[3] and name is not _PHOTO  # "to the left of the car" is outside of it
            if not beside and any(_is_wrong(side, places) for side in re.findall(r"[a-z]+", match[2].lower())):
                wrong.append(match[0])
    return wrong


def _is_wrong(word: str, places: list[tuple[float, float]]) -> bool:
    """Whether a word of `_SIDES`, also with "most" at its end, fits none of some places (units of the frame)."""
    side = _SIDES.get(word.removesuffix("most"))
    if side is None:
        return False
    axis, direction = side
    return all((place[axis] - 0.5) * direction < -CLEARLY for place in places)


def _wrong_neighbours(text: str, task: PointTask) -> list[str]:
    known: dict[str, set[str]] = {}
    for near in (*task.skeleton.neighbours, *task.skeleton.facts.near):  # of two wheels each may know another one
        known.setdefault(near.name, set()).update(near.direction.split(" "))
    wrong = []
    for name, directions in known.items():
        for direction in sorted({_OPPOSITE[d] for d in directions & _OPPOSITE.keys()} - directions):
            pattern = rf"\b{_RELATIONS[direction]} (?:the|its|their) {re.escape(name)}\b(?!')"
            wrong += [match[0] for match in re.finditer(pattern, text, re.IGNORECASE)]
    return wrong


def _wrong_side(text: str, task: PointTask) -> list[str]:
    side, _, name = task.part.partition(" ")
    if side not in ("left", "right") or not name:
        return []
    if any(near.name == f"{_OPPOSITE[side]} {name}" for near in (*task.skeleton.neighbours, *task.skeleton.facts.near)):
        return []  # the other one is next to the point, and may be named
    other = re.search(rf"\b{_OPPOSITE[side]} {re.escape(name)}\b", text, re.IGNORECASE)
    own = re.search(rf"\b{side} {re.escape(name)}\b", text, re.IGNORECASE)
    return [other[0]] if other and not own else []


def _foreign(text: str) -> str:
    """The letters of other scripts, if they are more than the odd one."""
    letters = [letter for letter in text if letter.isalpha()]
    foreign = [letter for letter in letters if ord(letter) > 0x24F]
    return "".join(foreign[:20]) if len(foreign) > 0.05 * len(letters) else ""


def _middle(box: tuple[float, float, float, float]) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _unit(point: tuple[float, float], box: tuple[float, float, float, float]) -> tuple[float, float]:
    """A point in units of a box, which may be a pixel thin."""
    x, y = (np.asarray(point) - box[:2]) / np.maximum(1.0, np.subtract(box[2:], box[:2]))
    return float(x), float(y)
