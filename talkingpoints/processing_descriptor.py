"""Processor of the Point Descriptor: photos and points or regions -> prompts that carry them."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from transformers import BatchFeature

from .masks import mask_unit_box
from .points import LOCATION_TOKENS, box_tokens, location_tokens
from .processing_prompts import PreparedPhotos, PromptProcessor

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
        >>> inputs = processor(images=[photo], points=[[(0.4, 0.3), (0.5, 0.5)]])  # two points of one photo
        >>> inputs = processor(images=[photo], masks=[segments])  # bool (n, height, width)
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
        images: Sequence[Image.Image] | PreparedPhotos | None = None,
        text: str | Sequence[str] | None = None,
        points: Sequence[npt.ArrayLike | None] | None = None,
        boxes: Sequence[npt.ArrayLike | None] | None = None,
        masks: Sequence[Sequence[np.ndarray] | None] | None = None,
        answers: Sequence[Sequence[str]] | None = None,
        **kwargs,
    ) -> BatchFeature:
        """Points, boxes and masks may come in one batch, one kind per photo; where the others are, it has None.

        Args:
            images: B photos, or what :meth:`prepare` has made of them.
            text: ready prompts, as trainers hand them over; then everything goes to the base's own processor.
            points: per photo its unit points (n, 2), the same n for all.
            boxes: per photo its unit boxes (n, 4), x0, y0, x1, y1.
            masks: per photo n bool arrays (h, w) over the whole photo, of any size.
            answers: per photo the n texts to learn; adds ``labels`` and pads on the right.
            kwargs: of the base's own processor, with ``text`` only.

        Returns:
            ``input_ids``, ``attention_mask`` (B * n, S), vision tensors of B images, ``labels`` with answers, and with
            masks ``regions`` (B * n, 64, 64), the share of each square that lies in the mask, zeros without one.

        Raises:
            ValueError: ready prompts and places both, none or several kinds of places for a photo, points or boxes
                outside the unit square, or an empty mask.
        """
        if images is None:
            raise ValueError("give images")
        if text is not None:
            if isinstance(images, PreparedPhotos):
                raise ValueError("ready prompts need the photos themselves as images")
            if any(places is not None for places in (points, boxes, masks)):
                raise ValueError("give either text (ready prompts) or points, boxes or masks")
            return self._prepared(images, text, **kwargs)
        if not set(kwargs) <= {"return_tensors"}:
            raise TypeError(f"unexpected arguments with points: {sorted(kwargs)}")
        places = _by_photo(len(images), points, boxes, masks)
        words = []
        for kind, rows in places:
            if kind == "points":
                words.append([self.prompt(point) for point in rows])
            else:
                words.append([self.region_prompt(mask_unit_box(row) if kind == "masks" else row) for row in rows])
        batch = self._rows(images, words, answers, padding_side="left" if answers is None else "right")
        if any(kind == "masks" for kind, _ in places):
            none = torch.zeros(REGION_SIDE, REGION_SIDE)
            batch["regions"] = torch.stack(
                [region_shares(row) if kind == "masks" else none for kind, rows in places for row in rows]
            )
        return batch


def _by_photo(photos: int, *kinds: Sequence | None) -> list[tuple[str, Sequence]]:
    """For each photo the kind of its places ("points", "boxes" or "masks") and these.

    Raises:
        ValueError: not one kind for each photo.
    """
    names = ("points", "boxes", "masks")
    given = [(name, rows) for name, rows in zip(names, kinds, strict=True) if rows is not None]
    if not given:
        raise ValueError("give either text (ready prompts) or points, boxes or masks")
    for name, rows in given:
        if len(rows) != photos:
            raise ValueError(f"{len(rows)} {name} for {photos} photos; give one list of {name} for each photo")
    places = []
    for photo in range(photos):
        here = [(name, rows[photo]) for name, rows in given if rows[photo] is not None]
        if len(here) != 1:
            raise ValueError(f"photo {photo} has {[name for name, _ in here]}; needs one of points, boxes and masks")
        places += here
    return places


def region_shares(mask: np.ndarray) -> torch.Tensor:
    """A bool mask (h, w) -> float32 (64, 64), the share of each square that lies in it."""
    pixels = torch.from_numpy(np.ascontiguousarray(mask)).float()[None, None]
    return torch.nn.functional.adaptive_avg_pool2d(pixels, REGION_SIDE)[0, 0]


PointDescriptorProcessor.register_for_auto_class("AutoProcessor")
