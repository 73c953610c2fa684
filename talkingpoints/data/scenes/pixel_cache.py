"""Decoded photos of a set in one file, so that a training run decodes each photo once."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from talkingpoints.data.scenes.scene_photos import ScenePhoto
from talkingpoints.images import load_image


class PixelCache:
    """The pixels of some photos, in a file that is written at the first use and mapped into memory.

    Args:
        photos: In order.
        file: Where the pixels are kept; a name for the photos they are of is added to its stem. None keeps nothing and
            decodes each time.

    Raises:
        ValueError: If a photo cannot be read or has another size than its annotation, or the file is of other photos.
    """

    def __init__(self, photos: Sequence[ScenePhoto], file: Path | None = None) -> None:
        self.photos = photos
        counts = [height * width * 3 for height, width in (photo.bare.size for photo in photos)]
        self._starts = np.concatenate([[0], np.cumsum(counts)])
        self._bytes: np.ndarray | None = None
        if file is None:
            return
        names = "\n".join(f"{photo.image} {photo.image.stat().st_mtime_ns}" for photo in photos)
        file = file.with_stem(f"{file.stem}_{hashlib.sha256(names.encode()).hexdigest()[:12]}")
        if not file.is_file():
            file.parent.mkdir(parents=True, exist_ok=True)
            partial = file.with_suffix(".part")
            with open(partial, "wb") as stream:
                for photo in photos:
                    stream.write(_decoded(photo).tobytes())
            partial.replace(file)
        if file.stat().st_size != self._starts[-1]:
            raise ValueError(f"{file} holds other photos than the {len(photos)} given; delete it")
        self._bytes = np.memmap(file, dtype=np.uint8, mode="r")

    def __getitem__(self, number: int) -> np.ndarray:
        """The photo's pixels, uint8 (height, width, 3), RGB."""
        if self._bytes is None:
            return _decoded(self.photos[number])
        height, width = self.photos[number].bare.size
        return self._bytes[self._starts[number] : self._starts[number + 1]].reshape(height, width, 3)


def _decoded(photo: ScenePhoto) -> np.ndarray:
    pixels = np.asarray(load_image(photo.image))
    if pixels.shape[:2] != photo.bare.size:
        raise ValueError(f"{photo.image}: size {pixels.shape[:2]}; annotated as {photo.bare.size} (height, width)")
    return pixels
