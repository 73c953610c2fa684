"""Draws photos with PASCAL VOC class masks, laid out like AnimalPose: ``images/``, ``annotations/``, ``masks/``.

Animals are ellipses of plain colours within a ring of void, on a lawn; a chair, which is no thing here, and crumbs of a
dog are among them.
"""

import json
import random
from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {0: (60, 150, 50), 8: (70, 70, 75), 9: (200, 40, 40), 12: (120, 72, 30), 15: (240, 200, 170), 255: (0, 0, 0)}


def drawn_masks(directory: Path, photos: int = 4, seed: int = 0, splits: tuple[str, ...] = ("train", "val")) -> Path:
    """Write photos and masks; the last photo of each split has no mask.

    Returns:
        The folder.
    """
    for name in ("images", "annotations", "masks"):
        (directory / name).mkdir(parents=True, exist_ok=True)
    rng = random.Random(seed)
    for split in splits:
        images = []
        for number in range(photos):
            stem, (height, width) = f"{split}_{number}", ((64, 96), (96, 64))[number % 2]
            classes = drawn_classes(height, width, rng)
            pixels = np.zeros((height, width, 3), dtype=np.uint8)
            for value, colour in COLOURS.items():
                pixels[classes == value] = colour
            Image.fromarray(pixels).save(directory / "images" / f"{stem}.png")
            if number < photos - 1:
                save_mask(directory / "masks" / f"{stem}.png", classes)
            images.append(
                {"id": 10 * len(split) + number, "file_name": f"{stem}.png", "width": width, "height": height}
            )
        (directory / "annotations" / f"{split}.json").write_text(json.dumps({"images": images}))
    return directory


def drawn_classes(height: int, width: int, rng: random.Random) -> np.ndarray:
    """VOC classes, uint8 (height, width): a cat, two dogs with void between them, a person, a chair, a crumb."""
    classes = np.zeros((height, width), dtype=np.uint8)
    classes[-8:, :10] = 9
    rows, columns = np.mgrid[:height, :width]
    for value, x, y in ((8, 0.25, 0.3), (12, 0.3, 0.7), (12, 0.62, 0.7), (15, 0.75, 0.25)):
        jitter = 0.0 if value == 12 else 0.03  # the dogs are two pixels apart
        x, y = (x + rng.uniform(-jitter, jitter)) * width, (y + rng.uniform(-jitter, jitter)) * height
        distance = np.hypot((columns - x) / (0.15 * width), (rows - y) / (0.15 * height))
        classes[(distance <= 1.15) & (classes != 12)] = 255
        classes[distance <= 1] = value
    classes[1:3, 1:3] = 12
    return classes


def save_mask(file: Path, classes: np.ndarray) -> None:
    """A palette PNG."""
    image = Image.fromarray(classes)
    image.putpalette([i // 3 for i in range(768)])
    image.save(file)
