"""AnimalPose photos -> scenes: named points, VOC class masks for whose each pixel is, part boxes checked against them.

A class mask does not tell things of one class apart: a pixel belongs to the smallest box of its class around it, and
pieces outside all boxes are things of their own. A part box says where a part is, not which pixels: a point is taken
only where the class mask, less the boxes of other parts, leaves no doubt.
"""

from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from talkingpoints.data.readers.class_masks import VOC_VOID, read_class_mask
from talkingpoints.data.scenes.coco_scenes import Entry, keypoint_scene, read_entries, unit
from talkingpoints.masks import mask_box
from talkingpoints.writer.fluent.annotated_scene import (
    NOTHING,
    UNLABELLED,
    AnnotatedScene,
    Box,
    ScenePart,
    Thing,
    innermost,
    unit_box,
)
from talkingpoints.writer.fluent.lexicon import lexicon

CLASSES = (
    "background", "airplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "dining table",
    "dog", "horse", "motorcycle", "person", "potted plant", "sheep", "couch", "train", "tv",
)  # fmt: skip
LEAST_THING = 0.004
"""Share of the photo: smaller pieces of a class are no thing."""
SAME_BOX = 0.5
"""Overlap (intersection over union) from which a part box's object is the one with keypoints."""
SMALL_PARTS = frozenset({"eye", "nose", "mouth", "ear", "hand", "foot", "hoof", "horn", "eyebrow", "beak"})
"""Parts whose box holds little else: its middle is on the part where the class mask says so."""
LARGE_PARTS = {"head": (), "body": ("head", "leg", "arm"), "tail": ("body", "leg", "head"), "wheel": (), "screen": (),
               "leaves": ("pot",), "pot": ("leaves",), "bottle body": (), "bottle cap": (), "arm": ("body", "head"),
               "wing": (), "licence plate": (), "front light": (), "window": ()}  # fmt: skip
"""Other parts, and those whose boxes are taken away from theirs."""
KEPT_WITH_KEYPOINTS = frozenset({"head", "body", "tail", "horn"})
"""Parts that boxes add to an animal with keypoints; those have sides, which boxes have not."""
LEAST_MASK = 0.3
"""Share of a part's box that must be left for a point."""


def part_boxes(file: Path) -> dict[str, Entry]:
    """The part boxes of a split by the photo's file name."""
    return {entry[0]["file_name"]: entry for entry in read_entries(file)} if file.is_file() else {}


def voc_scene(entry: Entry, options: dict[str, Any], mask_file: Path, boxes: Entry | None) -> AnnotatedScene:
    """The scene of an AnimalPose photo.

    Args:
        entry: The photo with its keypoints.
        options: Of the set.
        mask_file: The class mask; photos without one have no map.
        boxes: The photo's part boxes, if it has some.
    """
    scene = keypoint_scene(entry, options)
    if not mask_file.is_file():
        return scene
    classes = read_class_mask(mask_file)
    if classes.shape != scene.size:
        raise ValueError(f"{mask_file}: size {classes.shape}; the photo is {scene.size} (height, width)")
    things = [*scene.things]
    linked = _linked(things, boxes, scene.size)
    owners = _owners(classes, things)
    numbers = {name: number for number, name in enumerate(CLASSES)}
    found = []
    for i, thing in enumerate(things):
        mask = (owners == i + 1) if thing.kind not in numbers else (owners == i + 1) & (classes == numbers[thing.kind])
        parts = _parts(linked[i], mask, scene.size)
        if thing.parts:
            parts = [part for part in parts if part.name in KEPT_WITH_KEYPOINTS]
        found.append(replace(thing, parts=(*thing.parts, *parts)))
    here = {lexicon().kind_of(CLASSES[number]) for number in np.unique(classes).tolist() if number < len(CLASSES)}
    voc = {lexicon().kind_of(name) for name in CLASSES[1:]} - here
    piece = np.zeros(scene.size, np.int16)
    return replace(scene, things=tuple(found), owners=owners, piece=piece, absent=frozenset(voc & set(lexicon().kinds)))


