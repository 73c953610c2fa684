"""Kinds, parts and sides at points of photos, from all annotated sets: what a vision tower learns before any words.

One :class:`ConceptPhoto` holds the points of a photo that name a part (keypoints, the most interior pixel of a part's
polygon, the middle of a part's box where the class mask confirms its object) and, where there is a mask of classes, the
kind of every pixel. Kinds that the evaluation holds out are never read.
"""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from talkingpoints.data.readers.coco_keypoints import keypoint_name

UNKNOWN = -100
"""A label that is not known: it adds nothing to a loss."""
SIDES = ("none", "left", "right")

VOC = (
    "background", "airplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "dining table",
    "dog", "horse", "motorcycle", "person", "potted plant", "sheep", "couch", "train", "tv",
)  # fmt: skip
_VOC_VOID = 255
_ALIASES = {
    "aeroplane": "airplane", "motorbike": "motorcycle", "sofa": "couch", "table": "dining table", "tvmonitor": "tv",
    "pedestrian": "person", "cyclist": "person",
}  # fmt: skip
_COCO_STUFF = {
    "tree-merged": "tree", "sky-other-merged": "sky", "grass-merged": "grass", "road": "road", "sea": "water",
    "river": "water", "water-other": "water", "pavement-merged": "pavement", "building-other-merged": "building",
    "house": "building", "snow": "snow", "sand": "sand", "wall-other-merged": "wall", "fence-merged": "fence",
    "mountain-merged": "mountain", "floor-wood": "floor", "floor-other-merged": "floor", "dirt-merged": "ground",
}  # fmt: skip
HELD_OUT_FOLDERS = ("bees",)
"""Sets that no training reads."""


@dataclass(frozen=True)
class ConceptPoint:
    """A named point: ``x``, ``y`` in [0, 1]; ``part`` None where the point only tells its kind; ``side`` None where it
    is not known."""

    x: float
    y: float
    kind: str
    part: str | None = None
    side: str | None = "none"


@dataclass
class ConceptPhoto:
    """A photo with its points.

    Attributes:
        path: of the photo.
        points: named points.
        mask: path of a PNG whose values ``kinds`` names, or None.
        kinds: value of the mask -> kind; "background" means none of the other kinds, a missing value means unknown.
        panoptic: whether the PNG holds COCO's segment ids (R + 256 G + 65536 B) in place of palette indices.
    """

    path: Path
    points: list[ConceptPoint] = field(default_factory=list)
    mask: Path | None = None
    kinds: dict[int, str] = field(default_factory=dict)
    panoptic: bool = False


def kind_name(name: str) -> str:
    """A dataset's category as a kind: lower case, one name for one thing."""
    name = name.lower()
    return _ALIASES.get(name, name)


def split_sides(name: str) -> tuple[str, str]:
    """A part's name without its side, and "left", "right" or "none": "back left door" -> "back door", "left"."""
    words = keypoint_name(name).split()
    found = [word for word in words if word in ("left", "right")]
    return " ".join(word for word in words if word not in ("left", "right")), found[0] if found else "none"


def read_photos(root: Path, split: str) -> dict[str, list[ConceptPhoto]]:
    """All sets below ``root``: name -> photos of ``split`` ("train" or "val").

    Raises:
        FileNotFoundError: a set is not there.
    """
    sets = {name: _keypoints(root / name, split) for name in ("animalpose", "people", "birds", "lspet")}
    sets["faces300w"] = _keypoints(root / "faces300w", split, kind="person")
    for name, kind in (("celebamask", "person"), ("ccp", "person"), ("bikes", "bicycle"), ("facades", "building")):
        sets[name] = _instances(root / name, split, of=kind)
    sets["carparts"] = _split_off(_instances(root / "carparts", "train", of="car"), split)
    for name in ("camvid", "tools", "wildlife_boxes"):
        sets[name] = _instances(root / name, split)
    sets["coco"] = _split_off(_coco(root / "coco_panoptic"), split)
    _add_voc(root, split, sets["animalpose"])
    return sets


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def _split_off(photos: list[ConceptPhoto], split: str) -> list[ConceptPhoto]:
    """A tenth of a set that has no val split, by its order."""
    return [photo for i, photo in enumerate(photos) if (i % 10 == 9) == (split == "val")]


def _keypoints(folder: Path, split: str, kind: str | None = None) -> list[ConceptPhoto]:
    content = _read(folder / "annotations" / f"{split}.json")
    names = {c["id"]: [split_sides(name) for name in c["keypoints"]] for c in content["categories"]}
    labels = {c["id"]: kind or kind_name(c["name"]) for c in content["categories"]}
    photos = {i["id"]: (i, ConceptPhoto(folder / "images" / i["file_name"])) for i in content["images"]}
    for annotation in content["annotations"]:
        image, photo = photos[annotation["image_id"]]
        triples = np.array(annotation["keypoints"], dtype=float).reshape(-1, 3)
        for (part, side), (x, y, seen) in zip(names[annotation["category_id"]], triples, strict=True):
            if seen > 0:
                label = labels[annotation["category_id"]]
                photo.points.append(ConceptPoint(x / image["width"], y / image["height"], label, part, side))
    return [photo for _, photo in photos.values()]


