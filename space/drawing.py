"""Marks and heat maps drawn onto a copy of a photo, at the size at which the browser shows it.

Every photo is shown with its longest side at ``SHOWN_SIDE`` pixels, small ones enlarged: marks then look the
same on each of them, and Gradio, which never enlarges, reports a click to a fraction of a pixel of a small
photo. Points come in as unit (x, y). Nothing here knows about models or Gradio.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

from talkingpoints.points import to_pixels

SHOWN_SIDE = 1280
CLICKED = (249, 115, 22)
FOUND = (37, 99, 235)
KEPT = (30, 41, 59)

_UNIT = SHOWN_SIDE / 100  # marks are sized in hundredths of the shown side
_SHARPEN = 3  # marks are drawn this many times larger and scaled down, which smooths their edges
_OUTSIDE = 0.16  # share of the light that a photo loses outside the window
_HEAT_STOPS = (0.0, 0.35, 0.7, 1.0)
_HEAT_COLOURS = (
    (67, 56, 202),
    (192, 38, 151),
    (249, 115, 22),
    (253, 224, 71),
)  # indigo, magenta, orange, yellow

UnitPoint = tuple[float, float]
PixelPoint = tuple[float, float]


def shown_size(size: tuple[int, int]) -> tuple[int, int]:
    """(height, width) of a photo -> (height, width) at which it is shown, at least one pixel each.

    Example:
        >>> shown_size((300, 451))
        (851, 1280)
    """
    height, width = size
    scale = SHOWN_SIDE / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def css_rgb(colour: tuple[int, int, int]) -> str:
    """A colour as style sheets and SVG write it."""
    return "rgb({}, {}, {})".format(*colour)


def draw(
    image: Image.Image,
    clicked: UnitPoint | None = None,
    found: UnitPoint | None = None,
    heatmap: np.ndarray | None = None,
    opacity: float = 0.6,
    window: np.ndarray | None = None,
    kept: Sequence[UnitPoint] = (),
) -> Image.Image:
    """The photo as the browser shows it: heat map, window, numbered points, dashed line, and the two marks on top.

    Args:
        image: RGB photo; left as it is. clicked: unit (x, y) of the clicked point, an orange disc. found:
            unit (x, y) of the point that a text led to, a blue ring with four ticks. heatmap: float (h, w),
            not negative, covering the whole photo; only its shape relative to its peak is drawn. opacity: 0
            (no heat map) to 1 (its peak hides the photo). window: bool (h, w) over the whole photo, a white outline
            around what is true and the rest a little darker. kept: unit (x, y) of points, dark discs with the numbers
            1, 2, ...

    Returns:
        A new RGB image of :func:`shown_size`.
    """
    height, width = shown_size((image.height, image.width))
    shown = image.resize((width, height), Image.Resampling.BICUBIC)
    if heatmap is not None and opacity > 0:
        shown = _blend_heat(shown, heatmap, min(opacity, 1.0))
    if window is not None:
        shown = _outline(shown, window)
    for number, point in enumerate(kept, start=1):
        _paste_number(shown, to_pixels(point, (height, width)), number)
    places = [None if point is None else tuple(to_pixels(point, (height, width))) for point in (clicked, found)]
    if any(place is not None for place in places):
        _paste_marks(shown, *places)
    return shown


def _blend_heat(shown: Image.Image, heatmap: np.ndarray, opacity: float) -> Image.Image:
    peak = float(heatmap.max())
    if not peak > 0:
        return shown
    small = Image.fromarray((heatmap / peak).astype(np.float32))
    # Enlarging the 32-bit map first keeps its slopes smooth; bicubic may overshoot a little on either side.
    heat = np.asarray(small.resize(shown.size, Image.Resampling.BICUBIC)).clip(0.0, 1.0)
    levels = (heat * 255).astype(np.uint8)
    colours = Image.fromarray(_HEAT_TABLE[levels])
    # The square root lets the flanks be seen; with alpha equal to the heat only the peak would show.
    alpha = Image.fromarray((np.sqrt(heat) * (255 * opacity)).astype(np.uint8))
    return Image.composite(colours, shown, alpha)


def _outline(shown: Image.Image, window: np.ndarray) -> Image.Image:
    """Darken what lies outside the window and draw its border, which the photo's own border cuts off."""
    blur = max(window.shape) / 70  # smooths the steps of the map, and makes a ramp of its border
    small = Image.fromarray(window.astype(np.uint8) * 255).filter(ImageFilter.GaussianBlur(blur))
    inside = small.resize(shown.size, Image.Resampling.BICUBIC)
    darkened = ImageChops.multiply(shown, Image.merge("RGB", [inside.point(_WINDOW_LIGHT)] * 3))
    darkened.paste("white", mask=inside.point(_WINDOW_LINE))
    return darkened


def _window_tables() -> tuple[list[int], list[int]]:
    """Light left and white of the line, 0..255 each, for how much a pixel is inside (256 steps)."""
    inside = np.linspace(0.0, 1.0, 256)
    from_border = np.abs(inside - 0.5)  # the line is where the ramp is about half way up
    light = 1 - _OUTSIDE * (1 - inside) - 0.4 * (1 - from_border / 0.16).clip(0, 1)
    line = ((0.065 - from_border) / 0.03).clip(0, 1)
    return [round(value) for value in light * 255], [round(value) for value in line * 255]


