"""How the app looks: Gradio theme, style sheet and the fixed texts of the page. System fonts only, nothing is
fetched.

Colours carry the meaning everywhere: orange is a point that was clicked, blue is a point that words led to, dark with
a number is a point that is kept. Segments have colours of their own.
"""

import html
from pathlib import Path

import gradio as gr

from space.drawing import CLICKED, FOUND, KEPT, css_rgb

SYSTEM_FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "sans-serif")
MONO_FONTS = ("ui-monospace", "SFMono-Regular", "Consolas", "monospace")

THEME = gr.themes.Default(
    primary_hue="blue",
    secondary_hue="orange",
    neutral_hue="slate",
    font=SYSTEM_FONTS,
    font_mono=MONO_FONTS,
).set(
    body_background_fill="*neutral_50",
    body_text_color_subdued="*neutral_600",
    body_text_color_subdued_dark="*neutral_300",
    input_placeholder_color="*neutral_500",
    input_placeholder_color_dark="*neutral_400",
    button_primary_background_fill="*primary_600",
    button_primary_background_fill_hover="*primary_700",
)

HEADING = """
<header id="heading">
  <h1>Talking Points</h1>
  <p>Click a point of the photo and read where it is. Write where a point is and see it.</p>
  {note}
</header>
"""

BUNDLED_NOTE = """
<p class="note"><b>This model knows dogs, cats, sheep, horses, cows and people.</b> It is tiny, trained on
a few thousand photos; on anything else it guesses.</p>
"""


def model_note(descriptor: str | None, localizer: str | None, segmenter: str | None = None) -> str:
    """HTML for the page head: what the bundled models know, or which were chosen in their place."""
    if descriptor is None and localizer is None and segmenter is None:
        return BUNDLED_NOTE
    names = f"Descriptor: {_name(descriptor)}. Localizer: {_name(localizer)}. Segmenter: {_name(segmenter)}."
    return f'<p class="note">{html.escape(names)}</p>'


def _name(model: str | None) -> str:
    """The Hub id of a model, or the last part of its folder: where that lies is nobody's business."""
    if model is None:
        return "bundled"
    return Path(model).resolve().name if Path(model).is_dir() else model


