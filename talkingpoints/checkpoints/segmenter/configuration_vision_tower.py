"""Configuration of the small convolutional vision tower that the bundled models use (see modeling_vision_tower)."""

from typing import Any

from transformers import CONFIG_MAPPING, AutoConfig, PreTrainedConfig

from .configuration_checks import check_whole
from .configuration_efficientnet_lite import EfficientNetLiteConfig


class ConvVisionConfig(PreTrainedConfig):
    """Convolutional stages down to 1/16 of the image, then transformer layers over the grid.

    Args:
        image_size: side of the square input in pixels; a multiple of 16.
        hidden_size: width of the output tokens.
        stage_widths: channels at strides 4, 8 and 16.
        stage_depths: residual blocks at strides 4, 8 and 16.
        num_hidden_layers: transformer layers over the stride-16 grid.
        num_attention_heads: heads of each.
        num_channels: input channels.
        backbone_config: of an EfficientNet-Lite, as an object or a dict, whose feature maps take the place of the
            convolutional stages; a map at stride 32 is added to the one at stride 16. None takes residual blocks of
            ``stage_widths`` and ``stage_depths``.

    Raises:
        ValueError: sizes that do not divide or of which no model can be made, or a backbone of another stride or image
            size.
    """

    model_type = "talkingpoints_vision"

    sub_configs = {"backbone_config": EfficientNetLiteConfig}  # noqa: RUF012  (what transformers reads)

    def __init__(
        self,
        image_size: int = 192,
        hidden_size: int = 192,
        stage_widths: tuple[int, int, int] = (48, 96, 192),
        stage_depths: tuple[int, int, int] = (2, 2, 2),
        num_hidden_layers: int = 1,
        num_attention_heads: int = 4,
        num_channels: int = 3,
        backbone_config: EfficientNetLiteConfig | dict[str, Any] | None = None,
        **kwargs,
    ):
        check_whole(1, image_size=image_size, hidden_size=hidden_size, num_channels=num_channels)
        check_whole(1, num_attention_heads=num_attention_heads, stage_widths=stage_widths)
        check_whole(0, num_hidden_layers=num_hidden_layers, stage_depths=stage_depths)
        if isinstance(backbone_config, dict):
            backbone_config = EfficientNetLiteConfig(**backbone_config)
        if backbone_config is not None:
            if backbone_config.image_size != image_size or backbone_config.patch_size not in (16, 32):
                raise ValueError(
                    f"backbone_config: image size must be {image_size} and stride 16 or 32, "
                    f"got {backbone_config.image_size} and {backbone_config.patch_size}"
                )
            stage_widths = backbone_config.map_widths[:3]
        if image_size % self.patch_size:
            raise ValueError(f"image_size must be a multiple of {self.patch_size}, got {image_size}")
        if hidden_size % num_attention_heads:
            raise ValueError(
                f"hidden_size {hidden_size} is not a multiple of num_attention_heads {num_attention_heads}"
            )
        self.image_size = image_size
        self.hidden_size = hidden_size
        self.stage_widths = list(stage_widths)
        self.stage_depths = list(stage_depths)
        self.num_hidden_layers = num_hidden_layers
        self.num_attention_heads = num_attention_heads
        self.num_channels = num_channels
        self.backbone_config = backbone_config
        super().__init__(**kwargs)

    @property
    def patch_size(self) -> int:
        """Pixels of the input per output token along a side (the tower's total stride)."""
        return 16

    @property
    def context_width(self) -> int | None:
        """Channels of the backbone's map at stride 32; None without one."""
        widths = [] if self.backbone_config is None else self.backbone_config.map_widths
        return widths[3] if len(widths) > 3 else None

    @property
    def map_widths(self) -> list[int]:
        """Channels of the feature maps, the finest (stride 4) first; the last one is the grid of tokens."""
        return [*self.stage_widths[:-1], self.hidden_size]


# As remote code this file may be imported several times under several names; the first class stays the registered one.
if ConvVisionConfig.model_type not in CONFIG_MAPPING:
    AutoConfig.register(ConvVisionConfig.model_type, ConvVisionConfig)
