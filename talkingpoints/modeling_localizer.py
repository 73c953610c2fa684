"""The Point Localizer: image + text -> point, heat map, confidence, and whether the thing is in the image at all.

A base vision-language model reads the photo and the description; one learned query token behind the text gathers
where it is. One forward pass, no decoding.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel, initialization
from transformers.modeling_outputs import ModelOutput
from transformers.utils import can_return_tuple

from .building import load_base, same
from .configuration_localizer import PointLocalizerConfig
from .families import token_types
from .localizer_heads import HeatmapHead, PointHead, best_points, gaussian_target, subcell_centers
from .modeling_point import ConvVisionModel, PointModel, without_none
from .placeholders import Placeholders, find_places, run_with
from .processing_localizer import LOCATE_TOKEN, PointLocalizerProcessor
from .vision_language import VisualFeatures, rows_per_image, take_images


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
        hidden_states, attentions: the base model's over whole rows, if asked for.
    """

    loss: torch.FloatTensor | None = None
    points: torch.FloatTensor | None = None
    confidence: torch.FloatTensor | None = None
    presence_logits: torch.FloatTensor | None = None
    heatmap_logits: torch.FloatTensor | None = None
    query: torch.FloatTensor | None = None
    grids: list[tuple[int, int]] | None = None
    hidden_states: tuple[torch.FloatTensor, ...] | None = None
    attentions: tuple[torch.FloatTensor, ...] | None = None


class QueryToken(nn.Module):
    """The embedding of the query token: one learned vector. A module, so that adapters can hold it."""

    def __init__(self, hidden_size: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(hidden_size))

    def forward(self) -> torch.Tensor:
        return self.weight


class PointLocalizer(PointModel):
    """Finds described points in photos.

    Example:
        >>> processor = AutoProcessor.from_pretrained(folder)
        >>> model = AutoModel.from_pretrained(folder)
        >>> inputs = processor(images=photo, text="the dog's left ear", return_tensors="pt")
        >>> processor.post_process(model(**inputs), sizes=[(photo.height, photo.width)])
    """

    config_class = PointLocalizerConfig
    base_model_prefix = "vlm"

    def __init__(self, config: PointLocalizerConfig, vlm: PreTrainedModel | None = None):
        """A model with a new query token and head, over a base that is at hand or, without one, over a random one."""
        super().__init__(config, vlm)
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
    def from_pretrained(cls, pretrained_model_name_or_path, *model_args, **kwargs):
        """As transformers does; also of checkpoints in which the query token was called ``query``."""
        renamed = {r"^query$": "query_token.weight", **(kwargs.pop("key_mapping", None) or {})}
        return super().from_pretrained(pretrained_model_name_or_path, *model_args, key_mapping=renamed, **kwargs)

    def named_children(self) -> Iterator[tuple[str, nn.Module]]:
        """The base comes last: with ``device_map="auto"``, transformers takes ``head`` for a part of a base's tied
        ``lm_head``, and looks for what that is tied to among the modules that have no place yet."""
        yield from sorted(super().named_children(), key=lambda child: child[0] == "vlm")

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.LongTensor,
        attention_mask: torch.Tensor | None = None,
        pixel_values: torch.Tensor | None = None,
        visual: VisualFeatures | None = None,
        points: torch.Tensor | None = None,
        presence: torch.Tensor | None = None,
        return_loss: bool = True,
        **kwargs,
    ) -> PointLocalizerOutput:
        """Args:
            input_ids: (R, S) prompts, R a multiple of the images.
            attention_mask: (R, S), 0 on padding.
            pixel_values: as the image processor gives them.
            visual: from :meth:`encode_images`, instead of ``pixel_values``.
            points: (R, 2) or (B, n, 2) unit points to learn.
            presence: (R,) or (B, n), 1 where the text speaks of this image, 0 where not (then its point is ignored).
            return_loss: compute the loss if there are ``points``. The name tells the ``Trainer`` that it can.
            kwargs: of the base model, such as ``output_hidden_states`` or ``return_dict``.

        Raises:
            ValueError: no image, rows that are no multiple of the images, or rows without exactly one query token.
        """
        images = take_images(kwargs)
        if visual is None:
            if pixel_values is None:
                raise ValueError("the localizer needs pixel_values or visual")
            visual = self.encode_images(pixel_values=pixel_values, **images)
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        times = rows_per_image(len(input_ids), len(visual))
        output, query = self._read(input_ids, attention_mask, visual, without_none(kwargs))
        answer = self.answer(visual, query, times, points if return_loss else None, presence)
        answer.hidden_states, answer.attentions = output.get("hidden_states"), output.get("attentions")
        return answer

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

    def _read(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, visual: VisualFeatures, inputs: dict[str, Any]
    ) -> tuple[ModelOutput, torch.Tensor]:
        """The base's output over the rows, and the hidden states of the query token, (R, D)."""
        is_query = input_ids == self.config.locate_token_id
        if not torch.compiler.is_compiling() and not (is_query.sum(1) == 1).all():
            raise ValueError(f"each row needs exactly one query token, got {is_query.sum(1).tolist()}")
        places = find_places(is_query, 1)  # (R, 1)
        words = input_ids.masked_fill(is_query, 0)
        placeholders = Placeholders(places, self.query_token().expand(len(words), 1, -1))
        prefix = None
        if not inputs.get("output_hidden_states") and not inputs.get("output_attentions"):
            prefix = self._shared_prefix(words, attention_mask, visual)
        if prefix is not None:
            output, places = prefix.run(words, attention_mask, placeholders), places - prefix.length
        else:
            shown = visual.repeat(rows_per_image(len(words), len(visual)))
            inputs = {**token_types(self.vlm, words), **shown.per_image, **inputs, "attention_mask": attention_mask}
            images = {"image": shown.encoder_output}
            output = run_with(self.vlm.base_model, placeholders, inputs, input_ids=words, mm_encoder_outputs=images)
        states = output.last_hidden_state  # (R, S, D)
        return output, states.gather(1, places[..., None].expand(-1, -1, states.shape[-1]))[:, 0]

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
