"""The Point Localizer: image + text -> point, heat map, confidence, and whether the thing is in the image at all.

A base vision-language model reads the photo and the description; one learned query token behind the text gathers
where it is. One forward pass, no decoding.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForImageTextToText, PreTrainedModel, initialization
from transformers.modeling_outputs import ModelOutput

from .building import load_base, same
from .configuration_localizer import PointLocalizerConfig
from .families import check_interface, check_shared_prefix, token_types
from .localizer_heads import HeatmapHead, PointHead, best_points, gaussian_target, subcell_centers
from .modeling_vision_tower import ConvVisionModel  # registers the bundled models' vision tower
from .processing_localizer import LOCATE_TOKEN, PointLocalizerProcessor
from .vision_language import (
    VISION_INPUTS,
    VisualFeatures,
    embeddings_at,
    encode_images,
    rows_per_image,
    run_with_shared_prefix,
    shared_prefix_length,
    take_images,
)


@dataclass
class PointLocalizerOutput(ModelOutput):
    """Output of :class:`PointLocalizer` for R rows of text.

    Attributes:
        loss: () if ``points`` or ``presence`` were given: point loss + ``presence_weight`` x presence loss.
        points: (R, 2) unit points (x, y).
        confidence: (R,) probability that the point is within 0.1 of the image of the right place, given that the
            thing is there; NaN with the MLP head, which has no heat map.
        presence_logits: (R,) above 0: the thing is in the image.
        heatmap_logits: (R, N, s * s) scores of the sub-cells, None with the MLP head.
        query: (R, D) hidden states of the query token: what the text says.
        grids: (height, width) of each row's vision grid, R of them.
    """

    loss: torch.FloatTensor | None = None
    points: torch.FloatTensor | None = None
    confidence: torch.FloatTensor | None = None
    presence_logits: torch.FloatTensor | None = None
    heatmap_logits: torch.FloatTensor | None = None
    query: torch.FloatTensor | None = None
    grids: list[tuple[int, int]] | None = None


class QueryToken(nn.Module):
    """The embedding of the query token: one learned vector. A module, so that adapters can hold it."""

    def __init__(self, hidden_size: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(hidden_size))

    def forward(self) -> torch.Tensor:
        return self.weight


class PointLocalizer(PreTrainedModel):
    """Finds described points in photos.

    Example:
        >>> processor = AutoProcessor.from_pretrained(folder)
        >>> model = AutoModel.from_pretrained(folder)
        >>> inputs = processor(images=[photo], texts=[["the dog's left ear"]], return_tensors="pt")
        >>> processor.post_process(model(**inputs), sizes=[(photo.height, photo.width)])
    """

    config_class = PointLocalizerConfig
    base_model_prefix = "vlm"
    main_input_name = "input_ids"
    input_modalities = ("image", "text")
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_attention_backend = True
    accepts_loss_kwargs = False

    def __init__(self, config: PointLocalizerConfig, vlm: PreTrainedModel | None = None):
        """A model with a new query token and head, over a base that is at hand or, without one, over a random one."""
        super().__init__(config)
        if vlm is None:
            # the dtype that from_pretrained asked for, not the one that the base was saved in
            vlm = AutoModelForImageTextToText.from_config(config.vlm_config, dtype=torch.get_default_dtype())
        check_interface(vlm)
        if config.share_image_prefix:
            check_shared_prefix(vlm.config)
        self.vlm = vlm
        hidden_size = config.get_text_config().hidden_size
        self.query_token = QueryToken(hidden_size)
        if config.head == "heatmap":
            self.head = HeatmapHead(hidden_size, config.head_size, config.subcells)
        else:
            self.head = PointHead(hidden_size, config.head_size)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, QueryToken):
            initialization.normal_(module.weight, std=0.02)

    @classmethod
    def from_base(
        cls, base: str | Path, *, dtype: torch.dtype | str = torch.float32, load: dict[str, Any] | None = None, **config
    ) -> tuple["PointLocalizer", PointLocalizerProcessor]:
        """A new localizer over a base, and its processor.

        Args:
            base: Hub id or folder of a vision-language model with its processor, or of one of our models, whose base is
                then taken over as it was trained; of a localizer also the query token, and the head (with its
                temperature) if it is of the same kind and size.
            dtype: of the base's weights; query token and head are float32.
            load: further options of the base's ``from_pretrained``, for example ``{"device_map": "auto"}``,
                ``revision`` or ``quantization_config``.
            config: of :class:`PointLocalizerConfig`.

        Raises:
            ValueError: a model that cannot be a base; says what it lacks.
            ImportError: what ``load`` asks for is not possible on this machine.

        Example:
            >>> model, processor = PointLocalizer.from_base("Qwen/Qwen3-VL-2B-Instruct", head="mlp")
        """
        found = load_base(base, dtype, **(load or {}))
        (locate,) = found.token_ids([LOCATE_TOKEN])
        model = cls(PointLocalizerConfig(vlm_config=found.vlm.config, locate_token_id=locate, **config), found.vlm)
        trained = found.trained
        if isinstance(trained, PointLocalizer):
            if same(model.config, trained.config, ("head", "head_size", "subcells")):
                model.head.load_state_dict(trained.head.state_dict())
                model.config.heatmap_temperature = trained.config.heatmap_temperature
            model.query_token.load_state_dict(trained.query_token.state_dict())
        model.name_or_path = str(base)
        return model.eval(), PointLocalizerProcessor(**found.processor_parts)

    @classmethod
    def from_pretrained(cls, name_or_path, *args, **kwargs):
        """As transformers does; also of checkpoints in which the query token was called ``query``."""
        renamed = {r"^query$": "query_token.weight", **(kwargs.pop("key_mapping", None) or {})}
        return super().from_pretrained(name_or_path, *args, key_mapping=renamed, **kwargs)

    def get_input_embeddings(self) -> nn.Module:
        return self.vlm.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.vlm.set_input_embeddings(value)

    def get_output_embeddings(self) -> nn.Module:
        """Never run, but where the base ties them to its input embeddings, who moves one must know of the other."""
        return self.vlm.get_output_embeddings()

    def save_pretrained(self, save_directory, **kwargs) -> None:
        """As transformers does, under the parameters' own names: those that the ``Trainer`` resumes with."""
        super().save_pretrained(save_directory, **{"save_original_format": False, **kwargs})

    def encode_images(self, **inputs: torch.Tensor) -> VisualFeatures:
        """Encode images once, to be passed as ``visual`` in place of ``pixel_values`` to any number of calls."""
        return encode_images(self.vlm, take_images(inputs))

    def forward(
        self,
        input_ids: torch.LongTensor,
        attention_mask: torch.Tensor | None = None,
        pixel_values: torch.Tensor | None = None,
        visual: VisualFeatures | None = None,
        points: torch.Tensor | None = None,
        presence: torch.Tensor | None = None,
        **kwargs,
    ) -> PointLocalizerOutput:
        """Args:
            input_ids: (R, S) prompts, R a multiple of the images.
            attention_mask: (R, S), 0 on padding.
            pixel_values: as the image processor gives them.
            visual: from :meth:`encode_images`, instead of ``pixel_values``.
            points: (R, 2) or (B, n, 2) unit points to learn.
            presence: (R,) or (B, n), 1 where the text speaks of this image, 0 where not (then its point is ignored).

        Raises:
            ValueError: no image, rows that are no multiple of the images, or rows without exactly one query token.
        """
        if visual is None:
            if pixel_values is None:
                raise ValueError("the localizer needs pixel_values or visual")
            visual = self.encode_images(pixel_values=pixel_values, **kwargs)
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        times = rows_per_image(len(input_ids), len(visual))
        query = self._query_state(input_ids, attention_mask, visual, times, kwargs)
        return self.answer(visual, query, times, points, presence)

    def answer(
        self,
        visual: VisualFeatures,
        query: torch.Tensor,
        times: int,
        points: torch.Tensor | None = None,
        presence: torch.Tensor | None = None,
    ) -> PointLocalizerOutput:
        """From hidden states of the query token to the answer.

        Args:
            visual: B encoded images.
            query: (B * times, D).
            times: rows per image.
            points, presence: as for :meth:`forward`.
        """
        found = scores = calibrated = centers = None
        dtype = self.query_token.weight.dtype  # heads may be float32 over a base of 16 bits
        cells, asked = visual.tokens.to(dtype), query.to(dtype)
        if self.config.head == "heatmap":
            scores, presence_logits = self.head(cells, visual.valid, visual.centers, asked, times)
            confidence = torch.full_like(presence_logits, torch.nan)
            centers = subcell_centers(visual.centers, visual.grids, self.config.subcells).flatten(1, 2)
            if not self.training:
                calibrated = scores / self.config.heatmap_temperature
                probabilities = calibrated.flatten(1).softmax(-1).unflatten(0, (-1, times))
                found, confidence = (x.flatten(0, 1) for x in best_points(probabilities, centers))
        else:
            found, presence_logits = self.head(asked)
            confidence = torch.full_like(presence_logits, torch.nan)
        loss = None
        if points is not None:
            presence = torch.ones_like(presence_logits) if presence is None else presence.flatten()
            loss = self._loss(scores, centers, found, presence_logits, points.flatten(0, -2), presence)
        return PointLocalizerOutput(
            loss=loss,
            points=found,
            confidence=confidence,
            presence_logits=presence_logits,
            heatmap_logits=scores if calibrated is None else calibrated,
            query=query,
            grids=[grid for grid in visual.grids for _ in range(times)],
        )

    def _query_state(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, visual: VisualFeatures, times: int, kwargs: dict
    ) -> torch.Tensor:
        """Hidden state of the query token, (R, D)."""
        mask = input_ids == self.config.locate_token_id
        if not (mask.sum(1) == 1).all():
            raise ValueError(f"each row needs exactly one query token, got {mask.sum(1).tolist()}")
        input_ids = input_ids.masked_fill(mask, 0)
        values = self.query_token().expand(len(input_ids), 1, -1)
        length = 0
        if self.config.share_image_prefix:
            length = shared_prefix_length(input_ids, attention_mask, self.config.image_token_id, times)
        if length:
            output = run_with_shared_prefix(self.vlm, input_ids, attention_mask, visual, times, length, mask, values)
        else:
            repeated = visual.repeat(times)
            kept = {k: v for k, v in kwargs.items() if k not in VISION_INPUTS}
            with embeddings_at(self.vlm, mask, values):
                output = self.vlm.base_model(
                    input_ids=input_ids,
                    attention_mask=attention_mask,
                    mm_encoder_outputs={"image": repeated.encoder_output},
                    **{**token_types(self.vlm, input_ids), **repeated.per_image, **kept},
                )
        return output.last_hidden_state[mask[:, length:]]

    def _loss(
        self,
        scores: torch.Tensor | None,
        centers: torch.Tensor | None,
        found: torch.Tensor | None,
        presence_logits: torch.Tensor,
        points: torch.Tensor,
        presence: torch.Tensor,
    ) -> torch.Tensor:
        """Cross-entropy against a Gaussian (heat map) or squared error (the paper's), plus the presence loss."""
        here = presence > 0.5
        if self.config.head == "heatmap":
            centers = centers.repeat_interleave(len(points) // len(centers), 0)
            target = gaussian_target(points, centers, self.config.target_sigma)
            errors = -(target * scores.flatten(1).log_softmax(-1).clamp_min(-1e4)).sum(-1)
        else:
            errors = ((found - points) ** 2).sum(-1)
        point_loss = (errors * here).sum() / here.sum().clamp_min(1)
        presence_loss = nn.functional.binary_cross_entropy_with_logits(presence_logits, presence.float())
        return point_loss + self.config.presence_weight * presence_loss


PointLocalizer.register_for_auto_class("AutoModel")
__all__ = ["ConvVisionModel", "PointLocalizer", "PointLocalizerOutput"]
