"""Reading photos: whatever a caller has -> an RGB PIL image the way a person sees it.

Applies the EXIF orientation, flattens transparency onto white, takes the first frame of animations and scales
16-bit and float images to 8 bits. Everything after this file works on plain 8-bit RGB. Pixels are converted strip by
strip, so a photo costs little more memory than its decoded and its returned pixels.
"""

import io
import math
import os
import re
import sys
import urllib.request
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, Union, runtime_checkable

import numpy as np
from PIL import ExifTags, Image, ImageOps

if TYPE_CHECKING:
    import torch


@runtime_checkable
class Readable(Protocol):
    """A file that is open for reading bytes, such as ``io.BytesIO``."""

    def read(self, size: int = -1, /) -> Any: ...


# The tensor is a name only: this file works without torch.
ImageLike: TypeAlias = Union[Image.Image, str, os.PathLike, bytes, bytearray, Readable, np.ndarray, "torch.Tensor"]

URLS = ("http://", "https://", "data:image/")
"""How texts begin that are fetched and are no paths."""

MAX_FILE_BYTES = 100_000_000
"""Larger files are not fetched, nor read from an open file."""

URL_TIMEOUT_S = 20.0

MAX_IMAGE_PIXELS = 50_000_000
"""Larger images are refused before they are decoded (PIL holds an RGB photo of 50 megapixels in 200 MB)."""

MAX_SCANS = 64
"""JPEGs with more scans are refused: every scan goes over all pixels again, and cameras write about ten."""

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "PPM", "AVIF")
"""Formats that are tried on a file; others, such as EPS, would start programs of the system."""

_STRIP_PIXELS = 1_000_000
_MAX_FACTOR = 16  # enough for any photo; PIL's sums of larger blocks overflow

_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])")  # those of a JPEG that a length follows, and its end
_END_OF_IMAGE, _START_OF_SCAN = 0xD9, 0xDA


def load_image(image: ImageLike) -> Image.Image:
    """Read an image as a person sees it.

    Args:
        image: a PIL image, a path, a URL (http, https or data), the content of a file, an open file, an array (H, W),
            (H, W, 1), (H, W, 3) or (H, W, 4), or a torch tensor, which may also be (1, H, W), (3, H, W) or (4, H, W).
            Arrays and tensors are uint8 0..255, uint16 0..65535, or float 0..1.

    Returns:
        An RGB PIL image, EXIF orientation applied; its ``size`` is the frame of all pixel coordinates.

    Raises:
        ValueError: the file is missing, no image or of another format than ``FORMATS``, the URL cannot be read, the
            array has another shape, or the image is too large.
        TypeError: none of the types above.
    """
    if isinstance(image, str) and image.startswith(URLS):
        image = _fetched(image)
    return _load(image, None)[0]


def load_shrunk(image: ImageLike, longest: int) -> tuple[Image.Image, tuple[int, int]]:
    """Read an image as a person sees it, shrunk while it is read; small ones keep their size.

    Args:
        image: as for :func:`load_image`.
        longest: longest side of the result, in pixels.

    Returns:
        The RGB image, and (height, width) of the full-size photo as a person sees it.

    Raises:
        ValueError, TypeError: as for :func:`load_image`.
    """
    return _load(image, longest)


def _load(image: ImageLike, longest: int | None) -> tuple[Image.Image, tuple[int, int]]:
    if isinstance(image, Readable):
        image = _read(image)
    if isinstance(image, bytes | bytearray | memoryview):
        image = bytes(image)
        return _from_file(image, "the image", longest)
    if isinstance(image, str | os.PathLike):
        return _from_file(Path(image), repr(Path(image).name), longest)
    torch = sys.modules.get("torch")  # whoever has a tensor has imported it
    if torch is not None and isinstance(image, torch.Tensor):
        image = _tensor_values(image)
    if isinstance(image, np.ndarray):
        image = _from_array(image)
    if not isinstance(image, Image.Image):
        swapped = "; the image comes first, then the point or the text" if isinstance(image, tuple | list) else ""
        raise TypeError(
            "image must be a PIL image, a path, a URL, bytes, an open file, a numpy array or a torch tensor, got "
            f"{'None' if image is None else type(image).__name__}{swapped}"
        )
    _check_size(image.size)
    return _seen(image, image.size, longest)


def _fetched(url: str) -> bytes:
    """What a URL leads to."""
    name = url if len(url) <= 100 else f"{url[:100]}..."
    request = urllib.request.Request(url, headers={"User-Agent": "talkingpoints"})
    try:
        with urllib.request.urlopen(request, timeout=URL_TIMEOUT_S) as answer:
            return _read(answer)
    except (OSError, ValueError) as error:  # of the network, of the server, of the URL
        raise ValueError(f"cannot read {name}: {error}") from error


def _read(file: Readable) -> bytes:
    """The bytes of an open file, from where it stands."""
    content = file.read(MAX_FILE_BYTES + 1)
    if not isinstance(content, bytes):
        raise TypeError(f'image is a file that gives {type(content).__name__}; open it for bytes, with mode "rb"')
    if not content:
        raise ValueError("the open file is at its end; go back to its start with seek(0)")
    if len(content) > MAX_FILE_BYTES:
        raise ValueError(f"the file has more than {MAX_FILE_BYTES:,} bytes")
    return content


def _tensor_values(tensor: "torch.Tensor") -> np.ndarray:
    """A tensor as an array with the channels last."""
    if tensor.ndim == 3 and tensor.shape[0] in (1, 3, 4):
        tensor = tensor.permute(1, 2, 0)
    if tensor.is_floating_point():
        tensor = tensor.float()  # numpy knows no bfloat16
    return tensor.detach().cpu().numpy()


