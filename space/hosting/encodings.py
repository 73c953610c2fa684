"""Visitors' photos as the models have encoded them: further clicks on a photo and texts about it cost less.

On ZeroGPU each call runs in a process of its own, which forgets the encodings when it ends.
"""

import weakref
from collections import OrderedDict
from collections.abc import Callable

from PIL import Image

from space.hosting.limits import MAX_ENCODED
from talkingpoints.encoded_photo import EncodedPhoto


class Encodings:
    """Each photo encoded for as long as somebody holds its image; where memory is short, the longest unused go first.

    Only one thread may ask at a time.

    Args:
        encode: an RGB image -> the photo that the models take.
        most_bytes: memory of pixels and encodings together from which on photos are forgotten.
    """

    def __init__(self, encode: Callable[[Image.Image], EncodedPhoto], most_bytes: int = MAX_ENCODED) -> None:
        self.encode, self.most_bytes = encode, most_bytes
        self._kept: OrderedDict[int, tuple[weakref.ref[Image.Image], EncodedPhoto]] = OrderedDict()

    def __call__(self, image: Image.Image) -> EncodedPhoto:
        """The encoded photo of this very image; an image that is changed afterwards must not come again."""
        key = id(image)
        kept = self._kept.get(key)
        if kept is None or kept[0]() is not image:
            self._make_room()
            kept = (weakref.ref(image, lambda reference: self._forget(key, reference)), self.encode(image))
            self._kept[key] = kept
        self._kept.move_to_end(key)
        return kept[1]

    def _forget(self, key: int, reference: weakref.ref[Image.Image]) -> None:
        kept = self._kept.get(key)
        if kept is not None and kept[0] is reference:
            self._kept.pop(key, None)

    def _make_room(self) -> None:
        """Encodings grow when they are first used, so what there is now is counted anew."""
        sizes = {key: photo.nbytes for key, (_, photo) in list(self._kept.items())}
        total = sum(sizes.values())
        for key, size in sizes.items():
            if total < self.most_bytes:
                return
            self._kept.pop(key, None)
            total -= size
