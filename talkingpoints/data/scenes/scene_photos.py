"""A photo with its annotated scene, small in memory: the maps of pixels are packed, and unpacked when asked for."""

import hashlib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from talkingpoints.writer.fluent.annotated_scene import AnnotatedScene


@dataclass(frozen=True)
class ScenePhoto:
    """A photo and what is annotated in it.

    Args:
        dataset: Name of its set.
        image: Its file.
        bare: The scene without its maps.
        packed: The maps `owners` and `piece`, zlib over int16 (2, height, width); None without masks.
    """

    dataset: str
    image: Path
    bare: AnnotatedScene
    packed: bytes | None = None

    def scene(self) -> AnnotatedScene:
        """The scene with its maps."""
        if self.packed is None:
            return self.bare
        maps = np.frombuffer(zlib.decompress(self.packed), dtype=np.int16).reshape(2, *self.bare.size)
        return replace(self.bare, owners=maps[0], piece=maps[1])


def packed_photo(dataset: str, image: Path, scene: AnnotatedScene) -> ScenePhoto:
    """A photo with its scene, packed."""
    if scene.owners is None or scene.piece is None:
        return ScenePhoto(dataset, image, scene)
    maps = np.stack([scene.owners, scene.piece]).astype(np.int16)
    bare = replace(scene, owners=None, piece=None)
    return ScenePhoto(dataset, image, bare, zlib.compress(maps.tobytes(), 1))


def hashed_split(name: str, shares: Mapping[str, float]) -> str:
    """The split of a photo by its file name without folder and ending: no later photo can change it.

    Args:
        name: File name.
        shares: Share of the photos by split, in order; together 1.

    Example:
        >>> hashed_split("000000000009.jpg", {"train": 0.7, "val": 0.15, "test": 0.15})
        'val'
    """
    place = int.from_bytes(hashlib.sha256(Path(name).stem.encode()).digest()[:8], "big") / 2**64
    for split, share in shares.items():
        if place < share:
            return split
        place -= share
    return list(shares)[-1]