def _from_file(file: Path | bytes, name: str, longest: int | None) -> tuple[Image.Image, tuple[int, int]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is the stricter one
        try:
            opened = Image.open(io.BytesIO(file) if isinstance(file, bytes) else file, formats=FORMATS)
        except Image.DecompressionBombError as error:
            raise ValueError(
                f"the image has too many pixels; at most {MAX_IMAGE_PIXELS:,} are read: {error}"
            ) from error
        except Exception as error:  # a hostile header can make a decoder raise anything
            raise ValueError(f"cannot read {name} as an image: {error}") from error
        with opened as image:
            size = image.size
            _check_size(size)
            if image.format in ("JPEG", "MPO"):
                _check_scans(file if isinstance(file, bytes) else file.read_bytes())
                if longest is not None:
                    image.draft(None, (2 * longest, 2 * longest))  # JPEGs can be decoded at 1/2, 1/4 or 1/8
            return _seen(image, size, longest)


def _seen(image: Image.Image, size: tuple[int, int], longest: int | None) -> tuple[Image.Image, tuple[int, int]]:
    """RGB, upright and shrunk; ``size`` is (width, height) of the whole image where a smaller one was decoded."""
    try:
        image.load()
        orientation = image.getexif().get(ExifTags.Base.Orientation)
        scale = 1.0 if longest is None else min(1.0, longest / max(size))
        # Averaging whole blocks of pixels first, down to twice the size, changes nothing that can be seen.
        factor = min(_MAX_FACTOR, max(1, int(max(image.size) / (2 * scale * max(size)))))
        seen = _in_strips(image, factor)
        if scale < 1:
            width, height = (max(1, round(side * scale)) for side in size)
            pixel = round(max(size) / max(image.size)) * factor  # side of one of those averaged, in whole pixels
            box = (0, 0, size[0] / pixel, size[1] / pixel)
            seen = seen.resize((width, height), Image.Resampling.LANCZOS, box)
        seen.getexif()[ExifTags.Base.Orientation] = orientation
        ImageOps.exif_transpose(seen, in_place=True)
    except Exception as error:  # a hostile file can make a decoder raise anything
        raise ValueError(f"cannot read the image: {error}") from error
    width, height = size
    turned = orientation in (5, 6, 7, 8)
    return seen, (width, height) if turned else (height, width)


def _from_array(array: np.ndarray) -> Image.Image:
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[-1] not in (3, 4)) or 0 in array.shape:
        first = array.ndim == 3 and array.shape[0] in (1, 3, 4)
        advice = "; the channels come last: array.transpose(1, 2, 0)" if first else ""
        advice = "; give one image, not a batch" if array.ndim == 4 else advice
        raise ValueError(
            f"an image array must be (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), got shape {array.shape}{advice}"
        )
    _check_size((array.shape[1], array.shape[0]))
    if array.dtype == np.uint16:
        array = (array // 257).astype(np.uint8)
    elif np.issubdtype(array.dtype, np.floating):
        if not np.isfinite(array).all() or array.min() < 0 or array.max() > 1:
            raise ValueError(
                f"a float image must lie in [0, 1], got {array.min():g} to {array.max():g}; divide values of 0 to 255 "
                "by 255, and undo a processor's normalization"
            )
        array = (array * 255).round().astype(np.uint8)
    elif array.dtype != np.uint8:
        raise ValueError(f"an image array must be uint8, uint16 or float, got {array.dtype}")
    return Image.fromarray(np.ascontiguousarray(array))


def _in_strips(image: Image.Image, factor: int) -> Image.Image:
    """The image as RGB, every ``factor`` x ``factor`` pixels averaged into one."""
    width, height = image.size
    rows = factor * max(1, _STRIP_PIXELS // (width * factor))
    strips = [(0, top, width, min(top + rows, height)) for top in range(0, height, rows)]
    deep = image.mode in ("I", "F") or image.mode.startswith("I;16")
    # Of the whole image: strips scaled each by its own brightest pixel would not match.
    top_value = 65535.0 if deep and max(_values(image.crop(strip)).max() for strip in strips) > 255 else 255.0
    rgb = Image.new("RGB", (math.ceil(width / factor), math.ceil(height / factor)))
    for strip in strips:
        part = _deep_to_rgb(image.crop(strip), top_value) if deep else _to_rgb(image.crop(strip))
        rgb.paste(part.reduce(factor) if factor > 1 else part, (0, strip[1] // factor))
    return rgb


def _values(image: Image.Image) -> np.ndarray:
    return np.nan_to_num(np.asarray(image, dtype=np.float64), nan=0.0)


def _deep_to_rgb(image: Image.Image, top: float) -> Image.Image:
    return Image.fromarray((_values(image).clip(0, top) * (255.0 / top)).astype(np.uint8)).convert("RGB")


def _to_rgb(image: Image.Image) -> Image.Image:
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


def _check_scans(content: bytes) -> None:
    """ValueError for a JPEG of too many scans, which are counted without decoding them."""
    scans, at = 0, 0
    while marker := _MARKER.search(content, at):
        kind = marker[1][0]
        if kind == _END_OF_IMAGE:
            return
        scans += kind == _START_OF_SCAN
        if scans > MAX_SCANS:
            raise ValueError(f"the JPEG has more than {MAX_SCANS} scans; save it again as an ordinary one")
        at = marker.end() + int.from_bytes(content[marker.end() : marker.end() + 2])
