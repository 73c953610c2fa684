"""Panoptic segments from photos with PASCAL VOC class masks, such as AnimalPose's, with one command.

    python -m training.dataset.build_panoptic_masks --dataset DIR --output_dir runs/panoptic

DIR holds ``images/``, ``annotations/SPLIT.json`` (COCO; only its ``images`` are read) and ``masks/`` with a palette PNG
of the same name for some of the photos; photos without a mask are left out. Writes COCO panoptic JSON,
``annotations/SPLIT.json``, whose photos are named relative to ``DIR/images`` and stay there, and the segments' pixels,
``SPLIT/NAME.png``: what ``PanopticPhotos(output_dir / "annotations/train.json", DIR / "images")`` reads.

The rule (talkingpoints/data/readers/class_masks.py): cat, cow, dog, horse, sheep and person are things, each
8-connected piece of such a class in the mask is a segment, and pieces below ``--smallest`` (a share of the photo)
become void. All other classes and VOC's background are one stuff segment, ``background``. VOC's void (255) stays void
(0).
"""

import json
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from talkingpoints.data.readers.class_masks import CATEGORIES, SMALLEST, read_class_mask, segments_of
from talkingpoints.data.readers.coco_panoptic import PanopticPhoto, PanopticWriter
from talkingpoints.data.validation.coco import coco_images
from talkingpoints.data.validation.files import read_object
from talkingpoints.data.validation.findings import Findings
from talkingpoints.data.validation.paths import below
from training.sft.arguments import parse_arguments


@dataclass(kw_only=True)
class MaskArguments:
    """What is built from what."""

    dataset: str = field(metadata={"help": "folder with images/, annotations/SPLIT.json and masks/"})
    output_dir: str = field(metadata={"help": "folder to write"})
    splits: list[str] = field(default_factory=lambda: ["train", "val", "test"], metadata={"help": "names of splits"})
    smallest: float = field(default=SMALLEST, metadata={"help": "share of the photo; smaller things become void"})

    def __post_init__(self) -> None:
        if not 0 <= self.smallest <= 1:
            raise ValueError(f"smallest: {self.smallest:g}; allowed: a share of the photo, 0 to 1")


ARGUMENTS = (MaskArguments,)


def listed_images(file: Path) -> list[dict[str, Any]]:
    """The entries ``images`` of a COCO file.

    Raises:
        ValueError: If the file is missing, or its images lack id, file_name, width or height.
    """
    findings = Findings()
    images = coco_images(file, read_object(file, ("images",))["images"], findings)
    findings.settle(skip_bad_rows=False)
    return [image for _, image in images.values()]


def build(dataset: Path, output: Path, split: str, smallest: float) -> dict[str, Any]:
    """One split.

    Returns:
        How many photos have a mask and how many have none, and the segments of each category.

    Raises:
        ValueError: If a file cannot be read, a mask and its photo differ in size, or no photo has a mask.
    """
    images = listed_images(dataset / "annotations" / f"{split}.json")
    counts: Counter[str] = Counter()
    written = 0
    with PanopticWriter(output / "annotations" / f"{split}.json", CATEGORIES, output / split,
                        photos=dataset / "images") as writer:  # fmt: skip
        for image in tqdm(images, desc=split, unit="photo"):
            photo = below(dataset / "images", image["file_name"])
            mask = dataset / "masks" / f"{photo.stem}.png"
            if not mask.is_file():
                continue
            if not photo.is_file():
                raise ValueError(f"there is a mask {mask}, but no photo {photo}")
            classes, size = read_class_mask(mask), (image["height"], image["width"])
            if classes.shape != size:
                raise ValueError(f"{mask}: size {classes.shape}; the photo's is {size} (height, width)")
            ids, segments = segments_of(classes, smallest)
            writer.add(PanopticPhoto(image["id"], photo, mask, size, segments), ids)
            counts.update(segment.category for segment in segments)
            written += 1
        if not written:
            raise ValueError(f"none of the {len(images)} photos of {split} has a mask in {dataset / 'masks'}")
    return {"photos": written, "without_mask": len(images) - written, "segments": dict(sorted(counts.items()))}


def main(argv: list[str]) -> dict[str, Any]:
    """Build; see the module docstring."""
    (arguments,) = parse_arguments(ARGUMENTS, argv)
    dataset, output = Path(arguments.dataset), Path(arguments.output_dir)
    report: dict[str, Any] = {"smallest": arguments.smallest}
    for split in arguments.splits:
        report[split] = build(dataset, output, split, arguments.smallest)
        print(f"{split}: {json.dumps(report[split])}")
    (output / "counts.json").write_text(json.dumps(report, indent=2), encoding="utf-8")
    return report


if __name__ == "__main__":
    main(sys.argv[1:])