def _instances(folder: Path, split: str, of: str | None = None) -> list[ConceptPhoto]:
    """Polygons or boxes; the categories are parts of ``of``, or kinds where that is None."""
    content = _read(folder / "annotations" / f"{split}.json")
    names = {c["id"]: c["name"] for c in content["categories"]}
    photos = {i["id"]: (i, ConceptPhoto(folder / "images" / i["file_name"])) for i in content["images"]}
    for annotation in content["annotations"]:
        image, photo = photos[annotation["image_id"]]
        name = names[annotation["category_id"]]
        if name in ("_background_", "kangaroo", "raccoon"):
            continue
        size = (image["width"], image["height"])
        for x, y in _inside(annotation, size):
            part, side = (None, "none") if of is None else split_sides(name)
            photo.points.append(ConceptPoint(x, y, of or kind_name(name), part, side))
    return [photo for _, photo in photos.values() if photo.points]


def _inside(annotation: dict[str, Any], size: tuple[int, int]) -> Iterator[tuple[float, float]]:
    """Unit points inside an annotation: of its polygons a few at random, of its box the middle."""
    width, height = size
    if "point" in annotation:
        yield (annotation["point"][0] + 0.5) / width, (annotation["point"][1] + 0.5) / height
    polygons = annotation.get("segmentation") or []
    if polygons and isinstance(polygons, list):
        canvas = Image.new("1", size)
        for polygon in polygons:
            if len(polygon) >= 6:
                ImageDraw.Draw(canvas).polygon(list(map(float, polygon)), fill=1)
        ys, xs = np.nonzero(np.asarray(canvas))
        if len(xs):
            for i in random.Random(annotation["id"]).choices(range(len(xs)), k=2):
                yield (xs[i] + 0.5) / width, (ys[i] + 0.5) / height
    elif "point" not in annotation:
        x, y, w, h = annotation["bbox"]
        yield (x + w / 2) / width, (y + h / 2) / height


def _coco(folder: Path) -> list[ConceptPhoto]:
    """COCO's train photos: the kinds that other sets have as well, and stuff; other things stay unknown."""
    content = _read(folder / "annotations" / "panoptic_train2017.json")
    known = {kind: kind for kind in VOC[1:]} | {"truck": "truck", "bed": "bed"} | _COCO_STUFF
    names = {c["id"]: known.get(c["name"]) for c in content["categories"]}
    files = {i["id"]: i["file_name"] for i in content["images"]}
    return [
        ConceptPhoto(
            folder / "train2017" / files[a["image_id"]],
            mask=folder / "panoptic_train2017" / a["file_name"],
            kinds={s["id"]: kind for s in a["segments_info"] if (kind := names[s["category_id"]]) is not None},
            panoptic=True,
        )
        for a in content["annotations"]
    ]


def _add_voc(root: Path, split: str, photos: Sequence[ConceptPhoto]) -> None:
    """Give AnimalPose's photos their VOC class masks, and the parts whose object the mask confirms."""
    by_name = {photo.path.name: photo for photo in photos}
    for photo in photos:
        mask = root / "animalpose" / "masks" / f"{photo.path.stem}.png"
        if mask.is_file():
            photo.mask, photo.kinds = mask, dict(enumerate(VOC))
    content = _read(root / "voc_parts" / "annotations" / f"{split}.json")
    names = {c["id"]: kind_name(c["name"]) for c in content["categories"]}
    images = {i["id"]: i for i in content["images"]}
    objects = {a["id"]: a for a in content["annotations"] if "parent" not in a}
    classes: dict[str, np.ndarray] = {}
    for annotation in content["annotations"]:
        image = images[annotation["image_id"]]
        photo = by_name.get(image["file_name"])
        if "parent" not in annotation or photo is None or photo.mask is None:
            continue
        if image["file_name"] not in classes:
            classes[image["file_name"]] = np.asarray(Image.open(photo.mask))
        kind = names[objects[annotation["parent"]]["category_id"]]
        ((x, y),) = _inside({**annotation, "segmentation": []}, (image["width"], image["height"]))
        mask = classes[image["file_name"]]
        row, column = min(int(y * mask.shape[0]), mask.shape[0] - 1), min(int(x * mask.shape[1]), mask.shape[1] - 1)
        value = int(mask[row, column])
        if value < len(VOC) and VOC[value] == kind:
            photo.points.append(ConceptPoint(x, y, kind, names[annotation["category_id"]], None))


def pixel_kinds(photo: ConceptPhoto, count: int, rng: random.Random) -> list[ConceptPoint]:
    """Up to ``count`` pixels of the photo's mask with their kinds, each kind as likely as the others."""
    if photo.mask is None:
        return []
    with Image.open(photo.mask) as file:
        values = np.asarray(file.convert("RGB") if photo.panoptic else file)
    if photo.panoptic:
        values = values.astype(np.int64) @ np.array([1, 256, 65536])
    here = [value for value in np.unique(values).tolist() if value in photo.kinds and value != _VOC_VOID]
    if not here:
        return []
    flat, points = values.ravel(), []
    for value, times in zip(*np.unique(rng.choices(here, k=count), return_counts=True), strict=True):
        for i in rng.choices(np.flatnonzero(flat == value).tolist(), k=int(times)):
            y, x = divmod(i, values.shape[1])
            unit = ((x + 0.5) / values.shape[1], (y + 0.5) / values.shape[0])
            points.append(ConceptPoint(*unit, photo.kinds[value], None, "none"))
    return points
