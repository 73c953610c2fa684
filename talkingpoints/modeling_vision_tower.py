"""A small vision tower for models that learn from a few thousand photos.

Convolutions down to stride 16, whose locality makes up for the few photos, then transformer layers over the grid, so
that every token knows the whole photo. The convolutions are residual ones (He et al., arXiv 1512.03385), or an
EfficientNet-Lite that comes trained on ImageNet. Registered for ``AutoModel``, so that any transformers vision-language
model can nest it as its ``vision_config``.
"""

import itertools

import torch
from torch import nn
from transformers import CONFIG_MAPPING, AutoModel, PreTrainedModel, initialization
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.utils import can_return_tuple

from .configuration_vision_tower import ConvVisionConfig
from .keypoint_encoder import cell_centers, encode_points
from .modeling_efficientnet_lite import BatchNorm, EfficientNetLiteModel, for_convolutions


class ConvBlock(nn.Module):
    """Two 3x3 convolutions with batch normalisation around a residual connection; the first may halve the grid."""

    def __init__(self, width_in: int, width: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width, 3, stride, padding=1, bias=False)
        self.norm1 = BatchNorm(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = BatchNorm(width)
        self.shortcut = None
        if stride != 1 or width_in != width:
            self.shortcut = nn.Sequential(nn.Conv2d(width_in, width, 1, stride, bias=False), BatchNorm(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        residual = x if self.shortcut is None else self.shortcut(x)
        x = torch.relu(self.norm1(self.conv1(x)))
        return torch.relu(self.norm2(self.conv2(x)) + residual)


class GridLayer(nn.Module):
    """Pre-norm transformer encoder layer over all cells of the grid."""

    is_causal = False

    def __init__(self, config: ConvVisionConfig):
        super().__init__()
        width = config.hidden_size
        self.config, self.heads = config, config.num_attention_heads
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.up = nn.Linear(width, 3 * width)
        self.down = nn.Linear(3 * width, width)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Cells (B, N, D) -> the same, and the attention's weights (B, heads, N, N) if its implementation tells."""
        batch, cells, width = x.shape
        qkv = self.qkv(self.norm1(x)).view(batch, cells, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # (B, heads, N, D / heads) each
        attend = ALL_ATTENTION_FUNCTIONS.get_interface(self.config._attn_implementation, eager_attention)
        attended, weights = attend(self, query, key, value, None, scaling=query.shape[-1] ** -0.5)
        x = x + self.out(attended.reshape(batch, cells, width))
        return x + self.down(nn.functional.gelu(self.up(self.norm2(x)))), weights


def eager_attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float,
    **kwargs,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention written out, (B, heads, N, d) -> (B, N, heads, d) and its weights; transformers' "eager"."""
    weights = (query @ key.mT * scaling).softmax(-1, dtype=torch.float32).to(query.dtype)
    return (weights @ value).transpose(1, 2), weights


class ConvVisionModel(PreTrainedModel):
    """Image (B, C, image_size, image_size) -> tokens (B, (image_size / 16)^2, hidden_size), row by row."""

    config_class = CONFIG_MAPPING[ConvVisionConfig.model_type]  # not always this file's ConvVisionConfig, see there
    main_input_name = "pixel_values"
    input_modalities = ("image",)
    base_model_prefix = "vision_tower"
    supports_gradient_checkpointing = False
    _supports_sdpa = _supports_flash_attn = _supports_flex_attn = _supports_attention_backend = True
    _no_split_modules = ("ConvBlock", "InvertedResidual", "GridLayer")

    def __init__(self, config: ConvVisionConfig):
        super().__init__(config)
        self.backbone = None
        if config.backbone_config is not None:
            self.backbone = EfficientNetLiteModel(config.backbone_config)
        else:
            widths, depths = config.stage_widths, config.stage_depths
            self.stem = nn.Sequential(
                nn.Conv2d(config.num_channels, widths[0] // 2, 3, 2, padding=1, bias=False),
                BatchNorm(widths[0] // 2),
                nn.ReLU(),
            )
            blocks, width_in = [], widths[0] // 2
            for width, depth in zip(widths, depths, strict=True):
                for i in range(depth):
                    blocks.append(ConvBlock(width_in, width, stride=2 if i == 0 else 1))
                    width_in = width
            self.blocks = nn.Sequential(*blocks)
        self.project = nn.Conv2d(config.stage_widths[-1], config.hidden_size, 1)
        self.context = None
        if config.context_width is not None:
            self.context = nn.Conv2d(config.context_width, config.hidden_size, 1)
        cells = (config.image_size // config.patch_size) ** 2
        self.positions = nn.Parameter(torch.zeros(cells, config.hidden_size))
        self.layers = nn.ModuleList(GridLayer(config) for _ in range(config.num_hidden_layers))
        self.norm = nn.LayerNorm(config.hidden_size)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, nn.Conv2d):
            initialization.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, ConvVisionModel):
            side = self.config.image_size // self.config.patch_size
            places = encode_points(cell_centers(side, side, module.positions.device), self.config.hidden_size)
            initialization.copy_(module.positions, 0.5 * places)  # learned from there on; loaded weights are left alone

    @can_return_tuple
    def forward(
        self, pixel_values: torch.Tensor, output_attentions: bool = False, **kwargs
    ) -> BaseModelOutputWithPooling:
        """Args:
            pixel_values: (B, C, image_size, image_size), normalised by the image processor.
            output_attentions: give the attention weights of the layers too (``attn_implementation="eager"``).

        Returns:
            ``last_hidden_state`` and ``hidden_states[-1]``: (B, cells, hidden_size); ``attentions``: (B, heads, cells,
            cells) of each layer.

        Raises:
            ValueError: another image size.
        """
        x, weights = self._encode(self.stage_maps(pixel_values))
        attentions = weights if output_attentions else None
        return BaseModelOutputWithPooling(last_hidden_state=x, hidden_states=(x,), attentions=attentions)

    def feature_maps(self, pixel_values: torch.Tensor) -> list[torch.Tensor]:
        """(B, config.map_widths[i], image_size / s, image_size / s) for the strides s = 4, 8 and 16.

        The last one is the grid of tokens.

        Args:
            pixel_values: as for :meth:`forward`.
        """
        maps = self.stage_maps(pixel_values)
        return [*maps[:2], self.tokens(maps).transpose(1, 2).unflatten(2, maps[2].shape[-2:])]

    def stage_maps(self, pixel_values: torch.Tensor) -> list[torch.Tensor]:
        """What the convolutional stages make of an image.

        Args:
            pixel_values: as for :meth:`forward`.

        Returns:
            (B, stage_widths[i], image_size / s, image_size / s) for the strides s = 4, 8 and 16, and 32 where the
            backbone has that.
        """
        if self.backbone is not None:
            return self.backbone.feature_maps(pixel_values)
        x = self.stem(for_convolutions(pixel_values, self.config.image_size, self.project.weight.dtype))
        maps, blocks = [], iter(self.blocks)
        for depth in self.config.stage_depths:
            for block in itertools.islice(blocks, depth):
                x = block(x)
            maps.append(x)
        return maps

    def tokens(self, maps: list[torch.Tensor]) -> torch.Tensor:
        """The output tokens (B, cells, hidden_size) of :meth:`stage_maps`."""
        return self._encode(maps)[0]

    def _encode(self, maps: list[torch.Tensor]) -> tuple[torch.Tensor, tuple[torch.Tensor | None, ...]]:
        x = self.project(maps[2])
        if self.context is not None:
            x = x + nn.functional.interpolate(self.context(maps[3]), scale_factor=2.0, mode="bilinear")
        x = x.flatten(2).transpose(1, 2) + self.positions
        attentions = []
        for layer in self.layers:
            x, weights = layer(x)
            attentions.append(weights)
        return self.norm(x), tuple(attentions)


AutoModel.register(ConvVisionModel.config_class, ConvVisionModel, exist_ok=True)
