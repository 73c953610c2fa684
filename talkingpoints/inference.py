"""Both directions for callers who have photos: encode, describe (points and regions), stream, localize, round_trip,
and caption_segments.

Photos meet the models in ``encoded_photo``; here are pixels, devices, adapters, and threads that take turns. The Space,
evaluation and the checks of built datasets call this class; captions of segments and the reward, which reads many
photos at once, share ``encoded_photo`` with it, and the pipelines the processors.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias, cast, overload

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from .adapters import load_model, load_pair, switch_on
from .captioning import PanopticCaptioner
from .encoded_photo import EncodedPhoto, describe_places, locate_texts, stream_point
from .images import ImageLike
from .keypoint_encoder import cell_centers, gaussian_window
from .modeling_descriptor import PointDescriptor
from .modeling_localizer import PointLocalizer
from .photo_batches import PhotoBatches
from .places import boxes_of, masks_of, one_of, point_of, points_of, texts_of
from .processing_descriptor import PointDescriptorProcessor
from .processing_localizer import PointLocalizerProcessor
from .results import CaptionedSegments, Description, Localization, Point, RegionDescription, RoundTrip
from .segmenter import Segmenter

CHECKPOINTS = Path(__file__).parent / "checkpoints"
BUNDLED_DESCRIPTOR = CHECKPOINTS / "descriptor"
BUNDLED_LOCALIZER = CHECKPOINTS / "localizer"
BUNDLED_SEGMENTER = CHECKPOINTS / "segmenter"

Photo: TypeAlias = ImageLike | EncodedPhoto
Box: TypeAlias = tuple[float, float, float, float]
XY: TypeAlias = tuple[float, float] | Point
Mask: TypeAlias = np.ndarray | Image.Image


class TalkingPoints(PhotoBatches):
    """A descriptor and a localizer with their processors. Calls from several threads take turns.

    Example:
        >>> tp = TalkingPoints.from_pretrained()
        >>> tp.describe("dog.jpg", (120, 80)).text
        >>> tp.localize("dog.jpg", "the dog's left ear").unit
        >>> photo = tp.encode("dog.jpg")  # for many calls about one photo
        >>> [tp.describe(photo, point).text for point in points_px]
        >>> tp.describe_batch(photos, points_px)  # one point of each of many photos
    """

    def __init__(
        self,
        descriptor: PointDescriptor,
        descriptor_processor: PointDescriptorProcessor,
        localizer: PointLocalizer,
        localizer_processor: PointLocalizerProcessor,
        segmenter: Segmenter | str | Path | None = None,
    ):
        """The models with their processors; a segmenter may be one, or a name, and None takes the bundled one."""
        self.descriptor = descriptor.eval()
        self.descriptor_processor = descriptor_processor
        self.localizer = localizer.eval()
        self.localizer_processor = localizer_processor
        self._segmenter: Segmenter | str | Path = BUNDLED_SEGMENTER if segmenter is None else segmenter
        self._lock = threading.RLock()  # the models inject embeddings through hooks: one call at a time
        self._on: str | None = None  # which direction's adapter is switched on, where both share one base

    @classmethod
    def from_pretrained(
        cls,
        descriptor: str | Path | None = None,
        localizer: str | Path | None = None,
        device: str | torch.device | None = None,
        dtype: torch.dtype | str | None = None,
        *,
        segmenter: str | Path | None = None,
        load: dict[str, Any] | None = None,
    ) -> "TalkingPoints":
        """Load a descriptor and a localizer.

        Args:
            descriptor, localizer: folders or Hub ids, these also with a tag or commit (``me/points@v1``), of models or
                of LoRA adapters that name their base; None takes the bundled model, which needs no network.
            device: None takes a GPU if there is one.
            dtype: of the weights; None takes float32 on CPU and the checkpoint's own elsewhere.
            segmenter: folder or Hub id of a universal segmentation model for :meth:`caption_segments`, loaded when that
                is first called; None takes the bundled one.
            load: further options of ``from_pretrained``, for example
                ``{"quantization_config": talkingpoints.building.quantization(4)}``.

        Raises:
            OSError: If a model is not there.
            ValueError: If a checkpoint is no descriptor or no localizer.
            ImportError: If what ``load`` asks for is not possible on this machine.
        """
        device, dtype = _place(device, dtype)
        parts = [
            *load_model(descriptor or BUNDLED_DESCRIPTOR, PointDescriptor, dtype=dtype, load=load),
            *load_model(localizer or BUNDLED_LOCALIZER, PointLocalizer, dtype=dtype, load=load),
        ]
        return cls._of_parts(parts, device, load, segmenter)

    @classmethod
    def from_adapters(
        cls,
        descriptor: str | Path,
        localizer: str | Path,
        base: str | Path | None = None,
        device: str | torch.device | None = None,
        dtype: torch.dtype | str | None = None,
        *,
        segmenter: str | Path | None = None,
        load: dict[str, Any] | None = None,
    ) -> "TalkingPoints":
        """Load two LoRA adapters over one base, which is then in memory once.

        Args:
            descriptor, localizer: folders or Hub ids of the adapters.
            base: folder or Hub id of what the adapters belong to; None takes the base that they name.
            device, dtype, segmenter, load: as for :meth:`from_pretrained`.

        Raises:
            OSError: If an adapter or the base is not there.
            ValueError: If the adapters are of other kinds, or name different bases and none is given.
            ImportError: If peft is missing, or what ``load`` asks for is not possible on this machine.
        """
        device, dtype = _place(device, dtype)
        pair = cls._of_parts(load_pair(descriptor, localizer, base, dtype=dtype, load=load), device, load, segmenter)
        pair._on = "localizer"  # the adapter that was loaded last
        return pair

    @classmethod
    def _of_parts(
        cls,
        parts: Sequence[Any],
        device: torch.device,
        load: dict[str, Any] | None,
        segmenter: str | Path | None,
    ) -> "TalkingPoints":
        descriptor, descriptor_processor, localizer, localizer_processor = parts
        pair = cls(descriptor, descriptor_processor, localizer, localizer_processor, segmenter)
        if not set(load or {}) & {"quantization_config", "device_map"}:  # else it lies where transformers put it
            cast(torch.nn.Module, pair.descriptor).to(device)
            cast(torch.nn.Module, pair.localizer).to(device)
        return pair

    @contextmanager
    def _turn(self, direction: str) -> Iterator[None]:
        """While open, no other call runs, and a shared base carries the adapter of "descriptor" or "localizer"."""
        with self._lock:
            if self._on is not None and self._on != direction:
                switch_on(self.descriptor if direction == "descriptor" else self.localizer, direction)
                self._on = direction
            yield

    def encode(self, image: ImageLike) -> EncodedPhoto:
        """A photo that every method takes in place of ``image``, and that each model encodes only once.

        A model encodes it when it is first asked about it. The memory is free again when the result is deleted.

        Args:
            image: PIL image, path, content of a file, or array; EXIF orientation is applied.

        Raises:
            ValueError: If the image cannot be read.
        """
        return EncodedPhoto(image)

    @overload
    def describe(self, image: Photo, point_px: XY) -> Description: ...
    @overload
    def describe(self, image: Photo, point_px: Sequence[XY]) -> list[Description]: ...
    @overload
    def describe(self, image: Photo, *, point: XY) -> Description: ...
    @overload
    def describe(self, image: Photo, *, point: Sequence[XY]) -> list[Description]: ...
    @overload
    def describe(self, image: Photo, *, mask: Mask) -> RegionDescription: ...
    @overload
    def describe(self, image: Photo, *, mask: Sequence[Mask]) -> list[RegionDescription]: ...
    @overload
    def describe(self, image: Photo, *, box: Box) -> RegionDescription: ...
    @overload
    def describe(self, image: Photo, *, box: Sequence[Box]) -> list[RegionDescription]: ...
    def describe(
        self,
        image: Photo,
        point_px: XY | Sequence[XY] | None = None,
        *,
        point: XY | Sequence[XY] | None = None,
        mask: Mask | Sequence[Mask] | None = None,
        box: Box | Sequence[Box] | None = None,
    ) -> Description | RegionDescription | list[Description] | list[RegionDescription]:
        """Describe one point, mask or box of a photo, or several, for which it is encoded once.

        | call | result |
        |---|---|
        | ``describe(image, (x, y))`` in pixels, ``describe(image, point=(x, y))`` in [0, 1] | ``Description`` |
        | ``describe(image, mask=mask)``, ``describe(image, box=(x0, y0, x1, y1))`` | ``RegionDescription`` |
        | a sequence of points, masks or boxes in place of one | a list of them |

        Args:
            image: PIL image, path, URL, array, tensor, or a photo from :meth:`encode`; EXIF orientation is applied.
            point_px: (x, y) or a :class:`Point`, in pixels of the photo as a person sees it, or a sequence of them.
            point: the same in [0, 1], as ``Point.unit`` has it.
            mask: bool (height, width) of the photo as a person sees it, a PIL image of one, or a sequence of them.
            box: (x0, y0, x1, y1) in pixels, or a sequence of them.

        Raises:
            ValueError: If not exactly one of the four is given, a point or box is outside the photo, a mask has
                another size or no pixel, or the image cannot be read.
        """
        kind = one_of(point_px=point_px, point=point, mask=mask, box=box)
        photo = _encoded(image)
        if any(isinstance(value, Sequence | np.ndarray) and len(value) == 0 for value in (point_px, point, mask, box)):
            return []
        if kind in ("point_px", "point"):
            points, single = points_of(point_px, point, photo.size)
            texts = self._texts(photo, "points", [one.unit for one in points])
            described = [Description(*both) for both in zip(texts, points, strict=True)]
            return described[0] if single else described
        regions = boxes_of(box, photo.size) if mask is None else masks_of(mask, photo.size)  # type: ignore[arg-type]
        texts = self._texts(photo, regions.kind, regions.places)
        found = [RegionDescription(*both) for both in zip(texts, regions.boxes_px, strict=True)]
        return found[0] if regions.single else found

    def _texts(self, photo: EncodedPhoto, kind: str, places: Sequence[npt.ArrayLike]) -> list[str]:
        with self._turn("descriptor"):
            return describe_places(self.descriptor, self.descriptor_processor, photo, kind, places)

    def stream(self, image: Photo, point_px: XY | None = None, *, point: XY | None = None) -> Iterator[str]:
        """Describe one point, piece by piece as it is written; arguments and errors as for :meth:`describe`.

        Closing the iterator stops the writing after the token at hand, and waits for that.
        """
        photo = _encoded(image)
        place = point_of(point_px, point, photo.size)
        parts = self.descriptor, self.descriptor_processor, photo
        yield from stream_point(*parts, place.unit, lambda: self._turn("descriptor"))

    @overload
    def localize(self, image: Photo, text: str) -> Localization: ...  # type: ignore[overload-overlap]  # str is one
    @overload
    def localize(self, image: Photo, text: Sequence[str]) -> list[Localization]: ...
    def localize(self, image: Photo, text: str | Sequence[str]) -> Localization | list[Localization]:
        """Find one text or several in a photo, which is encoded once.

        Args:
            image: PIL image, path, URL, array, tensor, or a photo from :meth:`encode`; EXIF orientation is applied.
            text: a description, or a sequence of them.

        Returns:
            A :class:`Localization`, or a list of them.

        Raises:
            ValueError: If a text is empty, or the image cannot be read.
            TypeError: If a text is none.
        """
        texts = texts_of(text)
        photo = _encoded(image)
        with self._turn("localizer"):
            found = locate_texts(self.localizer, self.localizer_processor, photo, texts)
        return found[0] if isinstance(text, str) else found

    def round_trip(self, image: Photo, point_px: XY | None = None, *, point: XY | None = None) -> RoundTrip:
        """Describe a point and find the description again; arguments and errors as for :meth:`describe`."""
        photo = _encoded(image)
        place = point_of(point_px, point, photo.size)
        (text,) = self._texts(photo, "points", [place.unit])
        return RoundTrip.of(Description(text, place), self.localize(photo, text))

    def caption_segments(self, image: Photo, threshold: float | None = None) -> CaptionedSegments:
        """Find the segments of a photo, things and stuff, and describe each.

        Args:
            image: PIL image, path, URL, array, tensor, or a photo from :meth:`encode`; EXIF orientation is applied.
            threshold: segments of which the segmenter is less sure are left out, 0..1; None takes its own.

        Returns:
            A sequence of :class:`SegmentCaption`, with ``id_map``, the segment of each pixel.

        Raises:
            ValueError: If the image cannot be read, or the threshold is out of range.
            OSError: If the segmenter is not there.
        """
        photo = _encoded(image)
        with self._turn("descriptor"):
            captioner = PanopticCaptioner(self.segmenter, self.descriptor, self.descriptor_processor)
            return captioner(photo, threshold)

    @property
    def segmenter(self) -> Segmenter:
        """What finds the segments; loaded when it is first asked for.

        Raises:
            OSError: If it is not there.
        """
        with self._lock:
            if not isinstance(self._segmenter, Segmenter):
                model = self.descriptor
                self._segmenter = Segmenter.from_pretrained(self._segmenter, model.device, model.dtype)
            return self._segmenter

    def window(self, point: tuple[float, float], cells: int = 128) -> np.ndarray | None:
        """Which part of a photo the descriptor reads around a point: the Gaussian window of its keypoint encoder.

        Args:
            point: (x, y) in [0, 1].
            cells: side of the map; the model itself applies the window to its own, usually coarser grid.

        Returns:
            bool (cells, cells) over the whole photo, or None for a model that has no window.
        """
        config = self.descriptor.config
        if config.attention_region != "gaussian":
            return None
        centers = cell_centers(cells, cells)[None]
        inside = gaussian_window(torch.tensor([point]), centers, config.sigma, config.window_threshold)
        return inside.view(cells, cells).numpy()


def _place(
    device: str | torch.device | None, dtype: torch.dtype | str | None
) -> tuple[torch.device, torch.dtype | str]:
    device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    return device, dtype or (torch.float32 if device.type == "cpu" else "auto")  # half precision is slower on a CPU


def _encoded(image: Photo) -> EncodedPhoto:
    return image if isinstance(image, EncodedPhoto) else EncodedPhoto(image)
