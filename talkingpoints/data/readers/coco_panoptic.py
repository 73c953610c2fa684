"""Photos cut into segments with a text each: reader and writer of COCO panoptic JSON with descriptions (Pix2Cap-COCO).

The JSON holds the segments, a PNG beside it their pixels: id = R + 256 G + 65536 B, 0 for pixels of no segment. A
segment's id is unique in its photo only, so a segment's key is (image id, segment id). Leaves out which texts are good
enough: segment_filters.py.
"""

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, NotRequired

import numpy as np
from PIL import Image
from pydantic import Field
from typing_extensions import TypedDict

from talkingpoints.data.validation.coco import CocoCategory, coco_categories, coco_images, source
from talkingpoints.data.validation.fields import Box, Name, Number, Text, Whole, checked
from talkingpoints.data.validation.files import read_object
from talkingpoints.data.validation.findings import Findings
from talkingpoints.data.validation.paths import below
from talkingpoints.data.validation.photos import read_pixels
from talkingpoints.masks import mask_box

VOID = 0
"""Id of pixels that belong to no segment."""
LARGEST_ID = 256**3 - 1

SegmentKey = tuple[int, int]
"""(image id, segment id)."""


@dataclass(frozen=True)
class Category:
    """A category: things are counted, stuff (grass, sky) is one segment a photo."""

    id: int
    name: str
    is_thing: bool
    supercategory: str = ""


@dataclass(frozen=True)
class Segment:
    """A segment of a photo.

    Args:
        id: unique in its photo, 1 to `LARGEST_ID`.
        category_id: as the file has it; COCO's ids have gaps.
        category: the category's name, for example "person" or "grass-merged".
        is_thing: whether the category is countable.
        is_crowd: whether it covers several objects of the category that nobody told apart.
        box: (x0, y0, x1, y1) in pixels of the photo.
        area: pixels.
        description: text about this segment; None where the file has none, "" where it has an empty one.
        score: how sure a model is of the segment, 0 to 1; None for annotations.
    """

    id: int
    category_id: int
    category: str
    is_thing: bool
    is_crowd: bool
    box: tuple[float, float, float, float]
    area: int
    description: str | None = None
    score: float | None = None


@dataclass(frozen=True)
class PanopticPhoto:
    """A photo with its segments; its pixels are read when asked for.

    Args:
        image_id: of the photo.
        image: its file.
        id_map_file: the PNG with the segments' pixels.
        size: (height, width) in pixels.
        segments: in the order of the file.
    """

    image_id: int
    image: Path
    id_map_file: Path
    size: tuple[int, int]
    segments: tuple[Segment, ...]

    def id_map(self) -> np.ndarray:
        """Each pixel's segment, int32 (height, width); `VOID` for none.

        Raises:
            ValueError: the PNG is missing, has another size, or other ids than the JSON.
        """
        ids = read_id_map(self.id_map_file)
        if ids.shape != self.size:
            raise ValueError(f"{self.id_map_file}: size {ids.shape}; the JSON says {self.size} (height, width)")
        drawn, listed = set(np.unique(ids).tolist()) - {VOID}, {segment.id for segment in self.segments}
        if drawn != listed:
            raise ValueError(
                f"image {self.image_id}: ids in the PNG only: {sorted(drawn - listed)}, in the JSON only: "
                f"{sorted(listed - drawn)}"
            )
        return ids

    def with_descriptions(self, texts: Mapping[SegmentKey, str | None]) -> "PanopticPhoto":
        """The same photo with the texts of its segments; segments that are not in `texts` get None."""
        segments = tuple(replace(s, description=texts.get((self.image_id, s.id))) for s in self.segments)
        return replace(self, segments=segments)


class _Entry(TypedDict):
    image_id: Whole
    file_name: Name
    segments_info: list[Any]


