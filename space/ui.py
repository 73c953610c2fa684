"""The screen and its tab of the points: layout, and which event calls which function of ``space.events``. No logic of
its own.

Every event writes its own piece of session state (photo, clicked point, found point), so two events of one
visitor never overwrite each other, and a new photo cancels whatever still runs for the old one.
"""

import json
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from space import handlers, photos, segment_tab, table, theme
from space.events import Events, Session
from space.hosting.bounds import BodyLimit, bound
from space.hosting.limits import FILE_SECONDS, MAX_SESSIONS, MAX_UPLOAD
from space.hosting.serving import EncodingPair, ServedPair
from space.hosting.uploads import guard
from space.kept import SUFFIXES
from space.screen import DIRECT, KEPT, MODEL, PHOTO, PROGRAMS, Screen
from space.segment_events import POINTS, SegmentEvents

_NAME_EXAMPLES = f"""() => {{
  const names = {json.dumps(list(photos.EXAMPLES))};
  const name = () => document.querySelectorAll('#examples, #segment-examples').forEach(examples =>
    examples.querySelectorAll('img').forEach((picture, i) => {{ picture.alt = names[i]; }}));
  new MutationObserver(name).observe(document.body, {{childList: true, subtree: true}});
  name();
}}"""
"""Gives the example photos the alt texts that Gradio leaves empty."""


def launch_options() -> dict[str, Any]:
    """How the app is launched wherever it is: no way out of the machine, bounded requests and sessions. New on every
    call, since Gradio writes into what it is given.
    """
    return {
        "theme": theme.THEME,
        "css": theme.CSS,
        "share": False,
        "footer_links": ["api"],
        "run_history": False,  # would keep visitors' photos in their browsers
        "enable_monitoring": False,
        "num_workers": 0,  # processes of their own, which know nothing of our guards
        "max_file_size": MAX_UPLOAD,
        "state_session_capacity": MAX_SESSIONS,
        "app_kwargs": {"middleware": [Middleware(BodyLimit)]},
    }


def build(tp: EncodingPair, note: str = theme.BUNDLED_NOTE) -> gr.Blocks:
    """The app on a model pair, not yet launched.

    Args:
        tp: the model pair.
        note: HTML for the page head, saying what the models know.

    Returns:
        Blocks with a bounded queue; launch it with ``**launch_options()``.
    """
    with gr.Blocks(title="Talking Points", delete_cache=(600, FILE_SECONDS)) as blocks:
        guard(blocks)
        served = ServedPair(tp)
        events = Events(served)
        segment_events = SegmentEvents(served, events)
        _endpoints(events, segment_events)  # first, so that they get their names and the private events others
        gr.HTML(theme.HEADING.format(note=note))
        with gr.Tabs(elem_id="tabs") as tabs:
            with gr.Tab("Points", id=POINTS):
                screen = _layout()
            tab = segment_tab.layout()
        search = segment_tab.wire_search(tab, screen, segment_events)
        running, photo_events = _wire(screen, events, search)
        segment_tab.wire(tab, screen, tabs, segment_events, events, search, running, photo_events)
        blocks.load(events.arrive, None, [screen.chosen, screen.facts], **DIRECT)
        blocks.load(None, None, None, js=_NAME_EXAMPLES, api_visibility="private")
    return bound(blocks.queue(max_size=None, api_open=False))


def _layout() -> Screen:
    """The tab of the points."""
    first = photos.example_photo(0)
    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=320):
            photo_side = _photo_side(first)
        with gr.Column(scale=2, min_width=320):
            words_side = _words_side()
    return Screen(
        **photo_side,
        **words_side,
        **_kept_side(),
        chosen=gr.State(Session.LOST),
        clicked=gr.State(),
        found=gr.State(),
        meant=gr.State(),
        asked=gr.State(),
        kept=gr.State(()),
    )


