"""COCO-keypoints datasets as `datasets.Dataset`, one row per photo.

Reads the layout that AnimalPose, AP-10K and COCO person keypoints share: `annotations/SPLIT.json` and an image
folder; and that of Roboflow: `SPLIT/_annotations.coco.json` beside the photos. Leaves out what has no keypoints in it
(segmentations, crowd flags). Of each photo the header is read, to hold its size against the file's.
"""

import logging
from pathlib import Path
from typing import Any, NotRequired

from datasets import Dataset, Features, Image, List, Value
from typing_extensions import TypedDict

from talkingpoints.data.validation.coco import (
    CocoCategory,
    about,
    coco_categories,
    coco_images,
    image_of,
    listed_ids,
    source,
)
from talkingpoints.data.validation.fields import Box, Name, Number, Whole, checked
from talkingpoints.data.validation.files import read_object
from talkingpoints.data.validation.findings import Findings
from talkingpoints.data.validation.paths import inside
from talkingpoints.data.validation.photos import check_size
from talkingpoints.data.validation.units import likely_unit
from talkingpoints.images import load_image

IMAGE_FOLDERS = ("images", "data", ".")
SECTIONS = ("images", "annotations", "categories")
SPLIT_NAMES = {"val": ("val", "valid", "validation")}
"""Other names of a split."""

ROBOFLOW = "_annotations.coco.json"

_log = logging.getLogger(__name__)

FEATURES = Features(
    {
        "image": Image(),
        "image_id": Value("int64"),
        "file_name": Value("string"),
        "width": Value("int32"),
        "height": Value("int32"),
        "objects": List(
            {
                "label": Value("string"),
                "bbox": List(Value("float64"), length=4),
                "keypoints": List({"name": Value("string"), "x": Value("float64"), "y": Value("float64")}),
            }
        ),
    }
)


class KeypointCategory(CocoCategory):
    """A category; without keypoints (Roboflow's root has none) its annotations are left out."""

    keypoints: NotRequired[list[Name] | None]


class KeypointAnnotation(TypedDict):
    """An object with its box and keypoints, x, y and visibility of each."""

    image_id: Whole
    category_id: Whole
    bbox: Box
    keypoints: NotRequired[list[Number]]


def load_keypoints(
    directory: str | Path, split: str, findings: Findings | None = None, *, decode: bool = False
) -> Dataset:
    """Load one split of a COCO-keypoints dataset.

    Args:
        directory: Folder with `annotations/SPLIT.json` (or `SPLIT.json`) and the photos in `images/`, in `data/` or in
            the folder itself; or with `SPLIT/_annotations.coco.json` and the photos beside it.
        split: Name of the annotation file without `.json`, for example `"train"`; `"val"` also finds `valid`.
        findings: Takes what is wrong, entry by entry, and such photos, objects and keypoints are left out. None refuses
            them, but for keypoints outside their photo, which are left out with a warning.
        decode: Also decode each photo.

    Returns:
        One row per photo: `image` (decoded on access), `image_id`, `file_name`, `width`, `height` in pixels
        and `objects`: `label`, `bbox` as [x, y, width, height] in pixels, `keypoints` with `name` (lower
        case, words separated by blanks: "left front paw") and `x`, `y` in pixels. Only labelled keypoints
        (visibility above 0) that lie inside the photo are kept. An object whose box has no area in the photo gets one
        around its keypoints, with a warning.

    Raises:
        ValueError: If the folder or the split is missing, the JSON is malformed, or an entry is wrong.

    Example:
        >>> rows = load_keypoints("animalpose", "val")
        >>> rows[0]["objects"][0]["label"]
        'dog'
    """
    root = Path(directory)
    if not root.is_dir():
        raise ValueError(f"directory: {str(root)!r} is not a folder; give the folder of a COCO-keypoints dataset.")
    file = annotation_file(root, split)
    content = read_object(file, SECTIONS)
    found = Findings() if findings is None else findings
    images = _photos(root, file, content["images"], found, decode)
    objects = _objects(file, content, images, found)
    if findings is None:
        outside = found.pop(_outside(file), [])
        if outside:
            _log.warning("%s: %d are left out, the first: %s", _outside(file), len(outside), outside[0])
        found.settle(skip_bad_rows=False)
    rows = [{**image, "image_id": key, "objects": objects[key]} for key, image in images.items()]
    return Dataset.from_list(rows, features=FEATURES)


def annotation_file(root: Path, split: str) -> Path:
    """The annotation file of a split.

    Raises:
        ValueError: There is none; names the splits that there are.
    """
    files = annotation_files(root)
    for name in SPLIT_NAMES.get(split, (split,)):
        if name in files:
            return files[name]
    raise ValueError(
        f"split: no annotation file for {split!r} in {str(root)!r}; splits found: {sorted(files) or 'none'}. Trainings "
        "take other names with --train_split and --val_split."
    )


def annotation_files(root: Path) -> dict[str, Path]:
    """All annotation files of a folder, by their split."""
    files = [*root.glob("*.json"), *(root / "annotations").glob("*.json")]
    named = {file.stem: file for file in files if file.name != ROBOFLOW}
    return {file.parent.name: file for file in root.glob(f"*/{ROBOFLOW}")} | named


