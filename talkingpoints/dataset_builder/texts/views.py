"""What a writer sees of a point: the photo with a ring around it, and its close surroundings that fade to grey."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from talkingpoints.images import load_image, load_shrunk

VIEWS_VERSION = "views 1"
"""To be changed with anything that changes what models see, so that they are asked anew."""

CONTEXT_PX = 768
"""Longest side of the whole photo."""
RING_SHARE = 0.018
"""Radius of the ring as a share of that."""
LOCAL_PX = 336
"""Side of the surroundings."""
LOCAL_SHARE = 0.3
"""Side of the surroundings as a share of the photo's shorter side, where the part is not smaller."""
SIGMA = 0.2
"""Standard deviation of the window in sides of the surroundings, so that the corners are grey."""

GREY = 127.0
_SMALLEST_PX = 48


def context_view(image: str | Path, point_px: tuple[float, float]) -> Image.Image:
    """The whole photo with a ring around the point; the point itself stays visible.

    Args:
        image: file.
        point_px: (x, y) in pixels of the photo.

    Returns:
        RGB, longest side `CONTEXT_PX`; a smaller photo is enlarged, or the ring would hide what is in it.
    """
    photo, (height, width) = load_shrunk(image, CONTEXT_PX)
    if max(photo.size) < CONTEXT_PX:
        scale = CONTEXT_PX / max(photo.size)
        photo = photo.resize((round(photo.width * scale), round(photo.height * scale)), Image.Resampling.BICUBIC)
    x, y = point_px[0] * photo.width / width, point_px[1] * photo.height / height
    radius = RING_SHARE * CONTEXT_PX
    draw = ImageDraw.Draw(photo)
    for line, colour in ((5, "white"), (3, (225, 0, 60))):
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=colour, width=line)
    return photo


def local_view(
    image: str | Path, point_px: tuple[float, float], part_box: tuple[float, float, float, float]
) -> Image.Image:
    """The point's surroundings under a Gaussian window.

    Args:
        image: file.
        point_px: (x, y) in pixels of the photo; the middle of the result.
        part_box: (x0, y0, x1, y1) in pixels; of a small part little more than the part is shown.

    Returns:
        RGB (LOCAL_PX, LOCAL_PX): the photo times the window, plus grey times the rest; grey outside the photo.
    """
    photo = load_image(image)
    part = max(part_box[2] - part_box[0], part_box[3] - part_box[1])
    side = round(max(_SMALLEST_PX, min(LOCAL_SHARE * min(photo.size), 1.5 * part)))
    left, top = round(point_px[0] - side / 2), round(point_px[1] - side / 2)
    cut = Image.new("RGB", (side, side), (int(GREY),) * 3)
    inside = (max(0, left), max(0, top), min(photo.width, left + side), min(photo.height, top + side))
    cut.paste(photo.crop(inside), (inside[0] - left, inside[1] - top))
    pixels = np.asarray(cut.resize((LOCAL_PX, LOCAL_PX), Image.Resampling.BICUBIC), dtype=np.float32)
    offsets = (np.arange(LOCAL_PX, dtype=np.float32) + 0.5) / LOCAL_PX - 0.5
    window = np.exp(-(offsets[:, None] ** 2 + offsets[None, :] ** 2) / (2 * SIGMA**2))[..., None]
    return Image.fromarray((pixels * window + GREY * (1 - window)).round().astype(np.uint8))
