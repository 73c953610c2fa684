"""Photos and pixel maps that data from outside bring along: their sizes, and the limits before they are decoded."""

import warnings
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

from talkingpoints.images import FORMATS, MAX_IMAGE_PIXELS

_TURNED = (5, 6, 7, 8)  # EXIF orientations that swap width and height
_CHUNKS = (b"eXIf", b"tEXt", b"zTXt", b"iTXt")  # of a PNG, in which an orientation can stand behind the pixels


def seen_size(file: Path) -> tuple[int, int]:
    """(height, width) of a photo as a person sees it; decodes no pixels.

    Args:
        file: of the photo.

    Raises:
        ValueError: It is no photo, or has too many pixels.
    """
    try:
        with _open(file, FORMATS) as image:
            if image.format == "PNG" and any(chunk in file.read_bytes() for chunk in _CHUNKS):
                image.load()
            orientation = Image.Image.getexif(image).get(ExifTags.Base.Orientation)
            width, height = image.size
    except ValueError:
        raise
    except Exception as error:  # a hostile file can make a decoder raise anything
        raise ValueError(f"cannot read {file.name!r} as an image: {error}") from error
    return (width, height) if orientation in _TURNED else (height, width)


def check_size(file: Path, width: int, height: int) -> None:
    """Compare a photo with the size that an annotation file gives it.

    Raises:
        ValueError: They differ, or it is no photo.
    """
    seen = seen_size(file)
    if seen == (height, width):
        return
    turned = seen == (width, height)
    advice = "turn its annotations by its EXIF orientation" if turned else "scale its annotations with it"
    raise ValueError(
        f"{file.name!r} is {seen[1]} x {seen[0]} pixels as a person sees it, but was annotated as {width} x {height}; "
        f"{advice}"
    )


def read_pixels(file: Path, modes: tuple[str, ...]) -> np.ndarray:
    """The values of a PNG that is no photo: a mask, or a map of ids.

    Args:
        file: a PNG.
        modes: of PIL that are allowed, for example "RGB" or "P".

    Returns:
        Array (height, width) or (height, width, channels) of the file's own integers.

    Raises:
        ValueError: No PNG, another mode, more pixels than a photo may have, or broken.
    """
    try:
        with _open(file, ("PNG",)) as image:
            if image.mode not in modes:
                raise ValueError(f"{file} is an image of mode {image.mode}; allowed: {', '.join(modes)}")
            return np.array(image)
    except ValueError:
        raise
    except Exception as error:  # a hostile file can make a decoder raise anything
        raise ValueError(f"cannot read {file}: {error}") from error


def _open(file: Path, formats: tuple[str, ...]) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is the stricter one
        try:
            image = Image.open(file, formats=formats)
        except Exception as error:  # a hostile header can make a decoder raise anything
            raise ValueError(f"cannot read {file.name!r} as an image of {', '.join(formats)}: {error}") from error
    if image.width * image.height > MAX_IMAGE_PIXELS:
        size = f"{image.width} x {image.height}"
        image.close()
        raise ValueError(f"{file.name!r} has {size} pixels; at most {MAX_IMAGE_PIXELS:,} are read")
    return image
