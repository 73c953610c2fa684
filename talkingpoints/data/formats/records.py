"""The neutral record between all formats: photos with points, and what was left out on the way.

Coordinates are pixels of the photo as a person sees it (EXIF orientation applied), x to the right, y down. A unit of
another kind (0 to 1, percent) lives in the module of its format only.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from talkingpoints.data.validation.findings import Findings

UNLABELLED = "point"
"""The label that is written where a format needs one and a point has none."""

_WORDS = {
    "text": "texts of points",
    "label": "labels of points",
    "name": "names of keypoints",
    "group": "points' groups (which points belong to one object)",
    "occluded": "marks that a point is hidden",
    "score": "scores of points",
    "attributes": "attributes of points",
    "absent": "texts about what is not in a photo",
    "split": "photos' splits",
}


@dataclass(frozen=True)
class PointRecord:
    """A point of a photo.

    Attributes:
        x, y: pixels of the photo.
        text: what the point is, in words; empty where nobody said.
        label: class of the object, for example "dog".
        name: of the keypoint in its object, for example "left ear".
        group: the same number, 1 or more, for the points of one object; None for a point alone.
        occluded: hidden behind something, its place a guess.
        score: 0..1, of a prediction.
        attributes: further words by their names.
    """

    x: float
    y: float
    text: str = ""
    label: str = ""
    name: str = ""
    group: int | None = None
    occluded: bool = False
    score: float | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass
class PhotoRecord:
    """A photo with its points.

    Attributes:
        file_name: below the folder of the photos, with forward slashes, or a URL.
        size: (height, width) in pixels; None until the photo is looked at.
        points: in the file's order.
        absent: texts about what is not in the photo.
        split: "train", "val", ...; empty where the format has none.
        other_names: under which the photo may lie, too.
        row: number of the entry in its file, for reports.
        folder: below which ``file_name`` lies; None where nobody knows.
        path: of the photo, where it is at hand.
        unit: of the coordinates until the size is known: "pixels", "fraction" or "percent".
    """

    file_name: str
    size: tuple[int, int] | None = None
    points: list[PointRecord] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    split: str = ""
    other_names: tuple[str, ...] = ()
    row: int = 0
    folder: Path | None = None
    path: Path | None = None
    unit: str = "pixels"


@dataclass
class Annotations:
    """What a file or a folder holds.

    Attributes:
        photos: with their points, in the file's order.
        where: names the file in reports.
        findings: what is wrong, entry by entry.
        left_out: what is there and is not read, in words, with counts.
    """

    photos: list[PhotoRecord]
    where: str
    findings: Findings = field(default_factory=Findings)
    left_out: Counter[str] = field(default_factory=Counter)

    @property
    def points(self) -> int:
        """How many points all photos have together."""
        return sum(len(photo.points) for photo in self.photos)


def is_given(value: Any) -> bool:
    """Whether a field of a point holds something; a score of 0 does."""
    return value is not None and value is not False and value not in ("", {})


class Losses(Counter[str]):
    """What a format cannot hold, in words, with counts.

    Example:
        >>> print(Losses({"texts of points": 12}))
        12 texts of points
    """

    def count(self, points: Iterable[PointRecord], *fields: str) -> None:
        """Count the points that have something in fields that are not written."""
        for point in points:
            for name in fields:
                if is_given(getattr(point, name)):
                    self[_WORDS[name]] += 1

    def count_photos(self, photos: Iterable[PhotoRecord], *fields: str) -> None:
        """As :meth:`count`, of photos: "absent" and "split"."""
        for photo in photos:
            for name in fields:
                value = getattr(photo, name)
                if value:
                    self[_WORDS[name]] += len(value) if name == "absent" else 1

    def __str__(self) -> str:
        return "; ".join(f"{count} {what}" for what, count in self.items() if count)


@dataclass(frozen=True)
class Skeleton:
    """The points of one object.

    Attributes:
        label: of the object.
        names: of the keypoints; empty for one point without a name.
        points: in the order of ``names``.
    """

    label: str
    names: tuple[str, ...]
    points: tuple[PointRecord, ...]

    @property
    def group(self) -> int | None:
        return self.points[0].group

    def shared(self, field_name: str, losses: Losses) -> Any:
        """What all points have in a field, for formats that say it once; None, and counted, if they differ."""
        first = getattr(self.points[0], field_name)
        if all(getattr(point, field_name) == first for point in self.points):
            return first
        losses.count(self.points, field_name)
        return None


def skeletons(points: Sequence[PointRecord]) -> list[Skeleton]:
    """Points -> objects: those of one group and label whose names are all given and differ; all others stand alone."""
    together: dict[tuple[int | None, str, int], list[PointRecord]] = {}
    for number, point in enumerate(points):
        together.setdefault((point.group, point.label, -1 if point.group is not None else number), []).append(point)
    found = []
    for (_, label, _), members in together.items():
        names = tuple(point.name for point in members)
        if all(names) and len(set(names)) == len(names):
            found.append(Skeleton(label, names, tuple(members)))
        else:
            found += [Skeleton(label, (point.name,) if point.name else (), (point,)) for point in members]
    return found


def keypoint_names(photos: Iterable[PhotoRecord]) -> dict[str, list[str]]:
    """For each label the names of its keypoints in order of their first appearance; ``UNLABELLED`` stands for none."""
    names: dict[str, list[str]] = {}
    for photo in photos:
        for one in skeletons(photo.points):
            known = names.setdefault(one.label or UNLABELLED, [])
            known += [name for name in one.names or (UNLABELLED,) if name not in known]
    return names


def without_lone_groups(points: Sequence[PointRecord]) -> list[PointRecord]:
    """The same points, groups numbered from 1, and no group for a point that is the only one in it."""
    counts = Counter(point.group for point in points)
    several = [group for group in counts if group is not None and counts[group] > 1]
    numbers = {group: number for number, group in enumerate(several, start=1)}
    return [replace(point, group=None if point.group is None else numbers.get(point.group)) for point in points]


def no_label_note(losses: Losses, photos: Iterable[PhotoRecord]) -> None:
    """Take down how many points get the label ``UNLABELLED``, for formats that need one."""
    if count := sum(not point.label for photo in photos for point in photo.points):
        losses[f"points without a label (written as {UNLABELLED!r})"] += count
