"""What is true about a point, before it is put into words.

Turns a scene, a point and the photo's pixels into `PointFacts`: which object and where in the photo (thirds),
which part, where in the object (fifths), what is next to it, and how it looks. Leaves out all wording: see
writer.py.
"""

import dataclasses
import math

import numpy as np

from talkingpoints.writer.colours import look_at
from talkingpoints.writer.object_colours import object_colours_of
from talkingpoints.writer.scene import Keypoint, Scene, SceneObject, swap_sides

MAX_COUNTED = 6  # more objects of one label are "several"
APART = 0.08  # centres closer than this (unit) are not told apart by place
LARGER = 1.5  # ratio of box areas from which one object is "the larger one"
CLOSE = 0.14  # of the object's longer side: "just above", not "above"
# Of the object's longer side: nearer has no direction, farther is no neighbour.
NEIGHBOUR_RANGE = (0.025, 0.5)
VIEW_APART = 0.08  # of the object's longer side: nearer than this, left and right parts have no order in the photo
BETWEEN_WIDTH = 0.3  # distance from the segment, as a fraction of its length
HEAD = {"eye": "head", "nose": "head", "ear": "head", "throat": "head"}
PERSON_REGIONS = {
    **HEAD, "shoulder": "body", "elbow": "arm", "wrist": "arm", "hip": "body", "knee": "leg", "ankle": "leg",
}  # fmt: skip
ANIMAL_REGIONS = {
    **HEAD, "neck": "body", "withers": "body", "tailbase": "body", "root of tail": "body", "shoulder": "front leg",
    "elbow": "front leg", "hip": "back leg", "knee": "back leg",
}  # fmt: skip
DIRECTIONS = ("right", "below right", "below", "below left", "left", "above left", "above", "above right")


@dataclasses.dataclass(frozen=True)
class Neighbour:
    """Something near the point.

    Args:
        name: A keypoint name, or an object's label for a point on the background.
        direction: Where the POINT lies as seen from the neighbour: one of `DIRECTIONS`, "at", "between" (two
            neighbours), or for the background "around" (inside the object's box but off the object).
        close: Whether the two are close together.
    """

    name: str
    direction: str
    close: bool


@dataclasses.dataclass(frozen=True)
class PointFacts:
    """Everything that the writer may say about a point.

    Args:
        label: Label of the object, None for a point on the background.
        n_same: How many objects of this label the photo has, 0 on the background.
        which: What tells the object from its equals by place: "left", "middle", "upper", "second left"
            (second from the left), ...; None if it is alone or place does not tell.
        size: "larger", "smaller", "largest", "smallest" among its equals, or None.
        image_column: Third of the photo, 0 (left) to 2, of the object's box centre; on the background of the
            point.
        image_row: Third of the photo, 0 (top) to 2, likewise.
        part: Keypoint name, for example "left front paw"; None for an arbitrary point.
        side: The object's OWN side of the part, "left", "right" or None.
        view_side: Where the part lies IN THE PHOTO as seen from its counterpart of the object's other side, "left",
            "right", "upper" or "lower"; None if there is none, or it is not annotated or too near.
        region: Coarse part, "head", "front leg", "back leg", "arm", "leg" or "body", None if unknown.
        near: One neighbour, two with direction "between", or none.
        column: Fifth of the object's box in which the point lies, 0 (far left) to 4; on the background of the
            nearest object's box, points outside counted as the nearest fifth; None without any object.
        row: Likewise, 0 (top) to 4.
        third_column: Third of the object's box in which the point lies, 0 to 2, or None likewise.
        third_row: Likewise.
        point_column: Third of the photo in which the point itself lies, 0 (left) to 2.
        point_row: Likewise, 0 (top) to 2.
        colours: One or two colour words, the commoner first.
        texture: A texture word.
        object_colours: One or two colour words of the whole object, the commoner first; none where it cannot be
            said, and on the background.
    """

    label: str | None
    n_same: int
    which: str | None
    size: str | None
    image_column: int
    image_row: int
    part: str | None
    side: str | None
    view_side: str | None
    region: str | None
    near: tuple[Neighbour, ...]
    column: int | None
    row: int | None
    third_column: int | None
    third_row: int | None
    point_column: int
    point_row: int
    colours: tuple[str, ...]
    texture: str
    object_colours: tuple[str, ...] = ()


