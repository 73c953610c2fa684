"""The Panoptic Segmenter: a photo -> what every pixel shows, and where one thing ends and the next of its kind begins.

A small vision tower, and a decoder in the manner of feature pyramids (Lin et al., arXiv 1612.03144) that brings its
coarse maps back to a quarter of the input, where each pixel gets a label. There are no queries or boxes:
things are the connected pieces of their label, cut apart along a predicted border (image_processing_segmenter.py).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from transformers import AutoModel, PreTrainedModel, initialization
from transformers.modeling_outputs import ModelOutput
from transformers.utils import can_return_tuple

from .configuration_segmenter import VOID_LABEL, PanopticSegmenterConfig
from .modeling_efficientnet_lite import EfficientNetLiteModel  # registers the tower, as the next one does
from .modeling_vision_tower import ConvBlock, ConvVisionModel


@dataclass
class PanopticSegmenterOutput(ModelOutput):
    """Output of :class:`PanopticSegmenter`.

    Attributes:
        loss: () if ``labels`` were given: cross-entropy + ``dice_weight`` x dice loss.
        logits: (B, num_labels + 1, image_size / 4, image_size / 4); the last class is the border between things. With
            ``average_mirrored`` logarithms of probabilities.
        hidden_states: the tower's feature maps (B, width, side, side), the finest first, if asked for.
    """

    loss: torch.FloatTensor | None = None
    logits: torch.FloatTensor | None = None
    hidden_states: tuple[torch.FloatTensor, ...] | None = None


class PyramidDecoder(nn.Module):
    """Feature maps, each half as fine as the one before -> one map as fine as the first."""

    def __init__(self, map_widths: Sequence[int], width: int):
        super().__init__()
        *finer, coarsest = map_widths
        self.from_coarsest = nn.Conv2d(coarsest, width, 1)
        self.lateral = nn.ModuleList(nn.Conv2d(map_width, width, 1) for map_width in reversed(finer))
        self.blocks = nn.ModuleList(ConvBlock(width, width, stride=1) for _ in finer)

    def forward(self, maps: Sequence[torch.Tensor]) -> torch.Tensor:
        """Args:
        maps: (B, map_widths[i], h / 2^i, w / 2^i).
        """
        x = self.from_coarsest(maps[-1])
        for lateral, block, finer in zip(self.lateral, self.blocks, reversed(maps[:-1]), strict=True):
            x = nn.functional.interpolate(x, size=finer.shape[-2:], mode="bilinear", align_corners=False)
            x = block(x + lateral(finer))
        return x


class PanopticSegmenter(PreTrainedModel):
    """Cuts photos into things and background.

    Example:
        >>> processor = AutoImageProcessor.from_pretrained(folder)
        >>> model = AutoModelForUniversalSegmentation.from_pretrained(folder)
        >>> outputs = model(**processor(images=[photo], return_tensors="pt"))
        >>> processor.post_process_panoptic_segmentation(outputs, target_sizes=[(photo.height, photo.width)])
    """

    config_class = PanopticSegmenterConfig
    main_input_name = "pixel_values"
    input_modalities = ("image",)
    base_model_prefix = "vision_tower"
    supports_gradient_checkpointing = False
    _supports_sdpa = True
    accepts_loss_kwargs = False

    def __init__(self, config: PanopticSegmenterConfig):
        super().__init__(config)
        self.vision_tower = AutoModel.from_config(config.vision_config, dtype=torch.get_default_dtype())
        self.decoder = PyramidDecoder(config.vision_config.map_widths, config.decoder_width)
        self.classifier = nn.Conv2d(config.decoder_width, config.num_labels + 1, 1)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if module is self.classifier:
            initialization.normal_(module.weight, std=0.01)  # at first, every class is equally likely
        elif isinstance(module, nn.Conv2d):
            initialization.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    @can_return_tuple
    def forward(
        self,
        pixel_values: torch.Tensor,
        labels: torch.Tensor | None = None,
        output_hidden_states: bool | None = None,
        **kwargs,
    ) -> PanopticSegmenterOutput:
        """Args:
            pixel_values: (B, C, image_size, image_size), of the image processor.
            labels: (B, height, width) int64 of any size: ids of labels, ``config.border_id`` on borders, and
                `VOID_LABEL` where nothing is known.
            output_hidden_states: give the tower's feature maps too.

        Raises:
            ValueError: another image size.
        """
        maps = self.vision_tower.feature_maps(pixel_values)
        logits = self._logits(maps)
        if self.config.average_mirrored and not self.training:
            mirrored = self._logits(self.vision_tower.feature_maps(pixel_values.flip(-1))).flip(-1)
            both = torch.stack((logits, mirrored)).float().log_softmax(2)
            logits = (both.logsumexp(0) - math.log(2)).to(logits.dtype)
        loss = None if labels is None else self._loss(logits.float(), labels)
        wanted = self.config.output_hidden_states if output_hidden_states is None else output_hidden_states
        return PanopticSegmenterOutput(loss=loss, logits=logits, hidden_states=tuple(maps) if wanted else None)

    def _logits(self, maps: Sequence[torch.Tensor]) -> torch.Tensor:
        return self.classifier(self.decoder(maps))

    def _loss(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        logits = nn.functional.interpolate(logits, size=labels.shape[-2:], mode="bilinear", align_corners=False)
        known = labels != VOID_LABEL
        entropy = nn.functional.cross_entropy(logits, labels, ignore_index=VOID_LABEL, reduction="sum")
        entropy = entropy / known.sum().clamp_min(1)
        return entropy + self.config.dice_weight * _dice_loss(logits, labels, known)


def _dice_loss(logits: torch.Tensor, labels: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """1 - 2 |P T| / (|P| + |T|) over the batch's pixels, averaged over the classes that the batch shows."""
    classes = logits.shape[1]
    probabilities = logits.softmax(1).movedim(1, -1)[known]
    truth = nn.functional.one_hot(labels[known], classes).to(probabilities.dtype)
    shared, sizes = (probabilities * truth).sum(0), probabilities.sum(0) + truth.sum(0)
    shown = truth.sum(0) > 0
    return (1 - 2 * shared[shown] / sizes[shown]).sum() / shown.sum().clamp_min(1)


PanopticSegmenter.register_for_auto_class("AutoModelForUniversalSegmentation")
__all__ = ["ConvVisionModel", "EfficientNetLiteModel", "PanopticSegmenter", "PanopticSegmenterOutput"]
