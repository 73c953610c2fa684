"""Between Gradio and the segments, as ``space.events`` is for points: what an event brings, and what is shown next."""

import itertools
from typing import Any

import gradio as gr

from space import handlers, segments
from space.drawing import UnitPoint
from space.events import Events, View, as_error, as_toast, check_session, image_of, plain_message
from space.hosting.serving import Pair
from space.kept import Kept
from space.photos import Photo
from space.segment_view import listed, note, said, summary, view
from space.segments import Segments

SEEKING = "Looking for segments ..."

POINTS = "points"
"""Id of the tab in which points are described."""


class SegmentEvents:
    """The functions behind the tab of the segments, on the pair and beside the events of the points."""

    def __init__(self, tp: Pair, events: Events) -> None:
        self.tp = tp
        self.events = events
        self.searches = itertools.count(1)

    @as_toast
    def open(self, photo: Photo | None, found: Segments | None, sought: Photo | None = None) -> View:
        """The tab for the chosen photo: as it was, or the new number of a search that starts with it; ``sought`` is the
        photo of a search that goes on.
        """
        if (found is not None and found.photo == photo) or (sought is not None and sought == photo):
            return gr.skip()
        return self.start(photo)

    @as_toast
    def after_failure(self, photo: Photo | None, found: Segments | None, sought: Photo | None) -> View:
        """The same after a search that could not be run, as where the queue is full: none at once again, but for a
        visitor who has started anew.
        """
        if sought is None or sought != photo:
            return self.open(photo, found)
        words = note("The segments were not looked for. Press Find segments to try again.")
        return gr.skip(), None, None, gr.skip(), "", words, _button(False), None

    @as_toast
    def forget(self, photo: Photo | None, found: Segments | None) -> View:
        """After a photo was chosen elsewhere: no segments of another one, no clicked point, no search that goes on."""
        return found if found is not None and found.photo == photo else None, None, None

    @as_toast
    def start(self, photo: Photo | None) -> View:
        """Number of a search; no segments, no clicked point; photo, list, facts; whether a point can be described; the
        photo that is sought.
        """
        if photo is None:
            return gr.skip(), None, None, view(None, None), "", note("Choose a photo first."), _button(False), None
        return next(self.searches), None, None, view(photo, None), "", note(SEEKING), _button(False), photo

    def seek(self, photo: Photo | None) -> View:
        """The segments, the photo with them, their list and what to do; what went wrong stands in the place of that. No
        photo is sought any more.
        """
        check_session(photo)
        try:
            found = segments.find(self.tp, photo)
            return found, view(photo, found), listed(found), summary(found), None
        except Exception as error:  # whatever a model brings about, the visitor gets an answer
            return None, gr.skip(), "", note(plain_message(error)), None

    @as_toast
    def choose(self, photo: Photo | None, found: Segments | None, sought: Photo | None, event: gr.EventData) -> View:
        """The clicked point, what is said of the segment there, and whether the point can be described."""
        point = handlers.clicked_point(photo, (event.x, event.y))
        if sought is not None and sought == photo:
            raise ValueError("The segments of this photo are still being looked for.")
        found = segments.of_photo(found, photo)
        return point, said(found, point), _button(found.at(point) is not None)

    @as_toast
    def describe(
        self, photo: Photo | None, found: Segments | None, points: Kept, window: bool, clicked: UnitPoint | None
    ) -> View:
        """The tab of the points, and there the clicked point as if it had been clicked there."""
        segments.of_photo(found, photo)
        return gr.Tabs(selected=POINTS), *self.events.point(photo, clicked, points, window)

    @as_error
    def api_segments(self, image: dict[str, Any] | None, id_map: bool) -> dict[str, Any]:
        """Find the segments of a photo, things and areas, and describe each in words.

        Args:
            image: the photo.
            id_map: whether to send the map of the segments too, some kilobytes.

        Returns:
            segments: a list of id, label, is_thing, score (0 to 1, how sure the segmenter is), text and box (x0, y0,
            x1, y1, in pixels of the photo as a person sees it); image_size (height, width); id_map: the segment of
            each pixel, 0 for none, as a data: URL of a PNG over the whole photo, its longest side at most 1280 pixels,
            or null.
        """
        return segments.api_segments(self.tp, image_of(image), id_map)


def _button(enabled: bool) -> Any:
    return gr.Button(interactive=enabled)