def point_facts(
    scene: Scene,
    point: tuple[float, float],
    pixels: np.ndarray,
    object_index: int | None,
    part: str | None = None,
    object_colours: tuple[str, ...] | None = None,
) -> PointFacts:
    """Find out what can be said about a point.

    Args:
        scene: The annotated photo.
        point: (x, y) in unit coordinates of the photo.
        pixels: The photo, uint8, shape (height, width, 3), RGB, in the same frame as the scene.
        object_index: Index into `scene.objects`, None for a point on the background.
        part: Name of the keypoint that the point is, for example "left ear"; None for an arbitrary point.
        object_colours: What `object_colours_of` says of the object, for whoever asks about many of its points; None
            measures it here.

    Returns:
        The facts, from which `write` makes text.

    Raises:
        ValueError: If the point is outside the photo, the index or the pixels do not fit, or a part comes
            without an object.
    """
    x, y = float(point[0]), float(point[1])
    if not (0 <= x <= 1 and 0 <= y <= 1):
        raise ValueError(f"point: ({x}, {y}) is outside the photo; both must be in [0, 1].")
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
        raise ValueError(f"pixels: {pixels.dtype} of shape {pixels.shape}; needs uint8 (height, width, 3).")
    colours, texture = look_at(pixels, (x, y))
    if object_index is None:
        if part is not None:
            raise ValueError(f"part: {part!r} was given for a background point; give its object_index too.")
        return _background_facts(scene, (x, y), colours, texture)
    if not 0 <= object_index < len(scene.objects):
        raise ValueError(f"object_index: {object_index} of {len(scene.objects)} objects; give None or a valid index.")
    item = scene.objects[object_index]
    x0, y0, x1, y1 = item.box
    across, down = (x - x0) / max(x1 - x0, 1e-9), (y - y0) / max(y1 - y0, 1e-9)
    which, size, n_same = _which(scene, object_index)
    if part is None:
        near = _around(item, (x, y), scene.size)
    else:
        others = tuple(keypoint for keypoint in item.keypoints if keypoint.name != part)
        near = _nearest(item, others, (x, y), scene.size, NEIGHBOUR_RANGE)
    return PointFacts(
        label=item.label,
        n_same=n_same,
        which=which,
        size=size,
        image_column=_cell((x0 + x1) / 2, 3),
        image_row=_cell((y0 + y1) / 2, 3),
        part=part,
        side=split_side(part)[0] if part is not None else None,
        view_side=_view_side(item, part, (x, y), scene.size) if part is not None else None,
        region=_region(item.label, part) if part is not None else None,
        near=near,
        column=_cell(across, 5),
        row=_cell(down, 5),
        third_column=_cell(across, 3),
        third_row=_cell(down, 3),
        point_column=_cell(x, 3),
        point_row=_cell(y, 3),
        colours=colours,
        texture=texture,
        object_colours=object_colours_of(pixels, item) if object_colours is None else object_colours,
    )


def split_side(name: str) -> tuple[str | None, str]:
    """Split a keypoint name into its side and the rest.

    Args:
        name: For example "left front paw" or "withers".

    Returns:
        ("left" or "right" or None, the rest of the name).
    """
    first, _, rest = name.partition(" ")
    return (first, rest) if first in ("left", "right") and rest else (None, name)


def _cell(fraction: float, cells: int) -> int:
    return min(max(math.floor(fraction * cells), 0), cells - 1)


def direction(dx: float, dy: float) -> str:
    """Name one of eight directions; dx to the right and dy downward, in pixels."""
    return DIRECTIONS[round(math.atan2(dy, dx) / (math.pi / 4)) % 8]


def _longer_side(item: SceneObject, size: tuple[int, int]) -> float:
    x0, y0, x1, y1 = item.box
    return max((x1 - x0) * size[1], (y1 - y0) * size[0], 1e-6)


def _view_side(item: SceneObject, part: str, point: tuple[float, float], size: tuple[int, int]) -> str | None:
    """Where a part lies as seen from its counterpart, along the axis on which the two are further apart."""
    other = swap_sides(part)
    if other == part:
        return None
    for keypoint in item.keypoints:
        if keypoint.name == other:
            dx, dy = (point[0] - keypoint.x) * size[1], (point[1] - keypoint.y) * size[0]
            if max(abs(dx), abs(dy)) < VIEW_APART * _longer_side(item, size):
                return None
            if abs(dx) >= abs(dy):
                return "left" if dx < 0 else "right"
            return "upper" if dy < 0 else "lower"
    return None


def _region(label: str, part: str) -> str | None:
    """Coarse part: a person has arms and legs, an animal front and back legs."""
    side, name = split_side(part)
    regions = PERSON_REGIONS if label == "person" else ANIMAL_REGIONS
    if side is not None and label != "person" and name.startswith(("front ", "back ")):
        return f"{name.partition(' ')[0]} leg"
    return regions.get(name)


def _nearest(
    item: SceneObject,
    keypoints: tuple[Keypoint, ...],
    point: tuple[float, float],
    size: tuple[int, int],
    distance_range: tuple[float, float],
) -> tuple[Neighbour, ...]:
    """The nearest keypoint whose distance, in longer sides of the object, is in the range."""
    height, width = size
    longer = _longer_side(item, size)
    best: tuple[float, float, float, str] | None = None
    for keypoint in keypoints:
        dx, dy = (point[0] - keypoint.x) * width, (point[1] - keypoint.y) * height
        distance = math.hypot(dx, dy) / longer
        if distance_range[0] <= distance <= distance_range[1] and (best is None or distance < best[0]):
            best = (distance, dx, dy, keypoint.name)
    if best is None:
        return ()
    return (Neighbour(best[3], direction(best[1], best[2]), best[0] < CLOSE),)


