"""Draws photos of cars with parts, in the layout of COCO instances whose categories are parts.

Every part has a colour of its own and a little noise, so that texts can tell points apart.
"""

import json
import random
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from talkingpoints.dataset_builder.points.tasks import PartObject, PartPhoto

# In units of the car's box: (x0, y0, x1, y1).
PARTS = {
    "hood": (0.02, 0.42, 0.30, 0.60),
    "front door": (0.32, 0.40, 0.55, 0.78),
    "back door": (0.57, 0.40, 0.80, 0.78),
    "wheel": (0.12, 0.72, 0.30, 0.98),
    "roof": (0.34, 0.06, 0.72, 0.16),
    "front light": (0.01, 0.62, 0.09, 0.72),
}
NAMES = tuple(PARTS)


def drawn_cars(directory: str | Path, n: int = 3, split: str = "train", seed: int = 0) -> list[PartPhoto]:
    """Write a split of drawn cars.

    Args:
        directory: Folder to write `images/` and `annotations/SPLIT.json` into; made if missing.
        n: Photos.
        split: Its name.
        seed: Same seed, same dataset.

    Returns:
        The photos with their masks.
    """
    root = Path(directory)
    (root / "images").mkdir(parents=True, exist_ok=True)
    (root / "annotations").mkdir(exist_ok=True)
    rng = random.Random(f"{split} {seed}")
    photos, images, annotations = [], [], []
    for number in range(1, n + 1):
        width, height = rng.choice(((160, 120), (120, 150), (180, 130)))
        pixels, boxes = _car(rng, width, height)
        name = f"{split}_{number:03d}"
        Image.fromarray(pixels).save(root / "images" / f"{name}.png")
        images.append({"id": number, "file_name": f"{name}.png", "width": width, "height": height})
        parts = {}
        for part, (x0, y0, x1, y1) in boxes.items():
            mask = np.zeros((height, width), dtype=bool)
            mask[y0:y1, x0:x1] = True
            parts[part] = mask
            annotations.append({
                "id": len(annotations) + 1, "image_id": number, "category_id": NAMES.index(part) + 1, "iscrowd": 0,
                "bbox": [x0, y0, x1 - x0, y1 - y0], "area": (x1 - x0) * (y1 - y0),
                "segmentation": [[x0, y0, x1, y0, x1, y1, x0, y1]],
            })  # fmt: skip
        whole = PartObject("car", np.logical_or.reduce(list(parts.values())), parts)
        image = root / "images" / f"{name}.png"
        photos.append(PartPhoto(root.name, split, name, image, (height, width), (whole,)))
    categories = [{"id": i, "name": part, "supercategory": "car"} for i, part in enumerate(NAMES, start=1)]
    content = {"images": images, "categories": categories, "annotations": annotations}
    (root / "annotations" / f"{split}.json").write_text(json.dumps(content), encoding="utf-8")
    return photos


def _car(rng: random.Random, width: int, height: int) -> tuple[np.ndarray, dict[str, tuple[int, int, int, int]]]:
    """Pixels (height, width, 3), and the parts' boxes in pixels."""
    photo = Image.new("RGB", (width, height), tuple(rng.randrange(140, 230) for _ in range(3)))
    draw = ImageDraw.Draw(photo)
    car_width, car_height = width * rng.uniform(0.6, 0.9), height * rng.uniform(0.5, 0.8)
    left, top = rng.uniform(0, width - car_width), rng.uniform(0, height - car_height)
    boxes = {}
    for part, (x0, y0, x1, y1) in PARTS.items():
        box = (
            round(left + x0 * car_width),
            round(top + y0 * car_height),
            round(left + x1 * car_width),
            round(top + y1 * car_height),
        )
        draw.rectangle((box[0], box[1], box[2] - 1, box[3] - 1), fill=tuple(rng.randrange(20, 240) for _ in range(3)))
        boxes[part] = box
    noise = np.random.default_rng(rng.randrange(2**32)).integers(-9, 10, (height, width, 1))
    return (np.asarray(photo, dtype=np.int64) + noise).clip(0, 255).astype(np.uint8), boxes
