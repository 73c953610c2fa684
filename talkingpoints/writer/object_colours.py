"""What colour an object is: one or two colour words for an animal's coat or a person's clothes.

An object has keypoints and no mask, so it is looked at along lines between keypoints that run inside the body: along
the trunk and the neck, across the face, down the legs; of a person down the trunk alone, where the clothes are. Shades
that people call by one name are counted together. Leaves out the look around a point: see look.py.
"""

from functools import lru_cache

import numpy as np

from talkingpoints.writer.colours import COLOURS, colour_shares
from talkingpoints.writer.scene import SceneObject

SMALLEST = 12.0
"""Pixels of the longer side: of a smaller object no colour is named."""
LEAST_SAMPLES = 15
FIRST_SHARE, SECOND_SHARE = 0.35, 0.25
"""Of the looked-at pixels: a colour with less is not named first, or second."""
BLACK_IN_DARK = 0.4
"""Black pixels for each dark grey one: with fewer, dark grey is a grey coat, with more a black coat in the light."""

_DARK = {"black", "dark brown"}  # one dark coat, half of it in warm light
_UPPER = ("withers", "tailbase", "root of tail", "neck", "throat", "shoulder", "hip")
_LOWER = ("front elbow", "back elbow")
_FACE = ("eye", "nose")
_LEGS = (("front elbow", "front knee"), ("front knee", "front paw"), ("back elbow", "back knee"),
         ("back knee", "back paw"))  # fmt: skip
_TRUNK_STEPS, _FACE_STEPS, _LEG_STEPS = 8, 5, 3

# Shades that are one colour to people: (group, shades), and what a shade is called. Coats have no other colours: green
# is grass, blue is sky or shade.
_COAT_SHADES = {
    "black": {"black": "black"},
    "dark grey": {"dark grey": "dark grey"},
    "grey": {"grey": "grey"},
    "white": {"light grey": "white", "white": "white", "cream": "white"},
    "brown": {
        "dark brown": "dark brown", "brown": "brown", "reddish brown": "brown", "red": "brown", "tan": "tan",
        "pink": "tan", "yellow": "tan", "orange": "orange",
    },
}  # fmt: skip
_CLOTHES_SHADES = {
    **{name: _COAT_SHADES[name] for name in ("black", "dark grey", "grey", "white")},
    "brown": {"dark brown": "brown", "brown": "brown", "reddish brown": "brown", "tan": "tan"},
    "green": {"green": "green", "dark green": "green"},
    "blue": {"teal": "blue", "blue": "blue", "dark blue": "blue", "light blue": "blue"},
    **{name: {name: name} for name in ("red", "pink", "orange", "yellow", "purple")},
}


def object_colours_of(pixels: np.ndarray, item: SceneObject) -> tuple[str, ...]:
    """Name the colours of an object.

    Args:
        pixels: Photo, uint8, shape (height, width, 3), RGB.
        item: The object, in the same frame.

    Returns:
        One or two of `look.COLOURS`, the commoner first; none where the object is too small, has too few keypoints
        or too many colours. An animal's coat is black, dark grey, grey, white, dark brown, brown, tan or orange.
    """
    height, width = pixels.shape[:2]
    x0, y0, x1, y1 = item.box
    if max((x1 - x0) * width, (y1 - y0) * height) < SMALLEST:
        return ()
    lines = _lines(tuple(keypoint.name for keypoint in item.keypoints), item.label == "person")
    if len(lines[0]) < LEAST_SAMPLES:
        return ()
    first, second, along = lines
    ends = np.array([(keypoint.x, keypoint.y) for keypoint in item.keypoints])
    places = ends[first] * (1 - along) + ends[second] * along
    columns = np.clip(places[:, 0] * width, 0, width - 1).astype(np.intp)
    rows = np.clip(places[:, 1] * height, 0, height - 1).astype(np.intp)
    return named_colours(colour_shares(pixels[rows, columns]), coat=item.label != "person")


def named_colours(shares: np.ndarray, coat: bool) -> tuple[str, ...]:
    """The one or two commonest colours of some pixels, none if there are too many.

    Args:
        shares: Of each of `COLOURS` among the pixels, (len(COLOURS),).
        coat: Whether they are an animal's, which has no other colours than coats have.
    """
    return _named(shares, _COAT_SHADES if coat else _CLOTHES_SHADES)


def _named(shares: np.ndarray, groups: dict[str, dict[str, str]]) -> tuple[str, ...]:
    """The commonest one or two groups of shades, each by its commonest name."""
    share_of = dict(zip(COLOURS, shares.tolist(), strict=True))
    sums = {group: sum(share_of[shade] for shade in shades) for group, shades in groups.items()}
    dark = "black" if sums["black"] >= BLACK_IN_DARK * sums["dark grey"] else "grey"
    sums[dark] += sums.pop("dark grey")
    order = sorted(sums, key=lambda group: -sums[group])[:2]
    shown = [group for group, least in zip(order, (FIRST_SHARE, SECOND_SHARE), strict=True) if sums[group] >= least]
    if order[0] not in shown:
        return ()
    named = []
    for group in shown:
        names: dict[str, float] = {}
        for shade, name in groups[group].items():
            names[name] = names.get(name, 0.0) + share_of[shade]
        named.append(max(names, key=lambda name: names[name]))
    return (named[0],) if set(named) == _DARK else tuple(named)


@lru_cache(maxsize=4096)
def _lines(names: tuple[str, ...], person: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where to look: indices of two keypoints (n,) and (n,), and shares of the way between them (n, 1)."""
    pairs: list[tuple[int, int, int]] = []
    for i, one in enumerate(names):
        for j, other in enumerate(names):
            steps = _person_steps(one, other) if person else _steps(one, other)
            if i != j and steps:
                pairs.append((i, j, steps))
    first = np.repeat([i for i, _, _ in pairs], [steps for *_, steps in pairs]).astype(np.intp)
    second = np.repeat([j for _, j, _ in pairs], [steps for *_, steps in pairs]).astype(np.intp)
    along = [(k + 1) / (steps + 1) for *_, steps in pairs for k in range(steps)]
    return first, second, np.array(along, dtype=np.float64)[:, None]


@lru_cache(maxsize=4096)
def _steps(one: str, other: str) -> int:
    """How often to look on the way from one keypoint of an animal to another; 0 for not at all, or the other way."""
    (side, a), (other_side, b) = _bare(one), _bare(other)
    if a in _UPPER and (b in _LOWER or (b in _UPPER and one < other)):
        return _TRUNK_STEPS
    if a in _FACE and ((b in _FACE and one < other) or b == "ear"):
        return _FACE_STEPS
    return _LEG_STEPS if (a, b) in _LEGS and side == other_side else 0


@lru_cache(maxsize=4096)
def _person_steps(one: str, other: str) -> int:
    """The same for a person: from the shoulders to the hips and the other shoulder, or else to the elbows."""
    (side, a), (other_side, b) = _bare(one), _bare(other)
    if (a, b) == ("shoulder", "hip"):
        return 2 * _TRUNK_STEPS
    if (a, b) == ("shoulder", "elbow") and side == other_side:
        return _FACE_STEPS
    return _TRUNK_STEPS if a == b == "shoulder" and one < other else 0


def _bare(name: str) -> tuple[str, str]:
    first, _, rest = name.partition(" ")
    return (first, rest) if first in ("left", "right") and rest else ("", name)
