"""What the writer says of the measured points of a photo, by style, and of the mirrored photo."""

import random
from collections.abc import Sequence

import numpy as np
from PIL import ImageOps

from talkingpoints.evaluation.labelled_points import LabelledPoint, OpenedPhoto
from talkingpoints.writer.phrases import possessive
from talkingpoints.writer.scene import swap_sides
from talkingpoints.writer.styles import PointFacts, point_facts, write
from talkingpoints.writer.wording import Wording

WRITTEN = ("full", "short", "colloquial", "semantic", "guiding", "part_only", "object_only")
"""What is written for each point: the writer's styles, and the barest names of part and object."""
REFERENCE = "full"
MIRRORED = {"mirrored": REFERENCE, "mirrored_semantic": "semantic"}
"""Rows of mirrored photos, and the styles of their texts."""


def written_texts(
    photo: OpenedPhoto, points: Sequence[LabelledPoint], styles: Sequence[str], seed: int, *, named: bool = True
) -> dict[str, list[str]]:
    """The writer's text for each point of a photo, by style.

    The points are keypoints, or with `named` False just points on their objects.

    Each text has its own generator, seeded by the seed, the style, the photo, the object and the keypoint: it
    does not depend on what else is measured.
    """
    pixels = np.asarray(photo.image)
    texts: dict[str, list[str]] = {style: [] for style in styles}
    for point in points:
        part = point.name if named else None
        facts = point_facts(photo.scene, point.point, pixels, point.object_index, part)
        for style in styles:
            texts[style].append(_write(facts, style, point, seed))
    return texts


def mirrored_texts(photo: OpenedPhoto, points: Sequence[LabelledPoint], seed: int) -> dict[str, list[str]]:
    """Texts for each point of the mirrored photo, the same words but for left and right; by row, see `MIRRORED`."""
    scene, pixels = photo.scene.flipped(), np.asarray(ImageOps.mirror(photo.image))
    texts: dict[str, list[str]] = {row: [] for row in MIRRORED}
    for point in points:
        x, y = point.point
        facts = point_facts(scene, (1 - x, y), pixels, point.object_index, swap_sides(point.name))
        for row, style in MIRRORED.items():
            texts[row].append(_write(facts, style, point, seed))
    return texts


def _write(facts: PointFacts, style: str, point: LabelledPoint, seed: int) -> str:
    if style == "object_only":
        return f"the {facts.label}"
    if style == "part_only":
        return Wording(facts, None).part(possessive(f"the {facts.label}"))
    return write(facts, style, random.Random(f"{seed} {style} {point.image_id} {point.object_index} {point.name}"))