_WINDOW_LIGHT, _WINDOW_LINE = _window_tables()


def _paste_number(shown: Image.Image, place: np.ndarray, number: int) -> None:
    badge = _badge(number)
    x, y = place
    shown.paste(badge, (round(x - badge.width / 2), round(y - badge.height / 2)), badge)


@lru_cache(maxsize=128)
def _badge(number: int) -> Image.Image:
    """A disc with a number, as RGBA just large enough for it."""
    side = round(4.4 * _UNIT) * _SHARPEN
    layer = Image.new("RGBA", (side, side))
    pen = ImageDraw.Draw(layer)
    centre = (side / 2, side / 2)
    for radius, fill in ((2.1, (0, 0, 0, 110)), (1.95, "white"), (1.65, KEPT)):
        pen.ellipse(_box(centre, radius), fill=fill)
    height = (2.3 if number < 10 else 1.9 if number < 100 else 1.5) * _UNIT * _SHARPEN
    pen.text(centre, str(number), fill="white", anchor="mm", font=ImageFont.load_default(height))
    return layer.resize((side // _SHARPEN, side // _SHARPEN), Image.Resampling.LANCZOS)


def _heat_table() -> np.ndarray:
    """256 RGB colours, uint8 (256, 3), from cold to hot."""
    levels = np.linspace(0.0, 1.0, 256)
    channels = zip(*_HEAT_COLOURS, strict=True)
    return np.stack([np.interp(levels, _HEAT_STOPS, channel) for channel in channels], axis=-1).astype(np.uint8)


_HEAT_TABLE = _heat_table()


def _paste_marks(shown: Image.Image, clicked: PixelPoint | None, found: PixelPoint | None) -> None:
    """Draw the marks, given in pixels of ``shown``, on a layer just large enough for them, and paste that."""
    reach = 5 * _UNIT
    places = [place for place in (clicked, found) if place is not None]
    left, top = (int(min(place[axis] for place in places) - reach) for axis in (0, 1))
    right, bottom = (int(max(place[axis] for place in places) + reach) for axis in (0, 1))
    layer = Image.new("RGBA", ((right - left) * _SHARPEN, (bottom - top) * _SHARPEN))
    pen = ImageDraw.Draw(layer)

    def on_layer(place: PixelPoint) -> PixelPoint:
        return (place[0] - left) * _SHARPEN, (place[1] - top) * _SHARPEN

    if clicked is not None and found is not None:
        _dashed_line(pen, on_layer(clicked), on_layer(found))
    if clicked is not None:
        _disc(pen, on_layer(clicked))
    if found is not None:
        _ring(pen, on_layer(found))
    layer = layer.resize((right - left, bottom - top), Image.Resampling.LANCZOS)
    shown.paste(layer, (left, top), layer)


def _disc(pen: ImageDraw.ImageDraw, centre: PixelPoint) -> None:
    for radius, fill in ((1.75, (0, 0, 0, 110)), (1.6, "white"), (1.2, CLICKED), (0.35, "white")):
        pen.ellipse(_box(centre, radius), fill=fill)


def _ring(pen: ImageDraw.ImageDraw, centre: PixelPoint) -> None:
    for thickness, extra, colour in ((1.1, 0.3, "white"), (0.55, 0.0, FOUND)):
        pen.ellipse(_box(centre, 1.9 + extra), outline=colour, width=_thick(thickness))
        for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            ends = [
                (centre[0] + dx * far * _UNIT * _SHARPEN, centre[1] + dy * far * _UNIT * _SHARPEN)
                for far in (1.6, 3.2 + extra)
            ]
            pen.line(ends, fill=colour, width=_thick(thickness))
    pen.ellipse(_box(centre, 0.5), fill="white")
    pen.ellipse(_box(centre, 0.35), fill=FOUND)


def _dashed_line(pen: ImageDraw.ImageDraw, start: PixelPoint, end: PixelPoint) -> None:
    length = float(np.hypot(end[0] - start[0], end[1] - start[1]))
    pen.line([start, end], fill=(0, 0, 0, 120), width=_thick(0.7))
    for dash_start, dash_end in _dashes(length, 1.4 * _UNIT * _SHARPEN):
        ends = [
            (start[0] + (end[0] - start[0]) * at / length, start[1] + (end[1] - start[1]) * at / length)
            for at in (dash_start, dash_end)
        ]
        pen.line(ends, fill="white", width=_thick(0.45))


def _dashes(length: float, dash: float) -> Iterable[tuple[float, float]]:
    """(start, end) of every dash on a line of this length; gaps are as long as dashes."""
    at = 0.0
    while at < length:
        yield at, min(at + dash, length)
        at += 2 * dash


def _box(centre: PixelPoint, radius: float) -> tuple[float, float, float, float]:
    """The square around a circle whose radius is in mark units."""
    reach = radius * _UNIT * _SHARPEN
    return centre[0] - reach, centre[1] - reach, centre[0] + reach, centre[1] + reach


def _thick(units: float) -> int:
    return round(units * _UNIT * _SHARPEN)
