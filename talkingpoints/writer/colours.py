"""What a photo looks like around a point: one or two colour words and a texture word.

Measured on a small window with numpy. Leaves out everything learned; a colour word is a look-up in a coarse
RGB table, built once from plain hue, chroma and lightness rules.
"""

from functools import lru_cache

import numpy as np

WINDOW = 0.05  # side of the window, as a fraction of the photo's longer side
MIN_WINDOW_PX = 5
SECOND_COLOUR_SHARE = 0.3
SMOOTH_BELOW = 18.0  # standard deviation of the grey values (0..255) in the window
SOFT_BELOW = 32.0
EDGE_COHERENCE = 0.5  # 0: gradients in all directions, 1: all in one direction
BITS = 5  # resolution of the RGB table per channel

COLOURS = (
    "black",
    "dark grey",
    "grey",
    "light grey",
    "white",
    "dark brown",
    "brown",
    "tan",
    "cream",
    "reddish brown",
    "red",
    "pink",
    "orange",
    "yellow",
    "green",
    "dark green",
    "teal",
    "blue",
    "dark blue",
    "light blue",
    "purple",
)
TEXTURES = ("smooth", "lightly textured", "textured", "with a sharp edge")


def look_at(pixels: np.ndarray, point: tuple[float, float]) -> tuple[tuple[str, ...], str]:
    """Name the colours and the texture around a point.

    Args:
        pixels: Photo, uint8, shape (height, width, 3), RGB.
        point: (x, y) in unit coordinates of the photo.

    Returns:
        One or two of `COLOURS`, the commoner first, and one of `TEXTURES`.
    """
    window = window_at(pixels, point)
    return colours_of(window), texture_of(window)


def window_at(pixels: np.ndarray, point: tuple[float, float], side: float = WINDOW) -> np.ndarray:
    """The pixels around a point, a square of `side` longer sides of the photo, clipped to it."""
    height, width = pixels.shape[:2]
    half = max(MIN_WINDOW_PX, round(side * max(height, width))) // 2
    x = min(int(point[0] * width), width - 1)
    y = min(int(point[1] * height), height - 1)
    return pixels[max(0, y - half) : y + half + 1, max(0, x - half) : x + half + 1]


def colours_of(window: np.ndarray) -> tuple[str, ...]:
    """One or two of `COLOURS`, the commoner first, that most pixels of a window have, uint8 (height, width, 3)."""
    shares = colour_shares(window)
    order = np.argsort(-shares, kind="stable")[:2]
    if shares[order[1]] >= SECOND_COLOUR_SHARE:
        return COLOURS[order[0]], COLOURS[order[1]]
    return (COLOURS[order[0]],)


def colour_shares(window: np.ndarray) -> np.ndarray:
    """The share of each of `COLOURS` among some pixels, uint8 (..., 3): float64 (len(COLOURS),)."""
    coarse = (window >> (8 - BITS)).astype(np.intp)
    codes = _colour_table()[coarse[..., 0], coarse[..., 1], coarse[..., 2]]
    return np.bincount(codes.ravel(), minlength=len(COLOURS)) / codes.size


def texture_of(window: np.ndarray) -> str:
    """One of `TEXTURES`, of a window, uint8 (height, width, 3)."""
    grey = window.astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    spread = float(grey.std())
    if spread < SMOOTH_BELOW:
        return "smooth"
    if min(grey.shape) < 2:
        return "lightly textured"
    # Structure tensor of the window: an edge has its gradients along one direction, fur or grass along many.
    # Steps of both rows and both columns of each 2 x 2 cell, so that a mirrored window measures the same.
    dx, dy = grey[:, 1:] - grey[:, :-1], grey[1:] - grey[:-1]
    xx, yy = float((dx * dx).mean()), float((dy * dy).mean())
    xy = float(((dx[1:] + dx[:-1]) * (dy[:, 1:] + dy[:, :-1])).mean()) / 4
    coherence = ((xx - yy) ** 2 + 4 * xy * xy) ** 0.5 / max(xx + yy, 1e-6)
    if spread >= SOFT_BELOW and coherence > EDGE_COHERENCE:
        return "with a sharp edge"
    return "lightly textured" if spread < SOFT_BELOW else "textured"


@lru_cache(maxsize=1)
def _colour_table() -> np.ndarray:
    """Index into `COLOURS` for every coarse RGB cell, shape (32, 32, 32)."""
    steps = (np.arange(1 << BITS) + 0.5) / (1 << BITS)
    red, green, blue = np.meshgrid(steps, steps, steps, indexing="ij")
    high, low = np.maximum(np.maximum(red, green), blue), np.minimum(np.minimum(red, green), blue)
    chroma = high - low
    safe = np.maximum(chroma, 1e-6)
    hue = np.where(high == red, (green - blue) / safe % 6, 0.0)
    hue = np.where((high == green) & (high != red), (blue - red) / safe + 2, hue)
    hue = np.where((high == blue) & (high != red) & (high != green), (red - green) / safe + 4, hue) * 60
    light = 0.299 * red + 0.587 * green + 0.114 * blue
    saturation = chroma / np.maximum(high, 1e-6)
    warm = (hue < 50) | (hue >= 340)
    # The first rule that holds names the cell.
    rules: list[tuple[np.ndarray, str]] = [
        (light < 0.13, "black"),
        ((light < 0.2) & (saturation < 0.3), "black"),
        ((light > 0.85) & (chroma < 0.14), "white"),
        ((saturation < 0.13) & (light < 0.36), "dark grey"),
        ((saturation < 0.13) & (light < 0.6), "grey"),
        ((saturation < 0.13) & (light < 0.8), "light grey"),
        (saturation < 0.13, "white"),
        (warm & (hue < 340) & (hue >= 18) & (saturation > 0.75) & (light > 0.42), "orange"),
        (((hue >= 345) | (hue < 12)) & (saturation > 0.62) & (light > 0.2), "red"),
        (((hue >= 310) | (hue < 14)) & (light > 0.55) & (saturation < 0.62), "pink"),
        (warm & (light > 0.72), "cream"),
        (warm & (hue < 340) & (light > 0.5), "tan"),
        (warm & (light < 0.28), "dark brown"),
        (warm & (hue < 18) & (saturation > 0.45), "reddish brown"),
        (warm & (hue >= 340) & (saturation > 0.3), "reddish brown"),
        (warm, "brown"),
        ((hue < 70) & (light > 0.78) & (saturation < 0.4), "cream"),
        ((hue < 70) & (saturation > 0.5) & (light > 0.5), "yellow"),
        ((hue < 60) & (light > 0.5), "tan"),
        ((hue < 60) & (light < 0.3), "dark brown"),
        ((hue < 60) & (saturation < 0.5), "brown"),
        ((hue < 165) & (light < 0.3), "dark green"),
        (hue < 165, "green"),
        ((hue < 195) & (light > 0.7), "light blue"),
        (hue < 195, "teal"),
        ((hue < 260) & (light < 0.25), "dark blue"),
        ((hue < 260) & (light > 0.6), "light blue"),
        (hue < 260, "blue"),
        (hue < 310, "purple"),
    ]
    conditions = [condition for condition, _ in rules]
    choices = [COLOURS.index(name) for _, name in rules]
    return np.select(conditions, choices, default=COLOURS.index("purple")).astype(np.intp)
