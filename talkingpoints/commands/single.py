"""describe, localize and segments: one photo, one answer, as words, as JSON, or drawn."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from transformers.utils.logging import disable_progress_bar

from talkingpoints import EncodedPhoto, TalkingPoints
from talkingpoints.commands.marks import draw_heat, draw_points, draw_segments

STDIN = "-"


def load_photo(name: str) -> EncodedPhoto:
    """A path, a URL, or ``-`` for the standard input.

    Raises:
        ValueError: If it is no image.
    """
    if name == STDIN:
        content = sys.stdin.buffer.read()
        if not content:
            raise ValueError("nothing came over the standard input; it must be the content of an image file")
        return EncodedPhoto(content)
    return EncodedPhoto(name)


def load_models(
    descriptor: str | None, localizer: str | None, device: str | None, segmenter: str | None = None
) -> TalkingPoints:
    """The pair that the options name; nothing comes from the network unless an option is a Hub id."""
    disable_progress_bar()  # that of loading the weights
    return TalkingPoints.from_pretrained(descriptor, localizer, device, segmenter=segmenter)


def describe(
    tp: TalkingPoints, photo: EncodedPhoto, x: float, y: float, unit: bool, draw: Path | None
) -> dict[str, Any]:
    """The description of a point, in pixels or in [0, 1], as a dictionary."""
    described = tp.describe(photo, point=(x, y)) if unit else tp.describe(photo, (x, y))
    if draw is not None:
        draw_points(photo.image, [described.point.unit]).save(draw)
    return described.to_dict()


def localize(tp: TalkingPoints, photo: EncodedPhoto, text: str, draw: Path | None) -> dict[str, Any]:
    """Where a text is, as a dictionary without the heat map."""
    found = tp.localize(photo, text)
    if draw is not None:
        draw_heat(photo.image, found.heatmap, found.unit).save(draw)
    answer = found.to_dict()
    del answer["heatmap"]
    return answer | {"confidence": None if np.isnan(found.confidence) else found.confidence}


def segments(
    tp: TalkingPoints, photo: EncodedPhoto, threshold: float | None, draw: Path | None
) -> list[dict[str, Any]]:
    """The segments with their captions as dictionaries without masks."""
    found = tp.caption_segments(photo, threshold)
    if draw is not None:
        draw_segments(photo.image, found).save(draw)
    rows = []
    for one in found:
        row = one.to_dict()
        del row["mask"]
        rows.append(row | {"box": list(one.box)})
    return rows
