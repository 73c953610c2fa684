"""How segments look: the photo with them in colours, their list, what is said of the one that was clicked, as HTML.

Gradio's own annotated image says which mask was clicked and not at which pixel, and cannot be used from the keyboard.
Here the photo is an SVG in pixels of the shown photo, with an outline for each segment: the browser itself knows what
the pointer is over, and a click brings its place.
"""

import base64
import html
import io

import numpy as np
from skimage.measure import approximate_polygon, find_contours

from space.drawing import CLICKED, UnitPoint, css_rgb, shown_size
from space.handlers import fact, place_text
from space.photos import Photo
from space.segments import BACKGROUND, Segments, ShownSegment
from talkingpoints.palette import mark_colour
from talkingpoints.points import to_pixels

TEMPLATE = "${value}"

VIEW_ON_LOAD = """
const pathOf = target => target.closest('path.segment');
const show = path => {
  const told = element.querySelector('figcaption');
  if (!told) return;
  told.hidden = !path;
  if (!path) return;
  told.textContent = path.getAttribute('aria-label');
  const photo = path.ownerSVGElement.getBoundingClientRect(), place = path.getBoundingClientRect();
  told.classList.toggle('high', place.top + place.bottom > photo.top + photo.bottom);
};
const choose = (svg, x, y, path) => {
  svg.querySelectorAll('path.segment').forEach(one => one.classList.toggle('chosen', one === path));
  svg.querySelector('.ring').setAttribute('d', path ? path.getAttribute('d') : '');
  const mark = svg.querySelector('.clicked');
  mark.setAttribute('transform', `translate(${x} ${y})`);
  mark.removeAttribute('visibility');
  const number = path ? path.dataset.number : '';
  document.querySelectorAll('#segment-list button').forEach(
    row => row.setAttribute('aria-pressed', row.dataset.number === number));
  trigger('select', {x: x, y: y});
};
element.addEventListener('click', event => {
  const svg = event.target.closest('svg');
  if (!svg) return;
  const place = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
  const {width, height} = svg.viewBox.baseVal;
  if (place.x < 0 || place.y < 0 || place.x > width || place.y > height) return;
  choose(svg, place.x, place.y, pathOf(event.target));
});
element.addEventListener('keydown', event => {
  const path = pathOf(event.target);
  if (!path || !['Enter', ' '].includes(event.key)) return;
  event.preventDefault();
  choose(path.ownerSVGElement, Number(path.dataset.x), Number(path.dataset.y), path);
});
element.addEventListener('pointerover', event => { if (event.pointerType === 'mouse') show(pathOf(event.target)); });
element.addEventListener('pointerleave', () => show(null));
element.addEventListener('focusin', event => {
  const path = pathOf(event.target);
  show(path && path.matches(':focus-visible') ? path : null);
});
element.addEventListener('focusout', () => show(null));
"""
"""Runs once, on the element that stays while photos come and go in it."""

LIST_ON_LOAD = """
const pathOf = target => {
  const row = target.closest('button');
  return row && document.querySelector(`#segment-view path[data-number="${row.dataset.number}"]`);
};
element.addEventListener('click', event => {
  const path = pathOf(event.target);
  if (path) path.dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter', bubbles: true}));
});
for (const [event, over] of [['pointerover', true], ['pointerout', false]])
  element.addEventListener(event, ({target}) => { pathOf(target)?.classList.toggle('over', over); });
"""
"""A row of the list stands for the segment: it is chosen as by its Enter key."""

_NUMBER_RADIUS = 27.0  # pixels of the shown photo, as kept points have it
_SMALLEST = 0.55  # of that, where the segment is small
_MOST_RINGS = 200  # of one segment; more is noise
_MOST_STEPS = 20_000  # of one segment, from pixel to pixel: noise is looked at more coarsely, or it would take minutes
_TOLERANCE = 0.6  # pixels of the shown photo by which an outline may be off
_GREY = (203, 213, 225)


def colour(segment: ShownSegment, place: int) -> tuple[int, int, int]:
    """RGB of a segment that has this place, from 0, in the list; what has no name has no colour of its own."""
    return _GREY if segment.name == BACKGROUND else mark_colour(place)


def view(photo: Photo | None, segments: Segments | None) -> str:
    """The photo, as the browser shows it, with its segments."""
    if photo is None:
        return '<p class="none">No photo. Choose one, or take one of the examples.</p>'
    height, width = shown_size(photo.size)
    found = segments.found if segments is not None else ()
    title = "Your photo"
    if segments is not None:
        title += f" with {count(segments)}. Click one to read its words." if found else ". No segments were found."
    paths = "".join(_path(segments, one, colour(one, place)) for place, one in enumerate(found)) if segments else ""
    numbers = "".join(_number(one, (height, width), colour(one, place)) for place, one in enumerate(found))
    discs = ((21, "white"), (16, css_rgb(CLICKED)), (5, "white"))
    mark = "".join(f'<circle r="{radius}" fill="{fill}"/>' for radius, fill in discs)
    return (
        f'<figure><svg viewBox="0 0 {width} {height}" role="group" aria-label="{title}">'
        f'<image href="{_jpeg(photo)}" width="{width}" height="{height}" preserveAspectRatio="none"/>'
        f'{paths}<path class="ring"/>{numbers}<g class="clicked" visibility="hidden">{mark}</g></svg>'
        f'<figcaption aria-hidden="true" hidden></figcaption></figure>'
    )


