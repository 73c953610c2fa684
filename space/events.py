"""Between Gradio and the handlers: unpacks what an event brings, packs what the screen shows next.

What a visitor did wrong (ValueError), what took too long (TimeoutError) and that a model failed become toasts, and the
screen stays as it is. Named endpoints raise the same messages to their caller.
"""

import enum
import functools
import html
import itertools
import logging
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from space import handlers, kept, photos
from space.drawing import UnitPoint
from space.hosting.serving import NoSegmenter, Pair
from space.hosting.uploads import upload_of
from space.kept import Kept
from space.photos import Photo
from space.table import kept_table
from talkingpoints.results import Localization

View = Any
"""The value for the output component of an event, or a tuple for several, in their order; ``ui`` names them."""

NO_SEGMENTER = (
    "The segmenter is not there: neither the bundled one nor another can be loaded. Points can be described without it."
)

EXPIRED = "Your session has expired: the photo and the points are no longer here. Choose the photo again."

_log = logging.getLogger(__name__)


class Session(enum.StrEnum):
    """What the state of a visitor holds in the place of a photo until their page is loaded, and so once more when the
    server has forgotten them.
    """

    LOST = "no session"


def message(error: Exception) -> str:
    """What the visitor reads, as HTML."""
    return html.escape(plain_message(error))


def plain_message(error: Exception) -> str:
    """What the visitor reads, as text: our own words, and never those of a model, which go to the log."""
    if isinstance(error, NoSegmenter):
        _log.warning("no segmenter", exc_info=error)
        return NO_SEGMENTER
    if not isinstance(error, ValueError | TimeoutError):
        _log.error("the model failed", exc_info=error)
        return "The model failed on this request. Try another point, text or photo."
    text = str(error)
    return text[:1].upper() + text[1:]


def _toast(error: Exception) -> None:
    title = "Please check" if isinstance(error, ValueError) else "Please wait"
    gr.Warning(message(error), title=title if isinstance(error, ValueError | TimeoutError) else "Model failure")


def check_session(*arguments: Any) -> None:
    """An error where the server has forgotten the visitor; :meth:`Events.start_over` follows on it."""
    if any(argument is Session.LOST for argument in arguments):
        raise gr.Error(EXPIRED, title="Session expired", print_exception=False)


def as_toast(event: Callable[..., View]) -> Callable[..., View]:
    """Show a failure as a toast and leave every output as it is."""

    @functools.wraps(event)
    def inner(self: "Events", *args: Any) -> View:
        check_session(*args)
        try:
            return event(self, *args)
        except Exception as error:  # whatever a model or a file brings about, the visitor gets an answer
            _toast(error)
            return gr.skip()

    return inner


