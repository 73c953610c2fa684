"""A sheet of photos with their points and texts, to look an annotation file over: HTML or PNG."""

import base64
import html
import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from talkingpoints.commands.marks import draw_points, with_words
from talkingpoints.data.formats.records import PhotoRecord, PointRecord
from talkingpoints.images import load_image
from talkingpoints.palette import mark_colour
from talkingpoints.points import to_unit

SIDE = 480
"""Longest side of a photo on the sheet, in pixels."""
_COLUMNS = 3
_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font: 15px/1.4 system-ui, sans-serif; margin: 1rem; color: #1e293b; background: #fff; }}
main {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(18rem, 1fr)); gap: 1rem; }}
article {{ border: 1px solid #cbd5e1; border-radius: 6px; padding: .6rem; overflow-wrap: anywhere; }}
img {{ width: 100%; }} h2 {{ font-size: 1rem; margin: .4rem 0; }} ol {{ margin: 0; padding-left: 1.8rem; }}
li::marker {{ font-weight: bold; }} i {{ color: #64748b; }} b {{ display: inline-block; width: .8em; height: .8em; }}
</style>
<h1>{title}</h1><p>{summary}</p><main>{articles}</main></html>
"""


def write_preview(photos: Sequence[PhotoRecord], output: Path, title: str, limit: int = 24) -> int:
    """Write the sheet.

    Args:
        photos: those that are at hand and have points are shown, evenly spaced.
        output: ``.html`` or ``.png``.
        title: of the page.
        limit: so many photos at most.

    Returns:
        How many photos it shows.

    Raises:
        ValueError: If the output has another ending, or no photo is at hand.
    """
    if output.suffix.lower() not in (".html", ".png"):
        raise ValueError(f"a preview must end with .html or .png, got {output.name!r}")
    here = [photo for photo in photos if photo.path is not None and photo.points]
    if not here:
        raise ValueError("no photo with points is at hand; say where the photos are")
    step = max(1.0, len(here) / limit)
    chosen = [here[int(i * step)] for i in range(min(limit, len(here)))]
    if output.suffix.lower() == ".html":
        points = sum(len(photo.points) for photo in photos)
        summary = f"{len(photos)} photos, {points} points; {len(chosen)} photos are shown"
        articles = "\n".join(map(_article, chosen))
        output.write_text(_PAGE.format(title=html.escape(title), summary=summary, articles=articles), encoding="utf-8")
    else:
        _sheet([_card(photo) for photo in chosen]).save(output)
    return len(chosen)


def _marked(photo: PhotoRecord) -> Image.Image:
    points = [tuple(to_unit((point.x, point.y), photo.size or (1, 1)).tolist()) for point in photo.points]
    return draw_points(load_image(photo.path or ""), points, numbers=True, side=SIDE)


def _words(point: PointRecord) -> str:
    named = " / ".join(filter(None, (point.label, point.name)))
    return f"{named}: {point.text}" if named and point.text else point.text or named or "(no words)"


def _article(photo: PhotoRecord) -> str:
    file = io.BytesIO()
    _marked(photo).save(file, "JPEG", quality=85)
    picture = base64.b64encode(file.getvalue()).decode()
    lines = []
    for number, point in enumerate(photo.points):
        colour = "#{:02x}{:02x}{:02x}".format(*mark_colour(number))
        hidden = " <i>(hidden)</i>" if point.occluded else ""
        lines.append(f'<li><b style="background:{colour}"></b> {html.escape(_words(point))}{hidden}</li>')
    name = html.escape(photo.file_name)
    image = f'<img alt="{name}" src="data:image/jpeg;base64,{picture}">'
    return f"<article>{image}<h2>{name}</h2><ol>{''.join(lines)}</ol></article>"


def _card(photo: PhotoRecord) -> Image.Image:
    lines = [photo.file_name, *(f"{i}. {_words(point)}" for i, point in enumerate(photo.points, start=1))]
    return with_words(_marked(photo), lines)


def _sheet(cards: Sequence[Image.Image]) -> Image.Image:
    """Cards in rows of ``_COLUMNS``."""
    rows = [cards[i : i + _COLUMNS] for i in range(0, len(cards), _COLUMNS)]
    heights = [max(card.height for card in row) + 12 for row in rows]
    page = Image.new("RGB", (min(_COLUMNS, len(cards)) * (SIDE + 12), sum(heights)), "white")
    top = 0
    for row, height in zip(rows, heights, strict=True):
        for column, card in enumerate(row):
            page.paste(card, (column * (SIDE + 12), top))
        top += height
    return page
