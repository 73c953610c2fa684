"""The segments of a visitor's photo and what is said of them, kept small: one map for all, and no mask for each.

Places are unit (x, y), as everywhere in the app; programs read pixels of the photo as uploaded. Gradio is not known
here.
"""

import base64
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image
from scipy.ndimage import distance_transform_edt

from space.drawing import UnitPoint
from space.handlers import chosen
from space.hosting.serving import Pair
from space.photos import Photo, open_photo, pair
from talkingpoints.data.readers.coco_names import plain_name
from talkingpoints.images import ImageLike
from talkingpoints.points import pixel_at, to_pixels

BACKGROUND = "background"
"""What segmenters call everything that they have no name for."""

_ROOM_SIDE = 160  # pixels of a segment's box in which its middle is looked for


@dataclass(frozen=True)
class ShownSegment:
    """A segment of a photo, as the app shows it.

    Attributes:
        number: in the id map, from 1 upwards.
        label: the segmenter's name for it. is_thing: something that can be counted, or an area.
        score: 0..1, how sure the segmenter is.
        text: the descriptor's words; may be empty.
        box: (x0, y0, x1, y1) around it, unit. share: of the photo, 0..1.
        point: unit (x, y) inside it, far from its border. room: from there to the border, as a share of the photo's
            longest side.
    """

    number: int
    label: str
    is_thing: bool
    score: float
    text: str
    box: tuple[float, float, float, float]
    share: float
    point: UnitPoint
    room: float

    @property
    def name(self) -> str:
        """The label as one would say it."""
        return plain_name(self.label)


@dataclass(frozen=True, eq=False)
class Segments:
    """The segments of one photo; ``id_map`` is uint16 (height, width) of the photo's ``image``, 0 where none is."""

    photo: Photo
    found: tuple[ShownSegment, ...]
    id_map: np.ndarray

    def at(self, point: UnitPoint) -> ShownSegment | None:
        """The segment at a unit (x, y), or None."""
        size = self.id_map.shape
        number = int(self.id_map[pixel_at(pair(to_pixels(point, size)), size)])
        return next((one for one in self.found if one.number == number), None)

    @property
    def rest(self) -> float:
        """Share of the photo that belongs to no segment."""
        return float((self.id_map == 0).mean())


def find(tp: Pair, photo: Photo | None) -> Segments:
    """Every segment of a photo with its words."""
    photo = chosen(photo)
    found = tp.caption_segments(photo.image)
    height, width = found.id_map.shape
    segments = []
    for one in found:
        point, room = _middle(one.mask)
        x0, y0, x1, y1 = one.box
        box = (x0 / width, y0 / height, x1 / width, y1 / height)
        words = one.label, bool(one.is_thing), float(one.score), one.text.strip()
        segments.append(ShownSegment(one.id, *words, box, float(one.mask.mean()), point, room))
    return Segments(photo, tuple(segments), found.id_map.astype(np.uint16))


def of_photo(segments: Segments | None, photo: Photo | None) -> Segments:
    """The segments, if they are those of this photo; ValueError where they are not."""
    if segments is None or segments.photo != chosen(photo):
        raise ValueError("The segments of this photo have not been found yet. Press Find segments.")
    return segments


def api_segments(tp: Pair, image: ImageLike, id_map: bool) -> dict[str, Any]:
    """The named endpoint ``/segments``: photo -> segments with words, boxes in pixels of the photo as uploaded."""
    if not isinstance(id_map, bool):
        raise ValueError("Say true or false for id_map: whether to send the map of the segments.")
    photo = open_photo(image)
    segments = find(tp, photo)
    height, width = photo.size
    return {
        "segments": [
            {
                "id": one.number,
                "label": one.label,
                "is_thing": one.is_thing,
                "score": one.score,
                "text": one.text,
                "box": [*photo.point_px(one.box[:2]), *photo.point_px(one.box[2:])],
            }
            for one in segments.found
        ],
        "image_size": [height, width],
        "id_map": _png(segments.id_map) if id_map else None,
    }


def _png(id_map: np.ndarray) -> str:
    """A ``data:`` URL; grey values are ids, in 8 bits where that is enough."""
    few = id_map.max(initial=0) < 256
    file = io.BytesIO()
    Image.fromarray(id_map.astype(np.uint8) if few else id_map).save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def _middle(mask: np.ndarray) -> tuple[UnitPoint, float]:
    """The place inside a mask that is farthest from its border, as unit (x, y), and how far that is."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    left, top = int(columns[0]), int(rows[0])
    crop = mask[top : rows[-1] + 1, left : columns[-1] + 1]
    step = max(1, max(crop.shape) // _ROOM_SIDE)
    few = crop[::step, ::step]
    if not few.any():  # a thin one that runs between the pixels that are looked at
        step, few = 1, crop
    depth = distance_transform_edt(np.pad(few, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(int(depth.argmax()), depth.shape)
    height, width = mask.shape
    point = (float((left + column * step + 0.5) / width), float((top + row * step + 0.5) / height))
    return point, float(depth[row, column] * step / max(height, width))