def keypoint_name(name: str) -> str:
    """Normalise a keypoint name: lower case, blanks for underscores and hyphens.

    Args:
        name: Name as the dataset writes it, for example "left_front_paw" or "Left Eye".

    Returns:
        The name as the writer expects it, for example "left front paw".

    Example:
        >>> keypoint_name("root_of_tail")
        'root of tail'
    """
    return " ".join(name.replace("_", " ").replace("-", " ").lower().split())


def _outside(file: Path) -> str:
    return f"{file}, keypoints outside their photo (row 0 is the first annotation)"


def _photos(root: Path, file: Path, entries: list[Any], findings: Findings, decode: bool) -> dict[int, dict[str, Any]]:
    """The images by id, each with its file; those that are wrong are in the findings."""
    images = coco_images(file, entries, findings)
    good: dict[int, dict[str, Any]] = {}
    for key, (number, image) in images.items():
        with findings.entry(source(file, "images"), number):
            photo = _image_path(root, file, image["file_name"])
            check_size(photo, image["width"], image["height"])
            if decode:
                load_image(photo)
            good[key] = {name: image[name] for name in ("file_name", "width", "height")} | {"image": str(photo)}
    return good


def _objects(
    file: Path, content: dict[str, Any], images: dict[int, dict[str, Any]], findings: Findings
) -> dict[int, list[dict[str, Any]]]:
    """The objects of each image."""
    categories = coco_categories(file, content["categories"], KeypointCategory)
    listed, where = listed_ids(content["images"]), source(file, "annotations")
    objects: dict[int, list[dict[str, Any]]] = {key: [] for key in images}
    given: dict[int, list[tuple[float, float]]] = {}
    flat_boxes = nameless = 0
    for number, entry in enumerate(content["annotations"]):
        with findings.entry(where, number, about(entry)):
            annotation = checked(KeypointAnnotation, entry)
            image = image_of(annotation, images, listed)
            category = categories.get(annotation["category_id"])
            if category is None:
                raise ValueError(
                    f"category_id {annotation['category_id']} is no category; allowed: {sorted(categories)}"
                )
            if image is None:
                continue
            if not category.get("keypoints"):
                nameless += 1
                continue
            points = _labelled(annotation, category)
            height, width = size = (image["height"], image["width"])
            given.setdefault(annotation["image_id"], []).extend((x, y) for _, x, y in points)
            for name, x, y in points:
                if not (0 <= x <= width and 0 <= y <= height):
                    message = f"{about(entry)}: {name} ({x:g}, {y:g}) is outside the photo, which is {width} x {height}"
                    findings.add(_outside(file), number, message)
            points = [(name, x, y) for name, x, y in points if 0 <= x <= width and 0 <= y <= height]
            box = annotation["bbox"]
            if points and not _has_area(box, size):
                box = _around([(x, y) for _, x, y in points], size)
                flat_boxes += 1
            keypoints = [{"name": name, "x": x, "y": y} for name, x, y in points]
            label = keypoint_name(category["name"])
            objects[annotation["image_id"]].append({"label": label, "bbox": box, "keypoints": keypoints})
    if flat_boxes:
        _log.warning("%s: %d boxes without an area in their photo now surround the keypoints", file, flat_boxes)
    if nameless:
        _log.warning("%s: %d annotations of categories without keypoints are left out", file, nameless)
    unit = likely_unit((points, (images[key]["height"], images[key]["width"])) for key, points in given.items())
    if unit is not None:
        _log.warning("%s: all keypoints look like %ss of the photo's sides; COCO files hold pixels", file, unit)
    return objects


def _labelled(annotation: KeypointAnnotation, category: KeypointCategory) -> list[tuple[str, float, float]]:
    """The labelled keypoints of an annotation: normalised name, x, y."""
    names, flat = category["keypoints"] or [], annotation.get("keypoints")
    if flat is None:
        raise ValueError("keypoints is missing")
    if len(flat) != 3 * len(names):
        raise ValueError(
            f"{len(flat)} keypoint numbers; category {category['name']!r} names {len(names)} keypoints and needs "
            f"{3 * len(names)} (x, y, visibility)"
        )
    return [
        (keypoint_name(name), x, y)
        for name, x, y, visibility in zip(names, flat[0::3], flat[1::3], flat[2::3], strict=True)
        if visibility > 0
    ]


def _has_area(box: list[float], size: tuple[int, int]) -> bool:
    """Whether a box [x, y, width, height] has an area in a photo of ``size`` (height, width)."""
    x, y, width, height = box
    return min(x + width, size[1]) > max(x, 0) and min(y + height, size[0]) > max(y, 0)


def _around(points: list[tuple[float, float]], size: tuple[int, int]) -> list[float]:
    """The box [x, y, width, height] around points, a pixel wider on all sides, within the photo."""
    xs, ys = zip(*points, strict=True)
    left, top = max(0.0, min(xs) - 1), max(0.0, min(ys) - 1)
    return [left, top, min(max(xs) + 1.0, size[1]) - left, min(max(ys) + 1.0, size[0]) - top]


def _image_path(root: Path, file: Path, name: str) -> Path:
    folders = [*(root / folder for folder in IMAGE_FOLDERS), file.parent]
    for folder in folders:
        found = inside(folder, name)
        if found is not None:
            return found
    raise ValueError(
        f"photo {name!r} is listed but not found in {str(root)!r}; looked in the folders "
        f"{[folder.relative_to(root).as_posix() for folder in folders]}"
    )
