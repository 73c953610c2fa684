"""The Panoptic Segmenter: a photo -> what every pixel shows, and where one thing ends and the next of its kind begins.

The bundled models' small vision tower, and a decoder in the manner of feature pyramids (Lin et al., arXiv 1612.03144)
that brings its tokens back to a quarter of the input, where each pixel gets a label. There are no queries or boxes:
things are the connected pieces of their label, cut apart along a predicted border (image_processing_segmenter.py).
"""

from dataclasses import dataclass

import torch
from torch import nn
from transformers import AutoModel, PreTrainedModel, initialization
from transformers.modeling_outputs import ModelOutput

from .configuration_segmenter import VOID_LABEL, PanopticSegmenterConfig
from .modeling_vision_tower import ConvBlock, ConvVisionModel  # registers the vision tower


@dataclass
class PanopticSegmenterOutput(ModelOutput):
    """Output of :class:`PanopticSegmenter`.

    Attributes:
        loss: () if ``labels`` were given: cross-entropy + ``dice_weight`` x dice loss.
        logits: (B, num_labels + 1, image_size / 4, image_size / 4); the last class is the border between things.
    """

    loss: torch.FloatTensor | None = None
    logits: torch.FloatTensor | None = None


class PyramidDecoder(nn.Module):
    """Tokens at stride 16 and maps at strides 8 and 4 -> one map at stride 4."""

    def __init__(self, token_width: int, map_widths: tuple[int, int], width: int):
        super().__init__()
        self.from_tokens = nn.Conv2d(token_width, width, 1)
        self.lateral = nn.ModuleList(nn.Conv2d(map_width, width, 1) for map_width in reversed(map_widths))
        self.blocks = nn.ModuleList(ConvBlock(width, width, stride=1) for _ in map_widths)

    def forward(self, tokens: torch.Tensor, maps: list[torch.Tensor]) -> torch.Tensor:
        """Args:
        tokens: (B, token_width, h, w).
        maps: (B, map_widths[0], 4 h, 4 w) and (B, map_widths[1], 2 h, 2 w).
        """
        x = self.from_tokens(tokens)
        for lateral, block, finer in zip(self.lateral, self.blocks, reversed(maps), strict=True):
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
        widths = config.vision_config.stage_widths
        self.decoder = PyramidDecoder(config.vision_config.hidden_size, tuple(widths[:-1]), config.decoder_width)
        self.classifier = nn.Conv2d(config.decoder_width, config.num_labels + 1, 1)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if module is self.classifier:
            initialization.normal_(module.weight, std=0.01)  # at first, every class is equally likely
        elif isinstance(module, nn.Conv2d):
            initialization.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(
        self, pixel_values: torch.Tensor, labels: torch.Tensor | None = None, **kwargs
    ) -> PanopticSegmenterOutput:
        """Args:
            pixel_values: (B, C, image_size, image_size), of the image processor.
            labels: (B, height, width) int64 of any size: ids of labels, ``config.border_id`` on borders, and
                `VOID_LABEL` where nothing is known.

        Raises:
            ValueError: another image size.
        """
        maps = self.vision_tower.stage_maps(pixel_values)
        tokens = self.vision_tower.tokens(maps[-1]).transpose(1, 2).unflatten(2, maps[-1].shape[-2:])
        logits = self.classifier(self.decoder(tokens, maps[:-1]))
        loss = None if labels is None else self._loss(logits.float(), labels)
        return PanopticSegmenterOutput(loss=loss, logits=logits)

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
__all__ = ["ConvVisionModel", "PanopticSegmenter", "PanopticSegmenterOutput"]
