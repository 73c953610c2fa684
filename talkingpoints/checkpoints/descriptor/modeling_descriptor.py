"""The Point Descriptor: image + point -> text, and image + region -> text.

A base vision-language model with a keypoint encoder. The point travels in the prompt: two location tokens (x, then y)
and K ``<point>`` placeholders. The model reads the coordinates back from ``input_ids``, encodes the photo around them
and puts the result at the placeholders; the language model does the rest. No extra tensor exists, so every trainer,
generation loop and server that passes ``input_ids`` works. A region is a box in the prompt, four location tokens, in
which the encoder looks in place of a Gaussian; a further tensor ``regions`` makes any mask of it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import GenerationMixin, PreTrainedModel, initialization
from transformers.modeling_outputs import BaseModelOutputWithPast, CausalLMOutputWithPast
from transformers.utils import can_return_tuple

from .belief_head import BeliefHead, BeliefLogits
from .building import load_base, same
from .configuration_descriptor import PointDescriptorConfig
from .families import token_types
from .keypoint_encoder import KeypointEncoder, box_window, mask_window
from .modeling_point import ConvVisionModel, PointModel, without_none
from .placeholders import Placeholders, find_places, run_with
from .point_generation import PointGenerationMixin
from .points import LOCATION_BINS, LOCATION_TOKENS
from .processing_descriptor import POINT_TOKEN, PointDescriptorProcessor
from .processing_prompts import IGNORED_LABEL
from .shared_prefix import SharedPrefix, shared_length
from .vision_language import VisualFeatures, equal_images, rows_per_image, take_images

_PREFIX_KWARGS = {"attention_mask", "use_cache", "token_type_ids", "mm_token_type_ids"}
"""What a call may be given where it runs shared prefixes: token types are made from the ids anyway."""


@dataclass
class PointDescriptorOutput(CausalLMOutputWithPast):
    """Output of :class:`PointDescriptor`: transformers' own, so that the cache has the name that its version gives it.

    Attributes:
        loss: () mean cross-entropy of the answer's tokens, if ``labels`` were given.
        logits: (R, S, V), or None where a loss was computed with a shared image prefix.
        past_key_values: the base model's cache.
        hidden_states, attentions: the base model's, if asked for.
    """


class PointDescriptor(PointModel, PointGenerationMixin, GenerationMixin):
    """Describes points and regions of photos.

    Example:
        >>> processor = AutoProcessor.from_pretrained(folder)
        >>> model = AutoModel.from_pretrained(folder)
        >>> inputs = processor(images=[photo], points=[[(0.4, 0.3)]], return_tensors="pt")  # unit square
        >>> processor.batch_decode(model.generate(**inputs)[:, inputs["input_ids"].shape[1]:], skip_special_tokens=True)
    """

    config_class = PointDescriptorConfig
    base_model_prefix = "backbone"  # TRL's fused head calls ``model.base_model(...)``: it must inject points too

    def __init__(self, config: PointDescriptorConfig, vlm: PreTrainedModel | None = None):
        """A model with a new keypoint encoder, over a base that is at hand or, without one, over a random one."""
        super().__init__(config, vlm)
        self._is_stateful = self.vlm._is_stateful
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
        self.belief_head = None
        if config.kinds:
            self.belief_head = BeliefHead(config.get_text_config().hidden_size, len(config.kinds), len(config.parts))
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
        if (
            isinstance(found.trained, PointDescriptor)
            and model_config.kinds
            and same(model_config, found.trained.config, ("kinds", "parts"))
        ):
            model.belief_head.load_state_dict(found.trained.belief_head.state_dict())
        model.name_or_path = str(base)
        processor = PointDescriptorProcessor(
            **found.processor_parts, num_keypoint_tokens=model_config.num_keypoint_tokens
        )
        return model.eval(), processor

    def save_pretrained(self, save_directory, **kwargs) -> None:
        """As transformers does; the remote code also serves ``AutoModelForImageTextToText``."""
        names = {"AutoModelForImageTextToText": f"modeling_descriptor.{type(self).__name__}"}
        self.config.auto_map = {**(getattr(self.config, "auto_map", None) or {}), **names}
        super().save_pretrained(save_directory, **kwargs)

    def read_boxes(self, input_ids: torch.Tensor) -> torch.Tensor | None:
        """The points and boxes that prompts carry.

        Args:
            input_ids: (R, S).

        Returns:
            Unit corners x0, y0, x1, y1 (R, 4), for a point the same corner twice; None where no row holds a location
            token.

        Raises:
            ValueError: If a row holds another number of location tokens than two (a point) or four (a box).
        """
        is_location = self._is_location(input_ids)
        counts = is_location.sum(1)
        if not torch.compiler.is_compiling():
            if not counts.any():
                return None
            if not ((counts == 2) | (counts == 4)).all():
                raise ValueError(
                    "each row needs 2 location tokens (x, then y) for a point or 4 (x0, y0, x1, y1) for a region, "
                    f"got {counts.tolist()}"
                )
        ranks = torch.arange(4, device=input_ids.device)
        columns = (is_location.cumsum(1)[:, None] <= ranks[:, None]).sum(-1)  # (R, 4)
        bins = input_ids.gather(1, columns.clamp(max=input_ids.shape[1] - 1)) - self.config.location_token_id
        bins = torch.where((counts == 4)[:, None], bins, bins[:, [0, 1, 0, 1]])
        return (bins.float() + 0.5) / LOCATION_BINS

    def _is_location(self, input_ids: torch.Tensor) -> torch.Tensor:
        first = self.config.location_token_id
        return (input_ids >= first) & (input_ids < first + LOCATION_BINS)

    def _is_point(self, input_ids: torch.Tensor) -> torch.Tensor:
        return (input_ids == self.config.point_token_id) | self._is_location(input_ids)

    def words(self, input_ids: torch.Tensor) -> torch.Tensor:
        """Ids that all lie in the base's vocabulary: those of points and locations become 0, and are not looked at."""
        return input_ids.masked_fill(self._is_point(input_ids), 0)

    def looks(self, input_ids: torch.Tensor) -> bool:
        """Whether anything in the prompts needs the photo: image tokens or a point."""
        return bool((self._is_point(input_ids) | (input_ids == self.config.image_token_id)).any())

    def check_no_point(self, input_ids: torch.Tensor) -> None:
        """Refuse prompts that carry a point while no image came with them.

        Raises:
            ValueError: If they do.
        """
        if self._is_point(input_ids).any():
            raise ValueError("the prompt carries a point but no image came with it: give pixel_values or visual")

    def read_prompts(
        self, input_ids: torch.Tensor, visual: VisualFeatures, regions: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, Placeholders | None]:
        """What prompts say in words, and the keypoint tokens of their points or regions.

        Args:
            input_ids: (R, S), R a multiple of the images.
            visual: the encoded images.
            regions: (R, h, w), see :meth:`forward`.

        Returns:
            Ids of the base's vocabulary (R, S), and what stands at the placeholders; None without a point.

        Raises:
            ValueError: If the counts of location tokens, placeholders, rows or regions are wrong.
        """
        rows_per_image(len(input_ids), len(visual))
        boxes = self.read_boxes(input_ids)
        is_placeholder = input_ids == self.config.point_token_id
        if boxes is None:
            find_places(is_placeholder, 0)
            return input_ids, None
        is_region = self._is_location(input_ids).sum(1) == 4
        region = self._region(boxes, is_region, visual, regions)
        keypoints = self.keypoint_encoder(visual.tokens, visual.valid, visual.centers, boxes, region)
        places = find_places(is_placeholder, self.config.num_keypoint_tokens)
        return self.words(input_ids), Placeholders(places, keypoints)

    def believe(
        self, input_ids: torch.Tensor, visual: VisualFeatures, regions: torch.Tensor | None = None
    ) -> BeliefLogits:
        """What the model takes the points of prompts for, before a word is written; arguments as for
        :meth:`read_prompts`.

        Raises:
            ValueError: If the model has no belief head, or a prompt has no point.
        """
        _, placeholders = self.read_prompts(input_ids, visual, regions)
        if self.belief_head is None or placeholders is None:
            raise ValueError("believe needs a model with config.kinds and config.parts, and prompts with points")
        return self.belief_head(placeholders.values)

    def _region(
        self, boxes: torch.Tensor, is_region: torch.Tensor, visual: VisualFeatures, regions: torch.Tensor | None
    ) -> torch.Tensor | None:
        """Where the encoder may look for rows that speak of a region, (R, N) bool; all False for points."""
        if regions is not None and len(regions) != len(boxes):
            raise ValueError(f"{len(regions)} regions for {len(boxes)} rows of input_ids; there must be one for each")
        if not torch.compiler.is_compiling() and not is_region.any():
            return None
        times = rows_per_image(len(boxes), len(visual))
        centers = visual.centers.repeat_interleave(times, 0)
        window = box_window(boxes, centers)
        if regions is not None:
            grids = [grid for grid in visual.grids for _ in range(times)]
            masks = mask_window(regions, grids, centers.shape[1])
            window = torch.where(masks.any(-1, keepdim=True), masks, window)
        return window & is_region[:, None]

    def _run(
        self,
        module: nn.Module,
        input_ids: torch.Tensor | None,
        visual: VisualFeatures | None,
        regions: torch.Tensor | None,
        inputs: dict[str, Any],
    ) -> Any:
        """The base, or its part below the head, over prompts with the image encoded and their points in place."""
        if input_ids is None or visual is None:  # embeddings, decoding steps, and text without an image
            if input_ids is not None and input_ids.shape[1] > 1 and not torch.compiler.is_compiling():
                self.check_no_point(input_ids)
            return module(input_ids=input_ids, **inputs)
        words, placeholders = self.read_prompts(input_ids, visual, regions)
        shown = visual.repeat(rows_per_image(len(input_ids), len(visual)))
        inputs = {**token_types(self.vlm, words, inputs.get("labels")), **shown.per_image, **inputs}
        return run_with(
            module, placeholders, inputs, input_ids=words, mm_encoder_outputs={"image": shown.encoder_output}
        )

    def backbone(
        self,
        input_ids: torch.Tensor | None = None,
        visual: VisualFeatures | None = None,
        regions: torch.Tensor | None = None,
        **kwargs,
    ) -> Any:
        """The base model without its language-modelling head, points injected.

        TRL shows the image again with every answer, in any order. With ``share_image_prefix``, equal images that come
        equally often are run once here, as are their prefixes; the output has no cache then.
        """
        images = take_images(kwargs)
        if visual is None and input_ids is not None and "pixel_values" in images:
            if self.config.share_image_prefix and set(kwargs) <= _PREFIX_KWARGS and not self._checkpointed:
                output = self._backbone_shared(input_ids, images, kwargs.get("attention_mask"), regions)
                if output is not None:
                    return output
            visual = self.encode_images(**images)
        return self._run(self.vlm.base_model, input_ids, visual, regions, kwargs)

    def _backbone_shared(
        self,
        input_ids: torch.Tensor,
        images: dict[str, torch.Tensor],
        attention_mask: torch.Tensor | None,
        regions: torch.Tensor | None,
    ) -> BaseModelOutputWithPast | None:
        """:meth:`backbone` with each distinct image's prefix run once; None where there is nothing to share."""
        order, times = equal_images(images, len(input_ids))
        if times == 1 or attention_mask is None or (regions is not None and len(regions) != len(input_ids)):
            return None
        ids, mask = input_ids[order], attention_mask[order]
        length = shared_length(ids, mask, self.config.image_token_id, times)
        if not length:
            return None
        visual = self.encode_images(**{name: value[order[::times]] for name, value in images.items()})
        words, placeholders = self.read_prompts(ids, visual, None if regions is None else regions[order])
        output = SharedPrefix(self.vlm, visual, times, length).run(words, mask, placeholders, whole=True)
        return BaseModelOutputWithPast(last_hidden_state=output.last_hidden_state[order.argsort()])

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.LongTensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.LongTensor | None = None,
        pixel_values: torch.Tensor | None = None,
        labels: torch.LongTensor | None = None,
        visual: VisualFeatures | None = None,
        regions: torch.Tensor | None = None,
        logits_to_keep: int | torch.Tensor = 0,
        keypoints: torch.Tensor | None = None,
        keypoint_places: torch.Tensor | None = None,
        mm_encoder_outputs: dict[str, Any] | None = None,
        **kwargs,
    ) -> PointDescriptorOutput:
        """Args:
            input_ids: (R, S) prompts with their points or boxes, R a multiple of the images.
            attention_mask: (R, S), 0 on padding.
            position_ids: of the base model.
            pixel_values: as the image processor gives them.
            labels: (R, S), -100 where no loss is wanted; image, point and location tokens never count.
            visual: from :meth:`encode_images`, instead of ``pixel_values``.
            regions: (R, h, w) masks over the whole photo, 0 to 1, for rows whose prompts carry a box; zeros leave it at
                the box.
            logits_to_keep: of the base model.
            keypoints, keypoint_places, mm_encoder_outputs: at a step of ``generate`` the keypoint tokens (R, K, D),
                their columns (R, K) in the piece that is run, and the encoded images; the ids are the base's own then.
            kwargs: of the base model, such as ``past_key_values``, ``output_hidden_states`` or ``return_dict``.

        Raises:
            ValueError: If the counts of location tokens or placeholders are wrong, the rows are no multiple of the
                images, or the regions are not one for each row.
        """
        given = {"attention_mask": attention_mask, "position_ids": position_ids, "labels": self._word_labels(labels)}
        inputs = without_none({**kwargs, **given})
        images = take_images(inputs)
        if keypoints is not None or mm_encoder_outputs is not None:
            placeholders = None if keypoints is None else Placeholders(keypoint_places, keypoints)
            more = {"mm_encoder_outputs": mm_encoder_outputs, "logits_to_keep": logits_to_keep}
            return _output(run_with(self.vlm, placeholders, inputs, input_ids=input_ids, **more))
        if visual is None and pixel_values is not None:
            visual = self.encode_images(pixel_values=pixel_values, **images)
        if labels is not None and set(inputs) - {"labels"} <= _PREFIX_KWARGS:
            prefix = self._shared_prefix(input_ids, attention_mask, visual)
            if prefix is not None:
                answered, logits, targets = self._answers(prefix, input_ids, attention_mask, inputs["labels"], regions)
                return PointDescriptorOutput(loss=nn.functional.cross_entropy(logits, targets[answered]))
        inputs["logits_to_keep"] = logits_to_keep
        return _output(self._run(self.vlm, input_ids, visual, regions, inputs))

    def _word_labels(self, labels: torch.Tensor | None) -> torch.Tensor | None:
        """Labels (R, S) without what is no word."""
        if labels is None:
            return None
        return labels.masked_fill(self._is_point(labels) | (labels == self.config.image_token_id), IGNORED_LABEL)

    def _answers(
        self,
        prefix: SharedPrefix,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        labels: torch.Tensor,
        regions: torch.Tensor | None,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Behind a shared prefix: where answers are predicted (R, S) bool, the n logits there (n, V) in float32, and
        what they should predict (R, S). The head runs on the answers only."""
        words, placeholders = self.read_prompts(input_ids, prefix.visual, regions)
        output = prefix.run(words, attention_mask, placeholders)
        targets = nn.functional.pad(labels[:, prefix.length + 1 :], (0, 1), value=IGNORED_LABEL)
        answered = targets != IGNORED_LABEL
        return answered, self.vlm.get_output_embeddings()(output.last_hidden_state[answered]).float(), targets

    def log_likelihoods(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        labels: torch.Tensor,
        visual: VisualFeatures,
        regions: torch.Tensor | None = None,
        **kwargs,
    ) -> torch.Tensor:
        """Mean log-likelihood per token of each row's answer, (R,); arguments as for :meth:`forward`."""
        prefix = self._shared_prefix(input_ids, attention_mask, visual)
        if prefix is not None:
            answered, logits, targets = self._answers(prefix, input_ids, attention_mask, labels, regions)
        else:
            targets = nn.functional.pad(labels[:, 1:], (0, 1), value=IGNORED_LABEL)
            answered = targets != IGNORED_LABEL
            kwargs = {**token_types(self.vlm, input_ids, labels), **kwargs, "attention_mask": attention_mask}
            logits = self._run(self.vlm, input_ids, visual, regions, kwargs).logits[answered].float()
        losses = logits.new_zeros(answered.shape)
        losses[answered] = nn.functional.cross_entropy(logits, targets[answered], reduction="none")
        return -losses.sum(1) / answered.sum(1)


def _output(output: Any) -> PointDescriptorOutput:
    """A base's output under our name."""
    names = ("loss", "logits", "past_key_values", "hidden_states", "attentions")
    return PointDescriptorOutput(**{name: output.get(name) for name in names})


PointDescriptor.register_for_auto_class("AutoModel")
__all__ = ["ConvVisionModel", "PointDescriptor", "PointDescriptorOutput"]
