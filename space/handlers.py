"""What the app does on a click, a text or a button, as plain functions: the model pair goes in as an
argument.

Photos are kept as a copy of bounded size next to the size of the photo as uploaded: whatever the upload, a
visitor costs the server a few megabytes. Between functions a point is a unit (x, y); people and programs read
pixels of the photo as uploaded. Gradio is not known here; what a visitor did wrong is a ValueError whose
message they can read.
"""

import html
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from PIL import Image
from skimage import data

from space.drawing import SHOWN_SIDE, UnitPoint, draw, shown_size
from talkingpoints.images import ImageLike, load_image
from talkingpoints.inference import Localization, RoundTrip, TalkingPoints
from talkingpoints.points import check_points_px, to_pixels, to_unit, unit_distance

MAX_TEXT = 1000
"""Longest text, in characters, that is sent to the model."""

EXAMPLES = {"A cat": data.chelsea, "A person": data.astronaut}
"""Photos that scikit-image brings along, both free to show: Chelsea (CC0) and Eileen Collins (NASA)."""


@dataclass(frozen=True)
class Photo:
    """A visitor's photo.

    Args:
        image: RGB, as a person sees it, its longest side at most ``SHOWN_SIDE`` pixels.
        size: (height, width) in pixels of the photo as uploaded, EXIF orientation applied.
    """

    image: Image.Image
    size: tuple[int, int]

    def point_px(self, point: UnitPoint) -> UnitPoint:
        """Unit (x, y) -> pixels of the photo as uploaded."""
        return _pair(to_pixels(point, self.size))

    def model_point_px(self, point: UnitPoint) -> UnitPoint:
        """Unit (x, y) -> pixels of ``image``, which is what the models are shown."""
        return _pair(to_pixels(point, (self.image.height, self.image.width)))


def open_photo(source: ImageLike) -> Photo:
    """Read an upload or an example; ValueError with a message for the visitor where it is no photo."""
    try:
        image = load_image(source)
    except ValueError as error:
        # What follows the colon names files of the server.
        raise ValueError(f"This photo cannot be used: {str(error).partition(':')[0]}.") from error
    size = (image.height, image.width)
    if max(size) > SHOWN_SIDE:
        height, width = shown_size(size)
        image = image.resize((width, height), Image.Resampling.LANCZOS)
    return Photo(image, size)


def example_photo(index: int) -> Photo:
    """The example photo at this place in ``EXAMPLES``."""
    return open_photo(list(EXAMPLES.values())[index]())


def clicked_point(photo: Photo | None, shown_px: UnitPoint) -> UnitPoint:
    """A click in pixels of the photo as shown -> unit (x, y)."""
    shown = shown_size(_chosen(photo).size)
    return _pair(to_unit(check_points_px(shown_px, shown), shown))


def typed_point(photo: Photo | None, x: float | None, y: float | None) -> UnitPoint:
    """A point typed in pixels of the photo as uploaded -> unit (x, y)."""
    photo = _chosen(photo)
    if x is None or y is None:
        raise ValueError("Give both x and y, in pixels of the photo.")
    return _pair(to_unit(check_points_px((x, y), photo.size), photo.size))


def point_px(photo: Photo | None, point: UnitPoint) -> UnitPoint:
    """Unit (x, y) -> pixels of the photo as uploaded."""
    return _chosen(photo).point_px(point)


def describe(tp: TalkingPoints, photo: Photo | None, point: UnitPoint | None) -> Iterator[str]:
    """The description of a point as it grows: every item is the text so far."""
    photo, point = _chosen(photo), _clicked(point)
    text = ""
    for piece in tp.stream(photo.image, photo.model_point_px(point)):
        text += piece
        yield text


def find(tp: TalkingPoints, photo: Photo | None, text: str | None) -> Localization:
    """Where a text points in the photo."""
    return tp.localize(_chosen(photo).image, checked_text(text))


def round_trip(tp: TalkingPoints, photo: Photo | None, point: UnitPoint | None) -> RoundTrip:
    """The clicked point into words, and the words back onto the photo."""
    photo, point = _chosen(photo), _clicked(point)
    return tp.round_trip(photo.image, photo.model_point_px(point))


def checked_text(text: str | None) -> str:
    """The text without surrounding space; ValueError where nothing is left or it is too long."""
    text = (text or "").strip()
    if not text:
        raise ValueError("Write where the point is, for example: the left ear of the cat.")
    if len(text) > MAX_TEXT:
        raise ValueError(f"The text has {len(text):,} characters; at most {MAX_TEXT:,} are read.")
    return text


