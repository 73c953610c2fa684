"""The Point Descriptor: image + point -> text, and image + region -> text.

A base vision-language model with a keypoint encoder. The point travels in the prompt: two location tokens (x, then y)
and K ``<point>`` placeholders. The model reads the coordinates back from ``input_ids``, encodes the photo around them
and puts the result at the placeholders; the language model does the rest. No extra tensor exists, so every trainer,
generation loop and server that passes ``input_ids`` works. A region is a box in the prompt, four location tokens, in
which the encoder looks in place of a Gaussian; a further tensor ``regions`` makes any mask of it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import (
    AutoModelForImageTextToText,
    GenerationConfig,
    GenerationMixin,
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedModel,
    initialization,
)
from transformers.modeling_outputs import BaseModelOutputWithPast, CausalLMOutputWithPast

from .building import load_base, same
from .configuration_descriptor import PointDescriptorConfig
from .families import check_interface, check_shared_prefix, token_types
from .keypoint_encoder import KeypointEncoder, box_window, mask_window
from .modeling_vision_tower import ConvVisionModel  # registers the bundled models' vision tower
from .points import LOCATION_BINS, LOCATION_TOKENS
from .processing_descriptor import POINT_TOKEN, PointDescriptorProcessor
from .vision_language import (
    VisualFeatures,
    embeddings_at,
    encode_images,
    equal_images,
    rows_per_image,
    run_prefix,
    run_with_shared_prefix,
    shared_prefix_length,
    take_images,
)

_PREFIX_KWARGS = {"attention_mask", "regions", "use_cache", "token_type_ids", "mm_token_type_ids"}
"""What ``backbone`` may be given where it runs shared prefixes: token types are made from the ids anyway."""


@dataclass
class PointDescriptorOutput(CausalLMOutputWithPast):
    """Output of :class:`PointDescriptor`: transformers' own, so that the cache has the name that its version gives it.

    Attributes:
        loss: () mean cross-entropy of the answer's tokens, if ``labels`` were given.
        logits: (R, S, V), or None where a loss was computed with a shared image prefix.
        past_key_values: the base model's cache.
        hidden_states, attentions: the base model's, if asked for.
    """


class NeverWritten(LogitsProcessor):
    """Takes tokens (n,) out of what can be written next.

    transformers' own SuppressTokensLogitsProcessor searches the vocabulary anew for each token: 17 ms with 150,000
    entries on a CPU, which is more than many a decoding step.
    """

    def __init__(self, tokens: torch.Tensor):
        self.tokens = tokens

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        return scores.index_fill(-1, self.tokens, -torch.inf)


class PointDescriptor(PreTrainedModel, GenerationMixin):
    """Describes points and regions of photos.

    Example:
        >>> processor = AutoProcessor.from_pretrained(folder)
        >>> model = AutoModel.from_pretrained(folder)
        >>> inputs = processor(images=[photo], points=[[(0.4, 0.3)]], return_tensors="pt")  # unit square
        >>> processor.batch_decode(model.generate(**inputs)[:, inputs["input_ids"].shape[1]:], skip_special_tokens=True)
    """

    config_class = PointDescriptorConfig
    base_model_prefix = "backbone"  # TRL's fused head calls ``model.base_model(...)``: it must inject points too
    main_input_name = "input_ids"
    input_modalities = ("image", "text")
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_attention_backend = True
    accepts_loss_kwargs = False

    def __init__(self, config: PointDescriptorConfig, vlm: PreTrainedModel | None = None):
        """A model with a new keypoint encoder, over a base that is at hand or, without one, over a random one."""
        super().__init__(config)
        if vlm is None:
            # the dtype that from_pretrained asked for, not the one that the base was saved in
            vlm = AutoModelForImageTextToText.from_config(config.vlm_config, dtype=torch.get_default_dtype())
        check_interface(vlm)
        if config.share_image_prefix:
            check_shared_prefix(vlm.config)
        self.vlm = vlm
        self.keypoint_encoder = KeypointEncoder(
            config.get_text_config().hidden_size,
            config.num_keypoint_tokens,
            config.encoder_heads,
            config.encoder_layers,
            config.sigma,
            config.window_threshold,
            config.attention_region,
            config.encoder_size,
        )
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, KeypointEncoder):
            initialization.normal_(module.prompt, std=0.02)

    @classmethod
    def from_base(
        cls, base: str | Path, *, dtype: torch.dtype | str = torch.float32, load: dict[str, Any] | None = None, **config
    ) -> tuple["PointDescriptor", PointDescriptorProcessor]:
        """A new descriptor over a base, and its processor.

        Args:
            base: Hub id or folder of a vision-language model with its processor, or of one of our models, whose base is
                then taken over as it was trained; of a descriptor also the keypoint encoder, if it is of the same size.
            dtype: of the base's weights; the keypoint encoder is float32.
            load: further options of the base's ``from_pretrained``, for example ``{"device_map": "auto"}``,
                ``revision`` or ``quantization_config``.
            config: of :class:`PointDescriptorConfig`.

        Raises:
            ValueError: a model that cannot be a base; says what it lacks.
            ImportError: what ``load`` asks for is not possible on this machine.

        Example:
            >>> model, processor = PointDescriptor.from_base("Qwen/Qwen3-VL-2B-Instruct", num_keypoint_tokens=8)
        """
        found = load_base(base, dtype, **(load or {}))
        ids = found.token_ids([POINT_TOKEN, *LOCATION_TOKENS])
        model_config = PointDescriptorConfig(
            vlm_config=found.vlm.config, point_token_id=ids[0], location_token_id=ids[1], **config
        )
        model = cls(model_config, found.vlm)
        model.generation_config = found.vlm.generation_config
        same_size = ("num_keypoint_tokens", "encoder_heads", "encoder_layers", "encoder_size")
        if isinstance(found.trained, PointDescriptor) and same(model_config, found.trained.config, same_size):
            model.keypoint_encoder.load_state_dict(found.trained.keypoint_encoder.state_dict())
        model.name_or_path = str(base)
        processor = PointDescriptorProcessor(
            **found.processor_parts, num_keypoint_tokens=model_config.num_keypoint_tokens
        )
        return model.eval(), processor

    def get_input_embeddings(self) -> nn.Module:
        return self.vlm.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.vlm.set_input_embeddings(value)

    def get_output_embeddings(self) -> nn.Module:
        return self.vlm.get_output_embeddings()

    def set_output_embeddings(self, value: nn.Module) -> None:
        self.vlm.set_output_embeddings(value)

    def save_pretrained(self, save_directory, **kwargs) -> None:
        """As transformers does, under the parameters' own names; the remote code also serves
        ``AutoModelForImageTextToText``.

        The base's older names, which transformers would write, are not those that the ``Trainer`` resumes with.
        """
        names = {"AutoModelForImageTextToText": f"modeling_descriptor.{type(self).__name__}"}
        self.config.auto_map = {**(getattr(self.config, "auto_map", None) or {}), **names}
        super().save_pretrained(save_directory, **{"save_original_format": False, **kwargs})

    def encode_images(self, **inputs: torch.Tensor) -> VisualFeatures:
        """Encode images once, to be passed as ``visual`` in place of ``pixel_values`` to any number of calls."""
        return encode_images(self.vlm, take_images(inputs))

    def read_boxes(self, input_ids: torch.Tensor) -> torch.Tensor | None:
        """The points and boxes that prompts carry.

        Args:
            input_ids: (R, S).

        Returns:
            Unit corners x0, y0, x1, y1 (R, 4), for a point the same corner twice; None where no row holds a location
            token.

        Raises:
            ValueError: a row holds another number of location tokens than two (a point) or four (a box).
        """
        is_location = self._is_location(input_ids)
        counts = is_location.sum(1)
        if not counts.any():
            return None
        if not ((counts == 2) | (counts == 4)).all():
            raise ValueError(
                "each row needs 2 location tokens (x, then y) for a point or 4 (x0, y0, x1, y1) for a region, "
                f"got {counts.tolist()}"
            )
        bins = (input_ids[is_location] - self.config.location_token_id).split(counts.tolist())
        boxes = torch.stack([row.repeat(4 // len(row)) for row in bins])
        return (boxes.float() + 0.5) / LOCATION_BINS

    def _is_location(self, input_ids: torch.Tensor) -> torch.Tensor:
        first = self.config.location_token_id
        return (input_ids >= first) & (input_ids < first + LOCATION_BINS)

    def _prepare(
        self, input_ids: torch.Tensor, visual: VisualFeatures, regions: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """For rows that are a multiple of the images: ids that all lie in the base vocabulary, the mask of the
        placeholders (R, S), and the keypoint tokens to put there (R, K, D)."""
        boxes = self.read_boxes(input_ids)
        mask = input_ids == self.config.point_token_id
        if boxes is None:
            return (
                input_ids,
                torch.zeros_like(mask),
                visual.tokens.new_zeros(len(input_ids), 0, visual.tokens.shape[-1]),
            )
        is_location = self._is_location(input_ids)
        region = self._region(boxes, is_location.sum(1) == 4, visual, regions)
        keypoints = self.keypoint_encoder(visual.tokens, visual.valid, visual.centers, boxes, region)
        return input_ids.masked_fill(mask | is_location, 0), mask, keypoints

    def _region(
        self, boxes: torch.Tensor, is_region: torch.Tensor, visual: VisualFeatures, regions: torch.Tensor | None
    ) -> torch.Tensor | None:
        """Where the encoder may look for rows that speak of a region, (R, N) bool; all False for points."""
        if regions is not None and len(regions) != len(boxes):
            raise ValueError(f"{len(regions)} regions for {len(boxes)} rows of input_ids; there must be one for each")
        if not is_region.any():
            return None
        times = rows_per_image(len(boxes), len(visual))
        centers = visual.centers.repeat_interleave(times, 0)
        window = box_window(boxes, centers)
        if regions is not None:
            grids = [grid for grid in visual.grids for _ in range(times)]
            masks = mask_window(regions, grids, centers.shape[1])
            window = torch.where(masks.any(-1, keepdim=True), masks, window)
        return window & is_region[:, None]

    def _call(self, run: Callable, input_ids: torch.Tensor | None, visual: VisualFeatures | None, kwargs: dict) -> Any:
        """Call a method of the base model with the image encoded and the points of the prompt injected."""
        take_images(kwargs)
        regions = kwargs.pop("regions", None)
        if input_ids is None or visual is None:  # decoding steps, and text without an image
            if input_ids is not None and self._is_location(input_ids).any():
                raise ValueError("the prompt carries a point but no image came with it: give pixel_values or visual")
            return run(input_ids=input_ids, **kwargs)
        times = rows_per_image(len(input_ids), len(visual))
        input_ids, mask, keypoints = self._prepare(input_ids, visual, regions)
        visual = visual.repeat(times)
        kwargs = {**token_types(self.vlm, input_ids, kwargs.get("labels")), **visual.per_image, **kwargs}
        with embeddings_at(self.vlm, mask, keypoints):
            return run(input_ids=input_ids, mm_encoder_outputs={"image": visual.encoder_output}, **kwargs)

    def backbone(self, input_ids: torch.Tensor | None = None, visual: VisualFeatures | None = None, **kwargs) -> Any:
        """The base model without its language-modelling head, points injected.

        TRL shows the image again with every answer, in any order. With ``share_image_prefix``, equal images that come
        equally often are run once here, as are their prefixes; the output has no cache then.
        """
        inputs = take_images(kwargs)
        if visual is None and input_ids is not None and "pixel_values" in inputs:
            if self.config.share_image_prefix and set(kwargs) <= _PREFIX_KWARGS and not self._checkpointed:
                output = self._backbone_shared(input_ids, inputs, **kwargs)
                if output is not None:
                    return output
            visual = self.encode_images(**inputs)
        return self._call(self.vlm.base_model, input_ids, visual, kwargs)

    def _backbone_shared(
        self,
        input_ids: torch.Tensor,
        inputs: dict[str, torch.Tensor],
        attention_mask: torch.Tensor | None = None,
        regions: torch.Tensor | None = None,
        **_: Any,
    ) -> BaseModelOutputWithPast | None:
        """:meth:`backbone` with each distinct image's prefix run once; None where there is nothing to share."""
        order, times = equal_images(inputs, len(input_ids))
        if times == 1 or attention_mask is None or (regions is not None and len(regions) != len(input_ids)):
            return None
        ids, mask = input_ids[order], attention_mask[order]
        length = shared_prefix_length(ids, mask, self.config.image_token_id, times)
        if not length:
            return None
        visual = self.encode_images(**{name: value[order[::times]] for name, value in inputs.items()})
        ids, placeholders, keypoints = self._prepare(ids, visual, None if regions is None else regions[order])
        output = run_with_shared_prefix(self.vlm, ids, mask, visual, times, length, placeholders, keypoints, whole=True)
        return BaseModelOutputWithPast(last_hidden_state=output.last_hidden_state[order.argsort()])

    @property
    def _checkpointed(self) -> bool:
        """Whether gradient checkpointing is on, which turns caches off."""
        return self.training and any(getattr(module, "gradient_checkpointing", False) for module in self.vlm.modules())

    def forward(
        self,
        input_ids: torch.LongTensor | None = None,
        attention_mask: torch.Tensor | None = None,
        pixel_values: torch.Tensor | None = None,
        labels: torch.LongTensor | None = None,
        visual: VisualFeatures | None = None,
        regions: torch.Tensor | None = None,
        logits_to_keep: int | torch.Tensor = 0,
        **kwargs,
    ) -> PointDescriptorOutput:
        """Args:
            input_ids: (R, S) prompts with their points or boxes, R a multiple of the images.
            attention_mask: (R, S), 0 on padding.
            pixel_values: as the image processor gives them.
            labels: (R, S), -100 where no loss is wanted.
            visual: from :meth:`encode_images`, instead of ``pixel_values``.
            regions: (R, h, w) masks over the whole photo, 0 to 1, for rows whose prompts carry a box; zeros leave it at
                the box.
            logits_to_keep: of the base model.

        Raises:
            ValueError: wrong counts of location or placeholder tokens, rows that are no multiple of the images, or
                another number of regions.
        """
        inputs = {k: v for k, v in {**kwargs, "attention_mask": attention_mask}.items() if v is not None}
        if visual is None and pixel_values is not None:
            visual = self.encode_images(pixel_values=pixel_values, **inputs)
        if self.config.share_image_prefix and labels is not None and visual is not None and attention_mask is not None:
            times = rows_per_image(len(input_ids), len(visual))
            length = shared_prefix_length(input_ids, attention_mask, self.config.image_token_id, times)
            if length:
                return self._forward_shared(input_ids, attention_mask, labels, visual, times, length, regions)
        inputs |= {"labels": labels, "regions": regions, "logits_to_keep": logits_to_keep}
        output = self._call(self.vlm, input_ids, visual, inputs)
        return PointDescriptorOutput(
            loss=output.loss,
            logits=output.logits,
            past_key_values=output.past_key_values,
            hidden_states=output.hidden_states,
            attentions=output.attentions,
        )

    def _forward_shared(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        labels: torch.Tensor,
        visual: VisualFeatures,
        times: int,
        length: int,
        regions: torch.Tensor | None,
    ) -> PointDescriptorOutput:
        """The loss with each image's prefix run once for its rows; no logits, the head runs on the answers only."""
        answered, logits, targets = self._answers(input_ids, attention_mask, labels, visual, times, length, regions)
        loss = nn.functional.cross_entropy(logits, targets[answered])
        return PointDescriptorOutput(loss=loss)

    def _answers(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        labels: torch.Tensor,
        visual: VisualFeatures,
        times: int,
        length: int,
        regions: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Behind a shared prefix: where answers are predicted (R, S) bool, the n logits there (n, V) in float32, and
        what they should predict (R, S)."""
        input_ids, mask, keypoints = self._prepare(input_ids, visual, regions)
        output = run_with_shared_prefix(self.vlm, input_ids, attention_mask, visual, times, length, mask, keypoints)
        targets = nn.functional.pad(labels[:, length + 1 :], (0, 1), value=-100)
        answered = targets != -100
        return answered, self.vlm.get_output_embeddings()(output.last_hidden_state[answered]).float(), targets

    def log_likelihoods(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        labels: torch.Tensor,
        visual: VisualFeatures,
        **kwargs,
    ) -> torch.Tensor:
        """Mean log-likelihood per token of each row's answer, (R,); arguments as for :meth:`forward`."""
        times = rows_per_image(len(input_ids), len(visual))
        length = shared_prefix_length(input_ids, attention_mask, self.config.image_token_id, times)
        if self.config.share_image_prefix and length:
            regions = kwargs.get("regions")
            answered, logits, targets = self._answers(input_ids, attention_mask, labels, visual, times, length, regions)
        else:
            targets = nn.functional.pad(labels[:, 1:], (0, 1), value=-100)
            answered = targets != -100
            kwargs = {**token_types(self.vlm, input_ids, labels), **kwargs, "attention_mask": attention_mask}
            output = self._call(self.vlm, input_ids, visual, kwargs)
            logits = output.logits[answered].float()
        losses = logits.new_zeros(answered.shape)
        losses[answered] = nn.functional.cross_entropy(logits, targets[answered], reduction="none")
        return -losses.sum(1) / answered.sum(1)

    def _generate_shared(
        self, input_ids: torch.Tensor, visual: VisualFeatures, times: int, length: int, kwargs: dict
    ) -> Any:
        """``generate`` of the base model with each image's prefix run once for its rows."""
        ids, mask, keypoints = self._prepare(input_ids, visual, kwargs.pop("regions", None))
        cache, positions, _ = run_prefix(self.vlm, ids, kwargs["attention_mask"], visual, times, length)
        if positions is not None:
            kwargs["position_ids"] = positions
        with embeddings_at(self.vlm, mask[:, length:], keypoints):
            return self.vlm.generate(input_ids=ids, past_key_values=cache, **kwargs)

    @torch.no_grad()
    def generate(
        self, input_ids: torch.Tensor | None = None, visual: VisualFeatures | None = None, **kwargs
    ) -> torch.LongTensor:
        """Write the answers; arguments and result as in transformers' ``generate``, and ``regions`` as in
        :meth:`forward`. Image, point and location tokens are never written."""
        self.vlm.generation_config = self.generation_config
        if kwargs.get("attention_mask") is None:
            # from the ids as they came: below, location ids are replaced, and could be taken for padding
            pad = self.generation_config.pad_token_id
            kwargs["attention_mask"] = torch.ones_like(input_ids) if pad is None else input_ids.ne(pad).long()
        vocabulary, first = self.config.get_text_config().vocab_size, self.config.location_token_id
        unwritten = [self.config.image_token_id, self.config.point_token_id, *range(first, first + LOCATION_BINS)]
        suppressed = [token for token in unwritten if token < vocabulary]
        processors = LogitsProcessorList([NeverWritten(torch.tensor(suppressed, device=input_ids.device))])
        processors.extend(kwargs.pop("logits_processor", None) or [])
        kwargs["logits_processor"] = processors
        inputs = take_images(kwargs)
        if visual is None and "pixel_values" in inputs:
            order, times = equal_images(inputs, len(input_ids))
            step = times if order.tolist() == list(range(len(order))) else 1
            visual = self.encode_images(**{name: value[::step] for name, value in inputs.items()})
        times = 1 if visual is None else rows_per_image(len(input_ids), len(visual))
        length = 0
        if self.config.share_image_prefix and not self._checkpointed and takes_prefix(kwargs, self.generation_config):
            length = shared_prefix_length(input_ids, kwargs["attention_mask"], self.config.image_token_id, times)
        if length:
            output = self._generate_shared(input_ids, visual, times, length, kwargs)
        else:
            output = self._call(self.vlm.generate, input_ids, visual, kwargs)
        sequences = output if isinstance(output, torch.Tensor) else output.sequences
        # callers get their prompt back as they gave it: score it again and the point is still in it
        sequences[:, : input_ids.shape[1]] = input_ids.repeat_interleave(len(sequences) // len(input_ids), 0)
        return output


def takes_prefix(kwargs: dict, config: GenerationConfig) -> bool:
    """Whether a generation can start from keys and values of an image's prefix: one answer for each row, no beams, and
    a cache that is neither the caller's own nor of a certain kind nor off."""
    config = kwargs.get("generation_config") or config
    widened = [kwargs.get(name, getattr(config, name)) or 1 for name in ("num_beams", "num_return_sequences")]
    given = [kwargs.get("past_key_values"), kwargs.get("cache_implementation", config.cache_implementation)]
    cached = kwargs.get("use_cache", config.use_cache)
    return widened == [1, 1] and given == [None, None] and cached is not False


PointDescriptor.register_for_auto_class("AutoModel")
__all__ = ["ConvVisionModel", "PointDescriptor", "PointDescriptorOutput"]
