"""A photo that is encoded once for many points and texts, and the models' one way to and from words.

:class:`TalkingPoints`, the captioner of segments and the reward come through here. Everything is in the unit square;
pixels are the callers' business.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy.typing as npt
import torch
from transformers import StoppingCriteria, StoppingCriteriaList, TextIteratorStreamer

from .images import ImageLike, load_image
from .modeling_descriptor import PointDescriptor
from .modeling_localizer import PointLocalizer
from .processing_descriptor import PointDescriptorProcessor
from .processing_localizer import PointLocalizerProcessor
from .processing_prompts import PreparedPhotos
from .results import Localization
from .vision_language import VisualFeatures

MAX_NEW_TOKENS = 96
_PLACES_AT_ONCE = 32
_TEXTS_AT_ONCE = 64

PointModel = PointDescriptor | PointLocalizer
PointProcessor = PointDescriptorProcessor | PointLocalizerProcessor


@dataclass(frozen=True)
class _Encoding:
    """What one model keeps of a photo, and the state in which it made that."""

    prepared: PreparedPhotos
    visual: VisualFeatures
    state: tuple[Any, ...]


class EncodedPhoto:
    """A photo, and what each model has made of it: a model encodes it when it is first asked about it.

    An encoding is made anew for a model that has been moved or trained since.

    Args:
        image: PIL image, path, content of a file, or array; EXIF orientation is applied.

    Attributes:
        image: RGB, as a person sees the photo.
        size: (height, width) in pixels.

    Raises:
        ValueError: If the image cannot be read.
    """

    def __init__(self, image: ImageLike):
        self.image = load_image(image)
        self._kept: WeakKeyDictionary[PointModel, _Encoding] = WeakKeyDictionary()

    @property
    def size(self) -> tuple[int, int]:
        return self.image.height, self.image.width

    @property
    def nbytes(self) -> int:
        """Memory of the pixels and of all encodings, in bytes."""
        features = sum(_nbytes(vars(kept.visual)) for kept in self._kept.values())
        return 3 * self.image.width * self.image.height + features


def encode(
    model: PointModel, processor: PointProcessor, photos: Sequence[EncodedPhoto]
) -> tuple[PreparedPhotos, VisualFeatures]:
    """What a model has made of photos; those that it does not know yet are encoded in one batch.

    Args:
        model, processor: descriptor or localizer.
        photos: B of them.

    Returns:
        What the processor takes in place of ``images``, and what the model takes as ``visual``.
    """
    state = _state(model)
    encodings = {photo: kept for photo in photos if (kept := photo._kept.get(model)) and kept.state == state}
    missing = [photo for photo in dict.fromkeys(photos) if photo not in encodings]
    if missing:
        prepared = processor.prepare([photo.image for photo in missing])
        with torch.inference_mode():
            visual = model.encode_images(**moved(prepared.vision, model))
        for i, photo in enumerate(missing):
            own = PreparedPhotos([prepared.before[i]])
            encodings[photo] = photo._kept[model] = _Encoding(own, visual.select(i), state)
    found = [encodings[photo] for photo in photos]
    if len(found) == 1:
        return found[0].prepared, found[0].visual
    before = [ids for encoding in found for ids in encoding.prepared.before]
    return PreparedPhotos(before), VisualFeatures.together([encoding.visual for encoding in found])


def descriptor_inputs(
    model: PointDescriptor,
    processor: PointDescriptorProcessor,
    photo: EncodedPhoto,
    kind: str,
    places: Sequence[npt.ArrayLike],
) -> dict[str, Any]:
    """What ``generate`` takes; arguments as for :func:`describe_places`."""
    prepared, visual = encode(model, processor, [photo])
    asked: dict[str, Any] = {kind: [places]}
    return {**moved(processor(images=prepared, **asked), model), "visual": visual}


@torch.inference_mode()
def describe_places(
    model: PointDescriptor,
    processor: PointDescriptorProcessor,
    photo: EncodedPhoto,
    kind: str,
    places: Sequence[npt.ArrayLike],
) -> list[str]:
    """Describe places of a photo, some at a time.

    Args:
        model, processor: the descriptor.
        photo: encoded if the descriptor does not know it yet.
        kind: "points" (unit x, y), "boxes" (unit x0, y0, x1, y1) or "masks" (bool, over the whole photo).
        places: of that kind.

    Returns:
        One text for each.
    """
    texts: list[str] = []
    for start in range(0, len(places), _PLACES_AT_ONCE):
        inputs = descriptor_inputs(model, processor, photo, kind, places[start : start + _PLACES_AT_ONCE])
        output = model.generate(**inputs, max_new_tokens=MAX_NEW_TOKENS, do_sample=False)
        answers = output[:, inputs["input_ids"].shape[1] :]
        texts += processor.tokenizer.batch_decode(answers, skip_special_tokens=True)
    return [text.strip() for text in texts]


def stream_point(
    model: PointDescriptor,
    processor: PointDescriptorProcessor,
    photo: EncodedPhoto,
    point: tuple[float, float],
    turn: Callable[[], AbstractContextManager[None]],
) -> Iterator[str]:
    """Describe a point piece by piece, in a thread that ends with the iterator.

    Args:
        model, processor, photo: as for :func:`describe_places`.
        point: unit (x, y).
        turn: what the thread enters while it uses the model.

    Raises:
        RuntimeError: If the model fails.
    """
    streamer = TextIteratorStreamer(processor.tokenizer, skip_prompt=True, skip_special_tokens=True)
    errors: list[BaseException] = []
    stop = threading.Event()

    def write() -> None:
        try:
            with turn():
                model.generate(
                    **descriptor_inputs(model, processor, photo, "points", [point]),
                    streamer=streamer,
                    stopping_criteria=StoppingCriteriaList([_Stopped(stop)]),
                    max_new_tokens=MAX_NEW_TOKENS,
                    do_sample=False,
                )
        except BaseException as error:  # handed over to the caller's thread below
            errors.append(error)
            streamer.end()

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    try:
        yield from streamer
    finally:
        stop.set()  # for a caller who stops reading
        writer.join()
    if errors:
        raise RuntimeError(f"the descriptor failed: {errors[0]}") from errors[0]


class _Stopped(StoppingCriteria):
    """Ends all rows of a generation once an event is set."""

    def __init__(self, event: threading.Event):
        self.event = event

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        return torch.full((len(input_ids),), self.event.is_set(), device=input_ids.device)


@torch.inference_mode()
def locate_texts(
    model: PointLocalizer, processor: PointLocalizerProcessor, photo: EncodedPhoto, texts: Sequence[str]
) -> list[Localization]:
    """Find texts in a photo, some at a time.

    Args:
        model, processor: the localizer.
        photo: encoded if the localizer does not know it yet.
        texts: none of them empty.

    Returns:
        One answer for each, in pixels of the photo.

    Raises:
        ValueError: If a text is empty.
    """
    found: list[Localization] = []
    for start in range(0, len(texts), _TEXTS_AT_ONCE):
        some = texts[start : start + _TEXTS_AT_ONCE]
        prepared, visual = encode(model, processor, [photo])
        output = model(**moved(processor(images=prepared, text=[some]), model), visual=visual)
        found += processor.post_process(output, [photo.size] * len(some))
    return found


def moved(inputs: Mapping[str, torch.Tensor], model: PointModel) -> dict[str, torch.Tensor]:
    """A batch on the model's device, and in its dtype where it is floating point."""
    return {
        name: value.to(model.device, model.dtype if value.is_floating_point() else None)
        for name, value in inputs.items()
    }


def _state(model: PointModel) -> tuple[Any, ...]:
    """Changes when a model is moved, or when a weight of it is written to."""
    versions = (0 if one.is_inference() else one._version for one in model.parameters())
    return model.device, model.dtype, sum(versions)


def _nbytes(value: Any) -> int:
    if isinstance(value, torch.Tensor):
        return value.nbytes
    if isinstance(value, Mapping):
        return sum(map(_nbytes, value.values()))
    return sum(map(_nbytes, value)) if isinstance(value, list | tuple) else 0
