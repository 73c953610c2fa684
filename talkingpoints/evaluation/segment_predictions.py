"""What a segmenter finds in annotated photos: as segments, as a COCO panoptic file, and as panoptic quality.

Works with every model of transformers that has ``post_process_panoptic_segmentation``. Leaves out captions.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from talkingpoints.data.readers.coco_panoptic import Category, PanopticPhoto, Segment, measured
from talkingpoints.evaluation.metrics.panoptic_quality import PanopticEvaluation
from talkingpoints.images import load_image
from talkingpoints.segmenter import numbered

Prediction = tuple[PanopticPhoto, np.ndarray]
"""The photo with the found segments, and their pixels: int32 (height, width)."""


def segments_of_result(
    result: Mapping[str, Any], id2label: Mapping[int, str], categories: Mapping[int, Category]
) -> tuple[np.ndarray, tuple[Segment, ...]]:
    """One result of ``post_process_panoptic_segmentation`` in the annotations' terms.

    Args:
        result: ``segmentation`` and ``segments_info`` of a photo.
        id2label: of the model's configuration.
        categories: of the annotations.

    Returns:
        Pixels, int32 (height, width), 0 for none; and the segments with score, area and box.

    Raises:
        ValueError: a label that is the name of no category.
    """
    by_name = {category.name: category for category in categories.values()}
    for name in (id2label[info["label_id"]] for info in result["segments_info"]):
        if name not in by_name:
            raise ValueError(f"the model's label {name!r} is no category; there are {', '.join(sorted(by_name))}")
    ids, masks = numbered(np.asarray(result["segmentation"]), result["segments_info"])
    found: list[Segment] = []
    for number, (info, _) in enumerate(masks, start=1):
        category = by_name[id2label[info["label_id"]]]
        segment = Segment(number, category.id, category.name, category.is_thing, False, (0, 0, 0, 0), 0)
        found.append(replace(measured(segment, ids), score=float(info["score"])))
    return ids, tuple(found)


def predicted(
    model: Any,
    processor: Any,
    photos: Sequence[PanopticPhoto],
    categories: Mapping[int, Category],
    batch_size: int = 16,
    **options: Any,
) -> Iterator[Prediction]:
    """What a model finds in photos, one at a time.

    Args:
        model: of ``AutoModelForUniversalSegmentation``, in evaluation mode.
        processor: its image processor.
        photos: annotated ones; only their files and sizes are used.
        categories: of the annotations.
        batch_size: photos at once.
        options: of ``post_process_panoptic_segmentation``, for example ``threshold``.
    """
    for start in range(0, len(photos), batch_size):
        batch = photos[start : start + batch_size]
        inputs = processor(images=[load_image(photo.image) for photo in batch], return_tensors="pt")
        with torch.inference_mode():
            outputs = model(**inputs.to(model.device, model.dtype))
        yield from found_in(outputs, processor, batch, categories, model.config.id2label, **options)


def found_in(
    outputs: Any,
    processor: Any,
    photos: Sequence[PanopticPhoto],
    categories: Mapping[int, Category],
    id2label: Mapping[int, str],
    **options: Any,
) -> Iterator[Prediction]:
    """What a model's outputs for these photos say; arguments as for :func:`predicted`."""
    sizes = [photo.size for photo in photos]
    results = processor.post_process_panoptic_segmentation(outputs, target_sizes=sizes, **options)
    for photo, result in zip(photos, results, strict=True):
        ids, segments = segments_of_result(result, id2label, categories)
        yield replace(photo, segments=segments), ids


def percentages(evaluation: PanopticEvaluation) -> dict[str, float]:
    """PQ, SQ and RQ x 100: of all categories, of things, and of each category; 0 where nothing was seen."""
    quality = {"all": evaluation.quality(), "things": evaluation.quality(True)}
    values = {name: (q.pq, q.sq, q.rq) if q else (0.0, 0.0, 0.0) for name, q in quality.items()}
    for category_id, counts in sorted(evaluation.counts.items()):
        if counts.seen:
            values[evaluation.categories[category_id].name] = counts.quality
    names = ("pq", "sq", "rq")
    return {f"{m}_{name}": 100 * v for name, three in values.items() for m, v in zip(names, three, strict=True)}
