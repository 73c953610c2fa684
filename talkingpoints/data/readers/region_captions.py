"""Regions with captions, of Pix2Cap-COCO, Visual Genome and RefCOCOg-style files: photos, and what is said where.

A file lies in memory as boxes and texts; photos, PNGs and polygons become pixels when an example is asked for. Boxes
and masks are those of the photo as annotators saw it: a photo whose EXIF orientation turns it must have been turned.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from talkingpoints.data.readers.coco_masks import compact, mask_of
from talkingpoints.data.readers.coco_panoptic import PanopticPhotos, load_json, read_id_map
from talkingpoints.data.readers.segment_filters import SegmentFilters, filtered

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
    """

    text: str
    box: tuple[float, float, float, float]
    segment_id: int | None = None
    segmentation: Any = None


@dataclass(frozen=True)
class RegionPhoto:
    """A photo with its regions, at least one.

    Args:
        image: file.
        regions: of it.
        id_map: PNG with the segments' pixels, where regions have a ``segment_id``.
    """

    image: Path
    regions: tuple[CaptionedRegion, ...]
    id_map: Path | None = None

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
    for photo in filtered(PanopticPhotos(annotations, photos, id_maps), filters or SegmentFilters.released()):
        regions = tuple(
            CaptionedRegion(segment.description.strip(), segment.box, segment.id)
            for segment in photo.segments
            if segment.description and segment.description.strip()
        )
        if regions:
            found.append(RegionPhoto(photo.image, regions, photo.id_map_file))
    return found


def visual_genome_regions(annotations: Path, photos: Path) -> list[RegionPhoto]:
    """Visual Genome's ``region_descriptions.json``; photos are ID.jpg in ``photos`` or in its VG_100K, VG_100K_2.

    Regions without words or without an area are left out, as are photos that then have none.

    Raises:
        ValueError: another layout, or a photo is missing.
    """
    content = load_json(annotations)
    if not isinstance(content, list) or not all(isinstance(e, dict) and {"id", "regions"} <= set(e) for e in content):
        raise ValueError(f"{annotations} is no region_descriptions.json: it needs a list of {{id, regions}}")
    found = []
    for entry in content:
        regions = []
        for values in entry["regions"]:
            where = f"{annotations}: image {entry['id']}, region {values.get('region_id')}"
            box = _box([_value(values, name, where) for name in ("x", "y", "width", "height")], where)
            text = str(_value(values, "phrase", where)).strip()
            if text and box is not None:
                regions.append(CaptionedRegion(text, box))
        if regions:
            found.append(RegionPhoto(_genome_photo(photos, entry["id"]), tuple(regions)))
    return found


def coco_regions(annotations: Path, photos: Path) -> list[RegionPhoto]:
    """COCO-style JSON whose annotations have a ``bbox``, perhaps a ``segmentation``, and a text.

    The text is the annotation's ``caption`` or ``description``, each of its ``sentences`` (RefCOCOg: texts, or objects
    with ``sent`` or ``raw``), or else the ``caption`` of its image, which then speaks of the image's first annotation
    (RefCOCOg as MDETR released it). Regions without words or area are left out.

    Raises:
        ValueError: another layout, or an annotation without its image.
    """
    content = load_json(annotations, compact)
    if not isinstance(content, dict) or not {"images", "annotations"} <= set(content):
        raise ValueError(f"{annotations} needs images and annotations, as COCO has them")
    images = {image["id"]: image for image in content["images"]}
    by_image: dict[Any, list[CaptionedRegion]] = {}
    spoken: set[Any] = set()
    for values in content["annotations"]:
        where = f"{annotations}: annotation {values.get('id')}"
        image = images.get(_value(values, "image_id", where))
        if image is None:
            raise ValueError(f"{where}: image {values['image_id']} is not in images")
        texts = _texts(values, where)
        if texts is None:
            texts = [] if image["id"] in spoken else [str(image.get("caption", ""))]
            spoken.add(image["id"])
        box = _box(_value(values, "bbox", where), where)
        for text in texts:
            if text.strip() and box is not None:
                region = CaptionedRegion(text.strip(), box, None, values.get("segmentation") or None)
                by_image.setdefault(image["id"], []).append(region)
    return [RegionPhoto(photos / images[key]["file_name"], tuple(rows)) for key, rows in by_image.items()]


def _texts(values: Mapping[str, Any], where: str) -> list[str] | None:
    """An annotation's texts; None where it has none of the fields."""
    name = next((name for name in TEXT_FIELDS if name in values), None)
    if name is None:
        return None
    given = values[name]
    if isinstance(given, str):
        return [given]
    if not isinstance(given, list):
        raise ValueError(f"{where}: {name} must be a text or a list of them, got {type(given).__name__}")
    return [row if isinstance(row, str) else str(row.get("raw") or row.get("sent") or "") for row in given]


def _box(values: Any, where: str) -> tuple[float, float, float, float] | None:
    """x, y, width, height -> corners; None without an area."""
    if len(values) != 4 or not all(isinstance(value, int | float) for value in values):
        raise ValueError(f"{where}: a box is x, y, width, height, got {values}")
    x, y, width, height = map(float, values)
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


def _value(values: Mapping[str, Any], name: str, where: str) -> Any:
    if name not in values:
        raise ValueError(f"{where} has no {name}")
    return values[name]
