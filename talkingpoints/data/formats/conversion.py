"""From one format to another: find out what files hold, read and check them, write them, and say what is lost."""

import logging
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from talkingpoints.data.formats import coco_points, pixmo_points, point_table, yolo_pose
from talkingpoints.data.formats.interface import Format, ReadOptions
from talkingpoints.data.formats.records import Annotations, Losses, PhotoRecord, PointRecord
from talkingpoints.data.formats.tools import cvat, datumaro, label_studio, labelme, supervisely, via
from talkingpoints.data.validation.fields import shown
from talkingpoints.data.validation.findings import Findings
from talkingpoints.data.validation.paths import below, inside
from talkingpoints.data.validation.photos import check_size, seen_size
from talkingpoints.data.validation.units import TOPS, in_pixels, likely_unit

FORMATS: tuple[Format, ...] = (
    point_table.FORMAT,
    supervisely.FORMAT,
    yolo_pose.FORMAT,
    cvat.FORMAT,
    coco_points.FORMAT,
    datumaro.FORMAT,
    label_studio.FORMAT,
    labelme.FORMAT,
    via.FORMAT,
    pixmo_points.FORMAT,
)
"""All formats, in the order in which files are held against them."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Conversion:
    """What became of a file: how much was read and written, and what was not.

    Attributes:
        source, target: names of the formats.
        photos, points: how many were written.
        left_out: what the reader left out, in words, with counts.
        lost: what the format that was written cannot hold.
    """

    source: str
    target: str
    photos: int
    points: int
    left_out: Counter[str]
    lost: Losses

    def lines(self) -> list[str]:
        """For people: a line each."""
        report = [f"{self.photos} photos with {self.points} points: {self.source} -> {self.target}"]
        report += [f"not read: {count} {what}" for what, count in self.left_out.items() if count]
        return report + [f"lost: {count} {what}" for what, count in self.lost.items() if count]


def format_named(name: str) -> Format:
    """A format by its name.

    Raises:
        ValueError: If there is none of that name.
    """
    for one in FORMATS:
        if one.name == name:
            return one
    raise ValueError(f"no format {name!r}; there are {', '.join(one.name for one in FORMATS)}")


def detect(path: str | Path) -> Format:
    """Which format a file or folder has.

    Raises:
        ValueError: If nothing is there, no format fits, or several do; says what was expected.
    """
    path = Path(path)
    if not path.exists():
        raise ValueError(f"there is no file or folder {path}")
    fitting = [one for one in FORMATS if one.fits(path)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        names = ", ".join(one.name for one in fitting)
        raise ValueError(f"{path} holds files of several formats: {names}; name one of them, or give the file itself")
    expected = "\n".join(f"  {one.name}: {one.expected}" for one in FORMATS)
    raise ValueError(f"{path} fits no format; expected one of\n{expected}")


def read_annotations(
    source: str | Path,
    format_name: str | None = None,
    *,
    photos: str | Path | None = None,
    options: ReadOptions | None = None,
    skip_bad_rows: bool = False,
) -> Annotations:
    """Read a file or folder of any format, and check it.

    Args:
        source: a file or folder.
        format_name: of :data:`FORMATS`; None finds it out.
        photos: folder in which the photos are looked up; None looks beside the annotations. Where it is given, every
            photo must be there.
        options: see :class:`ReadOptions`.
        skip_bad_rows: log what is wrong and leave it out, in place of refusing all.

    Returns:
        Photos whose sizes are known, with points in pixels.

    Raises:
        ValueError: If it cannot be read, or something is wrong and is not to be skipped; lists what, with file, entry
            and field.
    """
    path = Path(source)
    if not path.exists():
        raise ValueError(f"there is no file or folder {path}")
    form = detect(path) if format_name is None else format_named(format_name)
    found = form.read(path, options or ReadOptions())
    _check(found, None if photos is None else Path(photos))
    found.findings.settle(skip_bad_rows)
    if not found.points and not any(photo.absent for photo in found.photos):
        left = "; ".join(f"{count} {what}" for what, count in found.left_out.items() if count)
        raise ValueError(f"{path} holds no points as {form.title}{f'; it holds {left}' if left else ''}")
    return found


def _check(found: Annotations, folder: Path | None) -> None:
    """Sizes against the photos, units, points inside, photos and points that come twice."""
    kept: list[PhotoRecord] = []
    names: dict[tuple[Path | None, str], int] = {}
    paths: dict[Path, int] = {}
    places: dict[tuple[Path | None, str], list[str]] = {}
    for photo in found.photos:
        about = f", {shown(photo.file_name)}"
        with found.findings.entry(found.where, photo.row, about):
            key = photo.folder, photo.file_name
            if key in names:
                raise ValueError(f"the photo comes twice, first in row {names[key]}")
            names[key] = photo.row
            root = folder or photo.folder
            if (root, photo.split) not in places:
                places[root, photo.split] = photo_folders(root, photo.split)
            photo.path = find_photo(photo, root, places[root, photo.split])
            if photo.path is not None and paths.setdefault(photo.path, photo.row) != photo.row:
                raise ValueError(f"the photo is {photo.path.name!r}, as in row {paths[photo.path]}")
            _check_photo(photo, folder)
            photo.points = _good_points(photo, found.findings, found.where)
            kept.append(photo)
    found.left_out["photos that are not at hand (their sizes are taken from the annotations)"] += sum(
        photo.path is None for photo in kept
    )
    found.photos = kept
    unit = likely_unit((((p.x, p.y) for p in photo.points), photo.size) for photo in kept if photo.size)
    if unit is not None:
        _log.warning(
            "%s: all points lie in the upper left %g pixels of their photos; are they a %s of the sides?",
            found.where, TOPS[unit], unit,
        )  # fmt: skip


def _check_photo(photo: PhotoRecord, folder: Path | None) -> None:
    if photo.path is None and folder is not None:
        raise ValueError(f"the photo is not in {folder}")
    if photo.path is None and photo.size is None:
        raise ValueError("the photo is not at hand, and its size is needed: say where the photos are")
    if photo.path is not None and photo.size is not None:
        check_size(photo.path, photo.size[1], photo.size[0])
    elif photo.path is not None:
        photo.size = seen_size(photo.path)


def _good_points(photo: PhotoRecord, findings: Findings, where: str) -> list[PointRecord]:
    """The points in pixels; those outside the photo and those that come twice are findings."""
    size = photo.size or (0, 0)
    good: list[PointRecord] = []
    for number, point in enumerate(photo.points):
        x, y = in_pixels((point.x, point.y), photo.unit, size)
        with findings.entry(where, photo.row, f", {shown(photo.file_name)}, point {number}"):
            if not (0 <= x <= size[1] and 0 <= y <= size[0]):
                raise ValueError(f"({x:g}, {y:g}) is outside the photo of {size[1]} x {size[0]} pixels")
            one = replace(point, x=x, y=y)
            if one in good:
                raise ValueError(f"({x:g}, {y:g}) comes twice with the same words")
            good.append(one)
    photo.unit = "pixels"
    return good


def photo_folders(root: Path | None, split: str) -> list[str]:
    """Where below a folder layouts have the photos of a split, such as ``images/train2017``."""
    places = ["", "images", "img"]
    if root is None or not split:
        return [*places, "images/default"]
    for parent in ("", "images"):
        folders = sorted(one for one in (root / parent).glob(f"{split}*") if one.is_dir())
        places += [f"{parent}/{one.name}".lstrip("/") for one in folders]
    return places


def find_photo(photo: PhotoRecord, root: Path | None, places: Sequence[str]) -> Path | None:
    """The file of a photo below a folder, in the places of :func:`photo_folders`; None if it is not at hand.

    Raises:
        ValueError: If the name leads out of the folder.
    """
    if root is None:
        return None
    name = photo.file_name
    if "://" in name:
        name = PurePosixPath(unquote(urlsplit(name).path)).name
    for wanted in filter(None, dict.fromkeys((name, *photo.other_names))):
        for place in places:
            if file := inside(root, f"{place}/{wanted}" if place else wanted):
                return file
    return None


def write_annotations(
    photos: Sequence[PhotoRecord], folder: str | Path, format_name: str, *, copy_photos: bool | None = None
) -> Losses:
    """Write photos with their points.

    Args:
        photos: with sizes, points in pixels; as :func:`read_annotations` gives them.
        folder: made if missing; must be empty.
        format_name: of :data:`FORMATS`.
        copy_photos: put the photos where the format has them; None does so for formats that want them there.

    Returns:
        What the format cannot hold.

    Raises:
        ValueError: If the format is only read, the folder is not empty, a photo has no size or leads out of the folder,
            or two photos would get the same place.
    """
    form, folder = format_named(format_name), Path(folder)
    if form.write is None:
        raise ValueError(f"{form.title} is only read; formats that are written: {', '.join(writable())}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} must be an empty folder, or not there yet")
    places: dict[str, str] = {}
    for photo in photos:
        if photo.size is None:
            raise ValueError(f"{photo.file_name!r} has no size; read_annotations fills it in from the photo")
        photo.file_name = photo.file_name if "://" not in photo.file_name else _basename(photo)
        place = form.photo_place(photo)
        below(folder, place)
        if place in places:
            raise ValueError(f"two photos would be {place!r} in {form.title}; rename one of them")
        places[place] = photo.file_name
    folder.mkdir(parents=True, exist_ok=True)
    losses = form.write(photos, folder)
    if form.needs_photos if copy_photos is None else copy_photos:
        for photo in photos:
            if photo.path is None:
                losses["photos that are not at hand and were not copied"] += 1
                continue
            target = folder / form.photo_place(photo)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(photo.path, target)
    return losses


def _basename(photo: PhotoRecord) -> str:
    return photo.path.name if photo.path else PurePosixPath(unquote(urlsplit(photo.file_name).path)).name


def writable() -> list[str]:
    """Names of the formats that are written."""
    return [one.name for one in FORMATS if one.write is not None]


def with_name_texts(photos: Iterable[PhotoRecord]) -> int:
    """Give each point without a text that of its keypoint's name, as "The dog's left ear"; how many got one."""
    count = 0
    for photo in photos:
        for number, point in enumerate(photo.points):
            if point.name and not point.text:
                text = f"The {point.label}'s {point.name}" if point.label else point.name
                photo.points[number] = replace(point, text=text)
                count += 1
    return count


