"""What the Point Descriptor and the Point Localizer share: a base vision-language model under new parts."""

from typing import Any

import torch
from torch import nn
from transformers import AutoModelForImageTextToText, PreTrainedConfig, PreTrainedModel

from .families import check_interface, check_shared_prefix
from .modeling_vision_tower import ConvVisionModel  # registers the bundled models' vision tower
from .placeholders import accept_placeholders
from .shared_prefix import SharedPrefix
from .vision_language import VisualFeatures, encode_images, take_images


class PointModel(PreTrainedModel):
    """Base of :class:`PointDescriptor` and :class:`PointLocalizer`; ``vlm`` is the vision-language model in it."""

    main_input_name = "input_ids"
    input_modalities = ("image", "text")
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_attention_backend = True
    accepts_loss_kwargs = False

    def __init__(self, config: PreTrainedConfig, vlm: PreTrainedModel | None = None):
        """Over a base that is at hand or, without one, over a random one.

        Raises:
            ValueError: If the model cannot be a base, or not with ``share_image_prefix``.
        """
        super().__init__(config)
        if vlm is None:
            # the dtype that from_pretrained asked for, not the one that the base was saved in
            vlm = AutoModelForImageTextToText.from_config(config.vlm_config, dtype=torch.get_default_dtype())
        check_interface(vlm)
        if config.share_image_prefix:
            check_shared_prefix(vlm.config)
        accept_placeholders(vlm)
        config.vlm_config = vlm.config
        self.vlm = vlm

    def get_input_embeddings(self) -> nn.Module:
        return self.vlm.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.vlm.set_input_embeddings(value)

    def get_output_embeddings(self) -> nn.Module:
        return self.vlm.get_output_embeddings()

    def set_output_embeddings(self, value: nn.Module) -> None:
        self.vlm.set_output_embeddings(value)

    def get_decoder(self) -> nn.Module:
        return self.vlm.get_decoder()

    def save_pretrained(self, save_directory, **kwargs) -> None:
        """As transformers does, under the parameters' own names.

        The base's older names, which transformers would write, are not those that the ``Trainer`` resumes with.
        """
        super().save_pretrained(save_directory, **{"save_original_format": False, **kwargs})

    def encode_images(self, **inputs: torch.Tensor) -> VisualFeatures:
        """Encode images once, to be passed as ``visual`` in place of ``pixel_values`` to any number of calls."""
        return encode_images(self.vlm, take_images(inputs))

    def _shared_prefix(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None, visual: VisualFeatures | None
    ) -> SharedPrefix | None:
        """What the rows of each image have in common, if the configuration allows to run it once."""
        if visual is None or not self.config.share_image_prefix:
            return None
        return SharedPrefix.find(self.vlm, input_ids, attention_mask, visual)

    @property
    def _checkpointed(self) -> bool:
        """Whether gradient checkpointing is on, which turns caches off."""
        return self.training and any(getattr(module, "gradient_checkpointing", False) for module in self.vlm.modules())


def without_none(inputs: dict[str, Any]) -> dict[str, Any]:
    """Arguments without those that were not given."""
    return {name: value for name, value in inputs.items() if value is not None}


__all__ = ["ConvVisionModel", "PointModel", "without_none"]
