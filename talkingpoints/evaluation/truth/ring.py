"""A photo, or a part of it, with a ring around the point that leaves its pixels free: what judges look at."""

from collections.abc import Sequence

from PIL import Image, ImageDraw

CROP_SHARE = 0.3
"""Side of the crop around the point, of the photo's longer side."""
_RING = ((11, "black"), (10, "yellow"), (9, "yellow"), (8, "black"))


def ringed(image: Image.Image, box: Sequence[float], point_px: tuple[float, float], side: int) -> Image.Image:
    """A part of a photo, enlarged.

    Args:
        image: The photo.
        box: (x0, y0, x1, y1) in pixels of the part; what lies outside the photo is black.
        point_px: (x, y) in pixels.
        side: Longer side of the result in pixels.
    """
    scale = side / max(box[2] - box[0], box[3] - box[1])
    size = (max(1, round((box[2] - box[0]) * scale)), max(1, round((box[3] - box[1]) * scale)))
    part = image.transform(size, Image.Transform.EXTENT, tuple(box), Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(part)
    x, y = (point_px[0] - box[0]) * scale, (point_px[1] - box[1]) * scale
    for radius, colour in _RING:
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), outline=colour)
    pen.point((x, y), fill="yellow")
    return part


def whole_and_crop(image: Image.Image, point_px: tuple[float, float], sides: tuple[int, int]) -> list[Image.Image]:
    """The whole photo and a crop around the point, their longer sides in pixels as given."""
    half = CROP_SHARE * max(image.size) / 2
    x, y = point_px
    whole = ringed(image, (0, 0, *image.size), point_px, sides[0])
    return [whole, ringed(image, (x - half, y - half, x + half, y + half), point_px, sides[1])]
