"""Set of marks: a photo on which every segment has an outline and a number, so that a model can speak of each.

Outlines are not filled, so that nothing of a segment's look is hidden; each is a bright line between two dark ones,
which shows on any ground. A number stands inside its segment where it fits without hiding much of it, else beside it
with a line that leads to a dot inside. Numbers do not overlap. The method is that of Set-of-Mark prompting (Yang et
al., 2023); how Pix2Cap-COCO's own marks looked is not known.
"""

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from talkingpoints.mask_pieces import depths
from talkingpoints.palette import mark_colour

MARKS_VERSION = "marks 1"
"""To be changed with anything that changes how sheets look, so that models are asked anew."""
SHEET_PX = 1024
"""Longest side of a sheet; smaller photos are enlarged to it, so that outlines and numbers are thin beside them."""
MOST_MARKS = 24
"""Marks on a sheet; a photo with more segments has several sheets."""
LABEL_PX = 22
HIDDEN = 0.25
"""Largest share of a segment that its own number may hide."""
_FEWEST_PX = 9  # an outline around less would be a blot: such a segment gets its dot alone
_DIRECTIONS = 24
_DOT = 10.0  # how near a line may come to where another one ends
_Line = tuple[tuple[float, float], tuple[float, float]]
_REACHES = (1.0, 1.6, 2.4, 3.4, 4.8, 6.5, 8.5, 11.0, 14.0)  # of a label's height
_DARK = (12, 12, 12)


@dataclass(frozen=True)
class Mark:
    """Where a number stands.

    Args:
        number: 1 and up.
        segment_id: what it stands for.
        label: (x0, y0, x1, y1) of its plate, in pixels of the sheet.
        point: (x, y) inside the segment, in pixels of the sheet; where the line ends, if the plate is not there.
        inside: whether the plate stands on the segment.
        colour: RGB of outline and plate's rim.
    """

    number: int
    segment_id: int
    label: tuple[int, int, int, int]
    point: tuple[float, float]
    inside: bool
    colour: tuple[int, int, int]


@dataclass(frozen=True)
class Sheet:
    """A marked photo, RGB, and its marks in the order of their numbers."""

    image: Image.Image
    marks: tuple[Mark, ...]


