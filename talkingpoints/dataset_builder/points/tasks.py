"""What the stages of the data engine hand to each other: a photo with its parts, and a point that wants a text.

`PartPhoto` comes out of the readers, one photo at a time. `PointTask` is a point in a part with its skeleton: all that
a writer needs besides the photo. Tasks are plain values that go to JSON and come back equal.
"""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from talkingpoints.writer.facts import Neighbour, PointFacts

KINDS = ("sift", "even", "medial", "border", "keypoint")
"""Where in the part a point was chosen: at the highest SIFT response, evenly where there is no texture, on the middle
line of a thin part, on the outline; or the annotated point itself, where a part is no more than that."""

BoxPx = tuple[float, float, float, float]


@dataclasses.dataclass(frozen=True)
class PartObject:
    """One object and its parts.

    Args:
        label: category in plain words, for example "car".
        mask: bool (height, width), the whole object, or its box where there is no mask; not empty.
        parts: name in plain words, the side first ("left front door") -> bool (height, width), not empty.
        points: name of a part that is annotated as a point only -> (x, y) in pixels.
    """

    label: str
    mask: np.ndarray
    parts: dict[str, np.ndarray]
    points: dict[str, tuple[float, float]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class PartPhoto:
    """One photo with its annotation.

    Args:
        source: name of the dataset, for example "carparts".
        split: split that the dataset puts the photo in, "all" where it has none.
        name: of the photo, unique in source and split.
        image: file of the photo.
        size: (height, width) in pixels of the photo as a person sees it; the masks' shape.
        objects: the objects, in the order of the dataset.
    """

    source: str
    split: str
    name: str
    image: Path
    size: tuple[int, int]
    objects: tuple[PartObject, ...]

    @property
    def key(self) -> str:
        """Unique over all sources, see `photo_key`."""
        return photo_key(self.source, self.split, self.name)


def photo_key(source: str, split: str, name: str) -> str:
    """source/split/name without blanks; what the keys of a photo's tasks begin with."""
    return "/".join(part.replace(" ", "_") for part in (source, split, name))


@dataclasses.dataclass(frozen=True)
class Skeleton:
    """What is true of a point, from masks and pixels: object in the photo, part in the object, point in the part.

    Args:
        facts: object in the photo (thirds), which of several, point in the object (fifths), the nearest other part, and
            the look; what the rule-based writer puts into words.
        part_column: third of the object's box in which the part's middle lies, 0 (left) to 2.
        part_row: likewise, 0 (top) to 2.
        n_pieces: how many separate pieces the part has (two wheels: 2).
        which_piece: the piece's place among them: "left", "right", "upper", "lower", "second left", ...; None if there
            is one, or place does not tell.
        spot_column: third of the piece's box in which the point lies, 0 (left) to 2; None where the part is a point.
        spot_row: likewise, 0 (top) to 2.
        edge: the side on which the piece's outline is near ("left", "above right", ... as `facts.DIRECTIONS`), None
            where the point is well inside.
        neighbours: the parts next to this point, the nearest first, and where the POINT lies as seen from them.
        text: all that in plain words, without digits.
    """

    facts: PointFacts
    part_column: int
    part_row: int
    n_pieces: int
    which_piece: str | None
    spot_column: int | None
    spot_row: int | None
    edge: str | None
    neighbours: tuple[Neighbour, ...]
    text: str


@dataclasses.dataclass(frozen=True)
class PointTask:
    """A point that wants a text.

    Args:
        key: stable and unique: source/split/photo/object/part/number.
        split: "train", "val" or "test"; all points of a photo have one.
        image: file of the photo.
        point_px: (x, y) in pixels of the photo.
        size: (height, width) of the photo in pixels.
        label: of the object.
        part: its part.
        kind: one of `KINDS`.
        object_index: of the object in the photo.
        object_box: (x0, y0, x1, y1) in pixels.
        part_box: likewise, of the piece of the part that holds the point.
        skeleton: what is true of the point.
    """

    key: str
    split: str
    image: str
    point_px: tuple[float, float]
    size: tuple[int, int]
    label: str
    part: str
    kind: str
    object_index: int
    object_box: BoxPx
    part_box: BoxPx
    skeleton: Skeleton

    def text_key(self, number: int) -> str:
        """Stable and unique: of one of the point's texts."""
        return f"{self.key}/{number}"

    def to_json(self) -> dict[str, Any]:
        """Plain values, of which `from_json` makes an equal task."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "PointTask":
        """The task that `to_json` was called on.

        Raises:
            TypeError: a field is missing or unknown.
        """
        skeleton = dict(values["skeleton"])
        facts = dict(skeleton["facts"])
        facts |= {name: tuple(facts.get(name, ())) for name in ("colours", "object_colours")}
        facts |= {"near": _neighbours(facts["near"])}
        skeleton |= {"facts": PointFacts(**facts), "neighbours": _neighbours(skeleton["neighbours"])}
        tuples = {name: tuple(values[name]) for name in ("point_px", "size", "object_box", "part_box")}
        return cls(**{**values, **tuples, "skeleton": Skeleton(**skeleton)})


def _neighbours(values: list[dict[str, Any]]) -> tuple[Neighbour, ...]:
    return tuple(Neighbour(**value) for value in values)
