"""What the app does on a click, a text or a button, as plain functions: the model pair goes in as an
argument.

Between functions a point is a unit (x, y); people and programs read pixels of the photo as uploaded. Gradio is not
known here; what a visitor did wrong is a ValueError whose message they can read.
"""

import html
import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from space.drawing import UnitPoint, draw, shown_size
from space.hosting.limits import MAX_TEXT
from space.hosting.serving import Pair
from space.kept import Kept, check_characters
from space.photos import Photo, open_photo, pair
from talkingpoints.images import ImageLike
from talkingpoints.points import check_points_px, to_unit
from talkingpoints.results import Description, Localization, Point, RoundTrip


def clicked_point(photo: Photo | None, shown_px: UnitPoint) -> UnitPoint:
    """A click in pixels of the photo as shown -> unit (x, y)."""
    shown = shown_size(chosen(photo).size)
    return pair(to_unit(check_points_px(shown_px, shown), shown))


def typed_point(photo: Photo | None, x: float | None, y: float | None) -> UnitPoint:
    """A point typed in pixels of the photo as uploaded -> unit (x, y)."""
    photo = chosen(photo)
    numbers = [value for value in (x, y) if isinstance(value, int | float) and not isinstance(value, bool)]
    try:
        x, y = map(float, numbers)
    except (ValueError, OverflowError):  # not two, or an integer that no float holds
        raise ValueError("Give both x and y as numbers, in pixels of the photo.") from None
    return pair(to_unit(check_points_px((x, y), photo.size), photo.size))


def point_px(photo: Photo | None, point: UnitPoint) -> UnitPoint:
    """Unit (x, y) -> pixels of the photo as uploaded."""
    return chosen(photo).point_px(point)


def describe(tp: Pair, photo: Photo | None, point: UnitPoint | None) -> Iterator[str]:
    """The description of a point as it grows: every item is the text so far."""
    photo, point = chosen(photo), given_point(point)
    yield from itertools.accumulate(tp.stream(photo.image, point=point))


def find(tp: Pair, photo: Photo | None, text: str | None) -> Localization:
    """Where a text points in the photo."""
    return tp.localize(chosen(photo).image, checked_text(text))


def round_trip(tp: Pair, photo: Photo | None, point: UnitPoint | None) -> tuple[str, Localization]:
    """The clicked point into words, and the words back onto the photo."""
    text = _described(tp, photo, point)
    return text, tp.localize(chosen(photo).image, text)


def checked_text(text: str | None) -> str:
    """The text without surrounding space; ValueError where nothing is left or it is too long."""
    if not isinstance(text, str | None):
        raise ValueError("The text has to be a text, not a number or a list.")
    text = (text or "").strip()
    if not text:
        raise ValueError("Write where the point is, for example: the left ear of the cat.")
    if len(text) > MAX_TEXT:
        raise ValueError(f"The text has {len(text):,} characters; at most {MAX_TEXT:,} are read.")
    check_characters("text", text)
    return text


def picture(
    photo: Photo | None,
    clicked: UnitPoint | None,
    found: Localization | None,
    opacity: float,
    kept: Kept = (),
    window: np.ndarray | None = None,
) -> Image.Image | None:
    """The photo as shown, with whatever marks there are; a text that points nowhere leaves no mark.

    Args:
        photo, clicked, found, kept: what there is to show. opacity: of the heat map, 0 to 1.
        window: bool (h, w) over the photo, what the descriptor reads; None to leave it out.
    """
    if photo is None:
        return None
    points = [one.point for one in kept]
    if found is None or not found.found:
        return draw(photo.image, clicked, window=window, kept=points)
    return draw(photo.image, clicked, found.unit, found.heatmap, opacity, window, points)


def meant(clicked: UnitPoint | None, found: Localization) -> UnitPoint | None:
    """The point for which a visitor means the words that were just looked for: the found one, or where they lead
    nowhere the clicked one.
    """
    return found.unit if found.found else clicked


def to_keep(photo: Photo | None, point: UnitPoint | None) -> UnitPoint:
    """The point that the words on the screen were last used for; ValueError where there is none."""
    chosen(photo)
    if point is None:
        raise ValueError("Click a point, or find one, before you keep it.")
    return point


def loading() -> str:
    """What stands in the place of the facts until the server knows the visitor, as HTML."""
    return fact("hint", "One moment.")


