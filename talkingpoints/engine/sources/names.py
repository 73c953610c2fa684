"""Names of objects and parts as the writer expects them: plain words, the side first."""

import re

from talkingpoints.data.coco_keypoints import keypoint_name

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

    Example:
        >>> object_name("pottedplant"), object_name("traffic_light")
        ('potted plant', 'traffic light')
    """
    words = keypoint_name(name)
    return OBJECTS.get(words, words)


def part_name(name: str, owner: str = "") -> str:
    """A part's name in plain words: lower case, blanks, its side first, without a number or its owner.

    Args:
        name: as the dataset writes it: "back_left_door", "Quadruped Head", "dog's ear", "wheel_2".
        owner: the owner's name; left out where the part's starts with it.

    Returns:
        For example "left back door", "head", "ear", "wheel".

    Example:
        >>> part_name("back_left_door")
        'left back door'
    """
    words = re.sub(r"'s?(?=\s)", "", keypoint_name(name)).split()
    own = owner.split()
    if own and words[: len(own)] == own and len(words) > len(own):
        words = words[len(own) :]
    if len(words) > 1 and words[-1].isdecimal():
        words = words[:-1]
    side = next((word for word in words if word in SIDES), None)
    if side is not None and len(words) > 1:
        words.remove(side)
        words.insert(0, side)
    joined = " ".join(words)
    return PARTS.get(joined, joined)
