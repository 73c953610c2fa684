"""Configuration of EfficientNet-Lite's features, a vision tower that comes trained on ImageNet."""

from transformers import CONFIG_MAPPING, AutoConfig, PreTrainedConfig

from .configuration_checks import check_whole


class EfficientNetLiteConfig(PreTrainedConfig):
    """Stages of inverted residual blocks; the defaults are those of EfficientNet-Lite0 without its classifier.

    Source: Tan and Le, EfficientNet, arXiv 1905.11946; the Lite variants have ReLU6 and no squeeze-and-excitation.

    Args:
        image_size: side of the square input in pixels; a multiple of 32.
        stem_width: channels at stride 2.
        stage_widths: channels of each stage.
        stage_depths: blocks of each stage; trained ones may have their last blocks cut off.
        stage_kernels: side of the depthwise convolutions of each stage.
        stage_strides: 1 or 2; of the first block of each stage.
        stage_expansions: hidden channels of a block by its input's.
        num_channels: input channels.

    Raises:
        ValueError: a value of which no model can be made, lists of unequal length, a stride other than 1 or 2, or a
            size that does not divide.
    """

    model_type = "efficientnet_lite"

    def __init__(
        self,
        image_size: int = 224,
        stem_width: int = 32,
        stage_widths: tuple[int, ...] = (16, 24, 40, 80, 112, 192),
        stage_depths: tuple[int, ...] = (1, 2, 2, 3, 3, 4),
        stage_kernels: tuple[int, ...] = (3, 3, 5, 3, 5, 5),
        stage_strides: tuple[int, ...] = (1, 2, 2, 2, 1, 2),
        stage_expansions: tuple[int, ...] = (1, 6, 6, 6, 6, 6),
        num_channels: int = 3,
        **kwargs,
    ):
        check_whole(1, image_size=image_size, stem_width=stem_width, num_channels=num_channels)
        check_whole(1, stage_widths=stage_widths, stage_kernels=stage_kernels, stage_expansions=stage_expansions)
        check_whole(0, stage_depths=stage_depths)
        lists = (stage_widths, stage_depths, stage_kernels, stage_strides, stage_expansions)
        if len({len(values) for values in lists}) != 1:
            raise ValueError(f"each stage needs a width, depth, kernel, stride and expansion, got {lists}")
        if not set(stage_strides) <= {1, 2}:
            raise ValueError(f"stage_strides must be 1 or 2, got {stage_strides}")
        self.stage_widths, self.stage_depths, self.stage_kernels, self.stage_strides, self.stage_expansions = map(
            list, lists
        )
        if image_size % self.patch_size:
            raise ValueError(f"image_size must be a multiple of {self.patch_size}, got {image_size}")
        self.image_size = image_size
        self.stem_width = stem_width
        self.num_channels = num_channels
        super().__init__(**kwargs)

    @property
    def patch_size(self) -> int:
        """Pixels of the input per cell of the last map along a side (the tower's total stride)."""
        return 2 ** (1 + self.stage_strides.count(2))

    @property
    def map_stages(self) -> list[int]:
        """The stages whose output is a feature map: the last one of each stride from 4 on."""
        ends = [i for i in range(len(self.stage_strides)) if self.stage_strides[i + 1 : i + 2] != [1]]
        return ends[0 if self.stage_strides[0] == 2 else 1 :]

    @property
    def map_widths(self) -> list[int]:
        """Channels of the feature maps, the finest (stride 4) first."""
        return [self.stage_widths[i] for i in self.map_stages]


# As remote code this file may be imported several times under several names; the first class stays the registered one.
if EfficientNetLiteConfig.model_type not in CONFIG_MAPPING:
    AutoConfig.register(EfficientNetLiteConfig.model_type, EfficientNetLiteConfig)
