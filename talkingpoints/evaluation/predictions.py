"""What models answer about the points of one photo: the descriptor's texts, and where a localizer finds texts.

A photo may be shown as another picture than itself: blanked, grey, mirrored.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from PIL import Image

from talkingpoints.data.examples.keypoint_examples import blind_image
from talkingpoints.evaluation.labelled_points import LabelledPoint, by_photo
from talkingpoints.evaluation.report import RowPredictions


class SupportsDescribe(Protocol):
    """What is asked of a descriptor: `describe` of TalkingPoints, with a list of points."""

    def describe(self, image: Any, /, *, point: Any) -> Any:
        """List of unit (x, y) -> list of objects with `text`."""


class SupportsLocalize(Protocol):
    """What is asked of a localizer: `localize` of TalkingPoints, with a list of texts."""

    def localize(self, image: Any, text: Any, /) -> Any:
        """List of texts -> list of objects with `unit`, `confidence`, `presence` and `found`."""


def described_texts(describer: SupportsDescribe, image: Image.Image, points: Sequence[LabelledPoint]) -> list[str]:
    """The descriptor's text for the place of each point in a photo, theirs or another one, in one call."""
    return [answer.text for answer in describer.describe(image, point=[point.point for point in points])]


def mean_colour(image: Image.Image) -> Image.Image:
    """The photo replaced by its mean colour, in its own size."""
    red, green, blue = np.asarray(image).reshape(-1, 3).mean(axis=0).round().astype(int).tolist()
    return Image.new("RGB", image.size, (red, green, blue))


def constant_grey(image: Image.Image) -> Image.Image:
    """The one grey image that the blind listener was trained on, whatever the photo."""
    del image
    return blind_image()


def localized(
    listener: SupportsLocalize,
    image: Image.Image,
    points: Sequence[LabelledPoint],
    texts: Mapping[str, Sequence[str]],
) -> dict[str, RowPredictions]:
    """Send texts about a photo's points through a localizer, all of all rows in one call.

    Args:
        listener: localizes lists of texts.
        image: what the listener gets to see of the photo.
        points: the n points.
        texts: by row name, n texts each. An empty text is no answer: the listener is not asked.

    Returns:
        Predictions by row name.

    Raises:
        ValueError: If a row does not have one text a point.
        RuntimeError: If the listener returns a point that is no number, or a confidence (NaN: it has none) or
            presence outside [0, 1].
    """
    for name, row_texts in texts.items():
        if len(row_texts) != len(points):
            raise ValueError(f"row {name!r} has {len(row_texts)} texts for {len(points)} points")
    names = list(texts)
    shape = (len(names), len(points))
    predictions = np.full((*shape, 2), np.nan)
    confidence, presence, found = np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape, dtype=bool)
    cells = [(n, i) for n, name in enumerate(names) for i in range(len(points)) if texts[name][i].strip()]
    answers = listener.localize(image, [texts[names[n]][i] for n, i in cells]) if cells else []
    for (n, i), answer in zip(cells, answers, strict=True):
        _check_answer(answer, texts[names[n]][i], points[i])
        predictions[n, i] = answer.unit
        confidence[n, i], presence[n, i], found[n, i] = answer.confidence, answer.presence, answer.found
    return {
        name: RowPredictions(predictions[n], confidence[n], presence[n], found[n], tuple(texts[name]))
        for n, name in enumerate(names)
    }


def point_rows(points: Sequence[LabelledPoint]) -> dict[str, RowPredictions]:
    """The rows that need no listener: centre of the image, centre of the object's box, nearest other keypoint.

    A point without any other in its photo has no nearest keypoint: a miss.
    """
    boxes, unit = np.array([point.box for point in points]), np.array([point.point for point in points])
    nothing, no = np.full(len(points), np.nan), np.zeros(len(points), dtype=bool)
    nearest = np.full((len(points), 2), np.nan)
    for indices in by_photo(points).values():
        if len(indices) > 1:
            own = unit[indices]
            distances = np.linalg.norm(own[:, None] - own[None], axis=-1)
            np.fill_diagonal(distances, np.inf)
            nearest[indices] = own[distances.argmin(axis=1)]
    predictions = {
        "image_centre": np.full((len(points), 2), 0.5),
        "box_centre": (boxes[:, :2] + boxes[:, 2:]) / 2.0,
        "nearest_keypoint": nearest,
    }
    return {name: RowPredictions(found, nothing, nothing, no, None) for name, found in predictions.items()}


def _check_answer(answer: Any, text: str, point: LabelledPoint) -> None:
    """A broken model must not pass for a bad one."""
    calibrated = math.isnan(answer.confidence) or 0.0 <= answer.confidence <= 1.0
    if not (np.isfinite(answer.unit).all() and calibrated and 0.0 <= answer.presence <= 1.0):
        raise RuntimeError(
            f"the listener answered {answer.unit}, confidence {answer.confidence}, "
            f"presence {answer.presence} to {text!r} on image {point.image_id}; "
            "expected a finite point, a confidence in [0, 1] (NaN if it has none) and a presence in [0, 1]"
        )
