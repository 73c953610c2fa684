"""Between Gradio and the handlers: unpacks what an event brings, packs what the screen shows next.

What a visitor did wrong (ValueError) and what the model could not do (RuntimeError) become toasts, and the
screen stays as it is. Named endpoints raise the same messages to their caller.
"""

import functools
import html
import itertools
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from space import handlers
from space.drawing import UnitPoint
from space.handlers import Photo
from talkingpoints.inference import Localization, TalkingPoints

View = tuple[Any, ...]
"""Values for the output components of an event, in their order; ``ui`` names them."""

_log = logging.getLogger(__name__)


def _message(error: ValueError | RuntimeError) -> str:
    """What the visitor reads, as HTML; the trouble of a model goes to the log in full."""
    if isinstance(error, RuntimeError):
        _log.error("the model failed", exc_info=error)
        return "The model failed on this request. Try another point, text or photo."
    text = str(error)
    return html.escape(text[:1].upper() + text[1:])


def _toast(error: ValueError | RuntimeError) -> None:
    gr.Warning(_message(error), title="Model failure" if isinstance(error, RuntimeError) else "Please check")


def _as_toast(event: Callable[..., View]) -> Callable[..., View]:
    """Show a failure as a toast and leave every output as it is."""

    @functools.wraps(event)
    def inner(*args: Any) -> View:
        try:
            return event(*args)
        except (ValueError, RuntimeError) as error:
            _toast(error)
            return gr.skip()

    return inner


def _as_error(endpoint: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Raise a failure to the caller of a named endpoint, with its message."""

    @functools.wraps(endpoint)
    def inner(*args: Any) -> dict[str, Any]:
        try:
            return endpoint(*args)
        except (ValueError, RuntimeError) as error:
            raise gr.Error(_message(error), print_exception=False) from error

    return inner


class Events:
    """The functions behind the screen and the endpoints, on one model pair.

    Opacity is in percent, as on the slider. A file is what Gradio passes where it does not open the upload
    itself: a dictionary with a ``path``.
    """

    def __init__(self, tp: TalkingPoints) -> None:
        self.tp = tp
        self.clicks = itertools.count(1)

    def upload(self, file: dict[str, Any] | None, photo: Photo | None) -> View:
        """A new photo without marks; where it cannot be read, the photo before it instead of the upload."""
        try:
            return _start(handlers.open_photo(_path(file)))
        except ValueError as error:
            _toast(error)
            return _start(photo)

    @_as_toast
    def example(self, index: int) -> View:
        """An example photo without marks."""
        return _start(handlers.example_photo(index))

    def remove(self) -> View:
        """No photo."""
        return _start(None)

    def clear(self, photo: Photo | None) -> View:
        """The same photo without marks."""
        return _start(photo)

    @_as_toast
    def click(self, photo: Photo | None, event: gr.SelectData) -> View:
        """Mark a clicked point; the new number of the click starts its description."""
        return next(self.clicks), *_mark(photo, handlers.clicked_point(photo, event.index))

    @_as_toast
    def type_point(self, photo: Photo | None, x: float | None, y: float | None) -> View:
        """Mark a point typed as numbers."""
        return next(self.clicks), *_mark(photo, handlers.typed_point(photo, x, y))

    def describe(self, photo: Photo | None, clicked: UnitPoint | None) -> Iterator[Any]:
        """The words for the clicked point, as they come."""
        try:
            yield from handlers.describe(self.tp, photo, clicked)
        except (ValueError, RuntimeError) as error:
            _toast(error)
            yield gr.skip()

    @_as_toast
    def find(self, photo: Photo | None, clicked: UnitPoint | None, opacity: float, text: str) -> View:
        """The point that the words lead to."""
        found = handlers.find(self.tp, photo, text)
        return found, *_show(photo, clicked, found, opacity)

    @_as_toast
    def round_trip(self, photo: Photo | None, clicked: UnitPoint | None, opacity: float) -> View:
        """The clicked point into words, and the words back onto the photo."""
        trip = handlers.round_trip(self.tp, photo, clicked)
        return trip.localization, *_show(photo, clicked, trip.localization, opacity), trip.description.text

    def redraw(self, photo: Photo | None, clicked: UnitPoint | None, found: Localization | None, opacity: float) -> Any:
        """The picture with the heat map at another opacity."""
        return handlers.picture(photo, clicked, found, opacity / 100)

    @_as_error
    def api_describe(self, image: dict[str, Any] | None, x: float, y: float) -> dict[str, Any]:
        """Describe a point of a photo in words.

        Args:
            image: the photo.
            x: to the right, in pixels of the photo as a person sees it (EXIF orientation applied).
            y: downwards, in the same pixels.

        Returns:
            text, x, y, unit (x and y as shares of width and height), image_size (height, width).
        """
        return handlers.api_describe(self.tp, _path(image), x, y)

    @_as_error
    def api_localize(self, image: dict[str, Any] | None, text: str) -> dict[str, Any]:
        """Find the point of a photo that a text describes.

        Args:
            image: the photo.
            text: where the point is, in words.

        Returns:
            x, y (pixels), unit, image_size, found (false: not in this image), presence (0 to 1), confidence
            (0 to 1, null where the localizer has none).
        """
        return handlers.api_localize(self.tp, _path(image), text)

    @_as_error
    def api_round_trip(self, image: dict[str, Any] | None, x: float, y: float) -> dict[str, Any]:
        """Describe a point, find the description again, and say how far apart the two points are.

        Args:
            image: the photo.
            x: to the right, in pixels of the photo as a person sees it (EXIF orientation applied).
            y: downwards, in the same pixels.

        Returns:
            text, point, localization, error_px (pixels), error_img (distance in unit coordinates).
        """
        return handlers.api_round_trip(self.tp, _path(image), x, y)


def _show(photo: Photo | None, clicked: UnitPoint | None, found: Localization | None, opacity: float) -> View:
    """The picture and the facts."""
    return handlers.picture(photo, clicked, found, opacity / 100), handlers.facts(photo, clicked, found)


def _start(photo: Photo | None) -> View:
    """Photo state, no clicked point, none found, picture and facts, no words, no numbers."""
    return photo, None, None, *_show(photo, None, None, 0), "", None, None


def _mark(photo: Photo | None, clicked: UnitPoint) -> View:
    """Clicked point, none found, picture and facts, no words yet, the point in numbers."""
    x, y = handlers.point_px(photo, clicked)
    return clicked, None, *_show(photo, clicked, None, 0), "", round(x, 1), round(y, 1)


def _path(file: dict[str, Any] | None) -> str:
    """The path of an upload.

    Gradio checks only files that carry its own mark that they lie among the uploads; a request without the
    mark could name any photo of the server, so it is checked here.
    """
    if file is None or not file.get("path"):
        raise ValueError("an image is needed")
    if Path(get_upload_folder()).resolve() not in Path(file["path"]).resolve().parents:
        raise ValueError("the image has to be uploaded")
    return file["path"]