def convert(
    source: str | Path,
    target: str | Path,
    to: str,
    format_name: str | None = None,
    *,
    photos: str | Path | None = None,
    options: ReadOptions | None = None,
    skip_bad_rows: bool = False,
    copy_photos: bool | None = None,
    name_texts: bool = False,
) -> Conversion:
    """Read one format and write another; see :func:`read_annotations` and :func:`write_annotations`.

    Args:
        name_texts: points without a text get the name of their keypoint for one.

    Example:
        >>> print("\\n".join(convert("export.json", "my_points", "points", photos="photos").lines()))
    """
    form = detect(source) if format_name is None else format_named(format_name)
    found = read_annotations(source, form.name, photos=photos, options=options, skip_bad_rows=skip_bad_rows)
    made = with_name_texts(found.photos) if name_texts else 0
    losses = write_annotations(found.photos, target, to, copy_photos=copy_photos)
    unread = sum(bool(point.name) and not point.text for photo in found.photos for point in photo.points)
    if to == point_table.FORMAT.name and unread:
        losses["names of keypoints, which training does not read (name_texts makes texts of them)"] += unread
    if made:
        found.left_out["texts that were made of keypoints' names"] = made
    return Conversion(form.title, format_named(to).title, len(found.photos), found.points, found.left_out, losses)