class _SegmentInfo(TypedDict):
    id: Annotated[Whole, Field(ge=1, le=LARGEST_ID)]
    category_id: Whole
    iscrowd: NotRequired[Whole | bool | None]
    bbox: NotRequired[Box | None]
    area: NotRequired[Number | None]
    description: NotRequired[Text | None]
    caption: NotRequired[Text | None]
    score: NotRequired[Number | None]


class _PanopticCategory(CocoCategory):
    isthing: NotRequired[Whole | bool]


class PanopticPhotos(Sequence[PanopticPhoto]):
    """The photos of an annotation file, made one at a time.

    Args:
        annotations: COCO panoptic JSON; segments may have a ``description``, or a ``caption`` (predictions).
        photos: folder of the photos.
        id_maps: folder of the PNGs; None takes the folder beside the JSON's that is named as COCO does: for
            ``annotations/NAME.json`` ``annotations/NAME`` or ``NAME``.

    Raises:
        ValueError: no such file, another layout, an image or segment that comes twice, or an unknown category.

    Example:
        >>> photos = PanopticPhotos(root / "annotations/pix2cap_coco_val.json", root / "val2017",
        ...                         root / "panoptic_val2017")
        >>> photos[0].segments[0].description
    """

    def __init__(self, annotations: Path, photos: Path, id_maps: Path | None = None):
        self.annotations, self.photos = Path(annotations), Path(photos)
        content = read_object(self.annotations, ("images", "annotations", "categories"))
        self.categories = _categories(content, self.annotations)
        self.id_maps = Path(id_maps) if id_maps is not None else _id_maps_of(self.annotations)
        findings = Findings()
        images = coco_images(self.annotations, content["images"], findings)
        self._images = {key: image for key, (_, image) in images.items()}
        self._entries: list[_Entry] = []
        self._index: dict[int, int] = {}
        for number, values in enumerate(content["annotations"]):
            with findings.entry(source(self.annotations, "annotations"), number):
                entry = checked(_Entry, values)
                if entry["image_id"] in self._index:
                    raise ValueError(f"two annotations for image {entry['image_id']}")
                self._index[entry["image_id"]] = len(self._entries)
                self._entries.append(entry)
        findings.settle(skip_bad_rows=False)

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self._photo(entry) for entry in self._entries[index]]
        return self._photo(self._entries[index])

    def __contains__(self, image_id: object) -> bool:
        return image_id in self._index

    @property
    def image_ids(self) -> Sequence[int]:
        """The photos' ids, in order."""
        return list(self._index)

    def of_image(self, image_id: int) -> PanopticPhoto:
        """The photo with an id.

        Raises:
            ValueError: the file has no such photo.
        """
        if image_id not in self._index:
            raise ValueError(f"{self.annotations} has no annotation for image {image_id}")
        return self._photo(self._entries[self._index[image_id]])

    def descriptions(self) -> dict[SegmentKey, str]:
        """All texts by their segment's key, to be joined with another file's segments."""
        found = {}
        for photo in self:
            for segment in photo.segments:
                if segment.description is not None:
                    found[photo.image_id, segment.id] = segment.description
        return found

    def _photo(self, entry: "_Entry") -> PanopticPhoto:
        image_id = entry["image_id"]
        image = self._images.get(image_id)
        if image is None:
            raise ValueError(f"{self.annotations}: image {image_id} is annotated but not in images")
        segments: list[Segment] = []
        for number, values in enumerate(entry["segments_info"]):
            try:
                segments.append(_segment(checked(_SegmentInfo, values), self.categories))
            except ValueError as error:
                raise ValueError(f"{self.annotations}: image {image_id}, segment {number}: {error}") from None
        ids = [segment.id for segment in segments]
        if len(set(ids)) != len(ids):
            raise ValueError(f"{self.annotations}: image {image_id} has a segment twice: {sorted(ids)}")
        files = below(self.photos, image["file_name"]), below(self.id_maps, entry["file_name"])
        photo = PanopticPhoto(image_id, *files, (image["height"], image["width"]), tuple(segments))
        if all(segment.area for segment in segments):
            return photo
        id_map = photo.id_map()  # the JSON gives no boxes and areas
        return replace(photo, segments=tuple(measured(segment, id_map) for segment in segments))


