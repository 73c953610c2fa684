"""EfficientNet-Lite's features: a small vision tower whose ImageNet weights are published.

The segmenter (modeling_segmenter.py) and the bundled pair's tower (modeling_vision_tower.py) use it: they have to tell
animals and parts apart, which a few thousand photos do not teach. Registered for ``AutoModel``. The weights come from
training/bundled/convert_efficientnet_lite.py.
"""

import torch
from torch import nn
from transformers import CONFIG_MAPPING, AutoModel, PreTrainedModel, initialization
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.utils import can_return_tuple

from .configuration_efficientnet_lite import EfficientNetLiteConfig


def for_convolutions(pixel_values: torch.Tensor, size: int, dtype: torch.dtype) -> torch.Tensor:
    """Pixel values as a tower's first convolution takes them: in its dtype, and channels last, with which convolutions
    run about twice as fast on CPU.

    Raises:
        ValueError: they are not ``size`` x ``size``.
    """
    if tuple(pixel_values.shape[-2:]) != (size, size):
        raise ValueError(f"pixel_values must be {size} x {size}, got {tuple(pixel_values.shape[-2:])}")
    return pixel_values.to(dtype).contiguous(memory_format=torch.channels_last)


class BatchNorm(nn.BatchNorm2d):
    """Batch normalisation that takes the batch's own statistics only where gradients are computed.

    Trainers sample answers in training mode, without gradients: what is described must not depend on the other photos
    of the batch.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training and not torch.is_grad_enabled():
            return nn.functional.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps
            )
        return super().forward(x)


class ConvNorm(nn.Module):
    """Convolution, batch normalisation and, unless it is linear, ReLU6; padded as TensorFlow's "same" does."""

    def __init__(self, width_in: int, width: int, kernel: int, stride: int = 1, groups: int = 1, linear: bool = False):
        super().__init__()
        # at stride 2 an even input is padded by less at its left and top
        before, after = ((kernel - 1) // 2, kernel // 2) if stride == 1 else ((kernel - 2) // 2, (kernel - 1) // 2)
        self.pad = (before, after, before, after) if before != after else None
        self.conv = nn.Conv2d(
            width_in, width, kernel, stride, padding=0 if self.pad else before, groups=groups, bias=False
        )
        self.norm = BatchNorm(width, eps=1e-3)
        self.linear = linear

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.pad:
            x = nn.functional.pad(x, self.pad)
        x = self.norm(self.conv(x))
        return x if self.linear else nn.functional.relu6(x)


class InvertedResidual(nn.Module):
    """To more channels, depthwise convolution, and back to fewer (Sandler et al., arXiv 1801.04381)."""

    def __init__(self, width_in: int, width: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        hidden = width_in * expansion
        self.expand = ConvNorm(width_in, hidden, 1) if expansion != 1 else None
        self.depthwise = ConvNorm(hidden, hidden, kernel, stride, groups=hidden)
        self.project = ConvNorm(hidden, width, 1, linear=True)
        self.residual = stride == 1 and width_in == width

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x if self.expand is None else self.expand(x)
        y = self.project(self.depthwise(y))
        return x + y if self.residual else y


class EfficientNetLiteModel(PreTrainedModel):
    """Image (B, C, image_size, image_size) -> cells (B, (image_size / 32)^2, stage_widths[-1]), row by row."""

    config_class = CONFIG_MAPPING[EfficientNetLiteConfig.model_type]  # not always this file's, see there
    main_input_name = "pixel_values"
    input_modalities = ("image",)
    base_model_prefix = "vision_tower"
    supports_gradient_checkpointing = False
    # it has no attention: whatever is asked for changes nothing
    _supports_sdpa = _supports_flash_attn = _supports_flex_attn = _supports_attention_backend = True
    _no_split_modules = ("InvertedResidual",)

    def __init__(self, config: EfficientNetLiteConfig):
        super().__init__(config)
        self.stem = ConvNorm(config.num_channels, config.stem_width, 3, 2)
        self.stages = nn.ModuleList()
        width_in = config.stem_width
        for width, depth, kernel, stride, expansion in zip(
            config.stage_widths, config.stage_depths, config.stage_kernels, config.stage_strides,
            config.stage_expansions, strict=True,
        ):  # fmt: skip
            blocks = []
            for i in range(depth):
                blocks.append(InvertedResidual(width_in, width, kernel, stride if i == 0 else 1, expansion))
                width_in = width
            self.stages.append(nn.Sequential(*blocks))
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, nn.Conv2d):
            initialization.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    @can_return_tuple
    def forward(
        self, pixel_values: torch.Tensor, output_hidden_states: bool = False, **kwargs
    ) -> BaseModelOutputWithPooling:
        """Args:
            pixel_values: (B, C, image_size, image_size), normalised by the image processor.
            output_hidden_states: give the feature maps too.

        Returns:
            ``last_hidden_state``: (B, cells, stage_widths[-1]); ``hidden_states``: see :meth:`feature_maps`.

        Raises:
            ValueError: another image size.
        """
        maps = self.feature_maps(pixel_values)
        states = tuple(maps) if output_hidden_states else None
        return BaseModelOutputWithPooling(last_hidden_state=maps[-1].flatten(2).mT, hidden_states=states)

    def feature_maps(self, pixel_values: torch.Tensor) -> list[torch.Tensor]:
        """(B, config.map_widths[i], image_size / s, image_size / s) for the strides s = 4, 8, 16 and 32.

        Args:
            pixel_values: as for :meth:`forward`.
        """
        x = self.stem(for_convolutions(pixel_values, self.config.image_size, self.stem.conv.weight.dtype))
        maps, wanted = [], set(self.config.map_stages)
        for i, stage in enumerate(self.stages):
            x = stage(x)
            if i in wanted:
                maps.append(x)
        return maps


AutoModel.register(EfficientNetLiteModel.config_class, EfficientNetLiteModel, exist_ok=True)
