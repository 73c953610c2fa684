"""The table of kept points: its HTML, and the script that tells the server what is edited or removed in it.

An HTML table with real inputs and buttons rather than Gradio's spreadsheet: every row can be used by touch, keyboard
and screen reader, and becomes a small card on a phone.
"""

import html

from space.hosting.limits import MAX_LABEL, MAX_TEXT
from space.kept import Kept, KeptPoint
from space.photos import Photo

TEMPLATE = "${value}"

ON_LOAD = """
const keyOf = target => Number(target.closest('tr').dataset.key);
element.addEventListener('click', event => {
  const button = event.target.closest('button');
  if (button && event.detail < 2) trigger('delete', {key: keyOf(button)});
});
element.addEventListener('change', event => {
  const field = event.target;
  trigger('edit', {key: keyOf(field), column: field.name, words: field.value});
});
"""
"""Runs once, on the element that stays while the rows in it come and go. The second click of a double click (detail 2)
may already be over the next row and is left out.
"""

DOWNLOAD = """
file => {
  if (!file) return;
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([file.content], {type: file.type}));
  link.download = file.name;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}
"""
"""Saves a file that the server has sent as text; nothing of it stays on the server."""

_EMPTY = """<p class="none">No points kept yet. <b>Keep</b> puts the point that was last clicked or found with its words
into this list, under a number on the photo.</p>"""

_HEAD = """<thead><tr><th scope="col">No.</th><th scope="col">x, y</th><th scope="col">Words</th>
<th scope="col">Label</th><th scope="col"><span class="unseen">Remove</span></th></tr></thead>"""


def kept_table(kept: Kept, photo: Photo | None) -> str:
    """The kept points as HTML; without any, what keeping is for."""
    if photo is None or not kept:
        return _EMPTY
    rows = "".join(_row(number, one, photo.point_px(one.point)) for number, one in enumerate(kept, start=1))
    return f'<table aria-label="Kept points">{_HEAD}<tbody>{rows}</tbody></table>'


def _row(number: int, one: KeptPoint, point_px: tuple[float, float]) -> str:
    x, y = point_px
    return (
        f'<tr data-key="{one.key}"><th scope="row"><span class="number">{number}</span></th>'
        f"<td>{x:.0f}, {y:.0f}</td>"
        f"<td>{_field('text', f'Words of point {number}', one.text, MAX_TEXT, 'no words')}</td>"
        f"<td>{_field('label', f'Label of point {number}', one.label, MAX_LABEL, 'label')}</td>"
        f'<td><button type="button" aria-label="Remove point {number}" title="Remove">&times;</button></td></tr>'
    )


def _field(name: str, title: str, value: str, longest: int, placeholder: str) -> str:
    return (
        f'<input name="{name}" aria-label="{title}" value="{html.escape(value)}" maxlength="{longest}" '
        f'placeholder="{placeholder}" dir="auto" autocomplete="off">'
    )
