"""What a report holds, as typed dictionaries of plain JSON values. mpck_img, PCK and AUC are 0..100."""

from typing import NotRequired, TypedDict


class RowFigures(TypedDict):
    """One row of the table, 0..100 but for the pixels.

    ``ci95`` [low, high] of ``mpck_img``, by bootstrap over images; ``pck_img`` by threshold; ``median_error_px`` in
    pixels of the photo as it lies in the dataset, None if more than half of the points have no answer.
    """

    mpck_img: float
    ci95: list[float]
    pck_img: dict[str, float]
    mpck_bbox: float
    median_error_px: float | None
    auc: float


class Difference(TypedDict):
    """mpck_img of one row minus that of another, paired over images, and its 95 % interval [low, high]."""

    mpck_img: float
    ci95: list[float]


class GroupFigures(TypedDict):
    """Points of a category or keypoint, and mpck_img of the rows that were measured."""

    n_points: int
    reference: NotRequired[float]
    descriptor: NotRequired[float]


class Calibration(TypedDict):
    """Expected calibration error of a row's confidence, and its reliability curve."""

    ece: float
    curve: list[dict[str, float]]


class ListenerFigures(TypedDict):
    """mpck_img of the texts through a further listener; ``ratio`` of descriptor to reference, None if the reference
    finds nothing, and their ``difference`` with its ``ci95``, where both were measured."""

    descriptor: NotRequired[float]
    reference: NotRequired[float]
    shuffled: NotRequired[float]
    ratio: NotRequired[float | None]
    difference: NotRequired[float]
    ci95: NotRequired[list[float]]


class MirrorFigures(TypedDict):
    """``same_place``: share (0..1) of the answers that, mirrored back, lie within 0.1 of the unmirrored photo's.

    ``flips``: of the answers at least 0.2 from their own mirror image, the share whose counterpart lies nearer to that
    than to themselves: 1 for a listener that looks, 0 for one that only reads, about 0.5 for one that guesses; None if
    there are none.
    """

    same_place: float | None
    flips: float | None


class PresenceFigures(TypedDict):
    """Counts, mean presence and share found of present and absent texts; ``balanced_accuracy`` is the mean of the two
    shares told right. None where there is no such text."""

    n_present: int
    n_absent: int
    mean_present: float | None
    mean_absent: float | None
    found_present: float | None
    found_absent: float | None
    balanced_accuracy: float | None


class PresenceSummary(TypedDict):
    """``presence_roc_auc`` in 0..1, None where the split has one category only; both None where a row was not
    measured."""

    presence_roc_auc: float | None
    presence: PresenceFigures | None


class Report(TypedDict):
    """All figures of an evaluation, as plain JSON values.

    ``rows``, ``calibration`` (of rows that have a confidence) and ``n_empty`` (empty texts, which count as misses) by
    row, ``differences`` by pair of `DIFFERENCES`, ``by_label`` by category, ``by_keypoint`` by keypoint without its
    side, ``listeners`` by name; ``mirroring`` is None where it was not measured.
    """

    n_images: int
    n_points: int
    rows: dict[str, RowFigures]
    differences: dict[str, Difference]
    by_label: dict[str, GroupFigures]
    by_keypoint: dict[str, GroupFigures]
    calibration: dict[str, Calibration]
    listeners: dict[str, ListenerFigures]
    mirroring: MirrorFigures | None
    n_empty: dict[str, int]
    presence_roc_auc: NotRequired[float | None]
    presence: NotRequired[PresenceFigures | None]
