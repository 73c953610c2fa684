"""Processor of the Point Localizer: photos and texts -> prompts, and the model's output -> points in pixels."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import BatchFeature
from transformers.image_utils import ImageInput

from .processing_prompts import PreparedPhotos, PromptProcessor, RowFormat, by_photo, read_photos
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
        >>> inputs = processor(images=photo, text=["the dog's left ear", "its tail"])  # two texts, one photo
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
        images: ImageInput | Sequence[ImageInput] | PreparedPhotos | None = None,
        text: str | Sequence[str | Sequence[str]] | None = None,
        texts: Sequence[Sequence[str]] | None = None,
        **kwargs,
    ) -> BatchFeature:
        """Args:
            images: a photo or a list of B photos: PIL images, arrays, tensors, paths or URLs; or what :meth:`prepare`
                has made of B photos.
            text: of one photo a description or n of them; of a list of photos this for each of them, the same n for
                all. Special tokens in them are plain characters; what lies behind 256 tokens is cut off.
            texts: the former name of ``text``.
            kwargs: ``return_tensors``, ``padding``, ``truncation``, ``max_length`` and ``padding_side``, see
                :class:`RowFormat`.

        Returns:
            ``input_ids``, ``attention_mask`` (B * n, S) and vision tensors of B images.

        Raises:
            ValueError: If a text is empty, there are videos, or a prompt has several photos.
        """
        if texts is not None:
            if text is not None:
                raise ValueError("give text, not its former name texts beside it")
            warnings.warn("texts= is now called text=", FutureWarning, stacklevel=2)
            text = texts
        if any(kwargs.pop(name, None) is not None for name in ("videos", "audio")):
            raise ValueError("points lie in photos: videos and audio are not read")
        if text is None:
            raise ValueError("text is missing: describe the point to be found")
        if unknown := set(kwargs) - set(RowFormat.__dataclass_fields__):
            raise TypeError(f"unexpected arguments: {sorted(unknown)}")
        rows_as = RowFormat(**{"padding_side": "right", **kwargs})
        photos, single = read_photos(images)
        rows = by_photo(text, len(photos), single, "text")
        words = self._words(rows, MAX_TEXT_TOKENS)
        if rows_as.truncation:
            limit = MAX_TEXT_TOKENS
            while (over := self._rows(photos, words, None, RowFormat())["input_ids"].shape[1] - rows_as.max_length) > 0:
                longest = max(len(ids) for ids in self._tokenize([one for row in rows for one in row]))
                if limit == 1:
                    break  # and be refused below
                limit = max(1, min(limit, longest) - over)
                words = self._words(rows, limit)
        return self._as_asked(self._rows(photos, words, None, rows_as), rows_as)

    def _words(self, rows: Sequence[Sequence[str] | None], limit: int) -> list[list[str]]:
        """The user's words of each row, its description cut behind so many tokens.

        Raises:
            ValueError: If a description is empty.
        """
        return [[self.instruction.format(text=self._checked(text, limit)) for text in row or ()] for row in rows]

    def _checked(self, text: str, limit: int) -> str:
        if not text.strip():
            raise ValueError("the text is empty: describe the point to be found")
        text = self.plain_text(text.strip())
        (ids,) = self._tokenize([text])
        return text if len(ids) <= limit else self.tokenizer.decode(ids[:limit])

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
