"""Names of objects and parts as the writer expects them: plain words without digits, the side first."""

import re

from talkingpoints.data.readers.coco_keypoints import keypoint_name

SIDES = ("left", "right")
OBJECTS = {
    "diningtable": "dining table", "pottedplant": "potted plant", "tvmonitor": "television",
    "television receiver": "television",
}  # fmt: skip
"""Names that PASCAL VOC writes in one word, and one that nobody says."""
PARTS = {"tier": "tyre"}
"""PartImageNet's own spelling."""


def object_name(name: str) -> str:
    """An object's name in plain words.

    Raises:
        ValueError: it holds none.

    Example:
        >>> object_name("pottedplant"), object_name("traffic_light")
        ('potted plant', 'traffic light')
    """
    words = _without_digits(name)
    return OBJECTS.get(words, words)


def part_name(name: str, owner: str = "") -> str:
    """A part's name in plain words: lower case, blanks, its side first, without numbers and its owner.

    Args:
        name: as the dataset writes it: "back_left_door", "Quadruped Head", "dog's ear", "wheel_2".
        owner: the owner's name; left out where the part's starts with it.

    Returns:
        For example "left back door", "head", "ear", "wheel".

    Raises:
        ValueError: nothing is left.

    Example:
        >>> part_name("back_left_door")
        'left back door'
    """
    words = re.sub(r"'s?(?=\s)", "", _without_digits(name)).split()
    own = owner.split()
    if own and words[: len(own)] == own and len(words) > len(own):
        words = words[len(own) :]
    side = next((word for word in words if word in SIDES), None)
    if side is not None and len(words) > 1:
        words.remove(side)
        words.insert(0, side)
    joined = " ".join(words)
    return PARTS.get(joined, joined)


def _without_digits(name: str) -> str:
    words = keypoint_name(re.sub(r"\d+", " ", name))
    if not re.search("[a-z]", words):
        raise ValueError(f"{name!r} has no words; names of objects and parts become text")
    return words