def _photo_side(first: photos.Photo) -> dict[str, Any]:
    """The photo and the examples, under their names in :class:`Screen`."""
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
        samples=[[example()] for example in photos.EXAMPLES.values()],
        type="index",
        label="Example photos",
        elem_id="examples",
    )
    return {"photo": photo, "examples": examples}


def _words_side() -> dict[str, Any]:
    """Words, buttons, facts and settings, under their names in :class:`Screen`."""
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
        keep = gr.Button("Keep", size="md", min_width=60, elem_id="keep")
        clear = gr.Button("Clear", size="md", min_width=60, elem_id="clear")
    facts = gr.HTML(
        handlers.loading(),
        elem_id="facts",
        html_template='<div role="status" aria-live="polite">${value}</div>',
    )
    opacity = gr.Slider(0, 100, 60, step=5, label="Heat map, % opaque", elem_id="opacity")
    window = gr.Checkbox(True, label="Show the window that the description looks through", elem_id="window")
    with gr.Accordion("Give the point by numbers", open=False), gr.Row(equal_height=False):
        x = gr.Number(label="x, pixels", min_width=80, elem_id="x")
        y = gr.Number(label="y, pixels", min_width=80, elem_id="y")
        describe = gr.Button("Describe", size="md", min_width=100, elem_id="describe")
    buttons = {"find": find, "round_trip": round_trip, "keep": keep, "clear": clear}
    numbers = {"x": x, "y": y, "describe": describe}
    return {"words": words, **buttons, "facts": facts, "opacity": opacity, "window": window, **numbers}


def _kept_side() -> dict[str, Any]:
    """The table of kept points and its buttons, under their names in :class:`Screen`."""
    with gr.Column(elem_id="kept"):
        gr.HTML("<h2>Kept points</h2>")
        kept_table = gr.HTML(
            table.kept_table((), None),
            elem_id="kept-table",
            html_template=table.TEMPLATE,
            js_on_load=table.ON_LOAD,
            apply_default_css=False,
        )
        with gr.Row(elem_id="kept-buttons"):
            export_csv = gr.Button("Export CSV", size="md", min_width=80, elem_id="export-csv")
            export_jsonl = gr.Button("Export JSON", size="md", min_width=80, elem_id="export-json")
            imported = gr.UploadButton("Import", file_types=list(SUFFIXES), size="md", min_width=80, elem_id="import")
            remove_all = gr.Button("Remove all", size="md", min_width=80, elem_id="remove-all")
        file = gr.JSON(visible="hidden")
    exports = {"export_csv": export_csv, "export_jsonl": export_jsonl, "file": file}
    return {"table": kept_table, **exports, "imported": imported, "remove_all": remove_all}


