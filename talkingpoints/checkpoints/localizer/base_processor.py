"""The base model's own processor, for images only.

Several families' processors also hold a video processor, which needs torchvision, and ``AutoProcessor`` fails without
it. Points lie in photos: a subclass without that slot does all that is needed here, and is the same everywhere.
"""

import functools
import inspect
import types
from pathlib import Path

from transformers import AutoConfig, PreTrainedConfig, ProcessorMixin
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING, processor_class_from_name

_NO_VIDEOS = types.SimpleNamespace(num_frames=1, fps=1, merge_size=2, temporal_patch_size=2)
_PARTS = ("image_processor", "tokenizer", "video_processor", "auto_map", "processor_class")


@functools.cache
def image_only(cls: type[ProcessorMixin]) -> type[ProcessorMixin]:
    """A processor class of transformers without its video processor; the class itself if it has none."""
    if "video_processor" not in cls.get_attributes():
        return cls
    parameters = [name for name in inspect.signature(cls.__init__).parameters if name != "self"]

    class ImageOnly(cls):
        video_processor = _NO_VIDEOS  # some methods read its settings even where no video is at hand

        def __init__(self, image_processor=None, tokenizer=None, chat_template=None, **kwargs):
            kwargs.pop("video_processor", None)
            super().__init__(image_processor=image_processor, tokenizer=tokenizer, video_processor=None,
                             chat_template=chat_template, **kwargs)  # fmt: skip

        @classmethod
        def get_attributes(cls_) -> list[str]:
            return [name for name in cls.get_attributes() if name != "video_processor"]

        @property
        def model_input_names(self) -> list[str]:
            names = [*self.tokenizer.model_input_names, *self.image_processor.model_input_names]
            return list(dict.fromkeys([*names, "mm_token_type_ids"] if cls.return_mm_token_type_ids else names))

        @classmethod
        def from_args_and_dict(cls_, args, processor_dict, **kwargs):
            values = {k: v for k, v in {**processor_dict, **kwargs}.items() if k in parameters and k not in _PARTS}
            return cls_(*args, **values)

    ImageOnly.__init__.__signature__ = inspect.signature(cls.__init__)  # ``to_dict`` keeps what stands there
    ImageOnly.__name__ = ImageOnly.__qualname__ = cls.__name__
    ImageOnly.__module__ = cls.__module__
    return ImageOnly


def processor_class(name: str) -> type[ProcessorMixin]:
    """The image-only class of a processor of transformers, by its name.

    Raises:
        ValueError: transformers has no such class.
    """
    found = processor_class_from_name(name)
    if found is None:
        raise ValueError(f"this version of transformers has no processor class {name!r}")
    return image_only(found)


def load_base_processor(base: str | Path, config: PreTrainedConfig | None = None, **options) -> ProcessorMixin:
    """What ``AutoProcessor.from_pretrained`` gives for a vision-language model, without videos.

    Args:
        base: Hub id or folder.
        config: of the model, if at hand.
        options: of ``from_pretrained``, for example ``revision``.

    Raises:
        ValueError: the family has no processor in transformers.
    """
    try:
        name = ProcessorMixin.get_processor_dict(base, **options)[0].get("processor_class")
    except OSError:  # older repositories have no processor_config.json
        name = None
    if name is not None:
        return processor_class(name).from_pretrained(base, **options)
    config = AutoConfig.from_pretrained(base, **options) if config is None else config
    if type(config) not in PROCESSOR_MAPPING:
        raise ValueError(f"transformers knows no processor for {config.model_type!r} models, such as {base}")
    return image_only(PROCESSOR_MAPPING[type(config)]).from_pretrained(base, **options)