CSS = (
    """
:root { --clicked: CLICKED_RGB; --found: FOUND_RGB; }
.dark { --found: rgb(96, 165, 250); }
.gradio-container { max-width: 1180px !important; margin: 0 auto !important; }
.html-container:has(#heading), #segment-view .html-container { padding-left: 0 !important;
  padding-right: 0 !important; }
#heading h1 { font-size: 1.7rem; font-weight: 700; letter-spacing: -0.02em; margin: 0; }
#heading p { margin: 0.2rem 0 0; }
#heading .note { color: var(--body-text-color-subdued); font-size: 0.88rem; }
#photo { min-height: 14rem; }
#photo img { cursor: crosshair; max-height: min(66vh, 600px); }
#buttons { flex-wrap: nowrap; gap: 0.5rem; }
#buttons button, #kept-buttons button { flex: 1 1 auto !important; padding-inline: 0.4rem; white-space: nowrap; }
#buttons button, #kept-buttons button { min-height: 2.6rem; }
#words textarea { unicode-bidi: plaintext; }
#facts { min-height: 6.4rem; }
.fact { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 0.9em; padding: 0.42rem 0;
  border-bottom: 1px solid var(--border-color-primary); font-variant-numeric: tabular-nums; }
.fact b { font-weight: 600; }
.fact.clicked b::before, .fact.found b::before { content: ""; display: inline-block; box-sizing: border-box;
  width: 0.75em; height: 0.75em; margin-right: 0.5em; border-radius: 50%; }
.fact.clicked b::before { background: var(--clicked); }
.fact.found b::before { border: 0.2em solid var(--found); }
.fact span { color: var(--body-text-color-subdued); }
.fact.hint { border: 0; }
.fact.hint b { font-weight: 400; color: var(--body-text-color-subdued); }
.fact.absent b { color: var(--error-icon-color); }
#kept h2 { font-size: 1.05rem; font-weight: 600; margin: 0.4rem 0 0; }
#kept-table { overflow-x: auto; }
#kept-table .none { color: var(--body-text-color-subdued); margin: 0.2rem 0; }
#kept-table table { width: 100%; border-collapse: collapse; font-size: 0.92rem; }
#kept-table th, #kept-table td { padding: 0.25rem 0.4rem; text-align: start; white-space: nowrap;
  border-bottom: 1px solid var(--border-color-primary); font-variant-numeric: tabular-nums; }
#kept-table thead th { font-weight: 500; color: var(--body-text-color-subdued); }
#kept-table th:nth-child(3), #kept-table td:nth-child(3) { width: 70%; }
#kept-table .number { display: inline-flex; align-items: center; justify-content: center; min-width: 1.7em;
  height: 1.7em; border-radius: 1em; background: KEPT_RGB; color: white; border: 2px solid white;
  box-shadow: 0 0 0 1px var(--border-color-primary); font-weight: 600; font-size: 0.85em; }
#kept-table input { width: 100%; min-width: 6rem; min-height: 2.4rem; padding: 0.3rem 0.5rem; color: inherit;
  background: var(--input-background-fill); border: 1px solid var(--input-border-color); border-radius: 6px; }
#kept-table input::placeholder { color: var(--input-placeholder-color); }
#kept-table button { min-width: 2.6rem; min-height: 2.4rem; font-size: 1.15rem; line-height: 1; cursor: pointer;
  color: inherit; border: 1px solid var(--border-color-primary); border-radius: 6px; background: transparent; }
#kept-table button:hover { background: var(--button-secondary-background-fill-hover); }
#kept-table :focus-visible { outline: 2px solid var(--found); outline-offset: 1px; }
#segment-view figure { position: relative; margin: 0; }
#segment-view svg { display: block; width: 100%; max-height: min(66vh, 600px); cursor: crosshair; }
#segment-view path.segment { fill: var(--colour); fill-opacity: 0.34; stroke: var(--colour); stroke-width: 2px;
  vector-effect: non-scaling-stroke; outline: none; }
#segment-view path.segment:hover, #segment-view path.segment.over { fill-opacity: 0.58; }
#segment-view path.segment.chosen { fill-opacity: 0.5; }
#segment-view .ring { fill: none; stroke: white; stroke-width: 4px; vector-effect: non-scaling-stroke;
  pointer-events: none; filter: drop-shadow(0 0 1px black); }
#segment-view path.segment:focus-visible { stroke: white; stroke-width: 4px; stroke-dasharray: 8 5; }
#segment-view svg:has(.chosen) path.segment:not(.chosen, :hover, .over) { fill-opacity: 0.16; }
#segment-view .number, #segment-view .clicked { pointer-events: none; }
#segment-view .number circle { fill: KEPT_RGB; stroke-width: 4; }
#segment-view .number text { fill: white; font-size: 29px; font-weight: 600; text-anchor: middle;
  dominant-baseline: central; }
#segment-view figcaption { position: absolute; inset: auto 0 0 0; padding: 0.5rem 0.8rem;
  background: rgb(15 23 42 / 0.86); color: white; pointer-events: none; }
#segment-view figcaption.high { inset: 0 0 auto 0; }
#segment-view .none, #segment-list .none { color: var(--body-text-color-subdued); margin: 0.4rem 0 0; }
#segment-facts { min-height: 6.4rem; }
#segment-facts .words { font-size: 1.25rem; line-height: 1.4; margin: 0 0 0.4rem; }
#segment-list ol { list-style: none; margin: 0; padding: 0; }
#segment-list button { display: grid; grid-template-columns: auto auto 1fr; gap: 0 0.6rem; align-items: baseline;
  width: 100%; padding: 0.55rem 0.5rem; text-align: start; cursor: pointer; color: inherit; background: transparent;
  border: 0; border-bottom: 1px solid var(--border-color-primary); }
#segment-list button:hover { background: var(--button-secondary-background-fill-hover); }
#segment-list button[aria-pressed="true"] { box-shadow: inset 3px 0 0 var(--clicked); }
#segment-list :focus-visible { outline: 2px solid var(--found); outline-offset: -2px; }
#segment-list .number { display: inline-flex; align-items: center; justify-content: center; min-width: 1.8em;
  height: 1.8em; border-radius: 1em; background: KEPT_RGB; color: white; border: 3px solid var(--colour);
  font-weight: 600; font-size: 0.85em; }
#segment-list .about { color: var(--body-text-color-subdued); font-size: 0.9rem;
  font-variant-numeric: tabular-nums; }
#segment-list .words { grid-column: 2 / -1; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
footer .divider { display: none !important; }
@media (max-width: 640px) {
  .gradio-container .main { padding: 0.6rem 0.8rem !important; }
  #heading { line-height: 1.35; }
  #heading h1 { font-size: 1.35rem; }
  #photo img, #segment-view svg { max-height: 46vh; }
  #segment-view .number g { transform: scale(1.7); }
  #segment-row > .column { display: contents; }
  #segment-row #segment-buttons { order: 1; }
  #segment-row #segment-examples { order: 2; }
  #segment-list .about { grid-column: 2 / -1; }
  #kept-buttons { flex-wrap: wrap; }
  #kept-table thead { display: none; }
  #kept-table tr { display: grid; grid-template-columns: auto 1fr auto; align-items: center; gap: 0.3rem 0.6rem;
    padding: 0.5rem 0; border-bottom: 1px solid var(--border-color-primary); }
  #kept-table th, #kept-table td { padding: 0; border: 0; }
  #kept-table td:nth-child(3), #kept-table td:nth-child(4) { grid-column: 1 / -1; width: auto; }
  #kept-table td:nth-child(5) { grid-area: 1 / 3; }
}
""".replace("CLICKED_RGB", css_rgb(CLICKED))
    .replace("FOUND_RGB", css_rgb(FOUND))
    .replace("KEPT_RGB", css_rgb(KEPT))
)
