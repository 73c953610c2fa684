"""Regions with captions, of Pix2Cap-COCO, Visual Genome and RefCOCOg-style files: photos, and what is said where.

A file lies in memory as boxes and texts; photos, PNGs and polygons become pixels when an example is asked for. Boxes
and masks are those of the photo as annotators saw it: a photo whose EXIF orientation turns it must have been turned.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NotRequired

import numpy as np
from typing_extensions import TypedDict

from talkingpoints.data.readers.coco_masks import check_segmentation, compact, mask_of
from talkingpoints.data.readers.coco_panoptic import PanopticPhotos, read_id_map
from talkingpoints.data.readers.segment_filters import SegmentFilters, filtered
from talkingpoints.data.validation.coco import about, coco_images, image_of, listed_ids, source
from talkingpoints.data.validation.fields import (
    Box,
    Name,
    Number,
    Side,
    Text,
    Whole,
    checked,
    checked_field,
    shown,
)
from talkingpoints.data.validation.files import read_json, read_object
from talkingpoints.data.validation.findings import Findings
from talkingpoints.data.validation.paths import below
from talkingpoints.data.validation.photos import check_size, seen_size

GENOME_FOLDERS = ("", "VG_100K", "VG_100K_2")
"""Where Visual Genome's photos lie below the given folder."""
TEXT_FIELDS = ("caption", "description", "sentences")
"""Fields of a COCO-style annotation that hold its text, the first that is there; `sentences` as in RefCOCO."""


@dataclass(frozen=True)
class CaptionedRegion:
    """One region.

    Args:
        text: what is said of it.
        box: x0, y0, x1, y1 in pixels.
        segment_id: its id in the photo's PNG, or None.
        segmentation: COCO polygons or run lengths, or None.
        row: its number in the file, for reports.
    """

    text: str
    box: tuple[float, float, float, float]
    segment_id: int | None = None
    segmentation: Any = None
    row: int = 0


@dataclass(frozen=True)
class RegionPhoto:
    """A photo with its regions, at least one.

    Args:
        image: file.
        regions: of it.
        id_map: PNG with the segments' pixels, where regions have a ``segment_id``.
        size: (height, width) as annotated, or None.
    """

    image: Path
    regions: tuple[CaptionedRegion, ...]
    id_map: Path | None = None
    size: tuple[int, int] | None = None

    def masks(self, indices: Iterable[int], size: tuple[int, int]) -> list[np.ndarray]:
        """The masks of some regions, a filled box where no more is known.

        Args:
            indices: into ``regions``.
            size: (height, width) of the photo.

        Returns:
            bool (height, width) for each.

        Raises:
            ValueError: a mask of another size, or without a pixel.
        """
        ids = None if self.id_map is None else read_id_map(self.id_map)
        if ids is not None and ids.shape != size:
            raise ValueError(f"{self.id_map}: size {ids.shape}; the photo has {size} (height, width)")
        found = []
        for index in indices:
            region = self.regions[index]
            if region.segment_id is not None and ids is not None:
                mask = ids == region.segment_id
            elif region.segmentation is not None:
                mask = mask_of(region.segmentation, size, f"{self.image}, region {index}")
            else:
                mask = _filled(region.box, size)
            if not mask.any():
                raise ValueError(f"{self.image}: region {index} ({region.text!r}) has no pixel")
            found.append(mask)
        return found


def pix2cap(
    annotations: Path,
    photos: Path,
    id_maps: Path | None = None,
    filters: SegmentFilters | None = None,
) -> list[RegionPhoto]:
    """Segments of COCO panoptic JSON with descriptions.

    Args:
        annotations, photos, id_maps: as `PanopticPhotos` takes them.
        filters: which texts are left out; default: as the released loader does it in training.

    Raises:
        ValueError: what `PanopticPhotos` refuses.
    """
    found = []
    segments = PanopticPhotos(annotations, photos, id_maps)
    for row, photo in enumerate(filtered(segments, filters or SegmentFilters.released())):
        regions = tuple(
            CaptionedRegion(segment.description.strip(), segment.box, segment.id, row=row)
            for segment in photo.segments
            if segment.description and segment.description.strip()
        )
        if regions:
            found.append(RegionPhoto(photo.image, regions, photo.id_map_file, photo.size))
    return found


def visual_genome_regions(annotations: Path, photos: Path, findings: Findings | None = None) -> list[RegionPhoto]:
    """Visual Genome's ``region_descriptions.json``; photos are ID.jpg in ``photos`` or in its VG_100K, VG_100K_2.

    Regions without words or without an area are left out, as are photos that then have none.

    Args:
        annotations, photos: files.
        findings: takes wrong regions and photos that are missing; None refuses them.

    Raises:
        ValueError: another layout, or a wrong entry.
    """
    content = read_json(annotations)
    if not isinstance(content, list) or not all(isinstance(e, dict) and {"id", "regions"} <= set(e) for e in content):
        raise ValueError(f"{annotations} is no region_descriptions.json: it needs a list of {{id, regions}}")
    wrong = Findings() if findings is None else findings
    found = []
    for number, entry in enumerate(content):
        regions = []
        for place, values in enumerate(checked_field(list[Any], entry, "regions")):
            with wrong.entry(str(annotations), number, f", image {shown(entry['id'])}, region {place}"):
                region = checked(_GenomeRegion, values)
                box = _corners([region["x"], region["y"], region["width"], region["height"]])
                if region["phrase"].strip() and box is not None:
                    regions.append(CaptionedRegion(region["phrase"].strip(), box, row=number))
        if regions:
            with wrong.entry(str(annotations), number):
                found.append(RegionPhoto(_genome_photo(photos, checked_field(Whole, entry, "id")), tuple(regions)))
    if findings is None:
        wrong.settle(skip_bad_rows=False)
    return found


