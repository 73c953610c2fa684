"""Names of objects and parts as the writer expects them: plain words, the side first."""

from talkingpoints.data.coco_keypoints import keypoint_name

SIDES = ("left", "right")


def part_name(name: str, label: str = "") -> str:
    """A part's name in plain words: lower case, blanks, its side first, without a number or its owner.

    Args:
        name: as the dataset writes it: "back_left_door", "Quadruped Head", "dog's ear", "wheel_2".
        label: the owner's name in plain words; left out where the name starts with it.

    Returns:
        For example "left back door", "head", "ear", "wheel".

    Example:
        >>> part_name("back_left_door")
        'left back door'
    """
    words = keypoint_name(name).replace("'s ", " ").split()
    owner = label.split()
    if owner and words[: len(owner)] == owner and len(words) > len(owner):
        words = words[len(owner) :]
    if len(words) > 1 and words[-1].isdecimal():
        words = words[:-1]
    side = next((word for word in words if word in SIDES), None)
    if side is not None and len(words) > 1:
        words.remove(side)
        words.insert(0, side)
    return " ".join(words)
