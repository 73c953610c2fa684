"""Points, heat maps and segments drawn onto a copy of a photo, for ``--draw`` and previews."""

from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from talkingpoints.palette import mark_colour
from talkingpoints.results import SegmentCaption

SHOWN_SIDE = 1024
"""Longest side of a drawn photo in pixels: smaller ones are enlarged, so that marks look alike on all."""
_HEAT = (249, 115, 22)
_WORDS_BELOW = 26  # pixels of a line of text


def shown(image: Image.Image, side: int = SHOWN_SIDE) -> Image.Image:
    """A copy with its longest side at ``side`` pixels."""
    scale = side / max(image.size)
    return image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))


def draw_points(
    image: Image.Image, points: Sequence[tuple[float, float]], numbers: bool = False, side: int = SHOWN_SIDE
) -> Image.Image:
    """A copy with a ring at each unit point (x, y), and its number beside it, from 1 on."""
    picture = shown(image, side)
    draw = ImageDraw.Draw(picture)
    radius = max(4, round(side / 90))
    font = ImageFont.load_default(size=max(11, side / 45))
    for number, (u, v) in enumerate(points):
        x, y = u * picture.width, v * picture.height
        for grown, colour in ((2, "black"), (0, mark_colour(number))):
            box = (x - radius - grown, y - radius - grown, x + radius + grown, y + radius + grown)
            draw.ellipse(box, outline=colour, width=3)
        draw.ellipse((x - 1, y - 1, x + 1, y + 1), fill="white")
        if numbers:
            place = x + 1.4 * radius, y - 1.4 * radius
            draw.text(place, str(number + 1), "white", font, anchor="lb", stroke_width=2, stroke_fill="black")
    return picture


def draw_heat(image: Image.Image, heatmap: np.ndarray | None, point: tuple[float, float]) -> Image.Image:
    """A copy with a heat map (h, w) over it, where there is one, and a ring at a unit point."""
    picture = shown(image)
    if heatmap is not None and heatmap.max() > 0:
        strength = Image.fromarray((heatmap / heatmap.max() * 180).astype(np.uint8)).resize(picture.size)
        picture.paste(Image.new("RGB", picture.size, _HEAT), (0, 0), strength)
    return draw_points(picture, [point])


def draw_segments(image: Image.Image, segments: Iterable[SegmentCaption]) -> Image.Image:
    """A copy with each segment tinted in a colour of its own, and its id in its middle."""
    found = list(segments)
    pixels = np.asarray(image, dtype=np.float64).copy()
    for number, one in enumerate(found):
        pixels[one.mask] = 0.55 * pixels[one.mask] + 0.45 * np.array(mark_colour(number))
    picture = shown(Image.fromarray(pixels.round().astype(np.uint8)))
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size=24)
    for one in found:
        rows, columns = np.nonzero(one.mask)
        place = np.argmin(np.hypot(rows - rows.mean(), columns - columns.mean()))  # a middle that lies inside
        x, y = columns[place] / image.width * picture.width, rows[place] / image.height * picture.height
        draw.text((x, y), str(one.id), "white", font, anchor="mm", stroke_width=2, stroke_fill="black")
    return picture


def with_words(picture: Image.Image, words: Sequence[str]) -> Image.Image:
    """A copy with lines of words below, cut at its width."""
    font = ImageFont.load_default(size=_WORDS_BELOW * 0.65)
    page = Image.new("RGB", (picture.width, picture.height + _WORDS_BELOW * len(words)), "white")
    page.paste(picture)
    draw = ImageDraw.Draw(page)
    for line, text in enumerate(words):
        text = " ".join(text.split())
        while text and draw.textlength(text, font) > page.width - 12:
            text = text[:-2].rstrip() + "…" if len(text) > 2 else ""
        draw.text((6, picture.height + line * _WORDS_BELOW + 4), text, "black", font)
    return page
