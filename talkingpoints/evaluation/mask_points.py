"""Points anywhere on an object, not only its keypoints: drawn evenly from class masks, in four kinds of places.

Leaves out: what is done with them (protocol.py has the listeners, report.py the figures).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from scipy.ndimage import distance_transform_edt
from tqdm.auto import tqdm

from talkingpoints.evaluation.figures import RowFigures
from talkingpoints.evaluation.labelled_points import MIN_BOX_SIDE_PX, LabelledPoint, OpenedPhotos, by_photo
from talkingpoints.evaluation.predictions import described_texts, localized, point_rows
from talkingpoints.evaluation.report import RowPredictions, joined, row_figures
from talkingpoints.evaluation.written_texts import REFERENCE, written_texts
from talkingpoints.images import load_image
from talkingpoints.writer.colours import look_at
from talkingpoints.writer.scene import Scene, SceneObject, scene_of

KINDS = ("smooth", "textured", "thin", "border")
"""Inside on a smooth or a textured spot (the writer's texture words), on parts that are narrow for the object (legs,
tails, ears), and on the outline."""

VOC_CLASSES = {"cat": 8, "cow": 10, "dog": 12, "horse": 13, "person": 15, "sheep": 17}
"""Pixel values of PASCAL VOC class masks (Everingham et al., 2010)."""

BORDER_PX = 2.0  # at most so far from the outline
THIN = 0.05  # vanishes under an opening with a disc of this radius, in longer sides of the box
_SMOOTH = ("smooth", "lightly textured")


class MaskPointFigures(TypedDict):
    """Points of one kind, and the figures of each row."""

    n_points: int
    rows: dict[str, RowFigures]


def mask_points(
    dataset: Dataset, masks: Path, *, per_kind: int = 2, seed: int = 0, limit: int | None = None
) -> list[LabelledPoint]:
    """Draw points inside objects; the kind stands in the field ``name``.

    Args:
        dataset: rows as `load_keypoints` gives them.
        masks: folder of PNG class masks, one for each photo that has one, named like it.
        per_kind: points of each kind and object, fewer where there is no room.
        seed: of the drawing.
        limit: keep this many photos, evenly spaced over those that have points; None for all.

    Returns:
        The points, in the order of the dataset. Where boxes of one label overlap, the mask does not say whose a
        pixel is: such pixels are left out, as are objects of under 24 px.

    Raises:
        ValueError: no photo of the dataset has a mask, or one is unreadable or of another size than its photo.
    """
    points: list[LabelledPoint] = []
    for row, record in enumerate(dataset.remove_columns("image")):
        path = masks / f"{Path(record['file_name']).stem}.png"
        if not path.is_file():
            continue
        scene = scene_of(record)
        classes = _read(path, scene.size)
        pixels = np.asarray(load_image(dataset[row]["image"]))
        for index, item in enumerate(scene.objects):
            rng = np.random.default_rng((seed, int(record["image_id"]), index))
            for kind, (x, y) in _draw(scene, item, classes, pixels, per_kind, rng):
                where = (row, int(record["image_id"]), index, item.label, kind)
                labels = frozenset(thing.label for thing in scene.objects)
                points.append(LabelledPoint(*where, (x, y), item.box, scene.size, labels))
    if not points:
        raise ValueError(f"no object of this split has a mask in {masks}")
    rows = sorted({point.row for point in points})
    if limit is not None and limit < len(rows):
        kept = {rows[i * len(rows) // limit] for i in range(limit)}
        points = [point for point in points if point.row in kept]
    return points


def evaluate_mask_points(
    pair: Any,
    dataset: Dataset,
    points: list[LabelledPoint],
    *,
    seed: int = 0,
    resamples: int = 1000,
    progress: bool = False,
) -> dict[str, MaskPointFigures]:
    """Send the descriptor's and the writer's texts about such points through the pair's localizer.

    Args:
        pair: describes and localizes.
        dataset: the photos.
        points: from `mask_points`.
        seed: of the written texts and the bootstrap.
        resamples: bootstrap resamples.
        progress: show a progress bar.

    Returns:
        By kind: ``n_points`` and the figures of the rows ``descriptor``, ``reference`` and ``box_centre``, as in the
        report.
    """
    opened = OpenedPhotos(dataset, keep=1)
    parts = []
    for row, indices in tqdm(by_photo(points).items(), desc="mask points", unit="photo", disable=not progress):
        photo, own = opened(row), [points[i] for i in indices]
        reference = written_texts(photo, own, (REFERENCE,), seed, named=False)[REFERENCE]
        texts = {"descriptor": described_texts(pair, photo.image, own), "reference": reference}
        parts.append(localized(pair, photo.image, own, texts))
    rows = {name: joined([part[name] for part in parts]) for name in ("descriptor", "reference")}
    rows["box_centre"] = point_rows(points)["box_centre"]
    return {kind: _figures(points, rows, kind, seed, resamples) for kind in KINDS}


def _figures(
    points: list[LabelledPoint], rows: Mapping[str, RowPredictions], kind: str, seed: int, resamples: int
) -> MaskPointFigures:
    chosen = [i for i, point in enumerate(points) if point.name == kind]
    own = [points[i] for i in chosen]
    if not own:
        return {"n_points": 0, "rows": {}}
    figures = {name: row_figures(own, row.of(chosen), seed=seed, resamples=resamples) for name, row in rows.items()}
    return {"n_points": len(own), "rows": figures}


def _read(path: Path, size: tuple[int, int]) -> NDArray[np.uint8]:
    """(height, width) class values."""
    try:
        mask = np.asarray(Image.open(path))
    except (OSError, UnidentifiedImageError) as error:
        raise ValueError(f"{path.name} is no readable mask: {error}") from error
    if mask.shape != size:
        raise ValueError(f"mask {path.name} has shape {mask.shape}, its photo {size}")
    return mask


def _draw(
    scene: Scene,
    item: SceneObject,
    classes: NDArray[np.uint8],
    pixels: NDArray[np.uint8],
    per_kind: int,
    rng: np.random.Generator,
) -> list[tuple[str, tuple[float, float]]]:
    """(kind, unit point) for one object."""
    height, width = scene.size
    x0, y0, x1, y1 = item.box
    sides = ((x1 - x0) * width, (y1 - y0) * height)
    if item.label not in VOC_CLASSES or min(sides) < MIN_BOX_SIDE_PX:
        return []
    ys, xs = (np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / width
    own = _inside(item, xs, ys)
    for other in scene.objects:
        if other is not item and other.label == item.label:
            own &= ~_inside(other, xs, ys)
    whole = classes == VOC_CLASSES[item.label]
    depth = distance_transform_edt(np.pad(whole, 1))[1:-1, 1:-1]  # the photo's edge is an outline too
    radius = max(BORDER_PX, THIN * max(sides))
    opened = distance_transform_edt(~(depth > radius)) <= radius if (depth > radius).any() else np.zeros_like(whole)
    regions = {
        "border": whole & (depth <= BORDER_PX),
        "thin": whole & (depth > BORDER_PX) & ~opened,
        "inner": whole & (depth > BORDER_PX) & opened,
    }
    drawn: list[tuple[str, tuple[float, float]]] = []
    room = {"border": per_kind, "thin": per_kind, "smooth": per_kind, "textured": per_kind}
    for name, region in regions.items():
        candidates = np.argwhere(region & own)
        tries = candidates[rng.permutation(len(candidates))[: 10 * per_kind]]
        for y, x in tries.tolist():
            point = (float(xs[x]), float(ys[y]))
            kind = name
            if name == "inner":
                kind = "smooth" if look_at(pixels, point)[1] in _SMOOTH else "textured"
            if room[kind] > 0:
                room[kind] -= 1
                drawn.append((kind, point))
    return drawn


def _inside(item: SceneObject, xs: NDArray[np.float64], ys: NDArray[np.float64]) -> NDArray[np.bool_]:
    x0, y0, x1, y1 = item.box
    return ((ys >= y0) & (ys <= y1))[:, None] & ((xs >= x0) & (xs <= x1))[None]
