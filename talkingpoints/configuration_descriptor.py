"""Configuration of the Point Descriptor: a base vision-language model and the keypoint encoder on top of it."""

from transformers import CONFIG_MAPPING, PreTrainedConfig

from .configuration_checks import check_whole
from .configuration_vision_tower import ConvVisionConfig  # registers the bundled models' vision tower

ATTENTION_REGIONS = ("gaussian", "none")


class PointDescriptorConfig(PreTrainedConfig):
    """Everything that rebuilds a :class:`PointDescriptor`.

    Args:
        vlm_config: configuration of the base (any ``AutoModelForImageTextToText``), as an object or a dict.
        point_token_id: id of ``<point>``, the placeholder of a keypoint token.
        location_token_id: id of ``<loc_0000>``; the 1024 location tokens are consecutive.
        num_keypoint_tokens: ``<point>`` placeholders per point (K).
        encoder_heads: attention heads of the keypoint encoder.
        encoder_layers: its layers.
        encoder_size: its inner width; None takes the language model's, which is much for a large base.
        sigma: standard deviation of the Gaussian window in shares of the image.
        window_threshold: where the Gaussian is cut, 0..1.
        attention_region: "gaussian" or "none" (ablation: no window).
        kinds, parts: names of the kinds of things and of the parts that the belief head tells apart; None without one.
        share_image_prefix: run the image's tokens once for all rows of text of that image. Exact only for bases
            whose image tokens see nothing behind them and whose image comes first in the prompt.

    Raises:
        ValueError: values that contradict each other.
    """

    model_type = "point_descriptor"

    def __init__(
        self,
        vlm_config: PreTrainedConfig | dict | None = None,
        point_token_id: int = 0,
        location_token_id: int = 1,
        num_keypoint_tokens: int = 4,
        encoder_heads: int = 4,
        encoder_layers: int = 2,
        encoder_size: int | None = None,
        sigma: float = 0.1,
        window_threshold: float = 0.1,
        attention_region: str = "gaussian",
        share_image_prefix: bool = False,
        kinds: list[str] | None = None,
        parts: list[str] | None = None,
        **kwargs,
    ):
        if bool(kinds) != bool(parts):
            raise ValueError("kinds and parts go together: the belief head needs names of both, or of neither")
        if attention_region not in ATTENTION_REGIONS:
            raise ValueError(f"attention_region must be one of {ATTENTION_REGIONS}, got {attention_region!r}")
        if not 0 < window_threshold < 1 or sigma <= 0:
            raise ValueError(f"need sigma > 0 and 0 < window_threshold < 1, got {sigma} and {window_threshold}")
        check_whole(0, point_token_id=point_token_id, location_token_id=location_token_id)
        check_whole(1, num_keypoint_tokens=num_keypoint_tokens, encoder_heads=encoder_heads)
        check_whole(0, encoder_layers=encoder_layers)
        if encoder_size is not None and (encoder_size < 4 or encoder_size % encoder_heads):
            raise ValueError(f"encoder_size must be a multiple of encoder_heads={encoder_heads}, got {encoder_size}")
        self.vlm_config = nested_config(vlm_config)
        self.point_token_id = point_token_id
        self.location_token_id = location_token_id
        self.num_keypoint_tokens = num_keypoint_tokens
        self.encoder_heads = encoder_heads
        self.encoder_layers = encoder_layers
        self.encoder_size = encoder_size
        self.sigma = sigma
        self.window_threshold = window_threshold
        self.attention_region = attention_region
        self.share_image_prefix = share_image_prefix
        self.kinds = None if kinds is None else list(kinds)
        self.parts = None if parts is None else list(parts)
        # auto_map: TRL reads it also of a checkpoint that names no remote code
        super().__init__(**{"auto_map": {}, "tie_word_embeddings": ties_embeddings(self.vlm_config), **kwargs})

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
        ValueError: a dict whose ``model_type`` transformers does not know.
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


def ties_embeddings(vlm_config: PreTrainedConfig | None) -> bool:
    """Whether a base ties its output layer to its embeddings."""
    return False if vlm_config is None else vlm_config.tie_word_embeddings


PointDescriptorConfig.register_for_auto_class()
__all__ = ["ConvVisionConfig", "PointDescriptorConfig", "nested_config"]