def _wire(screen: Screen, events: Events, search: Any) -> tuple[list[Any], list[Any]]:
    """Attach the events of the points. What still runs for an old photo or an old click is cancelled by a new one.

    Args:
        search: for segments, which a new photo cancels too.

    Returns:
        The calls of the models, to be cancelled, and the events that choose a photo.
    """
    show = [screen.photo, screen.facts]
    point, everything = screen.point, screen.everything
    marks = [screen.chosen, screen.clicked, screen.kept, screen.opacity, screen.window]
    on_facts: dict[str, Any] = {"show_progress": "minimal", "show_progress_on": screen.facts}

    describe = screen.asked.change(
        events.describe,
        [screen.chosen, screen.clicked],
        screen.words,
        show_progress="hidden",
        trigger_mode="multiple",
        **MODEL,
    )
    find = gr.on(
        [screen.find.click, screen.words.submit],
        events.find,
        [*marks, screen.words],
        [screen.found, screen.meant, *show],
        **on_facts,
        **MODEL,
    )
    round_trip = screen.round_trip.click(
        events.round_trip, marks, [screen.found, screen.meant, *show, screen.words], **on_facts, **MODEL
    )
    described = [screen.chosen, screen.clicked, screen.found, screen.words]
    describe.success(events.announce, described, screen.facts, **DIRECT)
    running = [describe, find, round_trip]
    of_photo = [*running, search]

    # Gradio runs the listeners of one event in the order of their registration: cancelling has to come first,
    # or it would hit the description that this very click asks for.
    typed = [screen.describe.click, screen.x.submit, screen.y.submit]
    gr.on([screen.photo.select, *typed], None, cancels=running)
    look = [screen.chosen, screen.kept, screen.window]
    click = screen.photo.select(events.click, look, [screen.asked, *point], **DIRECT)
    type_point = gr.on(typed, events.type_point, [*look, screen.x, screen.y], [screen.asked, *point], **DIRECT)

    on_photo = [screen.chosen, screen.kept]
    photo_events = [
        screen.photo.upload(
            events.upload, [screen.photo, *on_photo], everything, preprocess=False, cancels=of_photo, **PHOTO
        ),
        screen.photo.clear(events.remove, None, everything, cancels=of_photo, **DIRECT),
        screen.examples.click(events.example, screen.examples, everything, cancels=of_photo, **DIRECT),
    ]
    clear = screen.clear.click(events.clear, on_photo, everything, cancels=running, **DIRECT)
    keep = screen.keep.click(
        events.keep,
        [screen.chosen, screen.meant, screen.kept, screen.words],
        everything,
        cancels=running,
        **KEPT,
    )
    drawn: dict[str, Any] = {"fn": events.redraw, "inputs": [*marks, screen.found], "outputs": screen.photo}
    redraw = gr.on([screen.opacity.input, screen.window.change], trigger_mode="always_last", **drawn, **DIRECT)
    of_kept = _wire_kept(screen, events, drawn)
    for event in (find, round_trip, click, type_point, clear, keep, redraw, *of_kept):
        event.failure(events.start_over, screen.chosen, everything, **DIRECT)
    return of_photo, photo_events


def _wire_kept(screen: Screen, events: Events, drawn: dict[str, Any]) -> list[Any]:
    """Attach the events of the table; where the number of points changes, the photo is drawn again."""
    on_photo = [screen.chosen, screen.kept]
    rows = [screen.kept, screen.table]
    edit = screen.table.edit(events.edit_kept, on_photo, rows, trigger_mode="multiple", **KEPT)
    changes = [
        screen.table.delete(events.remove_kept, on_photo, rows, trigger_mode="multiple", **KEPT),
        screen.remove_all.click(events.remove_all_kept, screen.chosen, rows, **KEPT),
        screen.imported.upload(events.import_kept, [screen.imported, *on_photo], rows, preprocess=False, **KEPT),
    ]
    for changed in changes:
        changed.success(**drawn, **DIRECT)
    exports = [
        screen.export_csv.click(events.export_csv, on_photo, screen.file, **KEPT),
        screen.export_jsonl.click(events.export_jsonl, on_photo, screen.file, **KEPT),
    ]
    for export in exports:
        export.success(None, screen.file, None, js=table.DOWNLOAD, api_visibility="private")
    return [edit, *changes, *exports]


def _endpoints(events: Events, segment_events: SegmentEvents) -> None:
    """The named endpoints, on components that no visitor sees."""
    image = gr.Image(type="filepath", visible=False, label="image")
    text = gr.Textbox(visible=False, label="text")
    x, y = gr.Number(visible=False, label="x, pixels"), gr.Number(visible=False, label="y, pixels")
    id_map = gr.Checkbox(True, visible=False, label="id_map")
    answer = gr.JSON(visible=False, label="answer")
    for function, inputs in (
        (events.api_describe, [image, x, y]),
        (events.api_localize, [image, text]),
        (events.api_round_trip, [image, x, y]),
        (segment_events.api_segments, [image, id_map]),
    ):
        name = function.__name__.removeprefix("api_")
        gr.Button(visible=False).click(
            function,
            inputs,
            answer,
            api_name=name,
            preprocess=False,
            **PROGRAMS,
        )
