"""COCO-keypoints datasets as `datasets.Dataset`, one row per photo.

Reads the layout that AnimalPose, AP-10K and COCO person keypoints share: `annotations/SPLIT.json` and an
image folder. Leaves out what has no keypoints in it (segmentations, crowd flags) and decodes no image while
loading; :func:`wrong_entries` does, and reports what is wrong.
"""

import json
import math
from collections.abc import Collection
from pathlib import Path
from typing import Any

from datasets import Dataset, Features, Image, List, Value

from talkingpoints.data.readers.custom_points import Problem
from talkingpoints.images import load_image

IMAGE_FOLDERS = ("images", "data", ".")
ANNOTATION_FOLDERS = ("annotations", ".")

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


def load_keypoints(directory: str | Path, split: str, leave_out: Collection[str] = ()) -> Dataset:
    """Load one split of a COCO-keypoints dataset.

    Args:
        directory: Folder with `annotations/SPLIT.json` (or `SPLIT.json`) and the photos in `images/`, in
            `data/` or in the folder itself.
        split: Name of the annotation file without `.json`, for example `"train"`.
        leave_out: File names of photos to leave out, as :func:`wrong_entries` gives them.

    Returns:
        One row per photo: `image` (decoded on access), `image_id`, `file_name`, `width`, `height` in pixels
        and `objects`: `label`, `bbox` as [x, y, width, height] in pixels, `keypoints` with `name` (lower
        case, words separated by blanks: "left front paw") and `x`, `y` in pixels. Only labelled keypoints
        (visibility above 0) that lie inside the photo are kept.

    Raises:
        ValueError: If the folder, the split or a listed photo is missing, or the JSON is malformed.

    Example:
        >>> rows = load_keypoints("animalpose", "val")
        >>> rows[0]["objects"][0]["label"]
        'dog'
    """
    root = Path(directory)
    if not root.is_dir():
        raise ValueError(f"directory: {str(root)!r} is not a folder; give the folder of a COCO-keypoints dataset.")
    annotation_file = _annotation_file(root, split)
    content = _read_json(annotation_file)
    categories = {category["id"]: category for category in content["categories"]}
    objects: dict[int, list[dict[str, Any]]] = {image["id"]: [] for image in content["images"]}
    sizes = {image["id"]: (image["width"], image["height"]) for image in content["images"]}
    for annotation in content["annotations"]:
        where = f"{annotation_file}: annotation {annotation.get('id', '?')}"
        if annotation.get("image_id") not in objects:
            raise ValueError(f"{where} names image_id {annotation.get('image_id')!r}, which 'images' does not list.")
        if annotation.get("category_id") not in categories:
            raise ValueError(
                f"{where} names category_id {annotation.get('category_id')!r}; allowed: {sorted(categories)}."
            )
        category = categories[annotation["category_id"]]
        width, height = sizes[annotation["image_id"]]
        objects[annotation["image_id"]].append(_object(annotation, category, width, height, where))
    rows = []
    for image in content["images"]:
        if image["file_name"] in leave_out:
            continue
        row = {key: image[key] for key in ("file_name", "width", "height")}
        row["image"] = _image_path(root, image["file_name"])
        row["image_id"] = image["id"]
        row["objects"] = objects[image["id"]]
        rows.append(row)
    return Dataset.from_list(rows, features=FEATURES)


