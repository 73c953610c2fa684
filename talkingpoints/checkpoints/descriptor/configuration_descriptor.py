"""Configuration of the Point Descriptor: a base vision-language model and the keypoint encoder on top of it."""

from transformers import PreTrainedConfig

from .configuration_checks import check_whole
from .configuration_point import ConvVisionConfig, PointModelConfig

ATTENTION_REGIONS = ("gaussian", "none")


class PointDescriptorConfig(PointModelConfig):
    """Everything that rebuilds a :class:`PointDescriptor`.

    Args:
        vlm_config, share_image_prefix: see :class:`PointModelConfig`.
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
        self.point_token_id = point_token_id
        self.location_token_id = location_token_id
        self.num_keypoint_tokens = num_keypoint_tokens
        self.encoder_heads = encoder_heads
        self.encoder_layers = encoder_layers
        self.encoder_size = encoder_size
        self.sigma = sigma
        self.window_threshold = window_threshold
        self.attention_region = attention_region
        self.kinds = None if kinds is None else list(kinds)
        self.parts = None if parts is None else list(parts)
        # auto_map: TRL reads it also of a checkpoint that names no remote code
        super().__init__(vlm_config, share_image_prefix, **{"auto_map": {}, **kwargs})


PointDescriptorConfig.register_for_auto_class()
__all__ = ["ConvVisionConfig", "PointDescriptorConfig"]
