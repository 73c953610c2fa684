"""Processor of the Point Descriptor: photos and points or regions -> prompts that carry them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers import BatchFeature
from transformers.image_utils import ImageInput

from .masks import mask_unit_box
from .points import LOCATION_TOKENS, box_tokens, location_tokens
from .processing_prompts import PreparedPhotos, PromptProcessor, RowFormat, by_photo, read_photos

POINT_TOKEN = "<point>"
REGION_SIDE = 64
"""Masks are handed to the model as shares of so many squares along each side of the photo."""


class PointDescriptorProcessor(PromptProcessor):
    """Prepares photos and points, boxes or masks for :class:`PointDescriptor`.

    Args:
        image_processor, tokenizer, chat_template, base_processor_class, base_processor_kwargs: of the base, see
            :class:`PromptProcessor`. The tokenizer must know ``<point>`` and ``<loc_0000>`` ... ``<loc_1023>``.
        num_keypoint_tokens: ``<point>`` placeholders per point, as in the model's configuration.
        instruction: what is asked of a point; ``{point}`` stands for it.
        region_instruction: what is asked of a box or a mask; ``{region}`` stands for it.

    Raises:
        ValueError: the tokenizer lacks the tokens, or an instruction lacks ``{point}`` or ``{region}``.

    Example:
        >>> inputs = processor(images=photo, points=[(0.4, 0.3), (0.5, 0.5)])  # two points of one photo
        >>> inputs = processor(images=[one, other], points=[(0.4, 0.3), (0.5, 0.5)])  # one point of each photo
        >>> inputs = processor(images=photo, masks=segments)  # bool (n, height, width)
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
        region_instruction="Describe the region {region}.",
    ):
        super().__init__(image_processor, tokenizer, chat_template, base_processor_class, base_processor_kwargs)
        if "{point}" not in instruction:
            raise ValueError(f"the instruction must say where the point goes with {{point}}, got {instruction!r}")
        if "{region}" not in region_instruction:
            raise ValueError(
                f"the region_instruction must say where the region goes with {{region}}, got {region_instruction!r}"
            )
        missing = [t for t in (POINT_TOKEN, LOCATION_TOKENS[0], LOCATION_TOKENS[-1])
                   if t not in tokenizer.added_tokens_encoder]  # fmt: skip
        if missing:
            raise ValueError(f"the tokenizer lacks the tokens {missing}; add POINT_TOKEN and LOCATION_TOKENS to it")
        self.num_keypoint_tokens = num_keypoint_tokens
        self.instruction = instruction
        self.region_instruction = region_instruction

    def prompt(self, point: npt.ArrayLike) -> str:
        """The user's words for one unit point (x, y): instruction, location tokens and placeholders."""
        return self.instruction.format(point=location_tokens(point) + POINT_TOKEN * self.num_keypoint_tokens)

    def region_prompt(self, box: npt.ArrayLike) -> str:
        """The user's words for one unit box (x0, y0, x1, y1), as :meth:`prompt` for a point."""
        return self.region_instruction.format(region=box_tokens(box) + POINT_TOKEN * self.num_keypoint_tokens)

    def __call__(
        self,
        images: ImageInput | Sequence[ImageInput] | PreparedPhotos | None = None,
        text: str | Sequence[str] | None = None,
        points: npt.ArrayLike | Sequence[npt.ArrayLike | None] | None = None,
        boxes: npt.ArrayLike | Sequence[npt.ArrayLike | None] | None = None,
        masks: npt.ArrayLike | Sequence[Sequence[np.ndarray] | None] | None = None,
        answers: str | Sequence[str | Sequence[str]] | None = None,
        **kwargs,
    ) -> BatchFeature:
        """Points, boxes and masks may come in one batch, one kind per photo; where the others are, it has None.

        Args:
            images: a photo or a list of B photos: PIL images, arrays, tensors, paths or URLs; or what :meth:`prepare`
                has made of B photos.
            text: ready prompts, as trainers hand them over; then everything goes to the base's own processor.
            points: of one photo a unit point (2,) or points (n, 2); of a list of photos this for each of them, the same
                n for all.
            boxes: unit boxes x0, y0, x1, y1 in the same way, (4,) or (n, 4) a photo.
            masks: bool masks over the whole photo in the same way, (h, w) or n of them, of any size.
            answers: the texts to learn, one for each of these places; adds ``labels`` and pads on the right.
            kwargs: ``return_tensors``, ``padding``, ``truncation`` (of the answers), ``max_length`` and
                ``padding_side``, see :class:`RowFormat`; with ``text`` those of the base's own processor.

        Returns:
            ``input_ids``, ``attention_mask`` (B * n, S), vision tensors of B images, ``labels`` with answers, and with
            masks ``regions`` (B * n, 64, 64), the share of each square that lies in the mask, zeros without one.

        Raises:
            ValueError: If prompts and places are both given, a photo has no place or several kinds of them, points or
                boxes lie outside the unit square, a mask is empty, there are videos, or a prompt has several photos.
        """
        if any(kwargs.pop(name, None) is not None for name in ("videos", "audio")):
            raise ValueError("points lie in photos: videos and audio are not read")
        if text is not None:
            if isinstance(images, PreparedPhotos):
                raise ValueError("ready prompts need the photos themselves as images")
            if any(places is not None for places in (points, boxes, masks)):
                raise ValueError("give either text (ready prompts) or points, boxes or masks")
            if images is not None:
                images = [[photo] for photo in read_photos(images)[0]]
                prompts = 1 if isinstance(text, str) else len(text)
                if len(images) != prompts:
                    raise ValueError(f"{len(images)} photos for {prompts} prompts; a prompt speaks of one photo")
            return self._prepared(images, text, **kwargs)
        if unknown := set(kwargs) - set(RowFormat.__dataclass_fields__):
            raise TypeError(f"unexpected arguments with points: {sorted(unknown)}")
        rows_as = RowFormat(**{"padding_side": "left" if answers is None else "right", **kwargs})
        photos, single = read_photos(images)
        kinds = {"points": (points, 1), "boxes": (boxes, 1), "masks": (masks, 2)}
        given = {name: by_photo(value, len(photos), single, name, ndim)
                 for name, (value, ndim) in kinds.items() if value is not None}  # fmt: skip
        places = _by_photo(len(photos), given)
        if answers is not None:
            answers = by_photo(answers, len(photos), single, "answers")
        words = []
        for kind, rows in places:
            if kind == "points":
                words.append([self.prompt(point) for point in rows])
            else:
                words.append([self.region_prompt(mask_unit_box(row) if kind == "masks" else row) for row in rows])
        batch = self._rows(photos, words, answers, rows_as)
        if any(kind == "masks" for kind, _ in places):
            none = torch.zeros(REGION_SIDE, REGION_SIDE)
            batch["regions"] = torch.stack(
                [region_shares(row) if kind == "masks" else none for kind, rows in places for row in rows]
            )
        return self._as_asked(batch, rows_as)

    def apply_chat_template(self, conversation: Sequence, *args: Any, **kwargs: Any) -> Any:
        """As transformers' processors do, for messages whose content may hold a place as well.

        The items ``{"type": "point", "point": (x, y)}`` and ``{"type": "region", "box": (x0, y0, x1, y1)}``, in the
        unit square, stand for a point or a region where a message has its words. A message without words of its own
        asks the processor's ``instruction``: ``[{"type": "image", "image": photo}, {"type": "point", "point": (0.4,
        0.3)}]`` gives the ids of ``processor(images=photo, points=(0.4, 0.3))`` with ``add_generation_prompt=True``.
        """
        if conversation and isinstance(conversation[0], dict):
            conversation = self._with_places(conversation)
        else:
            conversation = [self._with_places(messages) for messages in conversation]
        return super().apply_chat_template(conversation, *args, **kwargs)

    def _with_places(self, messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Messages with their places in words."""
        changed = []
        for message in messages:
            content = message["content"]
            if isinstance(content, str) or not any(part.get("type") in ("point", "region") for part in content):
                changed.append(message)
                continue
            alone = not any(part["type"] == "text" for part in content)
            words = "".join(self._in_words(part, alone) for part in content)
            others = [part for part in content if part["type"] not in ("point", "region", "text")]
            changed.append({**message, "content": [*others, {"type": "text", "text": words}]})
        return changed

    def _in_words(self, part: dict[str, Any], alone: bool) -> str:
        placeholders = POINT_TOKEN * self.num_keypoint_tokens
        if part["type"] == "point":
            return self.prompt(part["point"]) if alone else location_tokens(part["point"]) + placeholders
        if part["type"] == "region":
            return self.region_prompt(part["box"]) if alone else box_tokens(part["box"]) + placeholders
        return part["text"] if part["type"] == "text" else ""


def _by_photo(photos: int, given: dict[str, list[Sequence | None]]) -> list[tuple[str, Sequence]]:
    """For each photo the kind of its places ("points", "boxes" or "masks") and these.

    Raises:
        ValueError: If there is not one kind for each photo.
    """
    if not given:
        raise ValueError("give either text (ready prompts) or points, boxes or masks")
    places = []
    for photo in range(photos):
        here = [(name, rows[photo]) for name, rows in given.items() if rows[photo] is not None]
        if len(here) != 1:
            raise ValueError(f"photo {photo} has {[name for name, _ in here]}; needs one of points, boxes and masks")
        places += here
    return places


def region_shares(mask: np.ndarray) -> torch.Tensor:
    """A bool mask (h, w) -> float32 (64, 64), the share of each square that lies in it."""
    pixels = torch.from_numpy(np.ascontiguousarray(mask)).float()[None, None]
    return torch.nn.functional.adaptive_avg_pool2d(pixels, REGION_SIDE)[0, 0]


PointDescriptorProcessor.register_for_auto_class("AutoProcessor")
