"""How the Point Descriptor writes: transformers' own ``generate``, the point being one of its inputs at every step.

The prompt's point becomes two tensors among the model's inputs, the keypoint tokens and their places in the sequence.
They are expanded with the rows (beams, several return sequences), and each forward pass is told which of them lie in
the piece that it runs, whatever that piece is: the whole prompt, a chunk of it, or all tokens again without a cache.
What families do at a step (position ids, masks, token types) is asked of the base.
"""

from typing import Any

import torch
from transformers import Cache, GenerationConfig, GenerationMixin, LogitsProcessor, LogitsProcessorList

from .families import token_types
from .points import LOCATION_BINS
from .vision_language import VisualFeatures, equal_images, rows_per_image, take_images

POINT_STATE = ("keypoints", "keypoint_places")
"""The point as ``generate`` hands it from step to step."""


class NeverWritten(LogitsProcessor):
    """Takes tokens (n,) out of what can be written next.

    transformers' own SuppressTokensLogitsProcessor searches the vocabulary anew for each token: 17 ms with 150,000
    entries on a CPU, which is more than many a decoding step.
    """

    def __init__(self, tokens: torch.Tensor):
        self.tokens = tokens

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        return scores.index_fill(-1, self.tokens, -torch.inf)


class PointGenerationMixin(GenerationMixin):
    """``generate`` for :class:`PointDescriptor`."""

    def prepare_inputs_for_generation(
        self,
        input_ids: torch.Tensor,
        keypoints: torch.Tensor | None = None,
        keypoint_places: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """The base's inputs of a step, and the keypoint tokens with their columns in the piece that the step runs."""
        inputs = self.vlm.prepare_inputs_for_generation(input_ids, **kwargs)
        piece, cache = inputs.get("input_ids"), _cache(inputs)
        if keypoints is None or piece is None:
            return inputs
        if cache is None:
            return inputs | {"keypoints": keypoints, "keypoint_places": keypoint_places}
        if kwargs.get("is_first_iteration") or piece.shape[1] > 1:  # else one new word
            inputs |= {"keypoints": keypoints, "keypoint_places": keypoint_places - cache.get_seq_length()}
        return inputs

    def _expand_inputs_for_generation(self, *args: Any, **kwargs: Any) -> tuple[torch.Tensor, dict[str, Any]]:
        return self.vlm._expand_inputs_for_generation(*args, **kwargs)

    def _update_model_kwargs_for_generation(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        return self.vlm._update_model_kwargs_for_generation(*args, **kwargs)

    def _prepare_position_ids_for_generation(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        return self.vlm._prepare_position_ids_for_generation(*args, **kwargs)

    def _prepare_multimodal_encoder_kwargs_for_generation(self, model_kwargs: dict[str, Any]) -> dict[str, Any]:
        return self.vlm._prepare_multimodal_encoder_kwargs_for_generation(model_kwargs)

    def _validate_model_kwargs(self, model_kwargs: dict[str, Any]) -> None:
        self.vlm._validate_model_kwargs({k: v for k, v in model_kwargs.items() if k not in POINT_STATE})

    def _get_logits_processor(self, *args: Any, **kwargs: Any) -> LogitsProcessorList:
        """transformers' processors behind one that keeps image, point and location tokens from being written."""
        vocabulary, first = self.config.get_text_config().vocab_size, self.config.location_token_id
        unwritten = [self.config.image_token_id, self.config.point_token_id, *range(first, first + LOCATION_BINS)]
        suppressed = torch.tensor([token for token in unwritten if token < vocabulary], device=kwargs.get("device"))
        return LogitsProcessorList([NeverWritten(suppressed), *super()._get_logits_processor(*args, **kwargs)])

    @torch.no_grad()
    def generate(
        self,
        inputs: torch.Tensor | None = None,
        *args: Any,
        visual: VisualFeatures | None = None,
        regions: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        """Write the answers.

        Arguments and result are those of transformers' ``generate``, in all of its modes, and ``visual`` and
        ``regions`` as in :meth:`PointDescriptor.forward`. Image, point and location tokens are never written. With
        ``past_key_values`` of an earlier call, only what they do not hold yet is read: a point there needs the photo
        again, and words do not.

        Raises:
            ValueError: If a point comes without a photo, rows are no multiple of the photos, or a mode cannot work:
                an assistant that is no Point Descriptor, or assisted decoding on from ``past_key_values``.
        """
        if inputs is not None and kwargs.get("input_ids") is not None:
            raise ValueError("give the prompts as inputs or as input_ids, not as both")
        input_ids = kwargs.pop("input_ids", None) if inputs is None else inputs
        if input_ids is None or kwargs.get("inputs_embeds") is not None:
            return super().generate(input_ids, *args, **kwargs)
        given = args[0] if args else kwargs.get("generation_config")
        config = given or self.generation_config
        if kwargs.get("attention_mask") is None:
            # from the ids as they came: below, location ids are replaced, and could be taken for padding
            pad = config.pad_token_id if config.pad_token_id is not None else self.generation_config.pad_token_id
            kwargs["attention_mask"] = torch.ones_like(input_ids) if pad is None else input_ids.ne(pad).long()
        past = _past_length(kwargs)
        _check_mode(kwargs, config, past)
        # a mask as long as the ids: they repeat what the cache holds already
        new = input_ids[:, past if kwargs["attention_mask"].shape[1] == input_ids.shape[1] else 0 :]
        if "keypoints" in kwargs:  # as another descriptor's assistant
            if not (new == self.config.image_token_id).any():
                kwargs.pop("mm_encoder_outputs", None)
            return super().generate(input_ids, *args, **kwargs)
        images = take_images(kwargs)
        words = self.words(input_ids)
        if visual is None and "pixel_values" in images and self.looks(new):
            visual = self._encode_distinct(images, len(input_ids))
        kwargs = {**self._point_inputs(words, new, visual, regions, kwargs, config), **kwargs}
        output = super().generate(words, *args, **kwargs)
        sequences = output if isinstance(output, torch.Tensor) else output.sequences
        # callers get their prompt back as they gave it: score it again and the point is still in it
        sequences[:, : input_ids.shape[1]] = input_ids.repeat_interleave(len(sequences) // len(input_ids), 0)
        return output

    def _encode_distinct(self, images: dict[str, torch.Tensor], rows: int) -> VisualFeatures:
        """The images, each once where it comes for several rows in a row, all equally often."""
        order, times = equal_images(images, rows)
        step = times if order.tolist() == list(range(len(order))) else 1
        return self.encode_images(**{name: value[::step] for name, value in images.items()})

    def _point_inputs(
        self,
        words: torch.Tensor,
        new: torch.Tensor,
        visual: VisualFeatures | None,
        regions: torch.Tensor | None,
        kwargs: dict[str, Any],
        config: GenerationConfig,
    ) -> dict[str, Any]:
        """What the first step needs besides the words: the photo (or keys and values of it) and the point.

        Args:
            words: (R, S) the prompts without point and location ids.
            new: (R, N) their last tokens, those that no cache holds yet, as they came.
            visual, regions: of :meth:`generate`.
            kwargs, config: of the call.
        """
        if visual is None:
            self.check_no_point(new)
            return {}
        _, placeholders = self.read_prompts(new, visual, regions)
        inputs: dict[str, Any] = {}
        if placeholders is not None:
            places = placeholders.places + _past_length(kwargs)
            inputs = {"keypoints": placeholders.values, "keypoint_places": places}
        prefix = None
        if not self._checkpointed and takes_prefix(kwargs, config):
            prefix = self._shared_prefix(words, kwargs["attention_mask"], visual)
        if prefix is not None:
            cache, positions, _ = prefix.start(words, kwargs["attention_mask"])
            inputs["past_key_values"] = cache
            return inputs if positions is None else inputs | {"position_ids": positions}
        if (new == self.config.image_token_id).any():
            shown = visual.repeat(rows_per_image(len(words), len(visual)))  # a copy: generation widens it in place
            inputs |= {**token_types(self.vlm, words), **shown.per_image}
            inputs["mm_encoder_outputs"] = {"image": shown.encoder_output}
        return inputs


def _cache(kwargs: dict[str, Any]) -> Cache | None:
    """The cache among a model's inputs; transformers 5.24 calls it ``cache``."""
    return next((kwargs[name] for name in ("past_key_values", "cache") if kwargs.get(name) is not None), None)


def _past_length(kwargs: dict[str, Any]) -> int:
    past = _cache(kwargs)
    return 0 if past is None else int(past.get_seq_length())


def _option(kwargs: dict[str, Any], config: GenerationConfig, name: str) -> Any:
    return kwargs.get(name, getattr(config, name, None))


def _check_mode(kwargs: dict[str, Any], config: GenerationConfig, past: int) -> None:
    assistant = kwargs.get("assistant_model")
    if assistant is not None and not isinstance(assistant, PointGenerationMixin):
        raise ValueError(f"assistant_model must be a Point Descriptor too, got a {type(assistant).__name__}: another "
                         "model cannot read the point")  # fmt: skip
    assisted = assistant is not None or _option(kwargs, config, "prompt_lookup_num_tokens")
    if past and assisted and "keypoints" not in kwargs:
        raise ValueError("assisted decoding and prompt look-up cannot go on from past_key_values: pass the whole "
                         "prompt without them")  # fmt: skip


def takes_prefix(kwargs: dict[str, Any], config: GenerationConfig) -> bool:
    """Whether a generation can start from keys and values of an image's prefix: one answer for each row, no beams, and
    a cache that is neither the caller's own nor of a certain kind nor off."""
    widened = [_option(kwargs, config, name) or 1 for name in ("num_beams", "num_return_sequences")]
    given = [_cache(kwargs), _option(kwargs, config, "cache_implementation")]
    return widened == [1, 1] and given == [None, None] and _option(kwargs, config, "use_cache") is not False
