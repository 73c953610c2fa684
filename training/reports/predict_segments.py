"""Let a segmenter find segments in annotated photos, write them as COCO panoptic JSON, and measure them.

    python -m training.reports.predict_segments --segmenter talkingpoints/checkpoints/segmenter --photos DIR/images \\
        --annotations runs/panoptic/annotations/test.json --output runs/segments/predictions.json \\
        --descriptor talkingpoints/checkpoints/descriptor

``--segmenter`` is any folder or Hub id that ``AutoModelForUniversalSegmentation`` loads and whose labels are among the
annotations' categories. Writes the JSON, a folder of the same name with the segments' pixels, which is what
training/reports/evaluate_segments.py reads, and ``NAME_quality.json`` with panoptic quality in percent. With
``--descriptor`` each segment has a caption.
"""

import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm
from transformers import AutoImageProcessor, AutoModelForUniversalSegmentation

from talkingpoints import PointDescriptor, PointDescriptorProcessor
from talkingpoints.adapters import load_model
from talkingpoints.data.readers.coco_panoptic import PanopticPhoto, PanopticPhotos, PanopticWriter
from talkingpoints.encoded_photo import EncodedPhoto, describe_places
from talkingpoints.evaluation.metrics.panoptic_quality import PanopticEvaluation, compared
from talkingpoints.evaluation.segment_predictions import percentages, predicted
from training.sft.arguments import parse_arguments


@dataclass(kw_only=True)
class PredictionArguments:
    """Who finds segments in what."""

    segmenter: str = field(metadata={"help": "folder or Hub id of a universal segmenter"})
    annotations: str = field(metadata={"help": "COCO panoptic JSON"})
    photos: str = field(metadata={"help": "folder of its photos"})
    output: str = field(metadata={"help": "JSON to write"})
    id_maps: str | None = field(default=None, metadata={"help": "folder of the annotations' PNGs; default: as COCO's"})
    descriptor: str | None = field(default=None, metadata={"help": "folder or Hub id of a descriptor, for captions"})
    threshold: float | None = field(default=None, metadata={"help": "of segments' scores; default: the processor's"})
    batch_size: int = field(default=16, metadata={"help": "photos at once"})
    limit: int = field(default=0, metadata={"help": "photos; 0 takes all"})
    threads: int = field(default=0, metadata={"help": "torch threads; 0 leaves torch's default"})

    def __post_init__(self) -> None:
        if self.limit < 0 or self.batch_size < 1:
            raise ValueError(f"limit must not be negative and batch_size not below 1, got {self.limit} and "
                             f"{self.batch_size}")  # fmt: skip


def captioned(
    model: PointDescriptor, processor: PointDescriptorProcessor, photo: PanopticPhoto, ids: np.ndarray
) -> PanopticPhoto:
    """A photo whose found segments have the descriptor's words."""
    masks = [ids == segment.id for segment in photo.segments]
    texts = describe_places(model, processor, EncodedPhoto(photo.image), "masks", masks)
    keys = [(photo.image_id, segment.id) for segment in photo.segments]
    return photo.with_descriptions(dict(zip(keys, texts, strict=True)))


def main(argv: list[str]) -> dict[str, Any]:
    """Predict and measure; see the module docstring."""
    (arguments,) = parse_arguments((PredictionArguments,), argv)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    maps = None if arguments.id_maps is None else Path(arguments.id_maps)
    truth = PanopticPhotos(Path(arguments.annotations), Path(arguments.photos), maps)
    photos, output = truth[: arguments.limit or None], Path(arguments.output)
    model = AutoModelForUniversalSegmentation.from_pretrained(arguments.segmenter, dtype=torch.float32).eval()
    processor = AutoImageProcessor.from_pretrained(arguments.segmenter)
    options = {} if arguments.threshold is None else {"threshold": arguments.threshold}
    descriptor = None
    if arguments.descriptor is not None:
        descriptor = load_model(arguments.descriptor, PointDescriptor, dtype=torch.float32)
        descriptor[0].eval()
    evaluation, started = PanopticEvaluation(truth.categories), time.perf_counter()
    with PanopticWriter(
        output, truth.categories.values(), output.with_suffix(""), text_field="caption", photos=truth.photos
    ) as writer:
        found = predicted(model, processor, photos, truth.categories, arguments.batch_size, **options)
        for one, (photo, ids) in zip(photos, tqdm(found, total=len(photos), unit="photo"), strict=True):
            writer.add(photo if descriptor is None else captioned(*descriptor, photo, ids), ids)
            evaluation.add(compared(one, photo.segments, ids), one.image_id)
    seconds = (time.perf_counter() - started) / max(1, len(photos))
    report = {
        "segmenter": Path(arguments.segmenter).name,
        "annotations": Path(arguments.annotations).name,
        "photos": len(photos),
        "segments": {
            truth.categories[i].name: counts.matched + counts.false_negatives
            for i, counts in sorted(evaluation.counts.items())
        },
        **{name: round(value, 2) for name, value in percentages(evaluation).items()},
        "seconds_per_photo": round(seconds, 4),
    }
    file = output.with_name(f"{output.stem}_quality.json")
    file.write_text(json.dumps(report, indent=2), encoding="utf-8")
    print(json.dumps(report))
    return report


if __name__ == "__main__":
    main(sys.argv[1:])