def as_error(endpoint: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Raise a failure to the caller of a named endpoint, with its message. MCP calls the tool by the name that the
    result has.
    """

    @functools.wraps(endpoint)
    def inner(*args: Any) -> dict[str, Any]:
        try:
            return endpoint(*args)
        except Exception as error:
            raise gr.Error(message(error), print_exception=False) from error

    inner.__name__ = endpoint.__name__.removeprefix("api_")
    return inner


class Events:
    """The functions behind the screen and the endpoints, on one model pair.

    Opacity is in percent, as on the slider; ``window`` says whether to draw what the descriptor reads. A file is what
    Gradio passes where it does not open the upload itself: a dictionary with a ``path``.
    """

    def __init__(self, tp: Pair) -> None:
        self.tp = tp
        self.clicks = itertools.count(1)

    def upload(self, file: dict[str, Any] | None, photo: Photo | None, points: Kept) -> View:
        """A new photo without marks; where it cannot be read, the photo before it instead of the upload."""
        try:
            return _start(photos.open_photo(*upload_of(file, "an image")))
        except Exception as error:
            _toast(error)
            return _start(None) if photo is Session.LOST else _start(photo, points)

    def arrive(self) -> View:
        """The photo of a page that has just been loaded, and the facts in the place of :func:`handlers.loading`."""
        photo = photos.example_photo(0)
        return photo, handlers.facts(photo, None, None)

    @as_toast
    def example(self, index: int) -> View:
        """An example photo without marks."""
        return _start(photos.example_photo(index))

    def remove(self) -> View:
        """No photo."""
        return _start(None)

    def start_over(self, photo: Photo | Session | None) -> View:
        """The screen of a new visitor, where an event failed because the server has forgotten them."""
        return _start(photos.example_photo(0)) if photo is Session.LOST else gr.skip()

    @as_toast
    def clear(self, photo: Photo | None, points: Kept) -> View:
        """The same photo without marks but for the kept points."""
        return _start(photo, points)

    @as_toast
    def click(self, photo: Photo | None, points: Kept, window: bool, event: gr.SelectData) -> View:
        """Mark a clicked point; the new number of the click starts its description."""
        return self.point(photo, handlers.clicked_point(photo, event.index), points, window)

    @as_toast
    def type_point(self, photo: Photo | None, points: Kept, window: bool, x: float | None, y: float | None) -> View:
        """Mark a point typed as numbers."""
        return self.point(photo, handlers.typed_point(photo, x, y), points, window)

    def describe(self, photo: Photo | None, clicked: UnitPoint | None) -> Iterator[Any]:
        """The words for the clicked point, as they come."""
        check_session(photo)
        try:
            yield from handlers.describe(self.tp, photo, clicked)
        except Exception as error:
            _toast(error)
            yield gr.skip()

    @as_toast
    def announce(self, photo: Photo | None, clicked: UnitPoint | None, found: Localization | None, text: str) -> str:
        """The facts with the finished description, which a screen reader then reads out."""
        return handlers.facts(photo, clicked, found, text)

    @as_toast
    def find(
        self, photo: Photo | None, clicked: UnitPoint | None, points: Kept, opacity: float, window: bool, text: str
    ) -> View:
        """The point that the words lead to."""
        found = handlers.find(self.tp, photo, text)
        shown = self._picture(photo, clicked, found, points, opacity, window)
        return found, handlers.meant(clicked, found), shown, handlers.facts(photo, clicked, found)

    @as_toast
    def round_trip(
        self, photo: Photo | None, clicked: UnitPoint | None, points: Kept, opacity: float, window: bool
    ) -> View:
        """The clicked point into words, and the words back onto the photo."""
        text, found = handlers.round_trip(self.tp, photo, clicked)
        shown = self._picture(photo, clicked, found, points, opacity, window)
        return found, clicked, shown, handlers.facts(photo, clicked, found, text), text

    @as_toast
    def redraw(
        self,
        photo: Photo | None,
        clicked: UnitPoint | None,
        points: Kept,
        opacity: float,
        window: bool,
        found: Localization | None,
    ) -> Any:
        """The picture with the heat map at another opacity, or with or without the window."""
        return self._picture(photo, clicked, found, points, opacity, window)

    @as_toast
    def keep(self, photo: Photo | None, meant: UnitPoint | None, points: Kept, text: str) -> View:
        """One kept point more, and the screen ready for the next."""
        return _start(photo, kept.add(points, handlers.to_keep(photo, meant), text))

    @as_toast
    def edit_kept(self, photo: Photo | None, points: Kept, event: gr.EventData) -> View:
        """Other words or another label for a kept point."""
        points = kept.edit(points, event.key, event.column, event.words)
        return points, kept_table(points, photo)

    @as_toast
    def remove_kept(self, photo: Photo | None, points: Kept, event: gr.EventData) -> View:
        """All kept points but one."""
        points = kept.remove(points, event.key)
        return points, kept_table(points, photo)

    @as_toast
    def remove_all_kept(self, photo: Photo | None) -> View:
        """No kept points."""
        return (), kept_table((), photo)

    @as_toast
    def import_kept(self, file: dict[str, Any] | None, photo: Photo | None, points: Kept) -> View:
        """The kept points and those of a file."""
        path, _ = upload_of(file, "a file")
        photo = handlers.chosen(photo)
        together, others = kept.read_file(path, points, photo)
        left_out = f" {others} rows for other photos were left out." if others else ""
        gr.Info(f"{len(together) - len(points)} new points.{left_out}", title="Imported")
        return together, kept_table(together, photo)

    @as_toast
    def export_csv(self, photo: Photo | None, points: Kept) -> dict[str, str] | None:
        """The kept points as a file for the browser to save, or None."""
        return _export(photo, points, "metadata.csv", "text/csv", kept.to_csv)

    @as_toast
    def export_jsonl(self, photo: Photo | None, points: Kept) -> dict[str, str] | None:
        """The same as JSON lines."""
        return _export(photo, points, "metadata.jsonl", "application/jsonl", kept.to_jsonl)

    @as_error
    def api_describe(self, image: dict[str, Any] | None, x: float, y: float) -> dict[str, Any]:
        """Describe a point of a photo in words.

        Args:
            image: the photo.
            x: to the right, in pixels of the photo as a person sees it (EXIF orientation applied).
            y: downwards, in the same pixels.

        Returns:
            text, x, y, unit (x and y as shares of width and height), image_size (height, width).
        """
        return handlers.api_describe(self.tp, image_of(image), x, y)

    @as_error
    def api_localize(self, image: dict[str, Any] | None, text: str) -> dict[str, Any]:
        """Find the point of a photo that a text describes.

        Args:
            image: the photo.
            text: where the point is, in words.

        Returns:
            x, y (pixels), unit, image_size, found (false: not in this image), presence (0 to 1), confidence
            (0 to 1, null where the localizer has none).
        """
        return handlers.api_localize(self.tp, image_of(image), text)

    @as_error
    def api_round_trip(self, image: dict[str, Any] | None, x: float, y: float) -> dict[str, Any]:
        """Describe a point, find the description again, and say how far apart the two points are.

        Args:
            image: the photo.
            x: to the right, in pixels of the photo as a person sees it (EXIF orientation applied).
            y: downwards, in the same pixels.

        Returns:
            text, point, localization, error_px (pixels), error_img (distance in unit coordinates).
        """
        return handlers.api_round_trip(self.tp, image_of(image), x, y)

    def _picture(
        self,
        photo: Photo | None,
        clicked: UnitPoint | None,
        found: Localization | None,
        points: Kept,
        opacity: float,
        window: bool,
    ) -> Any:
        read = self.tp.window(clicked) if window and clicked is not None else None
        return handlers.picture(photo, clicked, found, opacity / 100, points, read)

    def point(self, photo: Photo | None, clicked: UnitPoint | None, points: Kept, window: bool) -> View:
        """The new number of a click, clicked point, none found, the clicked one meant, picture and facts, no words yet,
        the point in numbers.
        """
        clicked = handlers.given_point(clicked)
        x, y = handlers.point_px(photo, clicked)
        shown = self._picture(photo, clicked, None, points, 0, window)
        facts = handlers.facts(photo, clicked, None)
        return next(self.clicks), clicked, None, clicked, shown, facts, "", round(x, 1), round(y, 1)


def _start(photo: Photo | None, points: Kept = ()) -> View:
    """Photo, kept points and their table; no point clicked, found or meant, picture and facts, no words, no numbers."""
    shown = handlers.picture(photo, None, None, 0, points)
    facts = handlers.facts(photo, None, None)
    return photo, points, kept_table(points, photo), None, None, None, shown, facts, "", None, None


def _export(
    photo: Photo | None, points: Kept, name: str, media_type: str, write: Callable[[Kept, Photo], str]
) -> dict[str, str] | None:
    if photo is None or not points:
        _toast(ValueError("keep a point first: there is nothing to export."))
        return None
    return {"name": name, "type": media_type, "content": write(points, photo)}


def image_of(file: Any) -> str:
    """The path of the photo that a program has uploaded."""
    return upload_of(file, "an image")[0]
