"""What the parts of the screen share: its components, and the queue in which an event waits."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

MODEL: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "model", "api_visibility": "private"}
"""The model answers one request at a time: two at once on two cores would both be slower."""

PROGRAMS: dict[str, Any] = {"concurrency_limit": 2, "concurrency_id": "programs"}
"""The named endpoints: the photo of one is read while the models, of which the calls take turns, serve another."""

DIRECT: dict[str, Any] = {"concurrency_limit": None, "show_progress": "hidden", "api_visibility": "private"}
"""Drawing needs no model and waits for nobody."""

PHOTO: dict[str, Any] = {**DIRECT, "concurrency_limit": 1, "concurrency_id": "photo"}
"""Reading a large photo takes much memory."""

KEPT: dict[str, Any] = {**DIRECT, "concurrency_limit": 1, "concurrency_id": "kept"}
"""One after the other: what was typed into the table is there before the table is exported."""

SEGMENT: dict[str, Any] = {**DIRECT, "concurrency_limit": 1, "concurrency_id": "segment"}
"""One after the other: of two quick clicks on segments the facts are those of the second."""


@dataclass(frozen=True)
class Screen:
    """The components of the screen and session state; ``asked`` changes with every click to be described, ``meant`` is
    the point that the words were last used for.
    """

    photo: gr.Image
    examples: gr.Dataset
    opacity: gr.Slider
    window: gr.Checkbox
    words: gr.Textbox
    find: gr.Button
    round_trip: gr.Button
    keep: gr.Button
    clear: gr.Button
    x: gr.Number
    y: gr.Number
    describe: gr.Button
    facts: gr.HTML
    table: gr.HTML
    export_csv: gr.Button
    export_jsonl: gr.Button
    imported: gr.UploadButton
    remove_all: gr.Button
    file: gr.JSON
    chosen: gr.State
    clicked: gr.State
    found: gr.State
    meant: gr.State
    asked: gr.State
    kept: gr.State

    @property
    def point(self) -> list[Any]:
        """What an event writes that marks a point."""
        return [self.clicked, self.found, self.meant, self.photo, self.facts, self.words, self.x, self.y]

    @property
    def everything(self) -> list[Any]:
        """What an event writes that starts a photo anew."""
        return [self.chosen, self.kept, self.table, *self.point]