class PanopticWriter:
    """Writes a file that `PanopticPhotos` reads; the file appears, whole, when it is closed.

    Args:
        annotations: the JSON to write.
        categories: all of the data, also those that no segment has.
        id_maps: folder for the PNGs: of pixels that are given to `add`, and else links to, or copies of, those that
            there are. None leaves these where they are, in a folder that readers must then be told.
        text_field: "description" for annotations, "caption" for predictions, as the public evaluator wants them.
        photos: folder that the photos' names are written from; None takes that of the first photo.
        photo_maps: likewise, of the PNGs that are there already.

    Example:
        >>> with PanopticWriter(out / "pix2cap.json", photos.categories.values()) as writer:
        ...     for photo in photos:
        ...         writer.add(photo.with_descriptions(texts))
    """

    def __init__(
        self,
        annotations: Path,
        categories: Iterable[Category],
        id_maps: Path | None = None,
        text_field: str = "description",
        photos: Path | None = None,
        photo_maps: Path | None = None,
    ):
        if text_field not in ("description", "caption"):
            raise ValueError(f'text_field: {text_field!r}; allowed: "description", "caption"')
        self.annotations, self.id_maps, self.text_field = Path(annotations), id_maps, text_field
        self.photos, self.photo_maps = photos, photo_maps
        self._categories = list(categories)
        self._images: dict[int, dict[str, Any]] = {}
        self._entries: list[dict[str, Any]] = []

    def __enter__(self) -> "PanopticWriter":
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        if kind is None:
            self.close()

    def add(self, photo: PanopticPhoto, id_map: np.ndarray | None = None) -> None:
        """One photo.

        Args:
            photo: its segments' areas and boxes are written as they are.
            id_map: pixels' segments, integers (height, width), written as PNG; None where the PNG is there already.

        Raises:
            ValueError: the photo was there before, pixels were given and the writer has no folder for them, or a file
                does not lie in the folder that names are written from: nobody would find it again.
        """
        if photo.image_id in self._images:
            raise ValueError(f"image {photo.image_id} came before")
        height, width = photo.size
        if self.photos is None:
            self.photos = photo.image.parent
        file_name = _below(photo.image, self.photos)
        if id_map is None:
            if self.photo_maps is None:
                self.photo_maps = photo.id_map_file.parent
            name = _below(photo.id_map_file, self.photo_maps)
            if self.id_maps is not None:
                _link_or_copy(photo.id_map_file, self.id_maps / name)
        else:
            name = f"{photo.image.stem}.png"
            if self.id_maps is None:
                raise ValueError("id_map was given, but the writer has no folder id_maps")
            self.id_maps.mkdir(parents=True, exist_ok=True)
            write_id_map(self.id_maps / name, id_map)
        self._images[photo.image_id] = {
            "id": photo.image_id, "file_name": file_name, "width": width, "height": height,
        }  # fmt: skip
        segments = [self._values(segment) for segment in photo.segments]
        self._entries.append({"image_id": photo.image_id, "file_name": name, "segments_info": segments})

    def close(self) -> None:
        """Write the file."""
        categories = [
            {"id": c.id, "name": c.name, "isthing": int(c.is_thing), "supercategory": c.supercategory}
            for c in self._categories
        ]
        content = {"images": list(self._images.values()), "annotations": self._entries, "categories": categories}
        self.annotations.parent.mkdir(parents=True, exist_ok=True)
        part = self.annotations.with_name(f"{self.annotations.name}.part")
        part.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
        os.replace(part, self.annotations)

    def _values(self, segment: Segment) -> dict[str, Any]:
        x0, y0, x1, y1 = segment.box
        values: dict[str, Any] = {
            "id": segment.id,
            "category_id": segment.category_id,
            "iscrowd": int(segment.is_crowd),
            "bbox": [round(v) if float(v).is_integer() else v for v in (x0, y0, x1 - x0, y1 - y0)],
            "area": segment.area,
        }
        if segment.description is not None:
            values[self.text_field] = segment.description
        if segment.score is not None:
            values["score"] = segment.score
        return values


