"""Class masks (PASCAL VOC's palette PNGs) as panoptic segments.

Class masks do not tell objects of one class apart, so here a thing is a connected piece of its class:

* cat, cow, dog, horse, sheep and person are things. Each 8-connected piece of such a class is a segment; two that touch
  are one, one that something cuts in two is two. VOC draws a ring of void around objects, which parts most that touch.
* A piece smaller than a share of the photo (``smallest``) becomes void: nobody is asked for it.
* All other classes, and VOC's background, are one stuff segment, ``background``.
* VOC's void (255) stays void (0): what is predicted there is not judged.
"""

from pathlib import Path

import numpy as np

from talkingpoints.data.readers.coco_panoptic import VOID, Category, Segment, measured
from talkingpoints.data.validation.photos import read_pixels
from talkingpoints.mask_pieces import connected_pieces

VOC_VOID = 255
VOC_CLASSES = 21
"""Background and 20 classes."""
BACKGROUND = Category(0, "background", False, "background")
CATEGORIES = (
    BACKGROUND,
    Category(8, "cat", True, "animal"),
    Category(10, "cow", True, "animal"),
    Category(12, "dog", True, "animal"),
    Category(13, "horse", True, "animal"),
    Category(15, "person", True, "person"),
    Category(17, "sheep", True, "animal"),
)
"""Ids are VOC's."""
SMALLEST = 0.01
"""Share of the photo: a square of 19 pixels in one of 224 x 168."""


def read_class_mask(file: Path) -> np.ndarray:
    """Each pixel's VOC class, uint8 (height, width).

    Raises:
        ValueError: no palette PNG, or a number that is no class of VOC.
    """
    classes = read_pixels(file, ("P",))
    strange = sorted(set(np.unique(classes).tolist()) - {*range(VOC_CLASSES), VOC_VOID})
    if strange:
        raise ValueError(f"{file}: pixels {strange}; allowed: 0 to {VOC_CLASSES - 1}, and {VOC_VOID} for void")
    return classes


def segments_of(classes: np.ndarray, smallest: float = SMALLEST) -> tuple[np.ndarray, tuple[Segment, ...]]:
    """The segments of a class mask, see above.

    Args:
        classes: uint8 (height, width), of :func:`read_class_mask`.
        smallest: share of the photo that a thing has to cover, 0 to 1.

    Returns:
        Each pixel's segment, int32 (height, width), `VOID` for none; and the segments: background first, then things
        by category, from 1 upwards.

    Raises:
        ValueError: `smallest` is no share.
    """
    if not 0 <= smallest <= 1:
        raise ValueError(f"smallest: {smallest:g}; allowed: a share of the photo, 0 to 1")
    ids = np.full(classes.shape, VOID, dtype=np.int32)
    chosen: list[Category] = []
    things = {category.id: category for category in CATEGORIES if category.is_thing}
    background = ~np.isin(classes, [*things, VOC_VOID])
    if background.any():
        chosen.append(BACKGROUND)
        ids[background] = 1
    for number, category in things.items():
        pieces, areas = connected_pieces(classes == number)
        for piece, area in enumerate(areas, start=1):
            if area >= smallest * classes.size:
                chosen.append(category)
                ids[pieces == piece] = len(chosen)
    segments = [
        measured(Segment(i, c.id, c.name, c.is_thing, False, (0, 0, 0, 0), 0), ids) for i, c in enumerate(chosen, 1)
    ]
    return ids, tuple(segments)