def facts(
    photo: Photo | None, clicked: UnitPoint | None, found: Localization | None, description: str | None = None
) -> str:
    """What is known about the marks, as HTML: places, confidence, distance; a description for screen readers only."""
    if photo is None:
        return fact("hint", "Choose a photo, or take one of the examples.")
    if clicked is None and found is None:
        return fact("hint", "Click a point of the photo, or write where one is.")
    rows = []
    if clicked is not None:
        rows.append(fact("clicked", "Clicked", place_text(photo, clicked)))
    if found is not None and found.found:
        rows.append(fact("found", "Found", place_text(photo, found.unit), *_confidence(found)))
    elif found is not None:
        rows.append(fact("absent", "Not in this image", f"presence {found.presence:.0%}"))
    if clicked is not None and found is not None and found.found:
        trip = _trip(photo, clicked, found)
        rows.append(fact("distance", "Distance", f"{trip.error_px:.1f} px", f"{trip.error_img:.1%} of the image"))
    if description:
        rows.append(f'<div class="unseen">{html.escape(description)}</div>')
    return "".join(rows)


def api_describe(tp: Pair, image: ImageLike, x: float, y: float) -> dict[str, Any]:
    """The named endpoint ``/describe``: point in pixels of the photo as uploaded -> text."""
    photo = open_photo(image)
    point = typed_point(photo, x, y)
    description = Description(_described(tp, photo, point), Point.at(point, photo.size))
    return description.to_dict() | _image_size(photo)


def api_localize(tp: Pair, image: ImageLike, text: str) -> dict[str, Any]:
    """The named endpoint ``/localize``: text -> point in pixels of the photo as uploaded."""
    photo = open_photo(image)
    return _localization_json(photo, find(tp, photo, text).in_size(photo.size))


def api_round_trip(tp: Pair, image: ImageLike, x: float, y: float) -> dict[str, Any]:
    """The named endpoint ``/round_trip``: point -> text -> point, and how far apart the two are."""
    photo = open_photo(image)
    point = typed_point(photo, x, y)
    text, found = round_trip(tp, photo, point)
    trip = _trip(photo, point, found, text)
    answer = trip.to_dict()
    answer["point"] |= _image_size(photo)
    return answer | {"localization": _localization_json(photo, trip.localization)}


def _described(tp: Pair, photo: Photo | None, point: UnitPoint | None) -> str:
    photo, point = chosen(photo), given_point(point)
    return "".join(tp.stream(photo.image, point=point)).strip()


def _localization_json(photo: Photo, found: Localization) -> dict[str, Any]:
    answer = found.to_dict() | _image_size(photo)
    del answer["heatmap"]
    return answer | {"confidence": None if math.isnan(found.confidence) else found.confidence}


def _image_size(photo: Photo) -> dict[str, list[int]]:
    return {"image_size": list(photo.size)}


def _trip(photo: Photo, point: UnitPoint, found: Localization, text: str = "") -> RoundTrip:
    """Unit (x, y) -> words -> point, in pixels of the photo as uploaded."""
    return RoundTrip.of(Description(text, Point.at(point, photo.size)), found.in_size(photo.size))


def place_text(photo: Photo, point: UnitPoint) -> str:
    """Where a unit (x, y) is, in pixels of the photo as uploaded, for a person to read."""
    x, y = photo.point_px(point)
    return f"x {x:.0f}, y {y:.0f} px"


def _confidence(found: Localization) -> list[str]:
    """One value, or none from a localizer that draws no heat map: it has no confidence to give."""
    return [] if math.isnan(found.confidence) else [f"confidence {found.confidence:.0%}"]


def fact(kind: str, title: str, *values: str) -> str:
    """A line of facts as HTML; title and values are plain text."""
    cells = "".join(f"<span>{html.escape(value)}</span>" for value in values)
    return f'<div class="fact {kind}"><b>{html.escape(title)}</b>{cells}</div>'


def chosen(photo: Photo | None) -> Photo:
    """The photo; ValueError where there is none."""
    if photo is None:
        raise ValueError("Choose a photo first.")
    return photo


def given_point(point: UnitPoint | None) -> UnitPoint:
    """The point; ValueError where there is none."""
    if point is None:
        raise ValueError("Click a point of the photo first.")
    return point