def _linked(things: list[Thing], boxes: Entry | None, size: tuple[int, int]) -> dict[int, list[tuple[str, Box]]]:
    """Parts by thing; objects without keypoints are added to the things."""
    linked: dict[int, list[tuple[str, Box]]] = defaultdict(list)
    place: dict[int, int] = {}
    for annotation, category in boxes[1] if boxes else ():
        box = unit(annotation["bbox"], size)
        if box is None or "parent" in annotation:
            continue
        kind = lexicon().kind_of(category["name"])
        overlaps = [_overlap(box, thing.box) if thing.kind == kind else 0.0 for thing in things]
        best = int(np.argmax(overlaps)) if overlaps else 0
        if not overlaps or overlaps[best] < SAME_BOX:
            things.append(Thing(kind, box))
            best = len(things) - 1
        place[annotation["id"]] = best
    for annotation, category in boxes[1] if boxes else ():
        box = unit(annotation["bbox"], size)
        if box is not None and annotation.get("parent") in place:
            name = {"body": "bottle body"}.get(category["name"]) or lexicon().part_of(category["name"])[1]
            linked[place[annotation["parent"]]].append((name, box))
    return linked


def _owners(classes: np.ndarray, things: list[Thing]) -> np.ndarray:
    """Whose each pixel is; pieces of a class outside its things' boxes become things of their own."""
    owners = np.where(classes == VOC_VOID, UNLABELLED, NOTHING).astype(np.int16)
    height, width = classes.shape
    for number in np.unique(classes).tolist():
        if number in (0, VOC_VOID):
            continue
        kind, mask = lexicon().kind_of(CLASSES[number]), classes == number
        left = mask.copy()
        same = [i for i, thing in enumerate(things) if thing.kind == kind and kind in lexicon().kinds]
        for i in sorted(same, key=lambda i: -_area(things[i].box)):
            x0, y0, x1, y1 = things[i].box
            rows = slice(int(y0 * height), int(np.ceil(y1 * height)))
            columns = slice(int(x0 * width), int(np.ceil(x1 * width)))
            owners[rows, columns][mask[rows, columns]] = i + 1
            left[rows, columns] = False
        labels, count = ndimage.label(left, np.ones((3, 3)))
        owners[left] = UNLABELLED
        for piece in range(1, count + 1):
            inside = labels == piece
            touched = _touching(inside, owners, same)
            if touched is not None:
                owners[inside] = touched + 1  # what sticks out of a tight box
            elif inside.mean() >= LEAST_THING:
                things.append(Thing(kind, unit_box(inside)))
                owners[inside] = len(things)
    return owners


def _touching(piece: np.ndarray, owners: np.ndarray, same: list[int]) -> int | None:
    """The thing of the same class that a piece touches, None if there is none."""
    around = owners[ndimage.binary_dilation(piece) & ~piece]
    counts = [(int((around == i + 1).sum()), i) for i in same]
    return max(counts)[1] if counts and max(counts)[0] else None


def _parts(boxes: list[tuple[str, Box]], mask: np.ndarray, size: tuple[int, int]) -> list[ScenePart]:
    """Parts of one thing with a point on them that the mask vouches for."""
    height, width = size
    parts = []
    for name, box in boxes:
        x0, y0 = int(box[0] * width), int(box[1] * height)
        x1, y1 = max(x0 + 1, round(box[2] * width)), max(y0 + 1, round(box[3] * height))
        if name in SMALL_PARTS:
            x, y = (x0 + x1 - 1) // 2, (y0 + y1 - 1) // 2
            if (x1 - x0) * (y1 - y0) >= 9 and mask[y, x]:
                parts.append(ScenePart(name, None, ((x + 0.5) / width, (y + 0.5) / height), box))
        elif name in LARGE_PARTS:
            left = np.zeros(size, dtype=bool)
            left[y0:y1, x0:x1] = mask[y0:y1, x0:x1]
            for other, (ax, ay, bx, by) in boxes:
                if other in LARGE_PARTS[name]:
                    rows, columns = slice(int(ay * height), int(by * height) + 1), slice(int(ax * width), None)
                    left[rows, columns][:, : int(bx * width) + 1 - int(ax * width)] = False
            if left.sum() < max(9, LEAST_MASK * (x1 - x0) * (y1 - y0) * (0.3 if name == "tail" else 1)):
                continue
            cut = mask_box(left)
            if name == "tail" and max(cut[2] - cut[0], cut[3] - cut[1]) < 0.4 * max(x1 - x0, y1 - y0):
                continue  # what other boxes leave of it may be anything
            point, depth = innermost(left)
            if depth >= 2:
                parts.append(ScenePart(name, None, point, box))
    return parts


def _overlap(a: Box, b: Box) -> float:
    """Intersection over union."""
    across, down = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    both = max(0.0, across) * max(0.0, down)
    return both / max(_area(a) + _area(b) - both, 1e-9)


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
