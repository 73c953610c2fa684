"""What the configurations of the Point Descriptor and the Point Localizer share: that of a base model within them."""

from transformers import CONFIG_MAPPING, AutoConfig, PreTrainedConfig

from .configuration_vision_tower import ConvVisionConfig  # registers the bundled models' vision tower


class PointModelConfig(PreTrainedConfig):
    """Base of :class:`PointDescriptorConfig` and :class:`PointLocalizerConfig`.

    ``attn_implementation`` and ``dtype`` reach the base model through it, as in transformers' composite models.

    Args:
        vlm_config: configuration of the base (any ``AutoModelForImageTextToText``), as an object or a dict.
        share_image_prefix: run the image's tokens once for all rows of text of that image. Exact only for bases
            whose image tokens see nothing behind them and whose image comes first in the prompt.
    """

    sub_configs = {"vlm_config": AutoConfig}  # noqa: RUF012  (what transformers reads)

    def __init__(self, vlm_config: PreTrainedConfig | dict | None = None, share_image_prefix: bool = False, **kwargs):
        nested = nested_config(vlm_config)
        self.vlm_config = None  # a base at hand keeps the attention that it was built with
        self.share_image_prefix = share_image_prefix
        super().__init__(**{"tie_word_embeddings": bool(nested and nested.tie_word_embeddings), **kwargs})
        self.vlm_config = nested
        if nested is not None and self._attn_implementation is not None:
            nested._attn_implementation = self._attn_implementation

    @property
    def image_token_id(self) -> int:
        """Id of the base's image placeholder."""
        return self.vlm_config.image_token_id

    def get_text_config(self, decoder=None, encoder=None) -> PreTrainedConfig:
        """The language model's configuration."""
        return self if self.vlm_config is None else self.vlm_config.get_text_config(decoder=decoder, encoder=encoder)


def nested_config(config: PreTrainedConfig | dict | None) -> PreTrainedConfig | None:
    """A base model's configuration from what ``config.json`` holds of it, without the name of the folder or repository
    that it came from: transformers would save that of a configuration within another.

    Raises:
        ValueError: If it is a dict whose ``model_type`` transformers does not know.
    """
    if isinstance(config, dict):
        config = dict(config)
        model_type = config.pop("model_type", None)
        if model_type not in CONFIG_MAPPING:
            raise ValueError(
                f"vlm_config has model_type {model_type!r}, which this version of transformers does not know"
            )
        config = CONFIG_MAPPING[model_type](**config)
    if config is not None:
        config.name_or_path = ""
    return config


__all__ = ["ConvVisionConfig", "PointModelConfig", "nested_config"]
