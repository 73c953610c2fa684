"""The tasks "point-description", "point-localization" and "panoptic-captioning" of ``transformers.pipeline``.

Importing the package registers the tasks; without a model, they take the bundled ones. Each call goes through the same
processors and models as :class:`TalkingPoints`, one direction at a time. As transformers' pipelines they take a photo,
a list, a dataset or a generator of them, ``batch_size``, ``device`` and ``generate_kwargs``. A photo may bring its own
points or texts along: ``{"image": photo, "point": (x, y)}``.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, IterableDataset
from transformers import AutoModelForUniversalSegmentation, Pipeline
from transformers.pipelines import PIPELINE_REGISTRY

from .adapters import load_model
from .captioning import PanopticCaptioner
from .encoded_photo import MAX_NEW_TOKENS
from .images import ImageLike, load_image
from .inference import BUNDLED_DESCRIPTOR, BUNDLED_LOCALIZER, BUNDLED_SEGMENTER
from .modeling_descriptor import PointDescriptor
from .modeling_localizer import PointLocalizer
from .points import check_points_px, to_unit
from .results import CaptionedSegments
from .segmenter import Segmenter


class PhotoPipeline(Pipeline):
    """Base of the three: photos are prepared one by one, and answered ``batch_size`` at a time.

    Photos of a batch that have the same number of points or texts go through the model together.
    """

    _load_processor = True
    _load_tokenizer = False
    _load_image_processor = False
    _load_feature_extractor = False
    _questions: tuple[str, ...] = ()
    """Keys that a photo in a dict may have beside "image"."""

    def get_iterator(
        self,
        inputs: Iterable[Any],
        num_workers: int,
        batch_size: int,
        preprocess_params: Mapping[str, Any],
        forward_params: Mapping[str, Any],
        postprocess_params: Mapping[str, Any],
    ) -> Iterator[Any]:
        """Answers one by one; transformers' own batches hold one row a photo."""
        if isinstance(inputs, Dataset) and not isinstance(inputs, IterableDataset):
            inputs = map(inputs.__getitem__, range(len(inputs)))
        remaining = iter(inputs)
        while batch := list(itertools.islice(remaining, batch_size)):
            prepared = [self.preprocess(one, **preprocess_params) for one in batch]
            for _, group in itertools.groupby(prepared, key=lambda one: one["count"]):
                output = self.forward({"group": list(group)}, **forward_params)
                for answer in output["answers"]:
                    yield self.postprocess(answer, **postprocess_params)

    def run_single(self, inputs: Any, preprocess_params: dict, forward_params: dict, postprocess_params: dict) -> Any:
        return next(self.get_iterator([inputs], 0, 1, preprocess_params, forward_params, postprocess_params))

    def iterate(self, inputs: Iterable[Any], *params: dict) -> Iterator[Any]:
        return self.get_iterator(inputs, 0, 1, *params)

    def preprocess(self, image: ImageLike | Mapping[str, Any], **questions: Any) -> dict[str, Any]:
        if isinstance(image, Mapping):
            if unknown := set(image) - {"image", *self._questions}:
                raise TypeError(
                    f"a photo in a dict has the keys image and {self._questions}, got {sorted(unknown)} too"
                )
            questions = {**questions, **{name: image[name] for name in self._questions if name in image}}
            image = image["image"]
        photo = load_image(image)
        return {"photo": photo, **self._asked((photo.height, photo.width), **questions)}

    def _one_or_several(self, one: Any, several: Any) -> tuple[list[Any], bool]:
        """What is asked of a photo, and whether it stood in no list.

        Raises:
            ValueError: If it is nothing, or both.
        """
        if (one is None) == (several is None):
            raise ValueError(self._usage)
        if one is None:
            return list(several), False
        return [one], True


