"""What the two processors share: photos and many rows of text per photo -> one batch of prompts.

The base model's own processor prepares the photo and everything of its chat template up to the user's words; the
words themselves are tokenised here and put behind it. So each photo is processed once, however many rows speak of it,
and the template, image tokens and their expansion are the base's own.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from transformers import BatchFeature, ProcessorMixin
from transformers.image_utils import ImageInput
from transformers.image_utils import load_image as fetch_image

from .base_processor import processor_class
from .families import UNUSED_INPUTS, image_options, prompt_end
from .images import load_image
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


@dataclass
class RowFormat:
    """How rows of different lengths become one batch; names and values are transformers' own.

    Attributes:
        return_tensors: "pt" (the default) or "np".
        padding: True or "longest", "max_length", or False for rows that are equally long anyway.
        truncation: cut what the user wrote, and never the photo or the template, to fit ``max_length``.
        max_length: tokens of a row, for the two above.
        padding_side: "left" or "right".

    Raises:
        ValueError: If a value is none of these, or ``max_length`` is missing.
    """

    return_tensors: str | None = "pt"
    padding: bool | str = True
    truncation: bool = False
    max_length: int | None = None
    padding_side: str = "left"

    def __post_init__(self) -> None:
        if self.return_tensors not in (None, "pt", "np"):
            raise ValueError(f"return_tensors must be 'pt' or 'np', got {self.return_tensors!r}")
        if self.padding not in (True, False, "longest", "max_length"):
            raise ValueError(f"padding must be True, False, 'longest' or 'max_length', got {self.padding!r}")
        if self.padding_side not in ("left", "right"):
            raise ValueError(f"padding_side must be 'left' or 'right', got {self.padding_side!r}")
        if (self.truncation or self.padding == "max_length") and self.max_length is None:
            raise ValueError("truncation and padding='max_length' need max_length, the tokens of a row")

    def check(self, lengths: Sequence[int]) -> None:
        """Refuse rows that cannot become one batch.

        Raises:
            ValueError: If they are longer than ``max_length`` with ``truncation``, or differ without ``padding``.
        """
        if self.truncation and max(lengths) > self.max_length:
            raise ValueError(f"max_length={self.max_length} is too short: photo and template alone take "
                             f"{max(lengths)} tokens of a row")  # fmt: skip
        if self.padding is False and len(set(lengths)) > 1:
            raise ValueError(f"rows have {sorted(set(lengths))} tokens and cannot become one batch: set padding=True")

    def pad(self, rows: list[list[int]], value: int) -> torch.Tensor:
        """Rows -> (R, S)."""
        longest = max(map(len, rows))
        if self.padding == "max_length":
            longest = max(longest, self.max_length)
        padding = [[value] * (longest - len(row)) for row in rows]
        if self.padding_side == "left":
            return torch.tensor([more + row for row, more in zip(rows, padding, strict=True)])
        return torch.tensor([row + more for row, more in zip(rows, padding, strict=True)])


def read_photos(images: ImageInput | Sequence[ImageInput] | PreparedPhotos | None) -> tuple[Any, bool]:
    """Photos in any of the forms that transformers' processors take.

    Args:
        images: one or several PIL images, numpy arrays, torch tensors, paths or URLs; arrays may be stacked, and each
            photo may be alone in a list. Files are read upright, as a person sees them. Prepared photos stay.

    Returns:
        The photos, and whether it was one that stood in no list.

    Raises:
        ValueError: If there is none, or there are several for one prompt.
    """
    if isinstance(images, PreparedPhotos):
        return images, False
    if images is None or (isinstance(images, list | tuple) and not images):
        raise ValueError("images is missing: give a photo, or a list of photos")
    if isinstance(images, np.ndarray | torch.Tensor) and images.ndim == 4:
        images = list(images)
    single = not isinstance(images, list | tuple)
    photos = []
    for image in [images] if single else images:
        if isinstance(image, list | tuple):
            if len(image) != 1:
                raise ValueError(f"a prompt speaks of one photo, got {len(image)}: give each photo a prompt of its own")
            image = image[0]
        if isinstance(image, str) and (image.startswith(("http://", "https://", "data:")) or len(image) > 4096):
            image = load_image(fetch_image(image))
        elif isinstance(image, str | os.PathLike):
            image = load_image(image)
        photos.append(image)
    return photos, single


def by_photo(values: Any, photos: int, single: bool, name: str, ndim: int = 0) -> list[Sequence | None]:
    """What was given for each photo, as one list of items a photo.

    Args:
        values: for one photo that stood in no list an item or a list of them; else for each photo its item, its list of
            them, or None.
        photos: how many there are.
        single: whether it was one in no list.
        name: of the argument, for messages.
        ndim: of an item: 0 of a text, 1 of a point or a box, 2 of a mask.

    Raises:
        ValueError: If these are not as many as there are photos, or lists lie in lists.
    """
    depth = _depth(values, ndim)
    if (single or photos == 1) and depth == 0:
        return [[values]]
    if single and depth == 1:
        return [values]
    if depth == 0:
        raise ValueError(f"one item of {name} for {photos} photos; give a list with one item or more for each photo")
    if len(values) != photos:
        raise ValueError(
            f"{len(values)} {name} for {photos} photos; give one item or one list of {name} for each photo"
        )
    rows: list[Sequence | None] = []
    for value in values:
        depth = 1 if value is None else _depth(value, ndim)
        if depth not in (0, 1):
            raise ValueError(f"{name} holds lists within the list of a photo; give one item or one list for each photo")
        rows.append([value] if depth == 0 else value)
    return rows


def _depth(value: Any, ndim: int) -> int:
    """How many lists lie around the items of this many dimensions."""
    if isinstance(value, str):
        return 0
    if isinstance(value, list | tuple):
        return 1 + next((_depth(one, ndim) for one in value if one is not None), 0)
    return np.ndim(value) - ndim


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

    def prepare(self, images: Sequence[Any]) -> PreparedPhotos:
        """Process B photos once, to be passed in place of ``images`` to any number of calls."""
        text = [self._before] * len(images)
        options = {"padding": False, **self._text_options}
        data = self._prepared([[image] for image in images], text, text_kwargs=options)
        before = [list(ids)[: len(ids) - self._moved_tokens] for ids in data["input_ids"]]
        vision = {name: torch.as_tensor(np.asarray(data[name])) for name in VISION_INPUTS if name in data}
        return PreparedPhotos(before, vision)

    def _rows(
        self,
        images: Sequence[Any] | PreparedPhotos,
        words: Sequence[Sequence[str]],
        answers: Sequence[Sequence[str]] | None,
        rows_as: RowFormat,
    ) -> BatchFeature:
        """One batch of prompts, ``words[i]`` being the rows that speak of ``images[i]``.

        Returns:
            ``input_ids`` and ``attention_mask`` (R, S), the image processor's tensors for the B images, and with
            ``answers`` also ``labels`` (R, S), -100 outside the answer.

        Raises:
            ValueError: If there is no image or no row, photos have different numbers of rows, or rows do not fit.
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
        rows_as.check([len(prompt) for prompt in prompts])
        labels = [[IGNORED_LABEL] * len(prompt) for prompt in prompts]
        if answers is not None:
            end = self.tokenizer.eos_token_id
            written = [[*ids, end] for ids in self._tokenize([row for rows in answers for row in rows])]
            if rows_as.truncation:
                written = [ids[: rows_as.max_length - len(p)] for p, ids in zip(prompts, written, strict=True)]
            prompts = [prompt + ids for prompt, ids in zip(prompts, written, strict=True)]
            labels = [label + ids for label, ids in zip(labels, written, strict=True)]
            rows_as.check([len(prompt) for prompt in prompts])
        batch = {
            "input_ids": rows_as.pad(prompts, self.tokenizer.pad_token_id),
            "attention_mask": rows_as.pad([[1] * len(prompt) for prompt in prompts], 0),
        }
        if answers is not None:
            batch["labels"] = rows_as.pad(labels, IGNORED_LABEL)
        return BatchFeature({**batch, **photos.vision})

    def _as_asked(self, batch: BatchFeature, rows_as: RowFormat) -> BatchFeature:
        """A batch of tensors in the form that the caller wants."""
        if rows_as.return_tensors == "np":
            return BatchFeature({name: value.numpy() for name, value in batch.items()})
        return batch

    def _prepared(self, images: Sequence, text: Sequence[str], **kwargs) -> BatchFeature:
        """What the base's own processor makes of photos and prompts, points left where they are."""
        data = self._base(images=images, text=text, **self._options, **kwargs)
        for name in UNUSED_INPUTS:
            data.pop(name, None)
        return data

    def _tokenize(self, texts: list[str]) -> list[list[int]]:
        return self.tokenizer(texts, add_special_tokens=False, padding=False)["input_ids"]