def sheets_of(segment_ids: Sequence[int], most: int = MOST_MARKS) -> list[tuple[int, ...]]:
    """Which segments are marked together: as few sheets as it takes, of nearly equal size, order kept.

    Raises:
        ValueError: fewer than one mark a sheet.
    """
    if most < 1:
        raise ValueError(f"most must be at least 1, got {most}")
    count = -(-len(segment_ids) // most)
    bounds = [round(i * len(segment_ids) / count) for i in range(count + 1)] if count else []
    return [tuple(segment_ids[a:b]) for a, b in itertools.pairwise(bounds)]


def marked(photo: Image.Image, id_map: np.ndarray, segment_ids: Sequence[int], first: int = 1) -> Sheet:
    """Draw outlines and numbers.

    Args:
        photo: RGB.
        id_map: segments of its pixels, integers (height, width).
        segment_ids: what is marked, numbered in this order.
        first: the first number.

    Returns:
        The sheet, its longest side `SHEET_PX`.

    Raises:
        ValueError: the map has another size than the photo, or no pixel of a segment.
    """
    if id_map.shape != (photo.height, photo.width):
        raise ValueError(f"id_map: shape {id_map.shape}; the photo is {(photo.height, photo.width)} (height, width)")
    scale = SHEET_PX / max(photo.size)
    size = (max(1, round(photo.width * scale)), max(1, round(photo.height * scale)))
    places = np.zeros(id_map.shape, dtype=np.int32)
    for place, segment_id in enumerate(segment_ids, start=1):
        if not (inside := id_map == segment_id).any():
            raise ValueError(f"id_map has no pixel of segment {segment_id}")
        places[inside] = place
    rows = (np.arange(size[1]) * id_map.shape[0] // size[1])[:, None]
    large = places[rows, np.arange(size[0]) * id_map.shape[1] // size[0]]
    shapes = [_shape(large, place, scale) for place in range(1, len(segment_ids) + 1)]
    pixels = np.asarray(photo.resize(size, Image.Resampling.BICUBIC)).copy()
    colours = [mark_colour(i) for i in range(len(segment_ids))]
    for shape, colour in zip(shapes, colours, strict=True):
        _outline(pixels, shape, colour)
    marks = _placed(shapes, segment_ids, colours, first, large.shape)
    image = Image.fromarray(pixels)
    draw = ImageDraw.Draw(image)
    for mark in marks:
        _lead(draw, mark)
    for mark in marks:
        _plate(draw, mark)
    return Sheet(image, tuple(marks))


@dataclass(frozen=True)
class _Shape:
    """A segment on the sheet, in its own crop.

    Args:
        left, top: of the crop.
        inside: uint8 (h, w), 0 or 1.
        depth: float32 (h, w), distance to the outline; the sheet's edge is one.
        area: pixels.
    """

    left: int
    top: int
    inside: np.ndarray
    depth: np.ndarray
    area: int

    def share(self, box: tuple[int, int, int, int]) -> int:
        """Pixels of the segment in a box."""
        x0, y0, x1, y1 = box[0] - self.left, box[1] - self.top, box[2] - self.left, box[3] - self.top
        return int(self.inside[max(0, y0) : max(0, y1), max(0, x0) : max(0, x1)].sum())


def _shape(large: np.ndarray, place: int, scale: float) -> _Shape:
    """The enlarged segment without the steps of its pixels."""
    mask = large == place
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    left, top = int(columns[0]), int(rows[0])
    inside = mask[top : rows[-1] + 1, left : columns[-1] + 1].astype(np.uint8)
    if scale >= 1.5:
        side = 2 * round(scale) + 1
        soft = cv2.GaussianBlur(inside.astype(np.float32), (side, side), 0, borderType=cv2.BORDER_REPLICATE)
        rounded = (soft >= 0.5).astype(np.uint8)
        if rounded.sum() >= 0.8 * inside.sum():  # thin segments would fall apart
            inside = rounded
    return _Shape(left, top, inside, depths(inside), int(inside.sum()))


def _outline(pixels: np.ndarray, shape: _Shape, colour: tuple[int, int, int]) -> None:
    """Draw an outline, inside its own segment so that neighbours do not paint over each other."""
    if shape.area <= _FEWEST_PX:
        return
    height, width = shape.inside.shape
    crop, depth = pixels[shape.top : shape.top + height, shape.left : shape.left + width], shape.depth
    if float(depth.max()) < 5.0:  # a thin segment must not be painted over altogether
        crop[(depth > 0) & (depth <= 1.0)] = colour
        return
    crop[(depth > 0) & (depth <= 1.0)] = _DARK
    crop[(depth > 1.0) & (depth <= 3.0)] = colour
    crop[(depth > 3.0) & (depth <= 4.0)] = _DARK


def _placed(
    shapes: Sequence[_Shape],
    segment_ids: Sequence[int],
    colours: Sequence[tuple[int, int, int]],
    first: int,
    size: tuple[int, ...],
) -> list[Mark]:
    """Places for all numbers, the smallest segments first: they have the least choice."""
    taken: list[tuple[int, int, int, int]] = []
    leads: list[_Line] = []
    points = [_point_of(shape) for shape in shapes]
    marks: dict[int, Mark] = {}
    for i in sorted(range(len(shapes)), key=lambda i: (shapes[i].area, i)):
        plate = _plate_size(first + i)
        point = points[i]
        label = _inside_place(shapes[i], plate, taken, leads, size)
        inside = label is not None
        if label is None:
            label = _outside_place(i, shapes, points, plate, taken, leads, size)
            leads.append((_middle(label), point))
        taken.append(label)
        marks[i] = Mark(first + i, segment_ids[i], label, point, inside, colours[i])
    return [marks[i] for i in range(len(shapes))]


def _point_of(shape: _Shape) -> tuple[float, float]:
    """The segment's deepest point."""
    ys, xs = np.nonzero(shape.depth == shape.depth.max())
    middle = len(ys) // 2
    return (shape.left + float(xs[middle]) + 0.5, shape.top + float(ys[middle]) + 0.5)


def _inside_place(
    shape: _Shape,
    plate: tuple[int, int],
    taken: Sequence[tuple[int, int, int, int]],
    leads: Sequence[_Line],
    size: tuple[int, ...],
) -> tuple[int, int, int, int] | None:
    """A free place on the segment, None if there is none or too much would be hidden."""
    width, height = plate
    if width * height > HIDDEN * shape.area:
        return None
    step = 4
    ys, xs = np.nonzero(shape.depth[::step, ::step] > height / 2)
    order = np.argsort(-shape.depth[ys * step, xs * step], kind="stable")
    for k in order[:: max(1, len(order) // 400)]:
        label = _box(shape.left + float(xs[k] * step), shape.top + float(ys[k] * step), plate, size)
        if any(_crosses(lead, label) for lead in leads):
            continue
        if _free(label, taken) and shape.share(label) > 0.9 * width * height:
            return label
    return None


def _outside_place(
    index: int,
    shapes: Sequence[_Shape],
    points: Sequence[tuple[float, float]],
    plate: tuple[int, int],
    taken: Sequence[tuple[int, int, int, int]],
    leads: Sequence[_Line],
    size: tuple[int, ...],
) -> tuple[int, int, int, int]:
    """The free place around a point that hides the smallest shares of segments; the nearer of two. Lines rather do not
    run under plates or across what other lines lead to."""
    point = points[index]
    dots = [(x - _DOT, y - _DOT, x + _DOT, y + _DOT) for i, (x, y) in enumerate(points) if i != index]
    best: tuple[float, tuple[int, int, int, int]] | None = None
    for reach in _REACHES:
        if best is not None and best[0] <= 0.05 * reach:
            break  # farther places cannot be better
        for k in range(_DIRECTIONS):
            angle = 2 * np.pi * k / _DIRECTIONS
            x, y = point[0] + 1.3 * reach * plate[1] * np.cos(angle), point[1] + reach * plate[1] * np.sin(angle)
            label = _box(x, y, plate, size)
            x0, y0, x1, y1 = label
            if not _free(label, taken) or (x0 - 3 <= point[0] <= x1 + 3 and y0 - 3 <= point[1] <= y1 + 3):
                continue
            hidden = sum(shape.share(label) / max(shape.area, 1) for shape in shapes)
            crossings = sum(_crosses((_middle(label), point), other) for other in (*taken, *dots))
            hidden += crossings + sum(_crosses(lead, label) for lead in leads)
            worth = hidden + shapes[index].share(label) / max(shapes[index].area, 1) + 0.05 * reach
            if best is None or worth < best[0]:
                best = (worth, label)
    return best[1] if best is not None else _anywhere(point, plate, size, taken)


def _anywhere(
    point: tuple[float, float],
    plate: tuple[int, int],
    shape: tuple[int, ...],
    taken: Sequence[tuple[int, int, int, int]],
) -> tuple[int, int, int, int]:
    """The free place nearest to a point.

    Raises:
        ValueError: the sheet has no room for another number.
    """
    width, height = plate
    places = [_box(x, y, plate, shape) for y in range(0, shape[0], height // 2) for x in range(0, shape[1], width // 2)]
    free = [label for label in places if _free(label, taken)]
    if not free:
        raise ValueError(f"no room for {len(taken) + 1} numbers on a sheet of {shape[1]} x {shape[0]} pixels")
    return min(free, key=lambda p: ((p[0] + p[2]) / 2 - point[0]) ** 2 + ((p[1] + p[3]) / 2 - point[1]) ** 2)


def _box(x: float, y: float, plate: tuple[int, int], shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """A plate around a place, moved into the sheet."""
    left = int(min(max(0, round(x - plate[0] / 2)), max(0, shape[1] - plate[0])))
    top = int(min(max(0, round(y - plate[1] / 2)), max(0, shape[0] - plate[1])))
    return (left, top, left + plate[0], top + plate[1])


def _middle(label: tuple[float, float, float, float]) -> tuple[float, float]:
    return ((label[0] + label[2]) / 2, (label[1] + label[3]) / 2)


def _crosses(line: _Line, label: tuple[float, float, float, float]) -> bool:
    """Whether a line, of which some points are looked at, runs through a plate."""
    (x0, y0), (x1, y1) = line
    steps = 2 + int(max(abs(x1 - x0), abs(y1 - y0)) // (LABEL_PX // 2))
    for k in range(steps + 1):
        x, y = x0 + (x1 - x0) * k / steps, y0 + (y1 - y0) * k / steps
        if label[0] <= x <= label[2] and label[1] <= y <= label[3]:
            return True
    return False


def _free(label: tuple[int, int, int, int], taken: Sequence[tuple[int, int, int, int]], gap: int = 2) -> bool:
    return all(
        label[2] + gap <= other[0]
        or other[2] + gap <= label[0]
        or label[3] + gap <= other[1]
        or other[3] + gap <= label[1]
        for other in taken
    )


@functools.cache
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=LABEL_PX)


def _plate_size(number: int) -> tuple[int, int]:
    """(width, height) in pixels; one digit's plate is as wide as it is high."""
    left, _, right, _ = _font().getbbox(str(number))
    return (max(LABEL_PX + 6, round(right - left) + 10), LABEL_PX + 6)


def _plate(draw: ImageDraw.ImageDraw, mark: Mark) -> None:
    x0, y0, x1, y1 = mark.label
    draw.rounded_rectangle((x0, y0, x1 - 1, y1 - 1), radius=5, fill=_DARK, outline=mark.colour, width=2)
    centre = ((x0 + x1) / 2, (y0 + y1) / 2)
    draw.text(centre, str(mark.number), fill="white", font=_font(), anchor="mm")


def _lead(draw: ImageDraw.ImageDraw, mark: Mark) -> None:
    """The line from a plate beside its segment to a dot inside."""
    if mark.inside:
        return
    x, y = mark.point
    centre = ((mark.label[0] + mark.label[2]) / 2, (mark.label[1] + mark.label[3]) / 2)
    draw.line((centre, (x, y)), fill=_DARK, width=4)
    draw.line((centre, (x, y)), fill=mark.colour, width=2)
    draw.ellipse((x - 4, y - 4, x + 4, y + 4), fill=mark.colour, outline=_DARK)
