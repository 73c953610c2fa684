"""Every answer of the package as a frozen dataclass, with ``to_dict()`` for what leaves Python.

Pixels are those of the photo as a person sees it (EXIF orientation applied); ``unit`` is the same point in [0, 1].
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from .points import pixel_at, to_pixels, unit_distance

PRESENT = 0.5
"""From this ``presence`` on, a text is taken to speak of the photo."""


@dataclass(frozen=True)
class Point:
    """A point of a photo.

    Attributes:
        x, y: in pixels.
        unit: (x, y) in [0, 1].
    """

    x: float
    y: float
    unit: tuple[float, float]

    @staticmethod
    def at(unit: npt.ArrayLike, size: tuple[int, int]) -> "Point":
        """The point at a unit (x, y) of a photo of ``size`` (height, width) in pixels."""
        u, v = np.asarray(unit, dtype=np.float64).tolist()
        x, y = to_pixels((u, v), size).tolist()
        return Point(x, y, (u, v))

    def to_dict(self) -> dict[str, Any]:
        """``x``, ``y`` and ``unit``, a list."""
        return {"x": self.x, "y": self.y, "unit": list(self.unit)}


@dataclass(frozen=True)
class Localization(Point):
    """Where the localizer finds a text: a point, and how sure the localizer is.

    Attributes:
        confidence: 0..1, probability that the point is within 0.1 of the image of the right place, given that the
            thing is there; NaN for models with the MLP head.
        presence: 0..1, probability that the thing is in the photo at all.
        heatmap: float32 (h, w) over the whole photo, sums to 1; None for models with the MLP head.
    """

    confidence: float
    presence: float
    heatmap: np.ndarray | None

    @property
    def found(self) -> bool:
        """Whether the thing is in the photo: ``presence`` is at least ``PRESENT``."""
        return self.presence >= PRESENT

    def in_size(self, size: tuple[int, int]) -> "Localization":
        """The same with ``x`` and ``y`` in pixels of another ``size`` (height, width) of the photo."""
        x, y = to_pixels(self.unit, size).tolist()
        return replace(self, x=x, y=y)

    def to_dict(self) -> dict[str, Any]:
        """``x``, ``y``, ``unit``, ``confidence``, ``presence``, ``found`` and ``heatmap``."""
        scores = {"confidence": self.confidence, "presence": self.presence, "found": self.found}
        return {**super().to_dict(), **scores, "heatmap": self.heatmap}


@dataclass(frozen=True)
class Description:
    """What the descriptor says of a point."""

    text: str
    point: Point

    def to_dict(self) -> dict[str, Any]:
        """``text``, ``x``, ``y`` and ``unit``."""
        return {"text": self.text, **self.point.to_dict()}


@dataclass(frozen=True)
class RegionDescription:
    """What the descriptor says of a region: ``box`` (x0, y0, x1, y1) around it in pixels."""

    text: str
    box: tuple[float, float, float, float]

    def to_dict(self) -> dict[str, Any]:
        """``text`` and ``box``, a list."""
        return {"text": self.text, "box": list(self.box)}


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

    @staticmethod
    def of(description: Description, localization: Localization) -> "RoundTrip":
        """The two answers, which are about one photo in pixels of one size, with both errors."""
        there, back = description.point, localization
        error_px = float(np.hypot(there.x - back.x, there.y - back.y))
        return RoundTrip(description, localization, error_px, float(unit_distance(there.unit, back.unit)))

    def to_dict(self) -> dict[str, Any]:
        """``text``, ``point``, ``localization``, ``error_px`` and ``error_img``."""
        return {
            "text": self.description.text,
            "point": self.description.point.to_dict(),
            "localization": self.localization.to_dict(),
            "error_px": self.error_px,
            "error_img": self.error_img,
        }


@dataclass(frozen=True)
class SegmentCaption:
    """A segment and what is said of it.

    Attributes:
        id: its number in the id map, from 1 upwards.
        label: the segmenter's name for it.
        is_thing: a thing that can be counted, or stuff, of which a photo has one segment.
        score: 0..1, how sure the segmenter is.
        text: the descriptor's words; empty as long as nobody asked it.
        mask: bool (height, width) of the photo.
        box: (x0, y0, x1, y1) around it in pixels.
    """

    id: int
    label: str
    is_thing: bool
    score: float
    text: str
    mask: np.ndarray
    box: tuple[float, float, float, float]

    def to_dict(self) -> dict[str, Any]:
        """All attributes by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True)
class CaptionedSegments(Sequence[SegmentCaption]):
    """The segments of a photo: a sequence of :class:`SegmentCaption`.

    Attributes:
        segments: in the segmenter's order.
        id_map: int32 (height, width), which segment each pixel belongs to, 0 for none.
    """

    segments: tuple[SegmentCaption, ...]
    id_map: np.ndarray

    def __len__(self) -> int:
        return len(self.segments)

    @overload
    def __getitem__(self, index: int) -> SegmentCaption: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[SegmentCaption, ...]: ...
    def __getitem__(self, index: int | slice) -> SegmentCaption | tuple[SegmentCaption, ...]:
        return self.segments[index]

    def at(self, x: float, y: float) -> SegmentCaption | None:
        """The segment at a pixel of the photo, or None.

        Raises:
            ValueError: If the pixel is outside the photo.
        """
        height, width = self.id_map.shape
        if not (0 <= x <= width and 0 <= y <= height):
            raise ValueError(f"({x:g}, {y:g}) is outside the photo of {width} x {height} pixels")
        number = int(self.id_map[pixel_at((x, y), (height, width))])
        return next((segment for segment in self.segments if segment.id == number), None)

    def to_dict(self) -> dict[str, Any]:
        """``segments``, a list of their dictionaries, and ``id_map``."""
        return {"segments": [segment.to_dict() for segment in self.segments], "id_map": self.id_map}
