"""The protocol: which points are measured, which texts are read out for them, and which controls beside them.

A text is worth what a listener makes of it: it goes through a localizer, and the error of the point that
comes back is the text's error. Words alone buy most of mpck_img, so every figure stands beside rows that did
not look: the centres, the text of another point, the blanked photo, a listener trained without images.

A *row* is one text source through one listener with one view of the photo. Photos are measured one by one, and
what came out for a photo can be stored at once (photo_store.py): a run that was cut goes on, and several processes
share the photos. Texts are written first, for photos that the store does not hold: what is said of other photos' points
is among them.

Leaves out: photos and points (labelled_points.py), texts (written_texts.py), calls of the models (predictions.py), the
figures (report.py), and loading, files and printing (training/evaluate.py).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from datasets import Dataset
from PIL import ImageOps
from tqdm.auto import tqdm

from talkingpoints.data.examples.keypoint_examples import blind_image
from talkingpoints.evaluation.figures import Report
from talkingpoints.evaluation.labelled_points import (
    LabelledPoint,
    OpenedPhoto,
    OpenedPhotos,
    by_photo,
    labelled_points,
    shuffled_donors,
)
from talkingpoints.evaluation.photo_store import PhotoStore
from talkingpoints.evaluation.predictions import (
    SupportsLocalize,
    described_texts,
    localized,
    mean_colour,
    point_rows,
)
from talkingpoints.evaluation.report import RowPredictions, joined, presence_summary, summarise
from talkingpoints.evaluation.written_texts import MIRRORED, REFERENCE, WRITTEN, mirrored_texts, written_texts

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
LISTENED = ("reference", "descriptor", "shuffled")
"""What further listeners read."""


@dataclass(frozen=True)
class Evaluation:
    """The points, every row's predictions on them, and the figures."""

    points: list[LabelledPoint]
    rows: dict[str, RowPredictions]
    report: Report


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
    blind: SupportsLocalize | None = None
    listeners: Mapping[str, SupportsLocalize] = field(default_factory=dict)


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
        ValueError: If the split has no point to measure, all its points lie in one photo, or a row is unknown.
        RuntimeError: If a listener returns something that is no point.
    """
    unknown = set(wanted) - set(ROW_ORDER)
    if unknown:
        raise ValueError(f"no rows {sorted(unknown)}; there are {', '.join(ROW_ORDER)}")
    points = labelled_points(dataset, limit=limit)
    donors = shuffled_donors(points, seed)
    photos = list(by_photo(points).values())
    store = PhotoStore() if store is None else store
    missing = store.missing(len(photos))
    opened = OpenedPhotos(dataset)
    texts: dict[str, dict[int, str]] = {}
    own = {i for index in missing for i in photos[index]}
    lent = {donors[i] for i in own} - own if "shuffled" in wanted else set()
    for row, indices in tqdm(by_photo(points, sorted(own | lent)).items(), desc="write", disable=not progress):
        here = [points[i] for i in indices]
        written = _written(opened(row), here, wanted if indices[0] in own else ("shuffled",), seed)
        for style, of_style in written.items():
            texts.setdefault(style, {}).update(zip(indices, of_style, strict=True))
    for index in tqdm(missing, desc="measure", unit="photo", disable=not progress):
        indices = photos[index]
        written = {style: [of_style[i] for i in indices] for style, of_style in texts.items()}
        if "shuffled" in wanted:
            written["shuffled"] = [texts[REFERENCE][donors[i]] for i in indices]
        other = points[donors[indices[0]]].row
        store.add(index, measured(systems, opened, [points[i] for i in indices], written, other, wanted))
    if store.process > 0:
        return None
    parts = store.collect(len(photos))
    rows = {name: joined([part[name] for part in parts]) for name in parts[0]} | point_rows(points)
    listened = {name: row for name, row in rows.items() if "@" in name}
    rows = {name: rows[name] for name in ROW_ORDER if name in rows} | listened
    report = summarise(points, rows, seed=seed, resamples=resamples)
    report.update(presence_summary(points, rows.get("reference"), rows.get("shuffled"), donors))
    return Evaluation(points, rows, report)


def _written(
    photo: OpenedPhoto, points: Sequence[LabelledPoint], wanted: Collection[str], seed: int
) -> dict[str, list[str]]:
    """The texts about points of a photo that the wanted rows need."""
    named = {REFERENCE if name in READ_REFERENCE else name for name in wanted}
    texts = written_texts(photo, points, [style for style in WRITTEN if style in named], seed)
    return texts if named.isdisjoint(MIRRORED) else texts | mirrored_texts(photo, points, seed)


def measured(
    systems: Systems,
    opened: OpenedPhotos,
    points: Sequence[LabelledPoint],
    written: Mapping[str, Sequence[str]],
    other: int,
    wanted: Collection[str] = ROW_ORDER,
) -> dict[str, RowPredictions]:
    """The wanted rows of one photo's points that a model answers.

    Args:
        systems: who describes and who listens.
        opened: the photos.
        points: those of one photo.
        written: texts for them that the wanted rows need: styles of `WRITTEN`, "shuffled" and those of `MIRRORED`.
        other: row of another photo, for `wrong_photo`.
        wanted: names of rows.

    Returns:
        Predictions by row name.
    """
    pair, image = systems.pair, opened(points[0].row).image
    texts = {"descriptor": described_texts(pair, image, points)} if "descriptor" in wanted else {}
    if "reference" in wanted:
        texts["reference"] = list(written[REFERENCE])
    texts |= {name: list(written[name]) for name in (*WRITTEN, "shuffled") if name in wanted}
    if "wrong_photo" in wanted:
        texts["wrong_photo"] = described_texts(pair, opened(other).image, points)
    rows = localized(pair, image, points, texts)
    if "blanked" in wanted:
        rows |= localized(pair, mean_colour(image), points, {"blanked": written[REFERENCE]})
    turned = {name: written[name] for name in MIRRORED if name in wanted}
    for name, row in localized(pair, ImageOps.mirror(image), points, turned).items():
        rows[name] = replace(row, predictions=row.predictions * (-1, 1) + (1, 0))
    if systems.blind is not None and "blind" in wanted:
        rows |= localized(systems.blind, blind_image(), points, {"blind": written[REFERENCE]})
    for name, listener in systems.listeners.items():
        heard = {f"{source}@{name}": texts[source] for source in LISTENED if source in texts}
        rows |= localized(listener, image, points, heard)
    return rows
