"""Configuration of the Point Localizer: a base vision-language model and a head that reads a point off one token."""

from transformers import PreTrainedConfig

from .configuration_checks import check_number, check_whole
from .configuration_point import ConvVisionConfig, PointModelConfig

HEADS = ("heatmap", "mlp")


class PointLocalizerConfig(PointModelConfig):
    """Everything that rebuilds a :class:`PointLocalizer`.

    Args:
        vlm_config, share_image_prefix: see :class:`PointModelConfig`.
        locate_token_id: id of ``<locate>``, the query token behind the description.
        head: "heatmap" (default) or "mlp" (the paper's regression).
        head_size: width of the head.
        subcells: the heat map has this many cells per side within each cell of the vision grid.
        target_sigma: standard deviation of the Gaussian training target, in shares of the image.
        presence_weight: weight of the presence loss beside the point loss.
        heatmap_temperature: what the heat map's scores are divided by in use (not in training): fitted on validation
            data, it makes the confidence a probability.

    Raises:
        ValueError: an unknown head, a temperature that is not above 0, or a value of which no model can be made.
    """

    model_type = "point_localizer"

    def __init__(
        self,
        vlm_config: PreTrainedConfig | dict | None = None,
        locate_token_id: int = 0,
        head: str = "heatmap",
        head_size: int = 128,
        subcells: int = 2,
        target_sigma: float = 0.02,
        presence_weight: float = 0.2,
        heatmap_temperature: float = 1.0,
        share_image_prefix: bool = False,
        **kwargs,
    ):
        if head not in HEADS:
            raise ValueError(f"head must be one of {HEADS}, got {head!r}")
        if not heatmap_temperature > 0:
            raise ValueError(f"heatmap_temperature must be above 0, got {heatmap_temperature}")
        check_whole(0, locate_token_id=locate_token_id)
        check_whole(1, head_size=head_size, subcells=subcells)
        check_number(0.0, target_sigma=target_sigma, presence_weight=presence_weight)
        self.locate_token_id = locate_token_id
        self.head = head
        self.head_size = head_size
        self.subcells = subcells
        self.target_sigma = target_sigma
        self.presence_weight = presence_weight
        self.heatmap_temperature = heatmap_temperature
        super().__init__(vlm_config, share_image_prefix, **kwargs)
        self.keys_to_ignore_at_inference = ["heatmap_logits", "query", "grids"]  # whatever a saved one says


PointLocalizerConfig.register_for_auto_class()
__all__ = ["ConvVisionConfig", "PointLocalizerConfig"]
