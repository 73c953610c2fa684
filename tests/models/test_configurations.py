"""Configurations of which no model can be made are refused, with the name of the value."""

from typing import Any

import pytest

from talkingpoints import PanopticSegmenterConfig, PointDescriptorConfig, PointLocalizerConfig
from talkingpoints.configuration_efficientnet_lite import EfficientNetLiteConfig
from talkingpoints.configuration_vision_tower import ConvVisionConfig


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (PointDescriptorConfig, {"encoder_heads": -4}),
        (PointDescriptorConfig, {"encoder_layers": -1}),
        (PointDescriptorConfig, {"num_keypoint_tokens": 0}),
        (PointDescriptorConfig, {"point_token_id": -1}),
        (PointLocalizerConfig, {"head_size": 0}),
        (PointLocalizerConfig, {"subcells": 1.5}),
        (PointLocalizerConfig, {"presence_weight": float("nan")}),
        (PanopticSegmenterConfig, {"decoder_width": True}),
        (PanopticSegmenterConfig, {"dice_weight": -1.0}),
        (ConvVisionConfig, {"num_attention_heads": -4}),
        (ConvVisionConfig, {"num_hidden_layers": -1}),
        (ConvVisionConfig, {"stage_widths": (48, -96, 192)}),
        (ConvVisionConfig, {"image_size": 0}),
        (EfficientNetLiteConfig, {"stage_depths": (1, 2, 2, -3, 3, 4)}),
        (EfficientNetLiteConfig, {"stem_width": "32"}),
    ],
)
def test_impossible_values_are_refused(kind: Any, values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(values))} must be a "):
        kind(**values)
    assert kind()  # the defaults are possible