def _around(item: SceneObject, point: tuple[float, float], size: tuple[int, int]) -> tuple[Neighbour, ...]:
    """Neighbours of an arbitrary point: at a keypoint, between the two nearest, or beside the nearest."""
    height, width = size
    x, y = point[0] * width, point[1] * height
    longer = _longer_side(item, size)
    placed = [(math.hypot(k.x * width - x, k.y * height - y) / longer, k) for k in item.keypoints]
    placed.sort(key=lambda pair: pair[0])
    if not placed:
        return ()
    if placed[0][0] < NEIGHBOUR_RANGE[0]:
        return (Neighbour(placed[0][1].name, "at", True),)
    if len(placed) > 1 and placed[0][0] >= CLOSE / 2:
        for _, other in placed[1:4]:
            first = placed[0][1]
            ax, ay = first.x * width, first.y * height
            bx, by = other.x * width - ax, other.y * height - ay
            length = math.hypot(bx, by)
            if length < 1e-6:
                continue
            along = ((x - ax) * bx + (y - ay) * by) / length**2
            off = abs((x - ax) * by - (y - ay) * bx) / length**2
            if 0.2 < along < 0.8 and off < BETWEEN_WIDTH:
                return (Neighbour(first.name, "between", False), Neighbour(other.name, "between", False))
    return _nearest(item, item.keypoints, point, size, (0.0, math.inf))


def _which(scene: Scene, index: int) -> tuple[str | None, str | None, int]:
    """What tells an object from those of its label: by place, by size, and how many there are."""
    item = scene.objects[index]
    same = [i for i, other in enumerate(scene.objects) if other.label == item.label]
    n_same = len(same)
    if n_same == 1:
        return None, None, 1
    centres = {i: _centre(scene.objects[i]) for i in same}
    areas = {i: _area(scene.objects[i]) for i in same}
    others = [areas[i] for i in same if i != index]
    size = None
    if areas[index] > LARGER * max(others):
        size = "larger" if n_same == 2 else "largest"
    elif areas[index] * LARGER < min(others):
        size = "smaller" if n_same == 2 else "smallest"
    if n_same > MAX_COUNTED:
        return None, size, n_same
    which = place_among([centres[i][0] for i in same], same.index(index), ("left", "right"))
    if which is None and n_same <= 3:
        which = place_among([centres[i][1] for i in same], same.index(index), ("upper", "lower"))
    return which, size, n_same


def place_among(values: list[float], index: int, ends: tuple[str, str]) -> str | None:
    """Place of one value among the others from both ends; None if another is too close to tell."""
    value = values[index]
    if any(abs(value - other) < APART for i, other in enumerate(values) if i != index):
        return None
    before = sum(other < value for other in values)
    after = len(values) - 1 - before
    if before == after:
        return "middle"
    end, steps = (ends[0], before) if before < after else (ends[1], after)
    return end if steps == 0 else f"{('second', 'third')[steps - 1]} {end}"


def _centre(item: SceneObject) -> tuple[float, float]:
    x0, y0, x1, y1 = item.box
    return (x0 + x1) / 2, (y0 + y1) / 2


def _area(item: SceneObject) -> float:
    x0, y0, x1, y1 = item.box
    return (x1 - x0) * (y1 - y0)


def _background_facts(scene: Scene, point: tuple[float, float], colours: tuple[str, ...], texture: str) -> PointFacts:
    """Facts of a point on no object, relative to the box of the nearest one."""
    x, y = point
    height, width = scene.size
    nearest: SceneObject | None = None
    gap, nearest_gap = (0.0, 0.0), math.inf
    for item in scene.objects:
        x0, y0, x1, y1 = item.box
        dx = (x - min(max(x, x0), x1)) * width
        dy = (y - min(max(y, y0), y1)) * height
        if math.hypot(dx, dy) < nearest_gap:
            nearest, gap, nearest_gap = item, (dx, dy), math.hypot(dx, dy)
    near: tuple[Neighbour, ...] = ()
    across = down = 0.0
    if nearest is not None:
        x0, y0, x1, y1 = nearest.box
        across, down = (x - x0) / max(x1 - x0, 1e-9), (y - y0) / max(y1 - y0, 1e-9)
        relation = "around" if nearest_gap == 0 else direction(*gap)
        near = (Neighbour(nearest.label, relation, nearest_gap / _longer_side(nearest, scene.size) < CLOSE),)
    return PointFacts(
        label=None,
        n_same=0,
        which=None,
        size=None,
        image_column=_cell(x, 3),
        image_row=_cell(y, 3),
        part=None,
        side=None,
        view_side=None,
        region=None,
        near=near,
        column=None if nearest is None else _cell(across, 5),
        row=None if nearest is None else _cell(down, 5),
        third_column=None if nearest is None else _cell(across, 3),
        third_row=None if nearest is None else _cell(down, 3),
        point_column=_cell(x, 3),
        point_row=_cell(y, 3),
        colours=colours,
        texture=texture,
    )
