"""Pictures of training examples, and of what a model makes of them."""

import io
from collections.abc import Sequence
from textwrap import fill
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from talkingpoints import PointDescriptor, PointDescriptorProcessor, PointLocalizer, PointLocalizerProcessor
from talkingpoints.data.examples.keypoint_examples import PointExample
from talkingpoints.data.examples.region_examples import RegionExample
from talkingpoints.encoded_photo import EncodedPhoto, describe_places, locate_texts
from talkingpoints.palette import mark_colour
from training.sft.collators import points_of

TEXTS = 4
"""Texts of a photo that a picture of samples shows."""

_COLUMNS = 60  # characters of a line of text


def draw_example(example: PointExample | RegionExample) -> Image.Image:
    """The photo as it is trained on, its points numbered, and their texts below it."""
    texts = [
        f"{number}: {text}{'' if present else ' (about another photo)'}"
        for number, (text, present) in enumerate(zip(example["texts"], _presence(example), strict=True), start=1)
    ]
    figure, (axes,) = _figure(1, texts)
    _show(axes, example)
    for number, (point, present) in enumerate(zip(points_of(example), _presence(example), strict=True), start=1):
        if present:
            _mark(axes, point, example["image"], "o", number)
    return _image(figure)


def draw_descriptions(
    processor: PointDescriptorProcessor, model: PointDescriptor, example: PointExample | RegionExample
) -> Image.Image:
    """The photo, some of its points numbered, and for each the data's text and what the descriptor writes."""
    chosen = range(min(TEXTS, len(example["texts"])))
    points = points_of(example)
    kind = "points" if "points" in example else "masks"
    places = [points[i] if "points" in example else example["masks"][i] for i in chosen]
    written = describe_places(model, processor, EncodedPhoto(example["image"]), kind, places)
    texts = [f"{i + 1}: {text}\n   data: {example['texts'][i]}" for i, text in zip(chosen, written, strict=True)]
    figure, (axes,) = _figure(1, texts)
    _show(axes, example)
    for i in chosen:
        _mark(axes, points[i], example["image"], "o", i + 1)
    return _image(figure)


def draw_localizations(
    processor: PointLocalizerProcessor, model: PointLocalizer, example: PointExample | RegionExample
) -> Image.Image:
    """For each of some texts the photo with the heat map, the true point (a ring) and the one found (a cross)."""
    count = min(TEXTS, len(example["texts"]))
    texts, image = example["texts"][:count], example["image"]
    rows = locate_texts(model, processor, EncodedPhoto(image), texts)
    presence = _presence(example)[:count]
    titles = [
        f"{i + 1}: {text} ({'present' if row.found else 'absent'} with {row.presence:.0%})"
        for i, (text, row) in enumerate(zip(texts, rows, strict=True))
    ]
    figure, all_axes = _figure(count, titles)
    for axes, row, point, present in zip(all_axes, rows, points_of(example), presence, strict=False):
        _show(axes, example)
        if row.heatmap is not None:
            extent = (0, image.width, image.height, 0)
            axes.imshow(row.heatmap, cmap="inferno", alpha=0.5, extent=extent, interpolation="bilinear")
        if present:
            _mark(axes, point, image, "o", None)
        _mark(axes, row.unit, image, "x", None)
    return _image(figure)


def _presence(example: PointExample | RegionExample) -> Sequence[float]:
    presence = example.get("presence")
    return [1.0] * len(example["texts"]) if presence is None else cast(np.ndarray, presence).tolist()


def _figure(count: int, texts: Sequence[str]) -> tuple[Figure, list[Axes]]:
    """``count`` axes in a row, and texts below them."""
    lines = [fill(text, _COLUMNS * max(1, count), replace_whitespace=False, subsequent_indent="   ") for text in texts]
    below = 0.2 * ("\n".join(lines).count("\n") + 2)
    figure = Figure(figsize=(4.8 * count if count > 1 else 6.4, 4.8 + below))
    grid = figure.add_gridspec(1, count, left=0.02, right=0.98, top=0.98, bottom=below / (4.8 + below), wspace=0.04)
    figure.text(0.02, (below - 0.1) / (4.8 + below), "\n".join(lines), va="top", family="monospace", fontsize=8)
    return figure, [figure.add_subplot(grid[0, i]) for i in range(count)]


def _show(axes: Axes, example: PointExample | RegionExample) -> None:
    axes.imshow(np.asarray(example["image"].convert("RGB")))
    axes.set_axis_off()
    for number, mask in enumerate(cast(list[np.ndarray], example.get("masks") or [])):
        colour = tuple(channel / 255 for channel in mark_colour(number))
        axes.contour(mask, levels=[0.5], colors=[colour], linewidths=1.5)


def _mark(axes: Axes, point: npt.ArrayLike, image: Image.Image, marker: str, number: int | None) -> None:
    x, y = np.multiply(point, image.size).tolist()
    style: dict[str, Any] = {"markersize": 9, "markerfacecolor": "none", "linestyle": "none"}
    axes.plot(x, y, marker, markeredgecolor="white", markeredgewidth=4, **style)
    axes.plot(x, y, marker, markeredgecolor="#d62828" if marker == "x" else "#00965a", markeredgewidth=2, **style)
    if number is not None:
        box = {"facecolor": "black", "alpha": 0.6, "pad": 1, "edgecolor": "none"}
        axes.annotate(str(number), (x, y), (6, 6), textcoords="offset points", color="white", fontsize=9, bbox=box)


def _image(figure: Figure) -> Image.Image:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    buffer.seek(0)
    return Image.open(buffer).convert("RGB")
