"""The one screen: layout, and which event calls which function of ``space.events``. No logic of its own.

Every event writes its own piece of session state (photo, clicked point, found point), so two events of one
visitor never overwrite each other, and a new photo cancels whatever still runs for the old one.
"""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from space import handlers, theme
from space.events import Events
from talkingpoints.inference import TalkingPoints

QUEUE_SIZE = 64
"""Requests that may wait; one more is told that the queue is full."""

LAUNCH: dict[str, Any] = {
    "theme": theme.THEME,
    "css": theme.CSS,
    "share": False,
    "footer_links": ["api"],
    "run_history": False,  # would keep visitors' photos in their browsers
    "enable_monitoring": False,
    "max_file_size": "30mb",
    "state_session_capacity": 200,
}
"""How the app is launched wherever it is: no way out of the machine, bounded uploads and sessions."""

_MODEL: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "model", "api_visibility": "private"}
"""The model answers one request at a time: two at once on two cores would both be slower."""

_DIRECT: dict[str, Any] = {"concurrency_limit": None, "show_progress": "hidden", "api_visibility": "private"}
"""Drawing needs no model and waits for nobody."""


@dataclass(frozen=True)
class Screen:
    """The components of the screen and session state; ``asked`` changes with every click to be described."""

    photo: gr.Image
    examples: gr.Dataset
    opacity: gr.Slider
    words: gr.Textbox
    find: gr.Button
    round_trip: gr.Button
    clear: gr.Button
    x: gr.Number
    y: gr.Number
    describe: gr.Button
    facts: gr.HTML
    chosen: gr.State
    clicked: gr.State
    found: gr.State
    asked: gr.State


def build(tp: TalkingPoints, note: str = theme.BUNDLED_NOTE) -> gr.Blocks:
    """The app on a model pair, not yet launched.

    Args:
        tp: the model pair.
        note: HTML for the page head, saying what the models know.

    Returns:
        Blocks with a bounded queue; launch it with ``**LAUNCH``.
    """
    with gr.Blocks(title="Talking Points", delete_cache=(600, 3600)) as blocks:
        events = Events(tp)
        _endpoints(events)  # first, so that they get their names and the private events others
        screen = _layout(note)
        _wire(screen, events)
        # Not the initial value of the state: a session that the server has dropped would then answer about this
        # photo while the browser still shows another.
        blocks.load(lambda: handlers.example_photo(0), None, screen.chosen, **_DIRECT)
    return blocks.queue(max_size=QUEUE_SIZE, api_open=False)


def _layout(note: str) -> Screen:
    gr.HTML(theme.HEADING.format(note=note))
    first = handlers.example_photo(0)
    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=320):
            photo = gr.Image(
                handlers.picture(first, None, None, 0.0),
                format="jpeg",
                sources=["upload", "clipboard"],
                label="Photo",
                show_label=False,
                buttons=["fullscreen"],
                placeholder="Drop a photo here, or tap to choose one",
                alt_text="Your photo with the marked points. Click a point to have it described.",
                elem_id="photo",
            )
            examples = gr.Dataset(
                components=[gr.Image(visible=False)],
                samples=[[example()] for example in handlers.EXAMPLES.values()],
                type="index",
                label="Example photos",
                elem_id="examples",
            )
        with gr.Column(scale=2, min_width=320):
            words = gr.Textbox(
                label="Words",
                placeholder="Click on the photo, or write: the left ear of the cat",
                max_lines=8,
                buttons=["copy"],
                elem_id="words",
            )
            with gr.Row(elem_id="buttons"):
                find = gr.Button("Find point", variant="primary", size="md", min_width=60, elem_id="find")
                round_trip = gr.Button("Round trip", size="md", min_width=60, elem_id="round-trip")
                clear = gr.Button("Clear", size="md", min_width=60, elem_id="clear")
            facts = gr.HTML(
                handlers.facts(first, None, None),
                elem_id="facts",
                html_template='<div role="status" aria-live="polite">${value}</div>',
            )
            opacity = gr.Slider(0, 100, 60, step=5, label="Heat map, % opaque", elem_id="opacity")
            with gr.Accordion("Give the point by numbers", open=False), gr.Row(equal_height=False):
                x = gr.Number(label="x, pixels", min_width=80, elem_id="x")
                y = gr.Number(label="y, pixels", min_width=80, elem_id="y")
                describe = gr.Button("Describe", size="md", min_width=100, elem_id="describe")
    states = gr.State(), gr.State(), gr.State(), gr.State()
    return Screen(photo, examples, opacity, words, find, round_trip, clear, x, y, describe, facts, *states)


def _wire(screen: Screen, events: Events) -> None:
    """Attach the events. What still runs for an old photo or an old click is cancelled by a new one."""
    show = [screen.photo, screen.facts]
    point = [screen.clicked, screen.found, *show, screen.words, screen.x, screen.y]
    everything = [screen.chosen, *point]
    marks = [screen.chosen, screen.clicked]
    on_facts: dict[str, Any] = {"show_progress": "minimal", "show_progress_on": screen.facts}

    describe = screen.asked.change(
        events.describe, marks, screen.words, show_progress="hidden", trigger_mode="multiple", **_MODEL
    )
    find = gr.on(
        [screen.find.click, screen.words.submit],
        events.find,
        [*marks, screen.opacity, screen.words],
        [screen.found, *show],
        **on_facts,
        **_MODEL,
    )
    round_trip = screen.round_trip.click(
        events.round_trip, [*marks, screen.opacity], [screen.found, *show, screen.words], **on_facts, **_MODEL
    )
    running = [describe, find, round_trip]

    # Gradio runs the listeners of one event in the order of their registration: cancelling has to come first,
    # or it would hit the description that this very click asks for.
    typed = [screen.describe.click, screen.x.submit, screen.y.submit]
    gr.on([screen.photo.select, *typed], None, cancels=running)
    numbers = [screen.chosen, screen.x, screen.y]
    screen.photo.select(events.click, screen.chosen, [screen.asked, *point], **_DIRECT)
    gr.on(typed, events.type_point, numbers, [screen.asked, *point], **_DIRECT)

    file = [screen.photo, screen.chosen]
    screen.photo.upload(events.upload, file, everything, preprocess=False, cancels=running, **_DIRECT)
    screen.photo.clear(events.remove, None, everything, cancels=running, **_DIRECT)
    screen.examples.click(events.example, screen.examples, everything, cancels=running, **_DIRECT)
    screen.clear.click(events.clear, screen.chosen, everything, cancels=running, **_DIRECT)
    screen.opacity.release(events.redraw, [*marks, screen.found, screen.opacity], screen.photo, **_DIRECT)


def _endpoints(events: Events) -> None:
    """The named endpoints, on components that no visitor sees."""
    image = gr.Image(type="filepath", visible=False, label="image")
    text = gr.Textbox(visible=False, label="text")
    x, y = gr.Number(visible=False, label="x, pixels"), gr.Number(visible=False, label="y, pixels")
    answer = gr.JSON(visible=False, label="answer")
    for function, inputs in (
        (events.api_describe, [image, x, y]),
        (events.api_localize, [image, text]),
        (events.api_round_trip, [image, x, y]),
    ):
        name = function.__name__.removeprefix("api_")
        gr.Button(visible=False).click(
            function,
            inputs,
            answer,
            api_name=name,
            preprocess=False,
            concurrency_limit=1,
            concurrency_id="model",
        )