def read_id_map(file: Path) -> np.ndarray:
    """The ids in a PNG, int32 (height, width).

    Raises:
        ValueError: no such PNG, no RGB image, or one of too many pixels.
    """
    pixels = read_pixels(file, ("RGB",)).astype(np.int32)
    return pixels[..., 0] + 256 * pixels[..., 1] + 65536 * pixels[..., 2]


def write_id_map(file: Path, id_map: np.ndarray) -> None:
    """The inverse of `read_id_map`.

    Raises:
        ValueError: not integers of shape (height, width), or ids out of range.
    """
    if id_map.ndim != 2 or not np.issubdtype(id_map.dtype, np.integer):
        raise ValueError(f"id_map: {id_map.dtype} of shape {id_map.shape}; needs integers (height, width)")
    if id_map.size and (id_map.min() < 0 or id_map.max() > LARGEST_ID):
        raise ValueError(f"id_map: ids from {id_map.min()} to {id_map.max()}; allowed: 0 to {LARGEST_ID}")
    channels = [(id_map >> shift) & 255 for shift in (0, 8, 16)]
    Image.fromarray(np.stack(channels, axis=-1).astype(np.uint8)).save(file)


def measured(segment: Segment, id_map: np.ndarray) -> Segment:
    """The segment with box and area as its pixels have them.

    Raises:
        ValueError: the map has no pixel of it.
    """
    inside = id_map == segment.id
    if not inside.any():
        raise ValueError(f"id_map has no pixel of segment {segment.id}")
    return replace(segment, box=mask_box(inside), area=int(inside.sum()))


def _segment(values: "_SegmentInfo", categories: Mapping[int, Category]) -> Segment:
    """A segment; area 0 where the JSON gives no area or no box."""
    category = categories.get(values["category_id"])
    if category is None:
        raise ValueError(f"unknown category {values['category_id']}")
    box, area = values.get("bbox"), values.get("area")
    x, y, width, height = box or (0.0, 0.0, 0.0, 0.0)
    return Segment(
        id=values["id"],
        category_id=category.id,
        category=category.name,
        is_thing=category.is_thing,
        is_crowd=bool(values.get("iscrowd", 0)),
        box=(x, y, x + width, y + height),
        area=int(area) if area and width > 0 and height > 0 else 0,
        description=values["description"] if "description" in values else values.get("caption"),
        score=values.get("score"),
    )


def all_segments(photos: Iterable[PanopticPhoto]) -> Iterator[tuple[PanopticPhoto, Segment]]:
    """Segments with their photos, one at a time."""
    return ((photo, segment) for photo in photos for segment in photo.segments)


def _link_or_copy(file: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    try:
        os.link(file.resolve(), place)
    except OSError:  # another disk, or one that knows no links
        shutil.copyfile(file, place)


def _below(file: Path, folder: Path) -> str:
    if not file.is_relative_to(folder):
        raise ValueError(f"{file} does not lie in {folder}; write photos of several folders into a JSON each")
    return file.relative_to(folder).as_posix()


def _categories(content: dict[str, Any], file: Path) -> dict[int, Category]:
    return {
        key: Category(key, values["name"], bool(values.get("isthing", 1)), values.get("supercategory") or "")
        for key, values in coco_categories(file, content["categories"], _PanopticCategory).items()
    }


def _id_maps_of(annotations: Path) -> Path:
    candidates = (annotations.with_suffix(""), annotations.parent.parent / annotations.stem)
    for folder in candidates:
        if folder.is_dir():
            return folder
    raise ValueError(f"no folder of PNGs for {annotations} (looked for {' and '.join(map(str, candidates))}); name it")
