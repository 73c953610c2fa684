"""A visitor's photo: read from whatever was uploaded, kept small, with its own name and size beside it.

Whatever the upload, a visitor costs the server a few megabytes; photos are read one at a time, since a large one takes
some hundred megabytes while it is read. Between functions a point is a unit (x, y); people and programs read pixels of
the photo as uploaded.
"""

import threading
from dataclasses import dataclass
from typing import Any

from PIL import Image
from skimage import data

from space.drawing import SHOWN_SIDE, PixelPoint, UnitPoint
from talkingpoints.images import ImageLike, load_shrunk
from talkingpoints.points import to_pixels

EXAMPLES = {"A cat": data.chelsea, "A person": data.astronaut}
"""Photos that scikit-image brings along, both free to show: Chelsea (CC0) and Eileen Collins (NASA)."""

UNNAMED = "photo.png"

_MAX_NAME = 120

_reading = threading.Lock()


@dataclass(frozen=True)
class Photo:
    """A visitor's photo.

    Args:
        image: RGB, as a person sees it, its longest side at most ``SHOWN_SIDE`` pixels.
        size: (height, width) in pixels of the photo as uploaded, EXIF orientation applied.
        name: of its file, without folders.
    """

    image: Image.Image
    size: tuple[int, int]
    name: str = UNNAMED

    def point_px(self, point: UnitPoint) -> PixelPoint:
        """Unit (x, y) -> pixels of the photo as uploaded."""
        return pair(to_pixels(point, self.size))


def open_photo(source: ImageLike, name: str | None = None) -> Photo:
    """Read an upload or an example; ValueError with a message for the visitor where it is no photo."""
    try:
        with _reading:
            image, size = load_shrunk(source, SHOWN_SIDE)
    except ValueError as error:
        # What follows the colon names files of the server.
        raise ValueError(f"This photo cannot be used: {str(error).partition(':')[0]}.") from error
    return Photo(image, size, file_name(name))


def file_name(name: str | None) -> str:
    """The last part of a path as an upload names it, on whichever system, or ``UNNAMED``."""
    last = (name or "").replace("\\", "/").rpartition("/")[2]
    return "".join(letter for letter in last if letter.isprintable())[-_MAX_NAME:] or UNNAMED


def example_photo(index: int) -> Photo:
    """The example photo at this place in ``EXAMPLES``."""
    example = list(EXAMPLES.values())[index]
    return open_photo(example(), f"{example.__name__}.png")


def pair(values: Any) -> tuple[float, float]:
    """Two numbers as plain floats."""
    x, y = values
    return float(x), float(y)
