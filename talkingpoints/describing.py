"""Texts of points and regions of one photo: the descriptor's one way from a photo to words."""

from collections.abc import Mapping, Sequence

import numpy.typing as npt
import torch
from PIL import Image
from transformers import PreTrainedModel

from .modeling_descriptor import PointDescriptor
from .processing_descriptor import PointDescriptorProcessor

MAX_NEW_TOKENS = 96
PLACES_AT_ONCE = 32


def descriptor_inputs(
    model: PointDescriptor,
    processor: PointDescriptorProcessor,
    photo: Image.Image,
    kind: str,
    places: Sequence[npt.ArrayLike],
) -> dict[str, torch.Tensor]:
    """What the descriptor takes; arguments as for :func:`describe_places`."""
    return moved(processor(images=[photo], **{kind: [places]}), model)


def describe_places(
    model: PointDescriptor,
    processor: PointDescriptorProcessor,
    photo: Image.Image,
    kind: str,
    places: Sequence[npt.ArrayLike],
) -> list[str]:
    """Describe places of a photo, some at a time; the photo is encoded once.

    Args:
        model, processor: the descriptor.
        photo: RGB.
        kind: "points" (unit x, y), "boxes" (unit x0, y0, x1, y1) or "masks" (bool, over the whole photo).
        places: of that kind.

    Returns:
        One text for each.
    """
    texts: list[str] = []
    visual = None
    with torch.inference_mode():
        for start in range(0, len(places), PLACES_AT_ONCE):
            inputs = descriptor_inputs(model, processor, photo, kind, places[start : start + PLACES_AT_ONCE])
            if visual is None:
                visual = model.encode_images(**inputs)
            del inputs["pixel_values"]
            output = model.generate(**inputs, visual=visual, max_new_tokens=MAX_NEW_TOKENS, do_sample=False)
            answers = output[:, inputs["input_ids"].shape[1] :]
            texts += processor.tokenizer.batch_decode(answers, skip_special_tokens=True)
    return [text.strip() for text in texts]


def moved(inputs: Mapping[str, torch.Tensor], model: PreTrainedModel) -> dict[str, torch.Tensor]:
    """A batch on the model's device, and in its dtype where it is floating point."""
    return {
        name: value.to(model.device, model.dtype if value.is_floating_point() else None)
        for name, value in inputs.items()
    }