class PointDescriptionPipeline(PhotoPipeline):
    """``pipe(image, point=(x, y))`` -> ``{"text": ..., "point": (x, y)}``; ``points=[...]`` -> a list of them.

    Coordinates are pixels of the photo as a person sees it. ``max_new_tokens`` and ``generate_kwargs`` go to
    ``generate``.
    """

    _questions = ("point", "points")
    _usage = "give either point=(x, y) or points=[(x, y), ...] in pixels"

    def _sanitize_parameters(
        self, point=None, points=None, max_new_tokens=None, generate_kwargs=None
    ) -> tuple[dict, dict, dict]:
        asked = {name: value for name, value in (("point", point), ("points", points)) if value is not None}
        options = dict(generate_kwargs or {})
        if max_new_tokens is not None:
            if "max_new_tokens" in options:
                raise ValueError("give max_new_tokens as an argument or in generate_kwargs, not both")
            options["max_new_tokens"] = max_new_tokens
        return asked, {"generate_kwargs": options} if options else {}, {}

    def _asked(self, size: tuple[int, int], point=None, points=None) -> dict[str, Any]:
        wanted, single = self._one_or_several(point, points)
        points_px = check_points_px(wanted, size)
        return {"points_px": points_px, "points": to_unit(points_px, size), "single": single, "count": len(points_px)}

    def _forward(self, inputs: dict[str, Any], generate_kwargs: Mapping[str, Any] | None = None) -> dict[str, Any]:
        group = inputs["group"]
        ready = self.processor(images=[one["photo"] for one in group], points=[one["points"] for one in group])
        ready = self._ensure_tensor_on_device(ready, device=self.device)
        options = {"max_new_tokens": MAX_NEW_TOKENS, "do_sample": False, **(generate_kwargs or {})}
        ids = self.model.generate(**ready, **options)
        ids = ids if isinstance(ids, torch.Tensor) else ids.sequences
        rows = ids[:, ready["input_ids"].shape[1] :].chunk(len(group))
        return {"answers": [{**one, "ids": some} for one, some in zip(group, rows, strict=True)]}

    def postprocess(self, output: dict[str, Any]) -> dict[str, Any] | list[dict[str, Any]]:
        texts = self.processor.tokenizer.batch_decode(output["ids"], skip_special_tokens=True)
        points = np.repeat(output["points_px"], len(texts) // output["count"], 0)  # several return sequences
        rows = [
            {"text": text.strip(), "point": (float(x), float(y))} for text, (x, y) in zip(texts, points, strict=True)
        ]
        return rows[0] if output["single"] and len(rows) == 1 else rows


class PointLocalizationPipeline(PhotoPipeline):
    """``pipe(image, text="...")`` -> ``{"x", "y", "unit", "confidence", "presence", "found", "heatmap"}``;
    ``texts=[...]`` -> a list of them. ``x`` and ``y`` are pixels of the photo as a person sees it."""

    _questions = ("text", "texts")
    _usage = "give either text='...' or texts=['...', ...]"

    def _sanitize_parameters(self, text=None, texts=None) -> tuple[dict, dict, dict]:
        return {name: value for name, value in (("text", text), ("texts", texts)) if value is not None}, {}, {}

    def _asked(self, size: tuple[int, int], text=None, texts=None) -> dict[str, Any]:
        if isinstance(texts, str) or not isinstance(text, str | None):
            raise TypeError(self._usage)
        wanted, single = self._one_or_several(text, texts)
        return {"texts": wanted, "size": size, "single": single, "count": len(wanted)}

    def _forward(self, inputs: dict[str, Any]) -> dict[str, Any]:
        group = inputs["group"]
        ready = self.processor(images=[one["photo"] for one in group], text=[one["texts"] for one in group])
        output = self.model(**self._ensure_tensor_on_device(ready, device=self.device))
        sizes = [one["size"] for one in group for _ in one["texts"]]
        rows = iter(self.processor.post_process(output, sizes))
        return {"answers": [{**one, "rows": list(itertools.islice(rows, one["count"]))} for one in group]}

    def postprocess(self, output: dict[str, Any]) -> dict[str, Any] | list[dict[str, Any]]:
        rows = [row.to_dict() for row in output["rows"]]
        return rows[0] if output["single"] else rows


class PanopticCaptioningPipeline(PhotoPipeline):
    """``pipe(image)`` -> ``{"segments": [...], "id_map": int32 (height, width)}``, a segment being ``{"id", "label",
    "is_thing", "score", "text", "box", "mask"}`` in pixels of the photo as a person sees it.

    ``model`` is a universal segmentation model of transformers, by default the bundled one. ``descriptor``, a folder or
    Hub id, says what the segments are; by default the bundled one. ``threshold`` is the least score of a segment.
    """

    _load_processor = False
    _load_image_processor = True

    def __init__(self, *args, descriptor: str | Path | None = None, label_ids_to_fuse=None, **kwargs):
        super().__init__(*args, **kwargs)
        model, processor = load_model(descriptor or BUNDLED_DESCRIPTOR, PointDescriptor, dtype=self.model.dtype)
        segmenter = Segmenter(self.model, self.image_processor, label_ids_to_fuse)
        self.captioner = PanopticCaptioner(segmenter, model.to(self.model.device), processor)

    def _sanitize_parameters(self, threshold: float | None = None) -> tuple[dict, dict, dict]:
        return {}, {} if threshold is None else {"threshold": threshold}, {}

    def _asked(self, size: tuple[int, int]) -> dict[str, Any]:
        return {"count": 1}

    def _forward(self, inputs: dict[str, Any], threshold: float | None = None) -> dict[str, Any]:
        return {"answers": [self.captioner(one["photo"], threshold) for one in inputs["group"]]}

    def postprocess(self, output: CaptionedSegments) -> dict[str, Any]:
        return output.to_dict()


for _task, _class, _model, _bundled in (
    ("panoptic-captioning", PanopticCaptioningPipeline, AutoModelForUniversalSegmentation, BUNDLED_SEGMENTER),
    ("point-description", PointDescriptionPipeline, PointDescriptor, BUNDLED_DESCRIPTOR),
    ("point-localization", PointLocalizationPipeline, PointLocalizer, BUNDLED_LOCALIZER),
):
    PIPELINE_REGISTRY.register_pipeline(
        _task, pipeline_class=_class, pt_model=_model, default={"model": (str(_bundled), "main")}
    )
