"""Both directions for callers who have photos and pixels: describe (points and regions), stream, localize, round_trip;
and caption_segments.

The only place where photos meet the models outside training: Space, evaluation, reward and README all go through
here. Pixels of the photo outside, the unit square inside.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from transformers import StoppingCriteria, StoppingCriteriaList, TextIteratorStreamer

from .adapters import load_model, load_pair, switch_on
from .captioning import CaptionedSegments, PanopticCaptioner, Segmenter
from .describing import MAX_NEW_TOKENS, describe_places, descriptor_inputs, moved
from .images import ImageLike, load_image
from .keypoint_encoder import cell_centers, gaussian_window
from .modeling_descriptor import PointDescriptor
from .modeling_localizer import PointLocalizer
from .points import check_box_px, check_mask, check_points_px, mask_box, to_unit, unit_distance
from .processing_descriptor import PointDescriptorProcessor
from .processing_localizer import LocatedPoint, PointLocalizerProcessor

CHECKPOINTS = Path(__file__).parent / "checkpoints"
BUNDLED_DESCRIPTOR = CHECKPOINTS / "descriptor"
BUNDLED_LOCALIZER = CHECKPOINTS / "localizer"
BUNDLED_SEGMENTER = CHECKPOINTS / "segmenter"

PRESENT = 0.5
"""From this ``presence`` on, a text is taken to speak of the photo."""

_TEXTS_AT_ONCE = 64


@dataclass(frozen=True)
class Point:
    """A point of a photo: ``x``, ``y`` in pixels as a person sees the photo, ``unit`` (x, y) in [0, 1]."""

    x: float
    y: float
    unit: tuple[float, float]


@dataclass(frozen=True)
class Description:
    """What the descriptor says of a point."""

    text: str
    point: Point


@dataclass(frozen=True)
class RegionDescription:
    """What the descriptor says of a region: ``box`` (x0, y0, x1, y1) around it in pixels as a person sees the photo."""

    text: str
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class Localization:
    """Where the localizer finds a text.

    Attributes:
        x, y: pixels of the photo as a person sees it.
        unit: (x, y) in [0, 1].
        confidence: 0..1, probability that the point is within 0.1 of the image of the right place, given that the
            thing is there; NaN for models with the MLP head.
        found: whether the thing is in the photo at all (``presence`` of at least 0.5).
        presence: 0..1, probability of that.
        heatmap: float32 (h, w) over the whole photo, sums to 1; None for models with the MLP head.
    """

    x: float
    y: float
    unit: tuple[float, float]
    confidence: float
    found: bool
    presence: float
    heatmap: np.ndarray | None


@dataclass(frozen=True)
class RoundTrip:
    """A point described and found again.

    Attributes:
        description: of the point.
        localization: of the description.
        error_px: distance between the two points in pixels.
        error_img: the same in the unit square (each axis as a share of its side), what PCK counts.
    """

    description: Description
    localization: Localization
    error_px: float
    error_img: float


class TalkingPoints:
    """A descriptor and a localizer with their processors. Calls from several threads take turns.

    Example:
        >>> tp = TalkingPoints.from_pretrained()
        >>> tp.describe("dog.jpg", (120, 80)).text
        >>> tp.localize("dog.jpg", "the dog's left ear").unit
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
        self._segmenter = BUNDLED_SEGMENTER if segmenter is None else segmenter
        self._lock = threading.RLock()  # the models inject embeddings through hooks: one call at a time
        self._on: str | None = None  # which direction's adapter is switched on, where both share one base

    @classmethod
    def from_pretrained(
        cls,
        descriptor: str | Path | None = None,
        localizer: str | Path | None = None,
        device: str | torch.device | None = None,
        dtype: torch.dtype | None = None,
        *,
        base: str | Path | None = None,
        descriptor_adapter: str | Path | None = None,
        localizer_adapter: str | Path | None = None,
        segmenter: str | Path | None = None,
        load: dict[str, Any] | None = None,
    ) -> "TalkingPoints":
        """Load a pair: two models, or two adapters over one base, which is then in memory once.

        Args:
            descriptor, localizer: folders or Hub ids, these also with a tag or commit (``me/points@v1``), of models or
                of LoRA adapters that name their base; None takes the bundled model, which needs no network.
            device: None takes a GPU if there is one.
            dtype: of the weights; None takes float32 on CPU and the checkpoint's own elsewhere.
            descriptor_adapter, localizer_adapter: Hub ids or folders of LoRA adapters over one base.
            base: what the adapters belong to; None takes the base that they name.
            segmenter: folder or Hub id of a universal segmentation model for :meth:`caption_segments`, loaded when that
                is first called; None takes the bundled one.
            load: further options of ``from_pretrained``, for example
                ``{"quantization_config": talkingpoints.building.quantization(4)}``.

        Raises:
            OSError: a model is not there.
            ValueError: a checkpoint is no descriptor or no localizer, adapters of different bases, or models and
                adapters both.
            ImportError: what ``load`` asks for is not possible on this machine.
        """
        device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        if dtype is None:
            dtype = torch.float32 if device.type == "cpu" else "auto"  # half precision is slower on a CPU
        shared = base is not None or descriptor_adapter is not None or localizer_adapter is not None
        if shared:
            if descriptor_adapter is None or localizer_adapter is None or descriptor or localizer:
                raise ValueError("give both adapters and no models, or models and neither adapter nor base")
            parts = load_pair(descriptor_adapter, localizer_adapter, base, dtype=dtype, load=load)
        else:
            parts = [
                *load_model(descriptor or BUNDLED_DESCRIPTOR, PointDescriptor, dtype=dtype, load=load),
                *load_model(localizer or BUNDLED_LOCALIZER, PointLocalizer, dtype=dtype, load=load),
            ]
        pair = cls(*parts, segmenter=segmenter)
        pair._on = "localizer" if shared else None  # the adapter that was loaded last
        if not set(load or {}) & {"quantization_config", "device_map"}:  # else it lies where transformers put it
            pair.descriptor.to(device)
            pair.localizer.to(device)
        return pair

    @contextmanager
    def _turn(self, direction: str) -> Iterator[None]:
        """While open, no other call runs, and a shared base carries the adapter of "descriptor" or "localizer"."""
        with self._lock:
            if self._on is not None and self._on != direction:
                switch_on(self.descriptor if direction == "descriptor" else self.localizer, direction)
                self._on = direction
            yield

    @overload
    def describe(self, image: ImageLike, point_px: tuple[float, float]) -> Description: ...
    @overload
    def describe(self, image: ImageLike, point_px: Sequence[tuple[float, float]]) -> list[Description]: ...
    @overload
    def describe(self, image: ImageLike, *, mask: np.ndarray) -> RegionDescription: ...
    @overload
    def describe(self, image: ImageLike, *, mask: Sequence[np.ndarray]) -> list[RegionDescription]: ...
    @overload
    def describe(self, image: ImageLike, *, box: tuple[float, float, float, float]) -> RegionDescription: ...
    @overload
    def describe(
        self, image: ImageLike, *, box: Sequence[tuple[float, float, float, float]]
    ) -> list[RegionDescription]: ...
    def describe(self, image, point_px=None, *, mask=None, box=None):
        """Describe one point, mask or box of a photo, or several, for which it is encoded once.

        Args:
            image: PIL image, path, or array; EXIF orientation is applied.
            point_px: (x, y) in pixels of the photo as a person sees it, or a sequence of them.
            mask: instead, a region: bool (height, width) of the photo as a person sees it, or a sequence of them.
            box: instead, (x0, y0, x1, y1) in pixels, or a sequence of them.

        Returns:
            A :class:`Description`, for regions a :class:`RegionDescription`, or a list of them.

        Raises:
            ValueError: none or several of the three, a point or box outside the photo, a mask of another size or
                without a pixel, or an unreadable image.
        """
        given = {"points": point_px, "masks": mask, "boxes": box}
        kinds = [name for name, value in given.items() if value is not None]
        if len(kinds) != 1:
            raise ValueError(f"give one of point_px, mask and box, got {kinds or 'none of them'}")
        photo, kind, value = load_image(image), kinds[0], given[kinds[0]]
        size = (photo.height, photo.width)
        if len(value) == 0:
            return []
        if kind == "points":
            points_px = check_points_px(value, size)
            single, rows = points_px.ndim == 1, points_px.reshape(-1, 2)
            points = to_unit(rows, size)
            texts = self._written(photo, "points", points)
            done = [Description(t, _point(px, unit)) for t, px, unit in zip(texts, rows, points, strict=True)]
        else:
            single = np.ndim(value[0]) < (2 if kind == "masks" else 1)
            rows = [value] if single else list(value)
            if kind == "masks":
                places = [check_mask(row, size) for row in rows]
                boxes_px = [mask_box(place) for place in places]
            else:
                boxes_px = [tuple(check_box_px(row, size).tolist()) for row in rows]
                places = [to_unit(np.reshape(row, (2, 2)), size).reshape(4) for row in boxes_px]
            texts = self._written(photo, kind, places)
            done = [RegionDescription(t, row) for t, row in zip(texts, boxes_px, strict=True)]
        return done[0] if single else done

    def _written(self, photo: Image.Image, kind: str, places: Sequence[npt.ArrayLike]) -> list[str]:
        with self._turn("descriptor"):
            return describe_places(self.descriptor, self.descriptor_processor, photo, kind, places)

    def caption_segments(self, image: ImageLike, threshold: float | None = None) -> CaptionedSegments:
        """Find the segments of a photo, things and stuff, and describe each.

        Args:
            image: PIL image, path, or array; EXIF orientation is applied.
            threshold: segments of which the segmenter is less sure are left out, 0..1; None takes its own.

        Returns:
            A sequence of :class:`SegmentCaption`, with ``id_map``, the segment of each pixel.

        Raises:
            ValueError: an unreadable image, or a threshold out of range.
            OSError: the segmenter is not there.
        """
        photo = load_image(image)
        with self._turn("descriptor"):
            captioner = PanopticCaptioner(self.segmenter, self.descriptor, self.descriptor_processor)
            return captioner(photo, threshold)

    @property
    def segmenter(self) -> Segmenter:
        """What finds the segments; loaded when it is first asked for.

        Raises:
            OSError: it is not there.
        """
        if not isinstance(self._segmenter, Segmenter):
            with self._lock:
                if not isinstance(self._segmenter, Segmenter):
                    model = self.descriptor
                    self._segmenter = Segmenter.from_pretrained(self._segmenter, model.device, model.dtype)
        return self._segmenter

    def stream(self, image: ImageLike, point_px: tuple[float, float]) -> Iterator[str]:
        """Describe one point, piece by piece as it is written; arguments and errors as for :meth:`describe`.

        Closing the iterator stops the writing after the token at hand, and waits for that.
        """
        photo = load_image(image)
        points_px = check_points_px(point_px, (photo.height, photo.width)).reshape(1, 2)
        points = to_unit(points_px, (photo.height, photo.width))
        inputs = descriptor_inputs(self.descriptor, self.descriptor_processor, photo, "points", points)
        tokenizer = self.descriptor_processor.tokenizer
        streamer = TextIteratorStreamer(tokenizer, skip_prompt=True, skip_special_tokens=True)
        errors: list[BaseException] = []
        stop = threading.Event()

        def write() -> None:
            try:
                with self._turn("descriptor"):
                    self.descriptor.generate(
                        **inputs,
                        streamer=streamer,
                        stopping_criteria=StoppingCriteriaList([_Stopped(stop)]),
                        max_new_tokens=MAX_NEW_TOKENS,
                        do_sample=False,
                    )
            except BaseException as error:  # handed over to the caller's thread below
                errors.append(error)
                streamer.end()

        writer = threading.Thread(target=write, daemon=True)
        writer.start()
        try:
            yield from streamer
        finally:
            stop.set()  # for a caller who stops reading
            writer.join()
        if errors:
            raise RuntimeError(f"the descriptor failed: {errors[0]}") from errors[0]

    @overload
    def localize(self, image: ImageLike, text: str) -> Localization: ...
    @overload
    def localize(self, image: ImageLike, text: Sequence[str]) -> list[Localization]: ...
    def localize(self, image, text):
        """Find one text or several in a photo, which is encoded once.

        Args:
            image: PIL image, path, or array; EXIF orientation is applied.
            text: a description, or a sequence of them.

        Returns:
            A :class:`Localization`, or a list of them.

        Raises:
            ValueError: an empty text, or an unreadable image.
        """
        photo = load_image(image)
        texts = [text] if isinstance(text, str) else list(text)
        found: list[Localization] = []
        with self._turn("localizer"), torch.inference_mode():
            visual = None
            for start in range(0, len(texts), _TEXTS_AT_ONCE):
                some = texts[start : start + _TEXTS_AT_ONCE]
                inputs = moved(self.localizer_processor(images=[photo], text=[some]), self.localizer)
                if visual is None:
                    visual = self.localizer.encode_images(**inputs)
                del inputs["pixel_values"]
                output = self.localizer(**inputs, visual=visual)
                sizes = [(photo.height, photo.width)] * len(some)
                found += [_localization(row) for row in self.localizer_processor.post_process(output, sizes)]
        return found[0] if isinstance(text, str) else found

    def round_trip(self, image: ImageLike, point_px: tuple[float, float]) -> RoundTrip:
        """Describe a point and find the description again; arguments and errors as for :meth:`describe`."""
        photo = load_image(image)
        description = self.describe(photo, point_px)
        return self.measure(description, self.localize(photo, description.text))

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

    @staticmethod
    def measure(description: Description, localization: Localization) -> RoundTrip:
        """The round trip of a description and its localization in the same photo, with both errors."""
        there, back = description.point, localization
        return RoundTrip(
            description=description,
            localization=localization,
            error_px=float(np.hypot(there.x - back.x, there.y - back.y)),
            error_img=float(unit_distance(there.unit, back.unit)),
        )


class _Stopped(StoppingCriteria):
    """Ends all rows of a generation once an event is set."""

    def __init__(self, event: threading.Event):
        self.event = event

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **kwargs) -> torch.Tensor:
        return torch.full((len(input_ids),), self.event.is_set(), device=input_ids.device)


def _point(px: npt.ArrayLike, unit: npt.ArrayLike) -> Point:
    (x, y), (u, v) = np.asarray(px, dtype=np.float64).tolist(), np.asarray(unit, dtype=np.float64).tolist()
    return Point(x, y, (u, v))


def _localization(row: LocatedPoint) -> Localization:
    point = _point(row["point_px"], row["point"])
    return Localization(
        x=point.x,
        y=point.y,
        unit=point.unit,
        confidence=row["confidence"],
        found=row["presence"] >= PRESENT,
        presence=row["presence"],
        heatmap=row["heatmap"],
    )
