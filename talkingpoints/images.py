"""Reading photos: whatever a caller has -> an RGB PIL image the way a person sees it.

Applies the EXIF orientation, flattens transparency onto white, takes the first frame of animations and scales
16-bit and float images to 8 bits. Everything after this file works on plain 8-bit RGB.
"""

import os
import warnings
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

ImageLike: TypeAlias = Image.Image | str | os.PathLike | np.ndarray

MAX_IMAGE_PIXELS = 100_000_000
"""Larger images are refused before they are decoded (a 100-megapixel photo takes 300 MB as RGB)."""


def load_image(image: ImageLike) -> Image.Image:
    """Read an image as a person sees it.

    Args:
        image: a PIL image, a path, or an array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4); uint8 0..255, uint16
            0..65535, or float 0..1.

    Returns:
        An RGB PIL image, EXIF orientation applied; its ``size`` is the frame of all pixel coordinates.

    Raises:
        ValueError: the file is missing or no image, the array has another shape, or the image is too large.
        TypeError: none of the types above.
    """
    if isinstance(image, np.ndarray):
        return _from_array(image)
    if isinstance(image, str | os.PathLike):
        return _from_path(Path(image))
    if not isinstance(image, Image.Image):
        raise TypeError(f"image must be a PIL image, a path or a numpy array, got {type(image).__name__}")
    _check_size(image.size)
    try:
        return _to_rgb(ImageOps.exif_transpose(image))
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"cannot read the image: {error}") from error


def _from_path(path: Path) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is the stricter one
            with Image.open(path) as image:
                _check_size(image.size)
                return load_image(image)
    except Image.DecompressionBombError as error:
        raise ValueError(f"the image has too many pixels; at most {MAX_IMAGE_PIXELS:,} are read: {error}") from error
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError(f"cannot read {path.name!r} as an image: {error}") from error


def _from_array(array: np.ndarray) -> Image.Image:
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[-1] not in (3, 4)) or 0 in array.shape:
        raise ValueError(f"an image array must be (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), got shape {array.shape}")
    _check_size((array.shape[1], array.shape[0]))
    if array.dtype == np.uint16:
        array = (array // 257).astype(np.uint8)
    elif np.issubdtype(array.dtype, np.floating):
        if not np.isfinite(array).all() or array.min() < 0 or array.max() > 1:
            raise ValueError(f"a float image must lie in [0, 1], got {array.min():g} to {array.max():g}")
        array = (array * 255).round().astype(np.uint8)
    elif array.dtype != np.uint8:
        raise ValueError(f"an image array must be uint8, uint16 or float, got {array.dtype}")
    return _to_rgb(Image.fromarray(np.ascontiguousarray(array)))


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        values = np.asarray(image, dtype=np.float64)
        top = 65535.0 if values.max() > 255 else 255.0
        return Image.fromarray((values.clip(0, top) * (255.0 / top)).astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _check_size(size: tuple[int, int]) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise ValueError(f"the image is empty: {width} x {height} pixels")
    if width * height > MAX_IMAGE_PIXELS:
        raise ValueError(f"the image has {width} x {height} pixels; at most {MAX_IMAGE_PIXELS:,} are read")
