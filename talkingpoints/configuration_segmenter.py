"""Configuration of the Panoptic Segmenter: a small vision tower and a decoder that labels pixels."""

from transformers import AutoConfig, PreTrainedConfig

from .configuration_checks import check_number, check_whole
from .configuration_efficientnet_lite import EfficientNetLiteConfig  # registers the tower, as the next one does
from .configuration_vision_tower import ConvVisionConfig

TOWERS = (ConvVisionConfig.model_type, EfficientNetLiteConfig.model_type)
"""Kinds of towers that give feature maps for the decoder."""

VOID_LABEL = 255
"""Label of pixels of which nothing is known: the loss leaves them out."""


class PanopticSegmenterConfig(PreTrainedConfig):
    """Everything that rebuilds a :class:`PanopticSegmenter`.

    Args:
        vision_config: of the tower, one of `TOWERS`, as an object or a dict; None takes the bundled pair's tower.
        decoder_width: channels of the decoder.
        dice_weight: weight of the dice loss beside the cross-entropy.
        average_mirrored: outside training, whether the mirrored photo is looked at too (twice the time).
        id2label, label2id: names of the labels, as in every model of transformers.

    Raises:
        ValueError: a tower of another kind: the decoder reads its feature maps; or a value of which no model can be
            made.
    """

    model_type = "panoptic_segmenter"

    sub_configs = {"vision_config": AutoConfig}  # noqa: RUF012  (what transformers reads)

    def __init__(
        self,
        vision_config: PreTrainedConfig | dict | None = None,
        decoder_width: int = 64,
        dice_weight: float = 1.0,
        average_mirrored: bool = False,
        **kwargs,
    ):
        if vision_config is None:
            vision_config = {}
        if isinstance(vision_config, dict):
            values = {k: v for k, v in vision_config.items() if k != "model_type"}
            kind = vision_config.get("model_type", ConvVisionConfig.model_type)
            vision_config = AutoConfig.for_model(kind, **values)
        if vision_config.model_type not in TOWERS:
            raise ValueError(f"vision_config must be of one of the towers {TOWERS}, got {vision_config.model_type!r}")
        check_whole(1, decoder_width=decoder_width)
        check_number(0.0, dice_weight=dice_weight)
        self.vision_config = vision_config
        self.decoder_width = decoder_width
        self.dice_weight = dice_weight
        self.average_mirrored = average_mirrored
        super().__init__(**kwargs)

    @property
    def border_id(self) -> int:
        """The class behind the labels: the border between two things of one label, which itself is none."""
        return self.num_labels


PanopticSegmenterConfig.register_for_auto_class()
__all__ = ["ConvVisionConfig", "EfficientNetLiteConfig", "PanopticSegmenterConfig"]
