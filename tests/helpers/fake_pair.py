"""A stand-in for the model pair where the model is not what is tested: it writes places as words and reads
them back.

A point becomes "column d row h": the letters count twentieths of the photo. Any other text leads to the
middle, a text with "unicorn" is not in the image, a text with "boom" or "wrong" makes the model fail, and one with
"forever" keeps it busy for ``FOREVER`` seconds.

Segments are what is drawn in a colour of ``PAINTS``, and say the place of their middle. A photo with a pixel of
``BOOM`` makes the segmenter fail.
"""

import re
import string
import threading
import time
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw

from talkingpoints.encoded_photo import EncodedPhoto
from talkingpoints.keypoint_encoder import cell_centers, gaussian_window
from talkingpoints.masks import mask_box
from talkingpoints.points import check_points
from talkingpoints.results import CaptionedSegments, Localization, Point, SegmentCaption

STEPS = 20
GRID = 14
FOREVER = 5.0
PAINTS = {
    "dog": ((220, 30, 30), True, 0.93),
    "cat": ((30, 30, 220), True, 0.64),
    "grass-merged": ((30, 160, 30), False, 0.81),
    "background": ((250, 250, 250), False, 0.99),
}
"""For each label its colour, whether it is a thing, and how sure the segmenter is."""
BOOM = (1, 2, 3)


class FakePair:
    """The calls of ``TalkingPoints`` that the app makes, one at a time as there; ``asked`` lists size and unit point
    of each description. ``segmenter`` says whether there is one; ``segmented`` counts the photos that it has seen.
    """

    def __init__(self, seconds_per_word: float = 0.0, segmenter: bool = True) -> None:
        self.seconds_per_word = seconds_per_word
        self.segmenter = segmenter
        self.segmented = 0
        self.asked: list[tuple[tuple[int, int], tuple[float, float]]] = []
        self._lock = threading.RLock()

    def encode(self, image: Image.Image) -> EncodedPhoto:
        return EncodedPhoto(image)

    def stream(self, image: Image.Image | EncodedPhoto, *, point: tuple[float, float]) -> Iterator[str]:
        self.asked.append((_size(image), point))
        check_points(point)
        column, row = _letters(point)
        with self._lock:
            for word in ("column", f" {column}", " row", f" {row}"):
                time.sleep(self.seconds_per_word)
                yield word

    def localize(self, image: Image.Image | EncodedPhoto, text: str) -> Localization:
        if "boom" in text:
            raise RuntimeError("out of <b>memory</b> in /secret/place")
        if "wrong" in text:
            raise ValueError("wrong shape in /secret/place")
        if "forever" in text:
            with self._lock:
                time.sleep(FOREVER)
        read = re.search(r"column (\w) row (\w)", text)
        letters = read.groups() if read else ("k", "k")
        column, row = ((string.ascii_lowercase.index(letter) + 0.5) / STEPS for letter in letters)
        unit = (column, row)
        place = Point.at(unit, _size(image))
        centres = (np.arange(GRID) + 0.5) / GRID
        heat = np.exp(-((centres[None, :] - unit[0]) ** 2 + (centres[:, None] - unit[1]) ** 2) / 0.01)
        presence = 0.08 if "unicorn" in text else 0.93
        return Localization(place.x, place.y, place.unit, 0.71, presence, (heat / heat.sum()).astype(np.float32))

    def caption_segments(self, image: Image.Image | EncodedPhoto) -> CaptionedSegments:
        if not self.segmenter:
            raise OSError("no file named config.json in /secret/place")
        self.segmented += 1
        pixels = np.asarray(image.image if isinstance(image, EncodedPhoto) else image).astype(int)
        if (pixels == BOOM).all(axis=-1).any():
            raise RuntimeError("out of <b>memory</b> in /secret/place")
        id_map, found = np.zeros(pixels.shape[:2], dtype=np.int32), []
        for label, (colour, is_thing, score) in PAINTS.items():
            mask = (np.abs(pixels - colour) <= 12).all(axis=-1)
            if not mask.any():
                continue
            id_map[mask] = len(found) + 1
            rows, columns = np.nonzero(mask)
            middle = (columns.mean() / mask.shape[1], rows.mean() / mask.shape[0])
            text = "a <{}> at column {} row {}".format(label, *_letters(middle))
            found.append(SegmentCaption(len(found) + 1, label, is_thing, score, text, mask, mask_box(mask)))
        return CaptionedSegments(tuple(found), id_map)

    def window(self, point: tuple[float, float], cells: int = 128) -> np.ndarray:
        inside = gaussian_window(torch.tensor([point]), cell_centers(cells, cells)[None], 0.1, 0.1)
        return inside.view(cells, cells).numpy()


def _size(image: Image.Image | EncodedPhoto) -> tuple[int, int]:
    return image.size if isinstance(image, EncodedPhoto) else (image.height, image.width)


def _letters(unit: Sequence[float]) -> list[str]:
    """Column and row of a unit (x, y)."""
    return [string.ascii_lowercase[min(int(value * STEPS), STEPS - 1)] for value in unit]


def segmented_photo() -> Image.Image:
    """A photo of 400 x 300 pixels with what :class:`FakePair` finds: background above, grass below,
    a dog on the left, a cat with a hole on the right; between them nothing.
    """
    image = Image.new("RGB", (400, 300), (128, 128, 128))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, 400, 44), fill=PAINTS["background"][0])
    draw.rectangle((0, 200, 400, 300), fill=PAINTS["grass-merged"][0])
    draw.ellipse((40, 90, 180, 250), fill=PAINTS["dog"][0])
    draw.ellipse((250, 60, 370, 220), fill=PAINTS["cat"][0])
    draw.ellipse((290, 110, 322, 142), fill=(128, 128, 128))
    return image
