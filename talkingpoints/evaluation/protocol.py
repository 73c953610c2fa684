"""The protocol: which points are measured, which texts are read out for them, and which controls beside them.

A text is worth what a listener makes of it: it goes through a localizer, and the error of the point that
comes back is the text's error. Words alone buy most of mpck_img, so every figure stands beside rows that did
not look: the centres, the text of another point, the blanked photo, a listener trained without images.

A *row* is one text source through one listener with one view of the photo. Photos are measured one by one, and
what came out for a photo can be stored at once (store.py): a run that was cut goes on, and several processes share
the photos.

Leaves out: the figures (report.py) and loading, files and printing (training/evaluate.py).
"""

import math
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from datasets import Dataset
from PIL import Image, ImageOps
from tqdm.auto import tqdm

from talkingpoints.data.examples.keypoint_examples import blind_image
from talkingpoints.evaluation.photo_store import PhotoStore
from talkingpoints.evaluation.report import LabelledPoint, RowPredictions, joined, presence_summary, summarise
from talkingpoints.images import load_image
from talkingpoints.points import to_pixels
from talkingpoints.writer.phrases import possessive
from talkingpoints.writer.scene import scene_of, swap_sides
from talkingpoints.writer.styles import PointFacts, point_facts, write
from talkingpoints.writer.wording import Wording

MIN_BOX_SIDE_PX = 24.0
WRITTEN = ("full", "short", "colloquial", "semantic", "guiding", "part_only", "object_only")
"""What is written for each point: the writer's styles, and the barest names of part and object."""
REFERENCE = "full"
ROW_ORDER = (
    "descriptor",
    "reference",
    "short",
    "colloquial",
    "semantic",
    "guiding",
    "part_only",
    "object_only",
    "blind",
    "shuffled",
    "wrong_photo",
    "blanked",
    "image_centre",
    "box_centre",
    "nearest_keypoint",
    "mirrored",
    "mirrored_semantic",
)
"""Rows of a report. Texts on the photo: `descriptor`, `reference` (the writer's full style), `short`, `colloquial`,
`semantic`, `guiding` (a style that the writer keeps for measuring), `part_only` ("the dog's left ear"),
`object_only` ("the dog"). Controls: `blind` (reference text, a listener trained without photos), `shuffled` (reference
text of another point), `wrong_photo` (what the descriptor says about the same place of another photo), `blanked`
(reference text, photo of one colour), `image_centre`, `box_centre`, and `nearest_keypoint`: always the nearest other
keypoint of the photo, that is, a perfect aim at the wrong part. Not controls but checks are `mirrored` and
`mirrored_semantic`: photo and text mirrored and the point mirrored back, which should equal `reference` and
`semantic`."""
READ_REFERENCE = ("reference", "blind", "shuffled", "blanked")
"""Rows whose texts are the reference's, of their own or of another point."""
MIRRORED = ("mirrored", "mirrored_semantic")
LISTENED = ("reference", "descriptor", "shuffled")
"""What further listeners read."""


class Describer(Protocol):
    """What is asked of a descriptor: `describe` of TalkingPoints, with a list of points."""

    def describe(self, image: Any, point: Any, /) -> Any:
        """List of (x, y) in pixels -> list of objects with `text`."""


class Listener(Protocol):
    """What is asked of a localizer: `localize` of TalkingPoints, with a list of texts."""

    def localize(self, image: Any, text: Any, /) -> Any:
        """List of texts -> list of objects with `unit`, `confidence`, `presence` and `found`."""


@dataclass(frozen=True)
class Evaluation:
    """The points, every row's predictions on them, and the figures (plain JSON values)."""

    points: list[LabelledPoint]
    rows: dict[str, RowPredictions]
    report: dict[str, Any]


@dataclass(frozen=True)
class Systems:
    """What is measured.

    Attributes:
        pair: describes and localizes (a `TalkingPoints`).
        blind: a listener trained without images, or None; adds the row `blind`.
        listeners: further listeners by name, which took no part in the pair's training; each reads the same texts,
            for the rows `descriptor@NAME`, `reference@NAME` and, as a control, `shuffled@NAME`.
    """

    pair: Any
    blind: Listener | None = None
    listeners: Mapping[str, Listener] = field(default_factory=dict)


