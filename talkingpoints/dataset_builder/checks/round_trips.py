"""Whether a localizer finds the point again that a text was written for: in its part, and without looking too."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from talkingpoints.dataset_builder.points.tasks import PartPhoto, PointTask
from talkingpoints.inference import TalkingPoints
from talkingpoints.points import pixel_at

NEAR = 0.05
"""Of the image's sides: what counts as found for a part that is annotated as a point only."""


@dataclass(frozen=True)
class Heard:
    """Where a text led.

    Args:
        point_px: (x, y) in pixels of the photo.
        inside: whether that is in the region of the right part.
        presence: 0 to 1, of the thing in the photo, as the listener takes it.
    """

    point_px: tuple[float, float]
    inside: bool
    presence: float


def listen(
    listener: TalkingPoints, image: Image.Image, texts: Sequence[str], regions: Sequence[np.ndarray]
) -> list[Heard]:
    """Have a localizer find texts in a photo.

    Args:
        listener: whose localizer reads.
        image: RGB, the whole photo.
        texts: n descriptions.
        regions: for each text bool (height, width), where its point may lie.
    """
    heard = []
    for found, region in zip(listener.localize(image, list(texts)), regions, strict=True):
        inside = bool(region[pixel_at((found.x, found.y), region.shape)])
        heard.append(Heard((found.x, found.y), inside, found.presence))
    return heard


def region_of(photo: PartPhoto, task: PointTask) -> np.ndarray:
    """Where a text of a task may lead: its part, all pieces of it; or what is near the point of a part without mask.

    Returns:
        bool (height, width).

    Raises:
        ValueError: the photo is not that of the task.
    """
    if photo.size != task.size or task.object_index >= len(photo.objects):
        raise ValueError(f"{photo.key} is not the photo of {task.key}")
    item = photo.objects[task.object_index]
    if task.part in item.parts:
        return item.parts[task.part]
    if task.part not in item.points:
        raise ValueError(f"{photo.key} has no {task.part!r}, the part of {task.key}")
    height, width = task.size
    across = (np.arange(width) + 0.5 - task.point_px[0]) / width
    down = (np.arange(height) + 0.5 - task.point_px[1]) / height
    return np.hypot(across[None, :], down[:, None]) <= NEAR


def blanked(image: Image.Image) -> Image.Image:
    """A photo of the same size in its mean colour: what a listener is shown that shall not look."""
    colour = np.asarray(image).reshape(-1, 3).mean(axis=0).round().astype(int).tolist()
    return Image.new("RGB", image.size, tuple(colour))
