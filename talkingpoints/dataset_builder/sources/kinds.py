"""Which reader reads which layout."""

from pathlib import Path

from talkingpoints.dataset_builder.sources.coco_parts import CocoParts
from talkingpoints.dataset_builder.sources.coco_points import CocoPoints
from talkingpoints.dataset_builder.sources.index_masks import Ade20kPart234, IndexMasks, PascalPart116
from talkingpoints.dataset_builder.sources.pascal_part import PascalPart
from talkingpoints.dataset_builder.sources.source import Folder, PartSource

LAYOUTS: dict[str, type[PartSource]] = {
    "coco_parts": CocoParts,
    "coco_keypoints": CocoPoints,
    "pascal_part": PascalPart,
    "pascal_part_116": PascalPart116,
    "ade20k_part_234": Ade20kPart234,
    "masks": IndexMasks,
}


def open_source(
    layout: str,
    place: str | Path,
    split: str,
    *,
    name: str | None = None,
    label: str | None = None,
    cache: Path | None = None,
) -> PartSource:
    """Open one split of a dataset.

    Args:
        layout: one of `LAYOUTS`.
        place: folder, or URL of one in a bucket.
        split: of the dataset; "all" for layouts without splits.
        name: of the dataset; None takes the folder's.
        label: owner of parts that the data give none.
        cache: where files of a bucket are kept.

    Raises:
        ValueError: an unknown layout, or what its reader refuses.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"source: {layout!r} is no known layout; allowed: {sorted(LAYOUTS)}")
    return LAYOUTS[layout](Folder(place, cache), split, name, label)
