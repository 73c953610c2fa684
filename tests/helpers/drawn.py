"""Draws a tiny COCO-keypoints dataset: coloured animals out of ellipses, named and laid out like AnimalPose.

Stands in for real photos where a test needs files, splits and learnable points. Every split has different
photos.
"""

import json
import random
from pathlib import Path

from PIL import Image, ImageDraw

SPLITS = ("train", "val", "test")
LABELS = ("dog", "cat", "sheep", "horse", "cow")
SIZES = ((96, 72), (80, 96), (96, 96))  # (width, height)
FUR = {
    "dog": (120, 72, 30),
    "cat": (70, 70, 75),
    "sheep": (235, 230, 215),
    "horse": (60, 35, 20),
    "cow": (20, 20, 22),
}
GROUNDS = ((96, 160, 70), (150, 190, 230), (200, 190, 160), (170, 170, 170))

# An animal that looks to the right of the photo, in units of its box: its right side is the near one.
LAYOUT = {
    "left_eye": (0.86, 0.22), "right_eye": (0.82, 0.24), "nose": (0.97, 0.33),
    "left_ear": (0.80, 0.06), "right_ear": (0.74, 0.06),
    "left_front_elbow": (0.68, 0.62), "right_front_elbow": (0.62, 0.64),
    "left_back_elbow": (0.24, 0.60), "right_back_elbow": (0.18, 0.62),
    "left_front_knee": (0.68, 0.77), "right_front_knee": (0.61, 0.79),
    "left_back_knee": (0.25, 0.77), "right_back_knee": (0.17, 0.79),
    "left_front_paw": (0.70, 0.95), "right_front_paw": (0.61, 0.97),
    "left_back_paw": (0.26, 0.95), "right_back_paw": (0.16, 0.97),
    "throat": (0.75, 0.45), "withers": (0.62, 0.28), "tailbase": (0.09, 0.34),
}  # fmt: skip
KEYPOINTS = tuple(LAYOUT)
LEGS = tuple((side, end) for side in ("left", "right") for end in ("front", "back"))
HIDDEN_SHARE = 0.1


def drawn_dataset(directory: str | Path, n: int = 4, seed: int = 0) -> Path:
    """Write a dataset of drawn animals.

    Args:
        directory: Folder to write `images/` and `annotations/{train,val,test}.json` into; made if missing.
        n: Photos per split.
        seed: Same seed, same dataset.

    Returns:
        The folder.
    """
    root = Path(directory)
    (root / "images").mkdir(parents=True, exist_ok=True)
    (root / "annotations").mkdir(exist_ok=True)
    rng = random.Random(seed)
    image_id = 0
    for split in SPLITS:
        images: list[dict[str, object]] = []
        annotations: list[dict[str, object]] = []
        for _ in range(n):
            image_id += 1
            photo, animals = _photo(rng)
            name = f"{image_id:04d}.png"
            photo.save(root / "images" / name)
            images.append({"id": image_id, "file_name": name, "width": photo.width, "height": photo.height})
            for animal in animals:
                annotations.append({"id": 100 * image_id + len(annotations), "image_id": image_id, **animal})
        content = {"images": images, "annotations": annotations, "categories": categories()}
        (root / "annotations" / f"{split}.json").write_text(json.dumps(content), encoding="utf-8")
    return root


def categories() -> list[dict[str, object]]:
    """The COCO categories of the drawn animals."""
    return [{"id": i, "name": label, "keypoints": list(KEYPOINTS)} for i, label in enumerate(LABELS, start=1)]


def _photo(rng: random.Random) -> tuple[Image.Image, list[dict[str, object]]]:
    """One or two animals side by side on a plain ground."""
    width, height = rng.choice(SIZES)
    photo = Image.new("RGB", (width, height), rng.choice(GROUNDS))
    count = rng.choice((1, 1, 2))
    slot = width / count
    animals = []
    for i in range(count):
        box_width, box_height = slot * rng.uniform(0.7, 0.9), height * rng.uniform(0.45, 0.8)
        x = i * slot + rng.uniform(1, slot - box_width - 1)
        y = rng.uniform(1, height - box_height - 1)
        label = rng.choice(LABELS)
        points = _points(x, y, box_width, box_height, mirrored=rng.random() < 0.5)
        _draw(ImageDraw.Draw(photo), points, FUR[label])
        flat: list[float] = []
        for name in KEYPOINTS:
            flat += [0, 0, 0] if rng.random() < HIDDEN_SHARE else [*points[name], 2]
        animals.append(
            {
                "category_id": LABELS.index(label) + 1,
                "bbox": [round(value, 2) for value in (x, y, box_width, box_height)],
                "num_keypoints": sum(visibility > 0 for visibility in flat[2::3]),
                "keypoints": flat,
                "iscrowd": 0,
                "area": round(box_width * box_height, 2),
            }
        )
    return photo, animals


def _points(x: float, y: float, width: float, height: float, mirrored: bool) -> dict[str, tuple[float, float]]:
    """Keypoints in pixels; a mirrored animal shows its other side."""
    points = {}
    for name, (across, down) in LAYOUT.items():
        if mirrored:
            name = name.replace("left", "?").replace("right", "left").replace("?", "right")
            across = 1 - across
        points[name] = (round(x + across * width, 2), round(y + down * height, 2))
    return points


def _draw(canvas: ImageDraw.ImageDraw, points: dict[str, tuple[float, float]], fur: tuple[int, int, int]) -> None:
    dark = tuple(value // 2 for value in fur)
    scale = abs(points["withers"][0] - points["tailbase"][0])
    for side, end in LEGS:
        leg = [points[f"{side}_{end}_{joint}"] for joint in ("elbow", "knee", "paw")]
        canvas.line(leg, fill=dark, width=max(2, round(scale * 0.12)))
        _dot(canvas, leg[-1], scale * 0.08, (230, 140, 60))
    trunk = [points[name] for name in ("tailbase", "withers", "right_front_elbow", "right_back_elbow")]
    xs, ys = [x for x, _ in trunk], [y for _, y in trunk]
    canvas.ellipse((min(xs), min(ys), max(xs), max(ys)), fill=fur)
    neck = [points["withers"], points["throat"], points["nose"]]
    canvas.line(neck, fill=fur, width=max(3, round(scale * 0.3)))
    for side in ("left", "right"):
        _dot(canvas, points[f"{side}_ear"], scale * 0.1, dark)
    _dot(canvas, points["left_eye"], scale * 0.25, fur)
    for side in ("left", "right"):
        _dot(canvas, points[f"{side}_eye"], scale * 0.05, (250, 250, 250))
    _dot(canvas, points["nose"], scale * 0.08, (220, 90, 120))


def _dot(canvas: ImageDraw.ImageDraw, centre: tuple[float, float], radius: float, fill: tuple[int, ...]) -> None:
    x, y = centre
    canvas.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)