def picture(
    photo: Photo | None, clicked: UnitPoint | None, found: Localization | None, opacity: float
) -> Image.Image | None:
    """The photo as shown, with whatever marks there are; a text that points nowhere leaves no mark."""
    if photo is None:
        return None
    if found is None or not found.found:
        return draw(photo.image, clicked)
    return draw(photo.image, clicked, found.unit, found.heatmap, opacity)


def facts(photo: Photo | None, clicked: UnitPoint | None, found: Localization | None) -> str:
    """What is known about the marks, as HTML: places, confidence, distance."""
    if photo is None:
        return _fact("hint", "Choose a photo, or take one of the examples.")
    if clicked is None and found is None:
        return _fact("hint", "Click a point of the photo, or write where one is.")
    rows = []
    if clicked is not None:
        rows.append(_fact("clicked", "Clicked", _place(photo, clicked)))
    if found is not None and found.found:
        rows.append(_fact("found", "Found", _place(photo, found.unit), *_confidence(found)))
    elif found is not None:
        rows.append(_fact("absent", "Not in this image", f"presence {found.presence:.0%}"))
    if clicked is not None and found is not None and found.found:
        pixels, share = _distance(photo, clicked, found.unit)
        rows.append(_fact("distance", "Distance", f"{pixels:.1f} px", f"{share:.1%} of the image"))
    return "".join(rows)


def api_describe(tp: TalkingPoints, image: ImageLike, x: float, y: float) -> dict[str, Any]:
    """The named endpoint ``/describe``: point in pixels of the photo as uploaded -> text."""
    photo = open_photo(image)
    point = typed_point(photo, x, y)
    text = tp.describe(photo.image, photo.model_point_px(point)).text
    return {"text": text, **_place_json(photo, point)}


def api_localize(tp: TalkingPoints, image: ImageLike, text: str) -> dict[str, Any]:
    """The named endpoint ``/localize``: text -> point in pixels of the photo as uploaded."""
    photo = open_photo(image)
    return _localization_json(photo, find(tp, photo, text))


def api_round_trip(tp: TalkingPoints, image: ImageLike, x: float, y: float) -> dict[str, Any]:
    """The named endpoint ``/round_trip``: point -> text -> point, and how far apart the two are."""
    photo = open_photo(image)
    point = typed_point(photo, x, y)
    trip = round_trip(tp, photo, point)
    pixels, share = _distance(photo, point, trip.localization.unit)
    return {
        "text": trip.description.text,
        "point": _place_json(photo, point),
        "localization": _localization_json(photo, trip.localization),
        "error_px": pixels,
        "error_img": share,
    }


def _localization_json(photo: Photo, found: Localization) -> dict[str, Any]:
    return {
        **_place_json(photo, found.unit),
        "confidence": None if math.isnan(found.confidence) else float(found.confidence),
        "found": bool(found.found),
        "presence": float(found.presence),
    }


def _place_json(photo: Photo, point: UnitPoint) -> dict[str, Any]:
    x, y = photo.point_px(point)
    height, width = photo.size
    return {"x": x, "y": y, "unit": [float(value) for value in point], "image_size": [height, width]}


def _distance(photo: Photo, one: UnitPoint, other: UnitPoint) -> tuple[float, float]:
    """(pixels of the photo as uploaded, distance in unit coordinates)."""
    (x0, y0), (x1, y1) = photo.point_px(one), photo.point_px(other)
    return float(((x0 - x1) ** 2 + (y0 - y1) ** 2) ** 0.5), float(unit_distance(one, other))


def _place(photo: Photo, point: UnitPoint) -> str:
    x, y = photo.point_px(point)
    return f"x {x:.0f}, y {y:.0f} px"


def _confidence(found: Localization) -> list[str]:
    """One value, or none from a localizer that draws no heat map: it has no confidence to give."""
    return [] if math.isnan(found.confidence) else [f"confidence {found.confidence:.0%}"]


def _fact(kind: str, title: str, *values: str) -> str:
    cells = "".join(f"<span>{html.escape(value)}</span>" for value in values)
    return f'<div class="fact {kind}"><b>{html.escape(title)}</b>{cells}</div>'


def _chosen(photo: Photo | None) -> Photo:
    if photo is None:
        raise ValueError("Choose a photo first.")
    return photo


def _clicked(point: UnitPoint | None) -> UnitPoint:
    if point is None:
        raise ValueError("Click a point of the photo first.")
    return point


def _pair(values: Any) -> UnitPoint:
    x, y = values
    return float(x), float(y)
