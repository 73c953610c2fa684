"""The tasks "point-description", "point-localization" and "panoptic-captioning" of ``transformers.pipeline``.

Importing the package registers the tasks. Each call goes through the same processors and models as
:class:`TalkingPoints`, one direction at a time.
"""

from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForUniversalSegmentation, Pipeline
from transformers.pipelines import PIPELINE_REGISTRY

from .adapters import load_model
from .captioning import PanopticCaptioner
from .encoded_photo import MAX_NEW_TOKENS
from .images import ImageLike, load_image
from .inference import BUNDLED_DESCRIPTOR, BUNDLED_SEGMENTER
from .modeling_descriptor import PointDescriptor
from .modeling_localizer import PointLocalizer
from .points import check_points_px, to_unit
from .segmenter import Segmenter


class PointDescriptionPipeline(Pipeline):
    """``pipe(image, point=(x, y))`` -> ``{"text": ..., "point": (x, y)}``; ``points=[...]`` -> a list of them.

    Coordinates are pixels of the photo as a person sees it.
    """

    _load_processor = True
    _load_tokenizer = False
    _load_image_processor = False
    _load_feature_extractor = False

    def _sanitize_parameters(self, point=None, points=None, max_new_tokens=None) -> tuple[dict, dict, dict]:
        prepare: dict[str, Any] = {}
        if point is not None:
            prepare["point"] = point
        if points is not None:
            prepare["points"] = points
        return prepare, {} if max_new_tokens is None else {"max_new_tokens": max_new_tokens}, {}

    def preprocess(self, image: ImageLike, point=None, points=None) -> dict[str, Any]:
        if (point is None) == (points is None):
            raise ValueError("give either point=(x, y) or points=[(x, y), ...] in pixels")
        photo = load_image(image)
        size = (photo.height, photo.width)
        points_px = check_points_px([point] if points is None else points, size)
        inputs = self.processor(images=[photo], points=[to_unit(points_px, size)])
        return {**inputs, "points_px": points_px, "single": points is None}

    def _forward(self, inputs: dict[str, Any], max_new_tokens: int = MAX_NEW_TOKENS) -> dict[str, Any]:
        points_px, single = inputs.pop("points_px"), inputs.pop("single")
        output = self.model.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False)
        return {"ids": output[:, inputs["input_ids"].shape[1] :], "points_px": points_px, "single": single}

    def postprocess(self, output: dict[str, Any]) -> dict[str, Any] | list[dict[str, Any]]:
        texts = self.processor.tokenizer.batch_decode(output["ids"], skip_special_tokens=True)
        rows = [
            {"text": text.strip(), "point": (float(x), float(y))}
            for text, (x, y) in zip(texts, output["points_px"], strict=True)
        ]
        return rows[0] if output["single"] else rows


class PointLocalizationPipeline(Pipeline):
    """``pipe(image, text="...")`` -> ``{"x", "y", "unit", "confidence", "presence", "found", "heatmap"}``;
    ``texts=[...]`` -> a list of them. ``x`` and ``y`` are pixels of the photo as a person sees it."""

    _load_processor = True
    _load_tokenizer = False
    _load_image_processor = False
    _load_feature_extractor = False

    def _sanitize_parameters(self, text=None, texts=None) -> tuple[dict, dict, dict]:
        prepare: dict[str, Any] = {}
        if text is not None:
            prepare["text"] = text
        if texts is not None:
            prepare["texts"] = texts
        return prepare, {}, {}

    def preprocess(self, image: ImageLike, text=None, texts=None) -> dict[str, Any]:
        if (text is None) == (texts is None):
            raise ValueError("give either text='...' or texts=['...', ...]")
        photo = load_image(image)
        inputs = self.processor(images=[photo], texts=[[text] if texts is None else list(texts)])
        return {**inputs, "size": (photo.height, photo.width), "single": texts is None}

    def _forward(self, inputs: dict[str, Any]) -> dict[str, Any]:
        size, single = inputs.pop("size"), inputs.pop("single")
        with torch.inference_mode():
            return {"output": self.model(**inputs), "size": size, "single": single}

    def postprocess(self, output: dict[str, Any]) -> dict[str, Any] | list[dict[str, Any]]:
        sizes = [output["size"]] * len(output["output"].points)
        rows = [row.to_dict() for row in self.processor.post_process(output["output"], sizes)]
        return rows[0] if output["single"] else rows


class PanopticCaptioningPipeline(Pipeline):
    """``pipe(image)`` -> ``{"segments": [...], "id_map": int32 (height, width)}``, a segment being ``{"id", "label",
    "is_thing", "score", "text", "box", "mask"}`` in pixels of the photo as a person sees it.

    ``model`` is a universal segmentation model of transformers, by default the bundled one. ``descriptor``, a folder or
    Hub id, says what the segments are; by default the bundled one.
    """

    _load_processor = False
    _load_tokenizer = False
    _load_image_processor = True
    _load_feature_extractor = False

    def __init__(self, *args, descriptor: str | Path | None = None, label_ids_to_fuse=None, **kwargs):
        super().__init__(*args, **kwargs)
        model, processor = load_model(descriptor or BUNDLED_DESCRIPTOR, PointDescriptor, dtype=self.model.dtype)
        segmenter = Segmenter(self.model, self.image_processor, label_ids_to_fuse)
        self.captioner = PanopticCaptioner(segmenter, model.to(self.model.device), processor)

    def _sanitize_parameters(self, threshold: float | None = None, **kwargs) -> tuple[dict, dict, dict]:
        return {}, {} if threshold is None else {"threshold": threshold}, {}

    def preprocess(self, image: ImageLike) -> dict[str, Any]:
        return {"photo": load_image(image)}

    def _forward(self, inputs: dict[str, Any], threshold: float | None = None) -> dict[str, Any]:
        return {"found": self.captioner(inputs["photo"], threshold)}

    def postprocess(self, output: dict[str, Any]) -> dict[str, Any]:
        return output["found"].to_dict()


PIPELINE_REGISTRY.register_pipeline(
    "panoptic-captioning",
    pipeline_class=PanopticCaptioningPipeline,
    pt_model=AutoModelForUniversalSegmentation,
    default={"model": (str(BUNDLED_SEGMENTER), "main")},
)
PIPELINE_REGISTRY.register_pipeline(
    "point-description", pipeline_class=PointDescriptionPipeline, pt_model=PointDescriptor
)
PIPELINE_REGISTRY.register_pipeline(
    "point-localization", pipeline_class=PointLocalizationPipeline, pt_model=PointLocalizer
)
