"""A base vision-language model for new point models: loaded once, with its processor, as it was trained.

``PointDescriptor.from_base`` and ``PointLocalizer.from_base`` are the way in; they add tokens and new heads to what
:func:`load_base` gives.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForImageTextToText,
    AutoProcessor,
    BitsAndBytesConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import find_adapter_config_file

from .base_processor import load_base_processor
from .families import TESTED, chat_template, check_interface, image_options, keep_points_in_place
from .processing_prompts import PromptProcessor
from .vision_language import encode_images, take_images

_POINT_MODELS = ("point_descriptor", "point_localizer")
_HUB_OPTIONS = ("revision", "token", "cache_dir")

logger = logging.getLogger(__name__)


@dataclass
class Base:
    """A base model and what goes with it.

    Attributes:
        vlm: the vision-language model.
        processor_parts: arguments of our processors: its image processor, tokenizer, chat template and class.
        trained: the point model that the base comes out of, if it is one of ours.
    """

    vlm: PreTrainedModel
    processor_parts: dict[str, Any]
    trained: PreTrainedModel | None

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        return self.processor_parts["tokenizer"]

    def token_ids(self, tokens: Sequence[str]) -> list[int]:
        """Ids of tokens, which are added to the tokenizer where it lacks them; the base's vocabulary stays as it is."""
        self.tokenizer.add_tokens(list(tokens), special_tokens=True)
        return self.tokenizer.convert_tokens_to_ids(list(tokens))


def load_base(base: str | Path, dtype: torch.dtype | str = torch.float32, **options) -> Base:
    """Load a base.

    Args:
        base: Hub id or folder of a vision-language model with its processor, or of one of our models.
        dtype: of the base's weights; "auto" takes the one that they were saved in.
        options: further ones of ``from_pretrained``, for example ``device_map``, ``revision`` or
            ``quantization_config`` (transformers' own, for 8 or 4 bits).

    Raises:
        ValueError: the model lacks a part of the common interface, or its image processor cuts photos into tiles in a
            way that is not known.
        ImportError: the quantisation that is asked for needs a library that is not there.
    """
    hub = {name: options[name] for name in _HUB_OPTIONS if name in options}
    if is_adapter(base, **hub):
        raise ValueError(f"{base} holds an adapter, not a base: merge it into its own base first, with "
                         "talkingpoints.adapters.load_adapter(..., merge=True)")  # fmt: skip
    config = AutoConfig.from_pretrained(base, **hub)
    trained = None
    if config.model_type in _POINT_MODELS:
        processor = AutoProcessor.from_pretrained(base, **hub)
        trained = _loaded(AutoModel, base, dtype, options)
        vlm = trained.vlm
    else:
        _check_class(config)
        processor = load_base_processor(base, config, **hub)
        vlm = _loaded(AutoModelForImageTextToText, base, dtype, options)
    parts = _processor_parts(processor, vlm, base)
    if config.model_type not in (*_POINT_MODELS, *TESTED):
        check_photos(vlm, parts["image_processor"])
    _end_answers(vlm, parts["tokenizer"])
    return Base(vlm, parts, trained)


def is_adapter(name: str | Path, **hub) -> bool:
    """Whether a Hub id or folder holds an adapter in place of a whole model."""
    return find_adapter_config_file(name, **hub) is not None


def _end_answers(vlm: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Let generation end where our training texts end: at the tokenizer's own token."""
    ends = vlm.generation_config.eos_token_id
    ends = [] if ends is None else ends if isinstance(ends, list) else [ends]
    if tokenizer.eos_token_id not in ends:
        vlm.generation_config.eos_token_id = [*ends, tokenizer.eos_token_id]
    if vlm.generation_config.pad_token_id is None:
        vlm.generation_config.pad_token_id = tokenizer.pad_token_id


def quantization(bits: int) -> BitsAndBytesConfig:
    """For ``quantization_config``: a base's linear layers in 8 or 4 bits (NF4), new parts and output layer as they are.

    Raises:
        ValueError: another number of bits.
    """
    if bits not in (4, 8):
        raise ValueError(f"quantization is to 8 or 4 bits, got {bits}")
    kept = ["lm_head", "keypoint_encoder", "head", "query_token"]
    if bits == 8:
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=kept)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
        llm_int8_skip_modules=kept,
    )


def _loaded(auto: type, base: str | Path, dtype: torch.dtype | str, options: dict[str, Any]) -> PreTrainedModel:
    try:
        return auto.from_pretrained(base, dtype=dtype, **options)
    except ImportError as error:
        quantization = options.get("quantization_config")
        if quantization is None:
            raise
        raise ImportError(
            f"loading {base} with {type(quantization).__name__} is not possible on this machine, load it without "
            f"quantization_config or install what is missing: {error}"
        ) from error


def _check_class(config: PreTrainedConfig) -> None:
    """Refuse a model that cannot be a base before its weights are fetched."""
    with torch.device("meta"):
        try:
            vlm = AutoModelForImageTextToText.from_config(config)
        except ValueError as error:
            raise ValueError(f"{config.model_type!r} models cannot be a base here: {error}") from error
    check_interface(vlm)


def check_photos(vlm: PreTrainedModel, image_processor) -> None:
    """Encode a wide and a high photo with a base of a family that nobody has tried.

    Raises:
        ValueError: If it cannot encode them, or its image tokens lie on no known grid; says what is missing.
    """
    for size in ((160, 60), (60, 160)):
        try:
            inputs = image_processor(images=[Image.new("RGB", size)], return_tensors="pt",
                                     **image_options(image_processor))  # fmt: skip
            images = {name: value.to(vlm.device) for name, value in take_images(dict(inputs)).items()}
            images["pixel_values"] = images["pixel_values"].to(vlm.dtype)
            with torch.no_grad():
                encode_images(vlm, images)
        except Exception as error:  # families fail in all sorts of ways
            raise ValueError(
                f"{vlm.config.model_type!r} models cannot be a base here, a photo of {size[0]} x {size[1]} pixels "
                f"could not be encoded and placed: {error or type(error).__name__}"
            ) from error


def _processor_parts(processor, vlm: PreTrainedModel, base: str | Path) -> dict[str, Any]:
    if isinstance(processor, PromptProcessor):
        name, kwargs = processor.base_processor_class, processor.base_processor_kwargs
    else:
        name = type(processor).__name__
        own = {"image_processor", "tokenizer", "video_processor", "processor_class", "auto_map", "chat_template"}
        kwargs = {k: v for k, v in processor.to_dict().items() if k not in own}
    moving = keep_points_in_place(processor.image_processor, vlm.config)
    if moving:
        logger.warning(
            "%s: switched off %s of the image processor, which moves points; the whole photo fills the input instead",
            base, " and ".join(moving),
        )  # fmt: skip
    if processor.tokenizer.pad_token_id is None:
        processor.tokenizer.pad_token = processor.tokenizer.eos_token
    return {
        "image_processor": processor.image_processor,
        "tokenizer": processor.tokenizer,
        "chat_template": processor.chat_template or chat_template(name),
        "base_processor_class": name,
        "base_processor_kwargs": kwargs,
    }


def same(config: PreTrainedConfig, other: PreTrainedConfig, names: Sequence[str]) -> bool:
    """Whether two configurations agree in these fields."""
    return all(getattr(config, name) == getattr(other, name) for name in names)
