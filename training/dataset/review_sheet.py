"""A page on which a person judges a sample of texts: one self-contained HTML file with a tally that the browser keeps.

The page holds photos of the dataset: mind their licence before you publish it.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from PIL import Image, ImageDraw

from talkingpoints.dataset_builder.checks.dataset_checks import CheckedText
from talkingpoints.dataset_builder.texts.views import context_view
from talkingpoints.images import load_image
from talkingpoints.llm.server import jpeg_url

_PHOTO_PX = 420
_CLOSE_PX = 200
_CLOSE_SHARE = 0.25
_RING_PX = 14  # what lies on the point itself stays free


def write_sheet(path: Path, texts: Sequence[CheckedText], title: str) -> Path:
    """Write the page.

    Args:
        path: of the file.
        texts: to be judged.
        title: of the page, for example the dataset's name.

    Returns:
        The file.
    """
    templates = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
    rows = [_row(one) for one in texts]
    name = hashlib.sha256("\n".join(row["id"] for row in rows).encode()).hexdigest()[:12]
    page = templates.get_template("review_sheet.html").render(
        title=title,
        rows=rows,
        close_px=_CLOSE_PX,
        about={
            "sheet": name,
            "title": title,
            "rows": [{field: row[field] for field in ("id", "key", "style", "text")} for row in rows],
        },
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")
    return path


def _row(one: CheckedText) -> dict[str, Any]:
    task = one.task
    photo = context_view(task.image, task.point_px)
    photo.thumbnail((_PHOTO_PX, _PHOTO_PX))
    return {
        "id": hashlib.sha256(f"{task.key}\n{one.text}".encode()).hexdigest()[:16],
        "key": task.key,
        "label": task.label,
        "part": task.part,
        "kind": task.kind,
        "style": one.style,
        "text": one.text,
        "photo": jpeg_url(photo),
        "size": photo.size,
        "close": jpeg_url(_close(task.image, task.point_px)),
    }


def _close(image: str, point_px: tuple[float, float]) -> Image.Image:
    """The point's surroundings, with a ring around the point in the middle; black outside the photo."""
    photo = load_image(image)
    half = max(16, round(_CLOSE_SHARE * min(photo.size) / 2))
    x, y = round(point_px[0]), round(point_px[1])
    close = photo.crop((x - half, y - half, x + half, y + half)).resize((_CLOSE_PX, _CLOSE_PX))
    canvas, middle = ImageDraw.Draw(close), _CLOSE_PX / 2
    for radius, colour in ((_RING_PX + 2, "black"), (_RING_PX, "white"), (_RING_PX - 2, "black")):  # seen on any ground
        canvas.ellipse((middle - radius, middle - radius, middle + radius, middle + radius), outline=colour, width=2)
    return close
