"""Colour words that agree with a person's: of the spot around a point, and of a whole thing.

The words are those of colours.py and "olive". Against that file the spot's middle counts most, pixels off the thing do
not count where a mask tells them apart, and dull blue and green shades are grey, as people call them. Checked by eye on
train photos: see docs of the data.
"""

from functools import lru_cache

import numpy as np

from talkingpoints.writer.colours import BITS, COLOURS, _colour_table, texture_of
from talkingpoints.writer.fluent.annotated_scene import Thing
from talkingpoints.writer.object_colours import LEAST_SAMPLES, named_colours, object_colours_of
from talkingpoints.writer.scene import Keypoint, SceneObject

WORDS = (*COLOURS, "olive")
HALF = 0.022
"""Half the side of the looked-at window, of the photo's longer side."""
LEAST_HALF = 3
"""Pixels."""
SECOND_SHARE = 0.33
"""Weight from which a second colour is named."""
LEAST_INSIDE = 0.2
"""Weight on the thing, of the window's, from which only its pixels count."""
_GREY_STEPS = ((0.13, "black"), (0.36, "dark grey"), (0.6, "grey"), (0.82, "light grey"), (1.1, "white"))
_COATED = frozenset({"dog", "cat", "sheep", "horse", "cow", "person"})
_PAINTED = frozenset({"front door", "back door", "front bumper", "back bumper", "bonnet", "boot lid", "tailgate"})
_SAMPLES = 400


def spot_look(
    pixels: np.ndarray, point: tuple[float, float], labels: np.ndarray | None = None, label: int = 0
) -> tuple[tuple[str, ...], str]:
    """Name the colours and the texture around a point.

    Args:
        pixels: Photo, uint8 (height, width, 3), RGB.
        point: Unit (x, y).
        labels: int (height, width), whose each pixel is; None if unknown.
        label: The value of `labels` on the part or thing that the point is on.

    Returns:
        One or two of `WORDS`, the commoner first, and one of `colours.TEXTURES`.
    """
    height, width = pixels.shape[:2]
    half = max(LEAST_HALF, round(HALF * max(height, width)))
    x, y = min(int(point[0] * width), width - 1), min(int(point[1] * height), height - 1)
    rows, columns = slice(max(0, y - half), y + half + 1), slice(max(0, x - half), x + half + 1)
    window = pixels[rows, columns]
    weights = _weights(half)[rows.start - y + half : rows.stop - y + half, columns.start - x + half :]
    weights = weights[: window.shape[0], : window.shape[1]]
    if labels is not None:
        inside = weights * (labels[rows, columns] == label)
        weights = inside if inside.sum() >= LEAST_INSIDE * weights.sum() else weights
    shares = _shares(window, weights)
    first, second = np.argsort(-shares, kind="stable")[:2].tolist()
    named = (WORDS[first], WORDS[second]) if shares[second] >= SECOND_SHARE else (WORDS[first],)
    return named, texture_of(window)


def thing_colours(
    pixels: np.ndarray, thing: Thing, mask: np.ndarray | None, piece: np.ndarray | None
) -> tuple[str, ...]:
    """Name the colours of a whole thing, as `object_colours_of` does.

    Args:
        pixels: Photo, uint8 (height, width, 3), RGB.
        thing: In the same frame.
        mask: bool (height, width) of the thing, None without one.
        piece: The thing's part maps, 1 + index of the part; None without one.

    Returns:
        One or two words; none where it cannot be said: too small, too few points, too many colours, or a kind such as
        a clothed person of whom only the face is known.
    """
    if thing.kind in _COATED and len(thing.parts) > 4 and piece is None:
        points = [Keypoint(f"{p.side} {p.name}" if p.side else p.name, *p.point) for p in thing.parts if p.box is None]
        return object_colours_of(pixels, SceneObject(thing.kind, thing.box, tuple(points)))
    if thing.kind == "person":
        return ()
    if thing.kind == "car" and piece is not None:
        painted = [i + 1 for i, part in enumerate(thing.parts) if part.name in _PAINTED]
        mask = np.isin(piece, painted) if painted else mask
    if mask is not None:
        found = pixels[mask]
        found = found[:: max(1, len(found) // _SAMPLES)]
    elif thing.kind == "bird" and len(thing.parts) > 5:
        found = _between(pixels, [part.point for part in thing.parts])
    else:
        return ()
    if len(found) < LEAST_SAMPLES:
        return ()
    shares = _shares(found, np.ones(found.shape[:-1]))[: len(COLOURS)]
    named = named_colours(shares, coat=thing.kind in _COATED)
    # Of a smooth thing a second colour is mostly what it mirrors, or its shade.
    return named if thing.kind in _COATED or thing.kind == "bird" or len(named) == 1 else ()


def _between(pixels: np.ndarray, points: list[tuple[float, float]]) -> np.ndarray:
    """Pixels half way between all pairs of points, (n, 3): nearly all of them lie on a compact body."""
    height, width = pixels.shape[:2]
    places = np.array(points)
    middles = ((places[:, None] + places[None]) / 2).reshape(-1, 2)
    rows = np.clip(middles[:, 1] * height, 0, height - 1).astype(np.intp)
    return pixels[rows, np.clip(middles[:, 0] * width, 0, width - 1).astype(np.intp)]


def _shares(window: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The share of each of `WORDS` by weight."""
    coarse = (window >> (8 - BITS)).astype(np.intp)
    codes = _table()[coarse[..., 0], coarse[..., 1], coarse[..., 2]]
    counts = np.bincount(codes.ravel(), weights.ravel(), minlength=len(WORDS))
    return counts / max(float(weights.sum()), 1e-9)


@lru_cache(maxsize=64)
def _weights(half: int) -> np.ndarray:
    steps = np.arange(-half, half + 1) / (0.6 * half)
    return np.exp(-0.5 * (steps[:, None] ** 2 + steps[None] ** 2))


@lru_cache(maxsize=1)
def _table() -> np.ndarray:
    """Index into `WORDS` for every coarse RGB cell, (32, 32, 32): colours.py's with people's borders."""
    steps = (np.arange(1 << BITS) + 0.5) / (1 << BITS)
    red, green, blue = np.meshgrid(steps, steps, steps, indexing="ij")
    high, low = np.maximum(np.maximum(red, green), blue), np.minimum(np.minimum(red, green), blue)
    chroma = np.maximum(high - low, 1e-6)
    hue = np.where(high == red, (green - blue) / chroma % 6, 0.0)
    hue = np.where((high == green) & (high != red), (blue - red) / chroma + 2, hue)
    hue = np.where((high == blue) & (high != red) & (high != green), (red - green) / chroma + 4, hue) * 60
    light, saturation = 0.299 * red + 0.587 * green + 0.114 * blue, chroma / np.maximum(high, 1e-6)
    table = np.array(_colour_table())
    table[(hue >= 160) & (hue < 175) & (saturation > 0.3) & (light > 0.3)] = WORDS.index("green")
    table[(hue >= 48) & (hue < 78) & (saturation > 0.25) & (saturation < 0.85) & (light > 0.2) & (light < 0.55)] = (
        WORDS.index("olive")
    )
    dull = ((hue >= 60) & (hue < 165) & (saturation < 0.18)) | ((hue >= 165) & (hue < 300) & (saturation < 0.2))
    dull |= ((hue < 60) | (hue >= 300)) & (saturation < 0.11)
    below = 0.0
    for above, word in _GREY_STEPS:
        table[dull & (light >= below) & (light < above)] = WORDS.index(word)
        below = above
    return table
