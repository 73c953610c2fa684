"""A page to look at what a segment writer wrote: marked photos beside their numbered captions, in one HTML file."""

import html
from pathlib import Path
from types import TracebackType

from talkingpoints.data.readers.coco_names import plain_name
from talkingpoints.data.readers.coco_panoptic import PanopticPhoto
from talkingpoints.dataset_builder.texts.segment_marks import sheets_of
from talkingpoints.dataset_builder.texts.segment_writer import SegmentChoice, sheet_of
from talkingpoints.llm.server import jpeg_url

_HEAD = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Segments and captions</title>
<style>body{font:15px/1.45 system-ui,sans-serif;margin:2em;background:#fff;color:#111}
section{display:flex;gap:1.5em;align-items:flex-start;margin-bottom:2.5em;flex-wrap:wrap}
img{max-width:100%;width:720px}ol{flex:1 1 24em;margin:0;padding:0;list-style:none}li{margin-bottom:.5em}
b{display:inline-block;min-width:1.8em}i{color:#555}</style><h1>Segments and captions</h1>
"""


class SegmentReview:
    """Writes the page, one photo at a time.

    Args:
        file: made when the first photo comes.
        choice: which segments were marked, so that numbers are those that the writer saw.
    """

    def __init__(self, file: Path, choice: SegmentChoice):
        self.file, self.choice = file, choice
        self._parts: list[str] = []

    def __enter__(self) -> "SegmentReview":
        return self

    def __exit__(self, *_: type | BaseException | TracebackType | None) -> None:
        self.close()

    def add(self, photo: PanopticPhoto) -> None:
        """A photo with its texts."""
        segments = {segment.id: segment for segment in self.choice.of(photo)}
        for group in sheets_of(list(segments), self.choice.most_marks):
            rows = "".join(
                f"<li><b>{number}</b> <i>{html.escape(plain_name(segments[i].category))}</i><br>"
                f"{html.escape(segments[i].description or '(no text)')}</li>"
                for number, i in enumerate(group, start=1)
            )
            source = jpeg_url(sheet_of(photo, group).image)
            self._parts.append(
                f'<h2>Photo {photo.image_id}</h2><section><img src="{source}" alt="Photo {photo.image_id}, segments '
                f'outlined and numbered"><ol>{rows}</ol></section>'
            )

    def close(self) -> None:
        """Write the file."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_text(f"{_HEAD}{''.join(self._parts)}</html>", encoding="utf-8")
