"""What the two processors share: photos and many rows of text per photo -> one batch of prompts.

The base model's own processor prepares the photo and everything of its chat template up to the user's words; the
words themselves are tokenised here and put behind it. So each photo is processed once, however many rows speak of it,
and the template, image tokens and their expansion are the base's own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from PIL import Image
from transformers import BatchFeature, ProcessorMixin

from .base_processor import processor_class
from .families import UNUSED_INPUTS, image_options, prompt_end
from .vision_language import VISION_INPUTS

_WORDS = "\x00words\x00"  # stands for the user's words while the chat template is rendered
IGNORED_LABEL = -100


@dataclass
class PreparedPhotos:
    """What a processor has made of B photos, for any number of prompts about them.

    Attributes:
        before: for each photo the token ids of the prompt up to the user's words, image tokens expanded.
        vision: the image processor's tensors; empty where the photos are encoded already.
    """

    before: list[list[int]]
    vision: dict[str, torch.Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.before)


class PromptProcessor(ProcessorMixin):
    """Base of :class:`PointDescriptorProcessor` and :class:`PointLocalizerProcessor`.

    Args:
        image_processor, tokenizer: the base model's.
        chat_template: the base model's; the image must come before the words.
        base_processor_class: name of the base's processor class in transformers, e.g. "LlavaProcessor".
        base_processor_kwargs: what that class needs besides (patch size, ...).

    Raises:
        ValueError: no chat template, or an unknown processor class.
    """

    def __init__(self, image_processor, tokenizer, chat_template, base_processor_class, base_processor_kwargs):
        super().__init__(image_processor, tokenizer, chat_template=chat_template)
        self.base_processor_class = base_processor_class
        self.base_processor_kwargs = base_processor_kwargs or {}
        self._base = processor_class(base_processor_class)(
            image_processor=image_processor,
            tokenizer=tokenizer,
            chat_template=chat_template,
            **self.base_processor_kwargs,
        )
        if not chat_template:
            raise ValueError("the base model needs a chat template: it says where image, words and answer stand")
        content = [{"type": "image"}, {"type": "text", "text": _WORDS}]
        rendered = self._base.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
        parts = rendered.split(_WORDS)
        if len(parts) != 2 or not parts[0]:
            raise ValueError(
                f"the chat template must put the image first and the words once behind it, got {rendered!r}"
            )
        self._before, after = parts
        moved = prompt_end(base_processor_class)
        self._end = after + moved
        self._moved_tokens = len(self._tokenize([moved])[0])
        self._options = image_options(image_processor)
        if tokenizer.bos_token is not None and self._before.startswith(tokenizer.bos_token):
            self._text_options = {"add_special_tokens": False}  # the template has written it already
        else:
            self._text_options = {}

    @property
    def model_input_names(self) -> list[str]:
        return self._base.model_input_names

    def plain_text(self, text: str) -> str:
        """A user's text with our and the base's special tokens broken up, so that they are read as plain characters."""
        for token in self.tokenizer.added_tokens_encoder:
            if token in text:
                text = text.replace(token, f"{token[0]} {token[1:]}")
        return text

    def prepare(self, images: Sequence[Image.Image]) -> PreparedPhotos:
        """Process B photos once, to be passed in place of ``images`` to any number of calls."""
        text = [self._before] * len(images)
        options = {"padding": False, **self._text_options}
        data = self._prepared([[image] for image in images], text, text_kwargs=options)
        before = [list(ids)[: len(ids) - self._moved_tokens] for ids in data["input_ids"]]
        vision = {name: torch.as_tensor(np.asarray(data[name])) for name in VISION_INPUTS if name in data}
        return PreparedPhotos(before, vision)

    def _rows(
        self,
        images: Sequence[Image.Image] | PreparedPhotos,
        words: Sequence[Sequence[str]],
        answers: Sequence[Sequence[str]] | None,
        padding_side: str,
    ) -> BatchFeature:
        """One batch of prompts, ``words[i]`` being the rows that speak of ``images[i]``.

        Returns:
            ``input_ids`` and ``attention_mask`` (R, S), the image processor's tensors for the B images, and with
            ``answers`` also ``labels`` (R, S), -100 outside the answer.

        Raises:
            ValueError: no image, no row, or photos with different numbers of rows.
        """
        counts = {len(rows) for rows in words}
        if len(images) != len(words) or len(counts) != 1 or counts == {0}:
            raise ValueError(
                f"need the same number (1 or more) of rows for each image, got {len(images)} images "
                f"and rows {[len(rows) for rows in words]}"
            )
        photos = images if isinstance(images, PreparedPhotos) else self.prepare(images)
        suffixes = self._tokenize([row + self._end for rows in words for row in rows])
        times = counts.pop()
        prompts = [photos.before[i // times] + suffix for i, suffix in enumerate(suffixes)]
        labels = [[IGNORED_LABEL] * len(prompt) for prompt in prompts]
        if answers is not None:
            end = self.tokenizer.eos_token_id
            written = [[*ids, end] for ids in self._tokenize([row for rows in answers for row in rows])]
            prompts = [prompt + ids for prompt, ids in zip(prompts, written, strict=True)]
            labels = [label + ids for label, ids in zip(labels, written, strict=True)]
        batch = {
            "input_ids": _pad(prompts, self.tokenizer.pad_token_id, padding_side),
            "attention_mask": _pad([[1] * len(prompt) for prompt in prompts], 0, padding_side),
        }
        if answers is not None:
            batch["labels"] = _pad(labels, IGNORED_LABEL, padding_side)
        return BatchFeature({**batch, **photos.vision})

    def _prepared(self, images: Sequence, text: Sequence[str], **kwargs) -> BatchFeature:
        """What the base's own processor makes of photos and prompts, points left where they are."""
        data = self._base(images=images, text=text, **self._options, **kwargs)
        for name in UNUSED_INPUTS:
            data.pop(name, None)
        return data

    def _tokenize(self, texts: list[str]) -> list[list[int]]:
        return self.tokenizer(texts, add_special_tokens=False, padding=False)["input_ids"]


def _pad(rows: list[list[int]], value: int, side: str) -> torch.Tensor:
    longest = max(map(len, rows))
    if side == "left":
        return torch.tensor([[value] * (longest - len(row)) + row for row in rows])
    return torch.tensor([row + [value] * (longest - len(row)) for row in rows])
