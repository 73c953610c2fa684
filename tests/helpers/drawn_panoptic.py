"""Draws photos with panoptic segments, laid out like COCO: things on a lawn under a sky, ids as PNG, JSON beside.

Things are ellipses of plain colours, so that every mask is known; a crowd, an empty place (void) and very small things
are among them.
"""

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from talkingpoints.data.readers.coco_panoptic import Category, PanopticPhoto, PanopticWriter, Segment, measured

CATEGORIES = (
    Category(1, "dog", True, "animal"),
    Category(17, "cat", True, "animal"),
    Category(44, "bottle", True, "kitchen"),
    Category(193, "grass-merged", False, "plant"),
    Category(187, "sky-other-merged", False, "sky"),
)
COLOURS = {1: (120, 72, 30), 17: (70, 70, 75), 44: (200, 40, 40), 193: (60, 150, 50), 187: (150, 190, 230)}
SIZE = (96, 128)
"""(height, width)."""


def drawn_panoptic(directory: str | Path, n: int = 3, seed: int = 0, described: bool = True) -> Path:
    """Write photos, id maps and `annotations/panoptic_val.json`.

    Args:
        directory: made if missing.
        n: photos.
        seed: same seed, same dataset.
        described: whether segments have a description.

    Returns:
        The JSON; photos are in `val/`, PNGs in `panoptic_val/`.
    """
    root = Path(directory)
    (root / "val").mkdir(parents=True, exist_ok=True)
    rng = random.Random(seed)
    file = root / "annotations" / "panoptic_val.json"
    with PanopticWriter(file, CATEGORIES, root / "panoptic_val") as writer:
        for number in range(1, n + 1):
            pixels, ids, segments = _drawn(rng)
            image = root / "val" / f"{number:012d}.png"
            Image.fromarray(pixels).save(image)
            if described:
                segments = [
                    replace(s, description=f"The {s.category} number {s.id} of photo {number}.") for s in segments
                ]
            writer.add(PanopticPhoto(number, image, image, SIZE, tuple(segments)), ids)
    return file


def _drawn(rng: random.Random) -> tuple[np.ndarray, np.ndarray, list[Segment]]:
    height, width = SIZE
    rows, columns = np.mgrid[:height, :width]
    ids = np.where(rows < 40, 70_001, 300).astype(np.int32)
    category = {70_001: 187, 300: 193}
    things = [(1, 30 + rng.randrange(8), 60, 14, 9), (1, 95, 66, 12, 8), (17, 64, 30, 9, 7), (44, 10, 80, 3, 8)]
    for number, (category_id, x, y, across, down) in enumerate(things):
        inside = ((columns - x) / across) ** 2 + ((rows - y) / down) ** 2 <= 1
        ids[inside] = 1000 + number
        category[1000 + number] = category_id
    ids[84:94, 100:125] = 2000  # a crowd of bottles
    category[2000] = 44
    ids[:6, :10] = 0  # void
    ids[20:22, 100:103] = 2001  # six pixels of a bottle
    category[2001] = 44
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    for segment_id, category_id in category.items():
        pixels[ids == segment_id] = COLOURS[category_id]
    names = {c.id: c for c in CATEGORIES}
    segments = [
        measured(Segment(i, c, names[c].name, names[c].is_thing, i == 2000, (0, 0, 0, 0), 0), ids)
        for i, c in sorted(category.items())
    ]
    return pixels, ids, segments