def coco_regions(annotations: Path, photos: Path, findings: Findings | None = None) -> list[RegionPhoto]:
    """COCO-style JSON whose annotations have a ``bbox``, perhaps a ``segmentation``, and a text.

    The text is the annotation's ``caption`` or ``description``, each of its ``sentences`` (RefCOCOg: texts, or objects
    with ``sent`` or ``raw``), or else the ``caption`` of its image, which then speaks of the image's first annotation
    (RefCOCOg as MDETR released it). Regions without words or area are left out.

    Args:
        annotations, photos: file and folder.
        findings: takes wrong images and annotations; None refuses them.

    Raises:
        ValueError: another layout, or a wrong entry.
    """
    content = read_object(annotations, ("images", "annotations"), compact)
    wrong = Findings() if findings is None else findings
    images = {
        key: image for key, (_, image) in coco_images(annotations, content["images"], wrong, _Image, False).items()
    }
    listed, where = listed_ids(content["images"]), source(annotations, "annotations")
    by_image: dict[Any, list[CaptionedRegion]] = {}
    spoken: set[Any] = set()
    for number, entry in enumerate(content["annotations"]):
        with wrong.entry(where, number, about(entry)):
            values = checked(_Annotation, entry)
            image = image_of(values, images, listed)
            if image is None:
                continue
            texts = _texts(values)
            if texts is None:
                texts = [] if image["id"] in spoken else [image.get("caption") or ""]
                spoken.add(image["id"])
            box, mask = _corners(values["bbox"]), values.get("segmentation") or None
            if mask is not None:
                check_segmentation(mask, _size(image))
            for text in texts:
                if text.strip() and box is not None:
                    region = CaptionedRegion(text.strip(), box, None, mask, number)
                    by_image.setdefault(image["id"], []).append(region)
    if findings is None:
        wrong.settle(skip_bad_rows=False)
    return [
        RegionPhoto(below(photos, images[key]["file_name"]), tuple(rows), size=_size(images[key]))
        for key, rows in by_image.items()
    ]


def checked_photos(photos: Iterable[RegionPhoto], where: str, findings: Findings) -> list[RegionPhoto]:
    """The photos whose files are there and have the size of their annotation, with the regions that lie in them.

    Args:
        photos: as the readers give them.
        where: names their source in findings.
        findings: takes what is wrong.
    """
    found = []
    for photo in photos:
        row = photo.regions[0].row
        with findings.entry(where, row):
            for file in (photo.image, photo.id_map):
                if file is not None and not file.is_file():
                    raise ValueError(f"there is no file {file}")
            height, width = seen_size(photo.image)
            if photo.size is not None:
                check_size(photo.image, photo.size[1], photo.size[0])
            regions = []
            for region in photo.regions:
                x0, y0, x1, y1 = region.box
                with findings.entry(where, region.row, f", {shown(region.text)}"):
                    if not (x0 < width and y0 < height and x1 >= 0 and y1 >= 0):
                        raise ValueError(f"its box {region.box} lies outside the photo, which is {width} x {height}")
                    if region.segmentation is not None:
                        check_segmentation(region.segmentation, (height, width))
                    regions.append(region)
            if regions:
                found.append(replace(photo, regions=tuple(regions)))
    return found


class _GenomeRegion(TypedDict):
    x: Number
    y: Number
    width: Number
    height: Number
    phrase: Text


class _Image(TypedDict):
    id: Whole | Name
    file_name: Name
    width: NotRequired[Side]
    height: NotRequired[Side]
    caption: NotRequired[Text | None]


class _Sentence(TypedDict):
    raw: NotRequired[Text | None]
    sent: NotRequired[Text | None]


class _Annotation(TypedDict):
    image_id: Whole | Name
    bbox: Box
    segmentation: NotRequired[Any]
    caption: NotRequired[Text | list[Text | _Sentence]]
    description: NotRequired[Text | list[Text | _Sentence]]
    sentences: NotRequired[Text | list[Text | _Sentence]]


def _size(image: _Image) -> tuple[int, int] | None:
    """(height, width) as the file has it, None where it does not say."""
    return (image["height"], image["width"]) if "height" in image and "width" in image else None


def _texts(values: Mapping[str, Any]) -> list[str] | None:
    """An annotation's texts; None where it has none of the fields."""
    name = next((name for name in TEXT_FIELDS if name in values), None)
    if name is None:
        return None
    given = [values[name]] if isinstance(values[name], str) else values[name]
    return [row if isinstance(row, str) else row.get("raw") or row.get("sent") or "" for row in given]


def _corners(box: list[float]) -> tuple[float, float, float, float] | None:
    """x, y, width, height -> corners; None without an area."""
    x, y, width, height = box
    return (x, y, x + width, y + height) if width > 0 and height > 0 else None


def _filled(box: tuple[float, float, float, float], size: tuple[int, int]) -> np.ndarray:
    """The pixels whose centre lies in a box, or else the one in its middle."""
    height, width = size
    x0, y0, x1, y1 = box
    xs, ys = np.arange(width) + 0.5, np.arange(height) + 0.5
    mask = ((ys >= y0) & (ys <= y1))[:, None] & ((xs >= x0) & (xs <= x1))[None]
    if not mask.any() and 0 <= x0 + x1 < 2 * width and 0 <= y0 + y1 < 2 * height:
        mask[int((y0 + y1) / 2), int((x0 + x1) / 2)] = True
    return mask


def _genome_photo(photos: Path, number: Any) -> Path:
    for folder in GENOME_FOLDERS:
        file = photos / folder / f"{number}.jpg"
        if file.is_file():
            return file
    raise ValueError(f"no photo {number}.jpg in {photos} or its VG_100K, VG_100K_2")