def wrong_entries(directory: str | Path, split: str) -> tuple[dict[str, list[Problem]], frozenset[str]]:
    """What is wrong in one split of a COCO-keypoints dataset, entry by entry; each photo is decoded.

    Args:
        directory, split: As for :func:`load_keypoints`.

    Returns:
        Photos that are missing or cannot be read, and labelled keypoints outside their photo, by the list that they
        stand in; and the file names of those photos. :func:`load_keypoints` leaves such keypoints out by itself.

    Raises:
        ValueError: If the folder or the split is missing, or the JSON is malformed.
    """
    root = Path(directory)
    file = _annotation_file(root, split)
    content = _read_json(file)
    unread: list[Problem] = []
    outside: list[Problem] = []
    unusable: list[str] = []
    for number, image in enumerate(content["images"]):
        try:
            load_image(Path(_image_path(root, image["file_name"])))
        except ValueError as error:
            unread.append(Problem(number, f": {error}"))
            unusable.append(image["file_name"])
    sizes = {image["id"]: (image["width"], image["height"]) for image in content["images"]}
    names = {category["id"]: category["keypoints"] for category in content["categories"]}
    for number, annotation in enumerate(content["annotations"]):
        flat, known = annotation["keypoints"], names.get(annotation["category_id"], ())
        width, height = sizes.get(annotation["image_id"], (math.inf, math.inf))  # load_keypoints refuses it
        for name, x, y, visibility in zip(known, flat[0::3], flat[1::3], flat[2::3], strict=False):
            if visibility > 0 and not (0 <= x <= width and 0 <= y <= height):
                message = f": {name} ({x:g}, {y:g}) is outside the photo, which is {width} x {height}"
                outside.append(Problem(number, message))
    lists = {"images": unread, "annotations": outside}
    return {f"{file}, {name} (row 0 is the first)": wrong for name, wrong in lists.items()}, frozenset(unusable)


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


def _annotation_file(root: Path, split: str) -> Path:
    for folder in ANNOTATION_FOLDERS:
        candidate = root / folder / f"{split}.json"
        if candidate.is_file():
            return candidate
    found = sorted(path.stem for folder in ANNOTATION_FOLDERS for path in (root / folder).glob("*.json"))
    raise ValueError(f"split: no annotation file for {split!r} in {str(root)!r}; splits found: {found or 'none'}.")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not valid JSON: {error}.") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a {type(content).__name__}; a COCO file is an object.")
    needed = {
        "images": ("id", "file_name", "width", "height"),
        "annotations": ("image_id", "category_id", "bbox", "keypoints"),
        "categories": ("id", "name", "keypoints"),
    }
    for section, keys in needed.items():
        if not isinstance(content.get(section), list):
            raise ValueError(f"{path} has no list {section!r}; a COCO-keypoints file has {sorted(needed)}.")
        for entry in content[section]:
            missing = [key for key in keys if key not in entry]
            if missing:
                raise ValueError(f"{path}: an entry of {section!r} (id {entry.get('id', '?')}) lacks {missing}.")
    return content


def _object(
    annotation: dict[str, Any], category: dict[str, Any], width: int, height: int, where: str
) -> dict[str, Any]:
    names, flat = category["keypoints"], annotation["keypoints"]
    if len(flat) != 3 * len(names):
        raise ValueError(
            f"{where} has {len(flat)} keypoint numbers; category {category['name']!r} names {len(names)} "
            f"keypoints and needs {3 * len(names)} (x, y, visibility)."
        )
    if len(annotation["bbox"]) != 4:
        raise ValueError(f"{where} has a bbox of {len(annotation['bbox'])} numbers; allowed: [x, y, width, height].")
    keypoints = [
        {"name": keypoint_name(name), "x": float(x), "y": float(y)}
        for name, x, y, visibility in zip(names, flat[0::3], flat[1::3], flat[2::3], strict=True)
        if visibility > 0 and 0 <= x <= width and 0 <= y <= height
    ]
    bbox = [float(value) for value in annotation["bbox"]]
    return {"label": keypoint_name(category["name"]), "bbox": bbox, "keypoints": keypoints}


def _image_path(root: Path, file_name: str) -> str:
    for folder in IMAGE_FOLDERS:
        candidate = root / folder / file_name
        if candidate.is_file():
            return str(candidate)
    raise ValueError(
        f"photo {file_name!r} is listed but not found in {str(root)!r}; looked in the folders {list(IMAGE_FOLDERS)}."
    )