def evaluate(
    systems: Systems,
    dataset: Dataset,
    *,
    limit: int | None = None,
    seed: int = 0,
    resamples: int = 1000,
    progress: bool = True,
    store: PhotoStore | None = None,
    wanted: Collection[str] = ROW_ORDER,
) -> Evaluation | None:
    """Run the protocol on one split.

    Args:
        systems: the pair, and who else listens.
        dataset: rows as `load_keypoints` gives them.
        limit: measure on this many photos, evenly spaced over those that have points; None for all.
        seed: of the written texts, the shuffling and the bootstrap.
        resamples: bootstrap resamples.
        progress: show progress bars.
        store: keeps each photo's answers as they come; photos that it already holds are not measured again, and
            of several processes each measures its share. None for none.
        wanted: names of rows; of the others those that need a model are left out.

    Returns:
        Points, predictions and report; None in all processes of the store but the first, once their share is done.

    Raises:
        ValueError: if the split has no point to measure, all its points lie in one photo, or a row is unknown.
        RuntimeError: if a listener returns something that is no point.
    """
    unknown = set(wanted) - set(ROW_ORDER)
    if unknown:
        raise ValueError(f"no rows {sorted(unknown)}; there are {', '.join(ROW_ORDER)}")
    points = labelled_points(dataset, limit=limit)
    donors = shuffled_donors(points, seed)
    named = {REFERENCE if name in READ_REFERENCE else name for name in wanted}
    written = written_texts(dataset, points, [s for s in WRITTEN if s in named], seed, progress=progress)
    if not named.isdisjoint(MIRRORED):
        written |= mirrored_texts(dataset, points, seed)
    photos = list(_by_photo(points).values())
    store = PhotoStore() if store is None else store
    for index in tqdm(store.missing(len(photos)), desc="measure", unit="photo", disable=not progress):
        indices = photos[index]
        own = {style: [texts[i] for i in indices] for style, texts in written.items()}
        if "shuffled" in wanted:
            own["shuffled"] = [written[REFERENCE][donors[i]] for i in indices]
        other = points[donors[indices[0]]].row
        store.add(index, measured(systems, dataset, [points[i] for i in indices], own, other, wanted))
    if store.process > 0:
        return None
    parts = store.collect(len(photos))
    rows = {name: joined([part[name] for part in parts]) for name in parts[0]} | point_rows(points)
    listened = {name: row for name, row in rows.items() if "@" in name}
    rows = {name: rows[name] for name in ROW_ORDER if name in rows} | listened
    report = summarise(points, rows, seed=seed, resamples=resamples)
    report |= presence_summary(points, rows.get("reference"), rows.get("shuffled"), donors)
    return Evaluation(points, rows, report)


def measured(
    systems: Systems,
    dataset: Dataset,
    points: Sequence[LabelledPoint],
    written: Mapping[str, Sequence[str]],
    other: int,
    wanted: Collection[str] = ROW_ORDER,
) -> dict[str, RowPredictions]:
    """The wanted rows of one photo's points that a model answers.

    Args:
        systems: who describes and who listens.
        dataset: the photos.
        points: those of one photo.
        written: texts for them that the wanted rows need: styles of `WRITTEN`, "shuffled" and those of `MIRRORED`.
        other: row of another photo, for `wrong_photo`.
        wanted: names of rows.

    Returns:
        Predictions by row name.
    """
    pair = systems.pair
    texts = {"descriptor": described_texts(pair, dataset, points)} if "descriptor" in wanted else {}
    if "reference" in wanted:
        texts["reference"] = written[REFERENCE]
    texts |= {name: written[name] for name in (*WRITTEN, "shuffled") if name in wanted}
    if "wrong_photo" in wanted:
        texts["wrong_photo"] = described_texts(pair, dataset, points, photo=other)
    rows = localized(pair, dataset, points, texts)
    if "blanked" in wanted:
        rows |= localized(pair, dataset, points, {"blanked": written[REFERENCE]}, view=mean_colour)
    turned = {name: written[name] for name in MIRRORED if name in wanted}
    for name, row in localized(pair, dataset, points, turned, view=ImageOps.mirror).items():
        rows[name] = replace(row, predictions=row.predictions * (-1, 1) + (1, 0))
    if systems.blind is not None and "blind" in wanted:
        rows |= localized(systems.blind, dataset, points, {"blind": written[REFERENCE]}, view=constant_grey)
    for name, listener in systems.listeners.items():
        heard = {f"{source}@{name}": texts[source] for source in LISTENED if source in texts}
        rows |= localized(listener, dataset, points, heard)
    return rows


