"""Small photos with known points, and a pair that answers from a table: for figures worked out by hand."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from talkingpoints.evaluation.labelled_points import LabelledPoint, OpenedPhotos, by_photo
from talkingpoints.evaluation.written_texts import mirrored_texts, written_texts

NAMES = ["left_eye", "right_eye", "nose", "tailbase"]
CATEGORIES = [
    {"id": 1, "name": "dog", "keypoints": NAMES},
    {"id": 2, "name": "cat", "keypoints": NAMES},
]
WIDTH, HEIGHT = 120, 80


def write_dataset(directory, n_photos=4, split="test"):
    """Photos of two tones, told apart by their first pixel: dogs in even ones, cats in odd ones.

    Each photo has one animal with three labelled points and one whose box is a hair too narrow to count.
    """
    (directory / "images").mkdir(parents=True)
    (directory / "annotations").mkdir()
    images, annotations = [], []
    for i in range(n_photos):
        pixels = np.full((HEIGHT, WIDTH, 3), (10 * i, 200, 100), dtype=np.uint8)
        pixels[:, WIDTH // 2 :] = (250, 10 * i, 20)
        Image.fromarray(pixels).save(directory / "images" / f"{i}.png")
        images.append({"id": 100 + i, "file_name": f"{i}.png", "width": WIDTH, "height": HEIGHT})
        points = [12 + i, 20, 2, 30, 24 + i, 1, 18, 40, 2, 0, 0, 0]
        big = {
            "id": 2 * i,
            "image_id": 100 + i,
            "category_id": 1 + i % 2,
            "bbox": [6, 8, 60, 24 + 20 * (i % 2)],
        }
        small = {"id": 2 * i + 1, "image_id": 100 + i, "category_id": 1, "bbox": [80, 10, 23.9, 60]}
        annotations += [big | {"keypoints": points}, small | {"keypoints": [90, 30, 2] + [0] * 9}]
    content = {"images": images, "annotations": annotations, "categories": CATEGORIES}
    (directory / "annotations" / f"{split}.json").write_text(json.dumps(content))
    return directory


@dataclass
class Text:
    text: str


@dataclass
class Answer:
    unit: tuple[float, float]
    confidence: float = 1.0
    presence: float = 1.0
    found: bool = True


def all_texts(dataset, points, styles, seed, **options):
    """Texts of points in several photos, by style; for no styles, those of the mirrored photos by row."""
    opened, texts = OpenedPhotos(dataset), {}
    for row, indices in by_photo(points).items():
        photo, here = opened(row), [points[i] for i in indices]
        written = written_texts(photo, here, styles, seed, **options) if styles else mirrored_texts(photo, here, seed)
        for style, of_style in written.items():
            texts.setdefault(style, []).extend(of_style)
    return texts


class TablePair:
    """Describes a point by its number and answers known texts on known photos; all else is in the corner."""

    def __init__(self, dataset, points: Iterable[LabelledPoint] = ()):
        self.table = {}
        self.described, self.localized, self.seen = [], [], []
        points = list(points)
        for texts in all_texts(dataset, points, ("full", "short", "colloquial", "semantic", "guiding"), 0).values():
            for point, text in zip(points, texts, strict=True):
                self.table[(10 * point.row, text)] = point.point

    def describe(self, image, points_px=None, *, point=()):
        points_px = points_px or [(x * image.width, y * image.height) for x, y in point]
        self.described.append(points_px)
        key = image.getpixel((0, 0))[0]
        texts = [f"photo {key}, point {x:.3f} {y:.3f}" for x, y in points_px]
        for text, (x, y) in zip(texts, points_px, strict=True):
            self.table[(key, text)] = (x / image.width, y / image.height)
        return [Text(text) for text in texts]

    def localize(self, image, texts):
        self.localized.append(texts)
        self.seen.append(image)
        key = image.getpixel((0, 0))[0]
        known = [(key, text) in self.table for text in texts]
        answers = [self.table.get((key, text), (1.0, 1.0)) for text in texts]
        return [Answer(unit, float(hit), float(hit), hit) for unit, hit in zip(answers, known, strict=True)]
