"""The tab of the segments: layout, and which event calls which function of ``space.segment_events``.

It shares the photo with the tab of the points: a new one in either is a new one in both. Its segments are looked for
when the tab is opened, or when the photo changes while it is open.
"""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from space import photos, segment_view
from space.events import Events
from space.screen import DIRECT, MODEL, PHOTO, SEGMENT, Screen
from space.segment_events import SegmentEvents


@dataclass(frozen=True)
class SegmentTab:
    """Components and session state; ``wanted`` changes with every search, ``clicked`` is a unit point,
    ``sought`` the photo of a search that goes on."""

    tab: gr.Tab
    view: gr.HTML
    choose_photo: gr.UploadButton
    search: gr.Button
    examples: gr.Dataset
    facts: gr.HTML
    describe: gr.Button
    listed: gr.HTML
    wanted: gr.State
    segments: gr.State
    clicked: gr.State
    sought: gr.State

    @property
    def everything(self) -> list[Any]:
        """What an event writes that starts a photo anew."""
        shown = [self.view, self.listed, self.facts, self.describe]
        return [self.wanted, self.segments, self.clicked, *shown, self.sought]


def layout() -> SegmentTab:
    """The tab; to be called where its neighbours are."""
    with (
        gr.Tab("Segments", id="segments", elem_id="segments", render_children=True) as tab,
        gr.Row(equal_height=False, elem_id="segment-row"),
    ):
        with gr.Column(scale=3, min_width=320):
            photo_side = _photo_side()
        with gr.Column(scale=2, min_width=320):
            words_side = _words_side()
        # not beside the tabs, where they would count as tabs
        states: dict[str, Any] = {name: gr.State() for name in ("wanted", "segments", "clicked", "sought")}
    return SegmentTab(tab=tab, **photo_side, **words_side, **states)


def _photo_side() -> dict[str, Any]:
    view = gr.HTML(
        "",
        elem_id="segment-view",
        html_template=segment_view.TEMPLATE,
        js_on_load=segment_view.VIEW_ON_LOAD,
        apply_default_css=False,
    )
    with gr.Row(elem_id="segment-buttons"):
        choose_photo = gr.UploadButton(
            "Choose a photo", file_types=["image"], size="md", min_width=120, elem_id="segment-photo"
        )
        search = gr.Button("Find segments", size="md", min_width=120, elem_id="find-segments")
    examples = gr.Dataset(
        components=[gr.Image(visible=False)],
        samples=[[example()] for example in photos.EXAMPLES.values()],
        type="index",
        label="Example photos",
        elem_id="segment-examples",
    )
    return {"view": view, "choose_photo": choose_photo, "search": search, "examples": examples}


def _words_side() -> dict[str, Any]:
    facts = gr.HTML(
        segment_view.note("One moment."),
        elem_id="segment-facts",
        html_template='<div role="status" aria-live="polite">${value}</div>',
    )
    describe = gr.Button(
        "Describe this point", variant="primary", size="md", interactive=False, elem_id="describe-in-segment"
    )
    listed = gr.HTML(
        "",
        elem_id="segment-list",
        html_template=segment_view.TEMPLATE,
        js_on_load=segment_view.LIST_ON_LOAD,
        apply_default_css=False,
    )
    return {"facts": facts, "describe": describe, "listed": listed}


def wire_search(tab: SegmentTab, screen: Screen, events: SegmentEvents) -> Any:
    """Attach the search for segments; what is returned can be cancelled."""
    return tab.wanted.change(
        events.seek,
        screen.chosen,
        [tab.segments, tab.view, tab.listed, tab.facts, tab.sought],
        show_progress="minimal",
        show_progress_on=tab.facts,
        **MODEL,
    )


def wire(
    tab: SegmentTab,
    screen: Screen,
    tabs: gr.Tabs,
    events: SegmentEvents,
    of_points: Events,
    search: Any,
    running: list[Any],
    elsewhere: list[Any],
) -> None:
    """Attach the other events.

    Args:
        tabs: in which this is one and the points are the other.
        of_points: which chooses photos.
        search: what :func:`wire_search` attached.
        running: calls of the models that a new photo cancels, that one too.
        elsewhere: events of the other tab that choose a photo.
    """
    known = [screen.chosen, tab.segments]
    opening: dict[str, Any] = {"fn": events.open, "inputs": known, "outputs": tab.everything}
    again: dict[str, Any] = {**opening, "inputs": [*known, tab.sought]}
    starts = [
        tab.tab.select(**again, **DIRECT),
        tab.search.click(events.start, screen.chosen, tab.everything, cancels=running, **DIRECT),
    ]
    on_photo = [screen.chosen, screen.kept]
    taken = [
        tab.choose_photo.upload(
            of_points.upload,
            [tab.choose_photo, *on_photo],
            screen.everything,
            preprocess=False,
            cancels=running,
            **PHOTO,
        ),
        tab.examples.click(of_points.example, tab.examples, screen.everything, cancels=running, **DIRECT),
    ]
    chosen = tab.view.select(
        events.choose,
        [*known, tab.sought],
        [tab.clicked, tab.facts, tab.describe],
        trigger_mode="multiple",
        **SEGMENT,
    )
    # Cancelling comes first, as for a click on the other photo: see space.ui.
    tab.describe.click(None, None, None, cancels=running)
    described = tab.describe.click(
        events.describe,
        [*known, screen.kept, screen.window, tab.clicked],
        [tabs, screen.asked, *screen.point],
        **DIRECT,
    )
    for photo in taken:  # which has cancelled the search, also for the same photo
        photo.success(**opening, **DIRECT)
    for photo in elsewhere:
        photo.success(events.forget, known, [tab.segments, tab.clicked, tab.sought], **DIRECT)
    for event in (search, *starts, chosen, described):
        lost = event.failure(of_points.start_over, screen.chosen, screen.everything, **DIRECT)
        lost.success(**{**again, "fn": events.after_failure} if event is search else again, **DIRECT)
