"""Universal segmentation models of transformers: photo -> its segments, things and stuff, without texts."""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModelForUniversalSegmentation, AutoProcessor, PreTrainedModel

from .adapters import at_revision
from .masks import mask_box
from .results import CaptionedSegments, SegmentCaption

SMALLEST_PX = 4
"""Segments of fewer pixels get no text and are left out: nothing is to be seen in them."""


class Segmenter:
    """A universal segmentation model with its processor.

    Args:
        model: of ``AutoModelForUniversalSegmentation``.
        processor: its image processor; for OneFormer its processor, which also tells it the task.
        label_ids_to_fuse: labels that are stuff, of which a photo has one segment. None leaves that to the processor:
            transformers' own then fuse nothing, and everything counts as a thing.

    Raises:
        ValueError: a processor that makes no panoptic segments.
    """

    def __init__(self, model: PreTrainedModel, processor: Any, label_ids_to_fuse: Collection[int] | None = None):
        if not callable(getattr(processor, "post_process_panoptic_segmentation", None)):
            raise ValueError(
                f"{type(processor).__name__} has no post_process_panoptic_segmentation; needs the processor of a "
                "universal segmentation model"
            )
        self.model = model.eval()
        self.processor = processor
        self.label_ids_to_fuse = label_ids_to_fuse

    @property
    def _is_oneformer(self) -> bool:
        return self.model.config.model_type == "oneformer"

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        device: str | torch.device = "cpu",
        dtype: torch.dtype | str = torch.float32,
        label_ids_to_fuse: Collection[int] | None = None,
    ) -> "Segmenter":
        """Load one from a folder or the Hub, there also with a tag or commit behind the id (``me/segmenter@v1``).

        Raises:
            OSError: there is none.
            ValueError: another kind of model, or weights are missing.
        """
        name = at_revision(name)
        model, loading = AutoModelForUniversalSegmentation.from_pretrained(name, dtype=dtype, output_loading_info=True)
        if missing := sorted(loading["missing_keys"]):
            raise ValueError(
                f"{name} lacks {len(missing)} of the weights of a {type(model).__name__}: {', '.join(missing[:3])}"
                f"{', ...' if len(missing) > 3 else ''}; needs a checkpoint of this version of the model"
            )
        model = model.to(device)
        needs_task = model.config.model_type == "oneformer"
        processor = (AutoProcessor if needs_task else AutoImageProcessor).from_pretrained(name)
        return cls(model, processor, label_ids_to_fuse)

    @torch.inference_mode()
    def segments(self, photo: Image.Image, threshold: float | None = None) -> CaptionedSegments:
        """The segments of a photo, without texts.

        Args:
            photo: RGB.
            threshold: less sure segments are left out, 0..1; None takes the processor's own.

        Raises:
            ValueError: a threshold out of range.
        """
        if threshold is not None and not 0 <= threshold <= 1:
            raise ValueError(f"threshold must be in [0, 1], got {threshold}")
        task = {"task_inputs": ["panoptic"]} if self._is_oneformer else {}
        inputs = self.processor(images=[photo], return_tensors="pt", **task)
        outputs = self.model(**inputs.to(self.model.device, self.model.dtype))
        return self.post_process(outputs, (photo.height, photo.width), threshold)

    def post_process(self, outputs: Any, size: tuple[int, int], threshold: float | None = None) -> CaptionedSegments:
        """Segments of the model's outputs for one photo of ``size`` (height, width), without texts."""
        options: dict[str, Any] = {} if threshold is None else {"threshold": threshold}
        if self.label_ids_to_fuse is not None:
            options["label_ids_to_fuse"] = set(self.label_ids_to_fuse)
        # OneFormer's own scaling (transformers 5.23) needs torchvision
        sizes = None if self._is_oneformer else [size]
        (result,) = self.processor.post_process_panoptic_segmentation(outputs, target_sizes=sizes, **options)
        pixels, names = np.asarray(result["segmentation"].cpu()), self.model.config.id2label
        if pixels.shape != size:
            pixels = np.asarray(Image.fromarray(pixels.astype(np.int32)).resize(size[::-1], Image.Resampling.NEAREST))
        id_map, found = numbered(pixels, result["segments_info"], SMALLEST_PX)
        segments = (
            SegmentCaption(
                number,
                names[info["label_id"]],
                not info.get("was_fused"),
                float(info.get("score", 1.0)),
                "",
                mask,
                mask_box(mask),
            )
            for number, (info, mask) in enumerate(found, start=1)
        )
        return CaptionedSegments(tuple(segments), id_map)


def numbered(
    pixels: np.ndarray, infos: Iterable[Mapping[str, Any]], fewest: int = 1
) -> tuple[np.ndarray, list[tuple[Mapping[str, Any], np.ndarray]]]:
    """Segments of ``post_process_panoptic_segmentation`` under new numbers, from 1 upwards in their order.

    Args:
        pixels: ``segmentation``, integers (height, width).
        infos: ``segments_info``.
        fewest: pixels that a segment must have; transformers' own also list segments that another covers.

    Returns:
        Each pixel's new number, int32 (height, width), 0 for none; and the info and the mask, bool (height, width), of
        each segment that is left.
    """
    id_map, found = np.zeros(pixels.shape, dtype=np.int32), []
    for info in infos:
        mask = pixels == info["id"]
        if mask.sum() >= fewest:
            found.append((info, mask))
            id_map[mask] = len(found)
    return id_map, found