def labelled_points(
    dataset: Dataset, *, min_box_side_px: float = MIN_BOX_SIDE_PX, limit: int | None = None
) -> list[LabelledPoint]:
    """Every labelled keypoint of every object whose box is large enough, in the order of the dataset.

    Args:
        dataset: rows as `load_keypoints` gives them.
        min_box_side_px: smallest width and height of an object's box, in pixels of the photo.
        limit: keep this many photos, evenly spaced over those that have points; None for all.

    Raises:
        ValueError: if no point is left, or limit is under 1.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"limit must be at least 1 photo; got {limit}")
    photos: list[list[LabelledPoint]] = []
    for row, record in enumerate(dataset.remove_columns("image")):
        scene = scene_of(record)
        height, width = scene.size
        photo_labels = frozenset(thing.label for thing in scene.objects)
        points = []
        for object_index, thing in enumerate(scene.objects):
            x0, y0, x1, y1 = thing.box
            shorter_side_px = min((x1 - x0) * width, (y1 - y0) * height)
            if shorter_side_px < min_box_side_px - 1e-6:  # 24 px, divided and multiplied by a side, is 24 px
                continue
            for keypoint in thing.keypoints:
                where = (row, int(record["image_id"]), object_index, thing.label, keypoint.name)
                point = (keypoint.x, keypoint.y)
                points.append(LabelledPoint(*where, point, thing.box, (height, width), photo_labels))
        if points:
            photos.append(points)
    if not photos:
        raise ValueError(
            f"no labelled keypoint on an object of at least {min_box_side_px:g} px a side "
            f"in {len(dataset)} photos; check the directory and the split"
        )
    if limit is not None and limit < len(photos):
        photos = [photos[index * len(photos) // limit] for index in range(limit)]
    return [point for photo in photos for point in photo]


def shuffled_donors(points: Sequence[LabelledPoint], seed: int) -> list[int]:
    """For each point the index of another one, drawn evenly from those of the other photos.

    Raises:
        ValueError: if all points lie in one photo.
    """
    rows = np.array([point.row for point in points])
    if len(np.unique(rows)) < 2:
        raise ValueError("the shuffled row needs points in at least two photos; raise limit or take another split")
    rng = random.Random(f"{seed} shuffled")
    donors = []
    for row in rows:
        donor = rng.randrange(len(points))
        while rows[donor] == row:
            donor = rng.randrange(len(points))
        donors.append(donor)
    return donors


def written_texts(
    dataset: Dataset,
    points: Sequence[LabelledPoint],
    styles: Sequence[str],
    seed: int,
    *,
    named: bool = True,
    progress: bool = False,
) -> dict[str, list[str]]:
    """The writer's text for each point, by style.

    The points are keypoints, or with `named` False just points on their objects.

    Each text has its own generator, seeded by the seed, the style, the photo, the object and the keypoint: it
    does not depend on what else is measured.
    """
    texts: dict[str, list[str]] = {style: [""] * len(points) for style in styles}
    for row, indices in tqdm(_by_photo(points).items(), desc="write", unit="photo", disable=not progress):
        record = dataset[row]
        scene = scene_of(record)
        pixels = np.asarray(load_image(record["image"]))
        for index in indices:
            point = points[index]
            part = point.name if named else None
            facts = point_facts(scene, point.point, pixels, point.object_index, part)
            for style in styles:
                texts[style][index] = _write(facts, style, point, seed)
    return texts


def mirrored_texts(dataset: Dataset, points: Sequence[LabelledPoint], seed: int) -> dict[str, list[str]]:
    """Texts for each point of the mirrored photos, the same words but for left and right.

    Returns:
        "mirrored" for the reference's style, and "mirrored_semantic".
    """
    texts = {"mirrored": [""] * len(points), "mirrored_semantic": [""] * len(points)}
    for row, indices in _by_photo(points).items():
        record = dataset[row]
        scene = scene_of(record).flipped()
        pixels = np.asarray(ImageOps.mirror(load_image(record["image"])))
        for index in indices:
            point = points[index]
            (x, y), name = point.point, swap_sides(point.name)
            facts = point_facts(scene, (1 - x, y), pixels, point.object_index, name)
            texts["mirrored"][index] = _write(facts, REFERENCE, point, seed)
            texts["mirrored_semantic"][index] = _write(facts, "semantic", point, seed)
    return texts


def _write(facts: PointFacts, style: str, point: LabelledPoint, seed: int) -> str:
    if style == "object_only":
        return f"the {facts.label}"
    if style == "part_only":
        return Wording(facts, None).part(possessive(f"the {facts.label}"))
    return write(facts, style, random.Random(f"{seed} {style} {point.image_id} {point.object_index} {point.name}"))


def described_texts(
    describer: Describer, dataset: Dataset, points: Sequence[LabelledPoint], *, photo: int | None = None
) -> list[str]:
    """The descriptor's text for each point; all points of a photo in one call.

    Args:
        describer: describes lists of points.
        dataset: the photos that the points lie in.
        points: n points.
        photo: describe the same unit points of this row's photo instead of those of their own.
    """
    texts = [""] * len(points)
    for row, indices in _by_photo(points).items():
        image = load_image(dataset[row if photo is None else photo]["image"])
        points_px = to_pixels([points[index].point for index in indices], (image.height, image.width))
        descriptions = describer.describe(image, [(float(x), float(y)) for x, y in points_px])
        for index, description in zip(indices, descriptions, strict=True):
            texts[index] = description.text
    return texts


def as_is(image: Image.Image) -> Image.Image:
    """The photo itself."""
    return image


def mean_colour(image: Image.Image) -> Image.Image:
    """The photo replaced by its mean colour, in its own size."""
    red, green, blue = np.asarray(image).reshape(-1, 3).mean(axis=0).round().astype(int).tolist()
    return Image.new("RGB", image.size, (red, green, blue))


def constant_grey(image: Image.Image) -> Image.Image:
    """The one grey image that the blind listener was trained on, whatever the photo."""
    del image
    return blind_image()


def localized(
    listener: Listener,
    dataset: Dataset,
    points: Sequence[LabelledPoint],
    texts: Mapping[str, Sequence[str]],
    *,
    view: Callable[[Image.Image], Image.Image] = as_is,
) -> dict[str, RowPredictions]:
    """Send texts through a listener; all texts of a photo, of all rows, in one call.

    Args:
        listener: localizes lists of texts.
        dataset: the photos that the points lie in.
        points: n points.
        texts: by row name, n texts each. An empty text is no answer: the listener is not asked.
        view: what the listener gets to see of a photo.

    Returns:
        Predictions by row name.

    Raises:
        ValueError: if a row does not have one text a point.
        RuntimeError: if the listener returns a point that is no number, or a confidence (NaN: it has none) or
            presence outside [0, 1].
    """
    for name, row_texts in texts.items():
        if len(row_texts) != len(points):
            raise ValueError(f"row {name!r} has {len(row_texts)} texts for {len(points)} points")
    names = list(texts)
    shape = (len(names), len(points))
    predictions = np.full((*shape, 2), np.nan)
    confidence, presence, found = np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape, dtype=bool)
    for row, indices in _by_photo(points).items():
        cells = [(n, i) for n, name in enumerate(names) for i in indices if texts[name][i].strip()]
        if not cells:
            continue
        image = view(load_image(dataset[row]["image"]))
        answers = listener.localize(image, [texts[names[n]][i] for n, i in cells])
        for (n, i), answer in zip(cells, answers, strict=True):
            _check_answer(answer, texts[names[n]][i], points[i])
            predictions[n, i] = answer.unit
            confidence[n, i], presence[n, i], found[n, i] = answer.confidence, answer.presence, answer.found
    return {
        name: RowPredictions(predictions[n], confidence[n], presence[n], found[n], tuple(texts[name]))
        for n, name in enumerate(names)
    }


def point_rows(points: Sequence[LabelledPoint]) -> dict[str, RowPredictions]:
    """The rows that need no listener: centre of the image, centre of the object's box, nearest other keypoint.

    A point without any other in its photo has no nearest keypoint: a miss.
    """
    boxes, unit = np.array([point.box for point in points]), np.array([point.point for point in points])
    nothing, no = np.full(len(points), np.nan), np.zeros(len(points), dtype=bool)
    nearest = np.full((len(points), 2), np.nan)
    for indices in _by_photo(points).values():
        if len(indices) > 1:
            own = unit[indices]
            distances = np.linalg.norm(own[:, None] - own[None], axis=-1)
            np.fill_diagonal(distances, np.inf)
            nearest[indices] = own[distances.argmin(axis=1)]
    predictions = {
        "image_centre": np.full((len(points), 2), 0.5),
        "box_centre": (boxes[:, :2] + boxes[:, 2:]) / 2.0,
        "nearest_keypoint": nearest,
    }
    return {name: RowPredictions(found, nothing, nothing, no, None) for name, found in predictions.items()}


def _by_photo(points: Sequence[LabelledPoint]) -> dict[int, list[int]]:
    """Row of the dataset -> indices of its points, in their order."""
    photos: dict[int, list[int]] = {}
    for index, point in enumerate(points):
        photos.setdefault(point.row, []).append(index)
    return photos


def _check_answer(answer: Any, text: str, point: LabelledPoint) -> None:
    """A broken model must not pass for a bad one."""
    calibrated = math.isnan(answer.confidence) or 0.0 <= answer.confidence <= 1.0
    if not (np.isfinite(answer.unit).all() and calibrated and 0.0 <= answer.presence <= 1.0):
        raise RuntimeError(
            f"the listener answered {answer.unit}, confidence {answer.confidence}, "
            f"presence {answer.presence} to {text!r} on image {point.image_id}; "
            "expected a finite point, a confidence in [0, 1] (NaN if it has none) and a presence in [0, 1]"
        )
