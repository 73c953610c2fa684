"""New point models on top of a base vision-language model: tokens, processor and freshly initialised heads."""

from pathlib import Path

from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForImageTextToText,
    AutoProcessor,
    PreTrainedConfig,
    PreTrainedModel,
)

from .configuration_descriptor import PointDescriptorConfig
from .configuration_localizer import PointLocalizerConfig
from .modeling_descriptor import PointDescriptor
from .modeling_localizer import PointLocalizer
from .points import LOCATION_TOKENS
from .processing_descriptor import POINT_TOKEN, PointDescriptorProcessor
from .processing_localizer import LOCATE_TOKEN, PointLocalizerProcessor
from .processing_prompts import PromptProcessor

_POINT_MODELS = (PointDescriptorConfig.model_type, PointLocalizerConfig.model_type)


def build_descriptor(base: str | Path, **config) -> tuple[PointDescriptor, PointDescriptorProcessor]:
    """A new descriptor over a base.

    Args:
        base: Hub id or folder of a vision-language model with its processor, or of one of our models, whose base is
            then taken over as it was trained; of a descriptor also the keypoint encoder, if it is of the same size.
        config: of :class:`PointDescriptorConfig`.

    Returns:
        The model, what was not taken over freshly initialised, and its processor.

    Raises:
        ValueError: the base's image processor crops or pads.
    """
    vlm, parts, trained = _load_base(base)
    tokenizer = parts["tokenizer"]
    tokenizer.add_tokens([POINT_TOKEN, *LOCATION_TOKENS], special_tokens=True)
    model_config = PointDescriptorConfig(
        vlm_config=vlm.config,
        point_token_id=tokenizer.convert_tokens_to_ids(POINT_TOKEN),
        location_token_id=tokenizer.convert_tokens_to_ids(LOCATION_TOKENS[0]),
        **config,
    )
    model = PointDescriptor(model_config)
    model.vlm.load_state_dict(vlm.state_dict())
    model.generation_config = vlm.generation_config
    same = ("num_keypoint_tokens", "encoder_heads", "encoder_layers")
    if isinstance(trained, PointDescriptor) and _same(model_config, trained.config, same):
        model.keypoint_encoder.load_state_dict(trained.keypoint_encoder.state_dict())
    return model, PointDescriptorProcessor(**parts, num_keypoint_tokens=model_config.num_keypoint_tokens)


def build_localizer(base: str | Path, **config) -> tuple[PointLocalizer, PointLocalizerProcessor]:
    """A new localizer over a base; arguments and result as for :func:`build_descriptor`.

    Over one of our localizers it takes over the query token, and the head (with its temperature) as well if that is of
    the same kind and size.
    """
    vlm, parts, trained = _load_base(base)
    tokenizer = parts["tokenizer"]
    tokenizer.add_tokens([LOCATE_TOKEN], special_tokens=True)
    model_config = PointLocalizerConfig(
        vlm_config=vlm.config, locate_token_id=tokenizer.convert_tokens_to_ids(LOCATE_TOKEN), **config
    )
    model = PointLocalizer(model_config)
    model.vlm.load_state_dict(vlm.state_dict())
    if isinstance(trained, PointLocalizer):
        if _same(model_config, trained.config, ("head", "head_size", "subcells")):
            model.head.load_state_dict(trained.head.state_dict())
            model.config.heatmap_temperature = trained.config.heatmap_temperature
        if trained.query.shape == model.query.shape:
            model.query.data.copy_(trained.query.data)
    return model, PointLocalizerProcessor(**parts)


def _same(config: PreTrainedConfig, other: PreTrainedConfig, names: tuple[str, ...]) -> bool:
    return all(getattr(config, name) == getattr(other, name) for name in names)


def _load_base(base: str | Path) -> tuple[PreTrainedModel, dict, PreTrainedModel | None]:
    """The base model, the parts its processor is made of, and the point model it comes out of, if it is one of ours."""
    processor = AutoProcessor.from_pretrained(base)
    trained = None
    if AutoConfig.from_pretrained(base).model_type in _POINT_MODELS:
        trained = AutoModel.from_pretrained(base)
        vlm = trained.vlm
    else:
        vlm = AutoModelForImageTextToText.from_pretrained(base)
    if isinstance(processor, PromptProcessor):
        name, kwargs = processor.base_processor_class, processor.base_processor_kwargs
    else:
        name = type(processor).__name__
        own = {"image_processor", "tokenizer", "processor_class", "auto_map", "chat_template"}
        kwargs = {k: v for k, v in processor.to_dict().items() if k not in own}
    settings = processor.image_processor.to_dict()
    moved = [name for name in ("do_center_crop", "do_pad") if settings.get(name)]
    if moved:
        raise ValueError(
            f"the image processor of {base} has {' and '.join(moved)} on, which moves points; switch it off in its "
            "preprocessor_config.json, so that the whole photo fills the input"
        )
    parts = {
        "image_processor": processor.image_processor,
        "tokenizer": processor.tokenizer,
        "chat_template": processor.chat_template,
        "base_processor_class": name,
        "base_processor_kwargs": kwargs,
    }
    return vlm, parts, trained
