"""Processor of the Point Descriptor: photos and points -> prompts that carry the points."""

from collections.abc import Sequence

import numpy.typing as npt
from PIL import Image
from transformers import BatchFeature

from .points import LOCATION_TOKENS, location_tokens
from .processing_prompts import PromptProcessor

POINT_TOKEN = "<point>"


class PointDescriptorProcessor(PromptProcessor):
    """Prepares photos and points for :class:`PointDescriptor`.

    Args:
        image_processor, tokenizer, chat_template, base_processor_class, base_processor_kwargs: of the base, see
            :class:`PromptProcessor`. The tokenizer must know ``<point>`` and ``<loc_0000>`` ... ``<loc_1023>``.
        num_keypoint_tokens: ``<point>`` placeholders per point, as in the model's configuration.
        instruction: what is asked; ``{point}`` stands for the point.

    Raises:
        ValueError: the tokenizer lacks the tokens, or the instruction lacks ``{point}``.

    Example:
        >>> inputs = processor(images=[photo], points=[[(0.4, 0.3), (0.5, 0.5)]])  # two points of one photo
    """

    def __init__(
        self,
        image_processor=None,
        tokenizer=None,
        chat_template=None,
        base_processor_class="LlavaProcessor",
        base_processor_kwargs=None,
        num_keypoint_tokens=4,
        instruction="Describe {point}.",
    ):
        super().__init__(image_processor, tokenizer, chat_template, base_processor_class, base_processor_kwargs)
        if "{point}" not in instruction:
            raise ValueError(f"the instruction must say where the point goes with {{point}}, got {instruction!r}")
        missing = [t for t in (POINT_TOKEN, LOCATION_TOKENS[0], LOCATION_TOKENS[-1])
                   if t not in tokenizer.added_tokens_encoder]  # fmt: skip
        if missing:
            raise ValueError(f"the tokenizer lacks the tokens {missing}; add POINT_TOKEN and LOCATION_TOKENS to it")
        self.num_keypoint_tokens = num_keypoint_tokens
        self.instruction = instruction

    def prompt(self, point: npt.ArrayLike) -> str:
        """The user's words for one unit point (x, y): instruction, location tokens and placeholders."""
        return self.instruction.format(point=location_tokens(point) + POINT_TOKEN * self.num_keypoint_tokens)

    def __call__(
        self,
        images: Sequence[Image.Image] | None = None,
        text: str | Sequence[str] | None = None,
        points: Sequence[npt.ArrayLike] | None = None,
        answers: Sequence[Sequence[str]] | None = None,
        **kwargs,
    ) -> BatchFeature:
        """Args:
            images: B photos.
            text: ready prompts, as trainers hand them over; then everything goes to the base's own processor.
            points: per photo its unit points (n, 2), the same n for all.
            answers: per photo the n texts to learn; adds ``labels`` and pads on the right.
            kwargs: of the base's own processor, with ``text`` only.

        Returns:
            ``input_ids``, ``attention_mask`` (B * n, S), vision tensors of B images, and ``labels`` with answers.

        Raises:
            ValueError: neither or both of ``text`` and ``points``, or points outside the unit square.
        """
        if (text is None) == (points is None):
            raise ValueError("give either text (ready prompts) or points")
        if text is not None:
            return self._prepared(images, text, **kwargs)
        if not set(kwargs) <= {"return_tensors"}:
            raise TypeError(f"unexpected arguments with points: {sorted(kwargs)}")
        words = [[self.prompt(point) for point in rows] for rows in points]
        return self._rows(images, words, answers, padding_side="left" if answers is None else "right")


PointDescriptorProcessor.register_for_auto_class("AutoProcessor")