def listed(segments: Segments | None) -> str:
    """The segments as a list of buttons, and how much of the photo is in none of them."""
    if segments is None:
        return ""
    rows = "".join(_row(one, colour(one, place)) for place, one in enumerate(segments.found))
    rest = f'<p class="none">{segments.rest:.0%} of the photo belongs to no segment.</p>' if segments.rest else ""
    return (f'<ol aria-label="Segments">{rows}</ol>' if rows else "") + rest


def count(segments: Segments) -> str:
    """How many there are, in words."""
    things = sum(one.is_thing for one in segments.found)
    kinds = [(things, "thing"), (len(segments.found) - things, "area")]
    several = ", ".join(_several(number, name) for number, name in kinds if number)
    return _several(len(segments.found), "segment") + (f" ({several})" if several else "")


def _several(number: int, name: str) -> str:
    return f"{number} {name}" + ("" if number == 1 else "s")


def summary(segments: Segments) -> str:
    """What to do once the segments are there."""
    if not segments.found:
        return note("No segments found: the segmenter is sure of nothing here. Something may be there all the same.")
    return note(f"{count(segments)}. Point at one to read its words, or click it.")


def said(segments: Segments, point: UnitPoint) -> str:
    """What is known of the segment at a clicked unit (x, y), or that there is none."""
    clicked = fact("clicked", "Clicked", place_text(segments.photo, point))
    one = segments.at(point)
    if one is None:
        return clicked + note("No segment here: the segmenter is sure of nothing at this place.")
    text = f'<p class="words" dir="auto">{html.escape(one.text) or "No words for this segment."}</p>'
    facts = fact("segment", f"{one.number} {one.name}", *_about(one)) + clicked
    if one.name == BACKGROUND:
        facts += note("Background is all that the segmenter has no name for: its words are a guess.")
    return text + facts


def note(text: str) -> str:
    """A sentence in the place of facts."""
    return fact("hint", text)


def outline(mask: np.ndarray, scale: tuple[float, float]) -> str:
    """The border of a mask, holes too, as the ``d`` of an SVG path.

    Args:
        mask: bool (h, w).
        scale: (x, y), what a pixel of the mask measures in the SVG.
    """
    step = 1
    while _steps(mask[::step, ::step]) > _MOST_STEPS and mask[:: 2 * step, :: 2 * step].any():
        step *= 2
    mask = mask[::step, ::step]
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    left, top = int(columns[0]), int(rows[0])
    crop = np.pad(mask[top : rows[-1] + 1, left : columns[-1] + 1], 1)
    rings = sorted(find_contours(crop.astype(np.uint8), 0.5), key=len, reverse=True)[:_MOST_RINGS]
    parts = []
    for ring in rings:
        corners = (
            (ring[:, ::-1] + (left - 0.5, top - 0.5)) * step * np.asarray(scale)
        )  # the frame is a pixel, centres lie at a half
        corners = approximate_polygon(corners, _TOLERANCE)
        parts.append("M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in corners[:-1]) + "Z")
    return "".join(parts)


def _steps(mask: np.ndarray) -> int:
    """How often neighbours in a row differ."""
    return int((mask[:, 1:] != mask[:, :-1]).sum())


def _path(segments: Segments, one: ShownSegment, rgb: tuple[int, int, int]) -> str:
    height, width = shown_size(segments.photo.size)
    rows, columns = segments.id_map.shape
    shape = outline(segments.id_map == one.number, (width / columns, height / rows))
    x, y = to_pixels(one.point, (height, width))
    words = html.escape(f"{one.number} {one.name}: {one.text or 'no words'}")
    return (
        f'<path class="segment" d="{shape}" fill-rule="evenodd" style="--colour: {css_rgb(rgb)}" tabindex="0" '
        f'role="button" data-number="{one.number}" data-x="{x:.1f}" data-y="{y:.1f}" aria-label="{words}"/>'
    )


def _number(one: ShownSegment, size: tuple[int, int], rgb: tuple[int, int, int]) -> str:
    x, y = to_pixels(one.point, size)
    large = min(1.0, max(_SMALLEST, one.room * max(size) / _NUMBER_RADIUS))
    return (
        f'<g class="number" aria-hidden="true" transform="translate({x:.1f} {y:.1f}) scale({large:.2f})">'
        f'<g><circle r="{_NUMBER_RADIUS}" stroke="{css_rgb(rgb)}"/><text>{one.number}</text></g></g>'
    )


def _row(one: ShownSegment, rgb: tuple[int, int, int]) -> str:
    return (
        f'<li><button type="button" data-number="{one.number}" aria-pressed="false">'
        f'<span class="number" style="--colour: {css_rgb(rgb)}">{one.number}</span> <b>{html.escape(one.name)}</b> '
        f'<span class="about">{", ".join(_about(one))}</span> '
        f'<span class="words" dir="auto">{html.escape(one.text) or "no words"}</span></button></li>'
    )


def _about(one: ShownSegment) -> list[str]:
    kind = "thing" if one.is_thing else "area"
    return [kind, f"score {one.score:.0%}", f"{one.share:.0%} of the photo"]


def _jpeg(photo: Photo) -> str:
    file = io.BytesIO()
    photo.image.save(file, "JPEG", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
