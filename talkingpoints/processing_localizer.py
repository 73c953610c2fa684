"""Processor of the Point Localizer: photos and texts -> prompts, and the model's output -> points in pixels."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import BatchFeature

from .processing_prompts import PreparedPhotos, PromptProcessor
from .results import Localization, Point

LOCATE_TOKEN = "<locate>"
MAX_TEXT_TOKENS = 256


class PointLocalizerProcessor(PromptProcessor):
    """Prepares photos and texts for :class:`PointLocalizer`.

    Args:
        image_processor, tokenizer, chat_template, base_processor_class, base_processor_kwargs: of the base, see
            :class:`PromptProcessor`. The tokenizer must know ``<locate>``.
        instruction: what is asked; ``{text}`` stands for the description.

    Raises:
        ValueError: the tokenizer lacks ``<locate>``, or the instruction lacks ``{text}``.

    Example:
        >>> inputs = processor(images=[photo], texts=[["the dog's left ear", "its tail"]])  # two texts, one photo
    """

    def __init__(
        self,
        image_processor=None,
        tokenizer=None,
        chat_template=None,
        base_processor_class="LlavaProcessor",
        base_processor_kwargs=None,
        instruction="Locate: {text}",
    ):
        super().__init__(image_processor, tokenizer, chat_template, base_processor_class, base_processor_kwargs)
        if "{text}" not in instruction:
            raise ValueError(f"the instruction must say where the description goes with {{text}}, got {instruction!r}")
        if LOCATE_TOKEN not in tokenizer.added_tokens_encoder:
            raise ValueError(f"the tokenizer lacks the token {LOCATE_TOKEN}; add LOCATE_TOKEN to it")
        self.instruction = instruction
        self._end += LOCATE_TOKEN

    def __call__(
        self,
        images: Sequence[Image.Image] | PreparedPhotos | None = None,
        texts: Sequence[Sequence[str]] | None = None,
        return_tensors: str = "pt",
    ) -> BatchFeature:
        """Args:
            images: B photos, or what :meth:`prepare` has made of them.
            texts: per photo its n descriptions, the same n for all. Special tokens in them are plain characters;
                what lies behind 256 tokens is cut off.

        Returns:
            ``input_ids``, ``attention_mask`` (B * n, S) and vision tensors of B images.

        Raises:
            ValueError: If images or texts are missing, or a text is empty.
        """
        if images is None or texts is None:
            raise ValueError("give images, and texts about each of them")
        words = [[self.instruction.format(text=self._checked(text)) for text in rows] for rows in texts]
        return self._rows(images, words, None, padding_side="right")

    def _checked(self, text: str) -> str:
        if not text.strip():
            raise ValueError("the text is empty: describe the point to be found")
        text = self.plain_text(text.strip())
        ids = self._tokenize([text])[0]
        return text if len(ids) <= MAX_TEXT_TOKENS else self.tokenizer.decode(ids[:MAX_TEXT_TOKENS])

    def post_process(self, output: Any, sizes: Sequence[tuple[int, int]]) -> list[Localization]:
        """The model's output for R rows in the frame of the photos.

        Args:
            output: :class:`PointLocalizerOutput` of a model in eval mode.
            sizes: (height, width) in pixels of each row's photo, R of them.

        Raises:
            ValueError: another number of sizes than rows.
        """
        if len(sizes) != len(output.points):
            raise ValueError(f"{len(sizes)} sizes for {len(output.points)} rows")
        rows = []
        for i, size in enumerate(sizes):
            point = Point.at(output.points[i].detach().double().cpu().numpy().clip(0, 1), size)
            scores = None if output.heatmap_logits is None else output.heatmap_logits[i].detach()
            rows.append(
                Localization(
                    point.x,
                    point.y,
                    point.unit,
                    confidence=float(output.confidence[i].detach()),
                    presence=float(output.presence_logits[i].detach().sigmoid()),
                    heatmap=None if scores is None else _heatmap(scores, output.grids[i]),
                )
            )
        return rows


def _heatmap(scores: torch.Tensor, grid: tuple[int, int]) -> np.ndarray:
    """Sub-cell scores (N, s * s) of one row -> probabilities (h * s, w * s)."""
    height, width = grid
    side = round(scores.shape[1] ** 0.5)
    probabilities = scores[: height * width].flatten().softmax(0)
    image = probabilities.view(height, width, side, side).permute(0, 2, 1, 3).reshape(height * side, width * side)
    return image.float().cpu().numpy()


PointLocalizerProcessor.register_for_auto_class("AutoProcessor")
