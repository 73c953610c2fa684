"""What the point models need of a base vision-language model, whatever its family (see families.py for that).

Image tokens and the grid they lie on, embeddings injected at placeholder tokens, and one encoding of an image shared
by many rows of text. The base model keeps its own forward and generate: it is handed ``input_ids`` and the encoded
image, so its position ids, masks and caches stay native.
"""

import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from transformers import Cache, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPast, BaseModelOutputWithPooling

from .families import image_grid, row_positions, token_types
from .keypoint_encoder import cell_centers

VISION_INPUTS = ("pixel_values", "pixel_attention_mask", "image_grid_thw", "image_sizes")
"""Names under which the families' image processors hand over images."""

_FAR_AWAY = 9.0  # unit coordinate of padding cells: outside every window


@dataclass
class VisualFeatures:
    """Encoded images.

    Attributes:
        encoder_output: what the base model's ``forward`` takes as ``mm_encoder_outputs["image"]``.
        tokens: (B, N, D) image tokens at the language model's width, row by row over the grid, padded.
        valid: (B, N) bool, False on padding.
        centers: (B, N, 2) unit centres (x, y) of the cells.
        grids: (height, width) of each image's grid in cells.
        per_image: what ``forward`` needs to know of the images besides, (B, ...) each.
    """

    encoder_output: BaseModelOutputWithPooling
    tokens: torch.Tensor
    valid: torch.Tensor
    centers: torch.Tensor
    grids: list[tuple[int, int]]
    per_image: dict[str, torch.Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.grids)

    def repeat(self, times: int) -> "VisualFeatures":
        """Each image ``times`` times in a row: one image serves that many rows of text.

        Always a copy: generation widens what it is handed in place.
        """
        return VisualFeatures(
            encoder_output=_each_features(lambda features: _repeated(features, times), self.encoder_output),
            tokens=self.tokens.repeat_interleave(times, 0),
            valid=self.valid.repeat_interleave(times, 0),
            centers=self.centers.repeat_interleave(times, 0),
            grids=[grid for grid in self.grids for _ in range(times)],
            per_image={name: value.repeat_interleave(times, 0) for name, value in self.per_image.items()},
        )

    def select(self, index: int) -> "VisualFeatures":
        """One of the images, without the padding that the others asked for."""
        one, (height, width) = slice(index, index + 1), self.grids[index]
        return VisualFeatures(
            encoder_output=_each_features(lambda features: features[one], self.encoder_output),
            tokens=self.tokens[one, : height * width],
            valid=self.valid[one, : height * width],
            centers=self.centers[one, : height * width],
            grids=self.grids[one],
            per_image={name: value[one] for name, value in self.per_image.items()},
        )

    @staticmethod
    def together(parts: Sequence["VisualFeatures"]) -> "VisualFeatures":
        """Images that were encoded apart (by one model) as if they had been encoded in one batch."""
        longest = max(part.tokens.shape[1] for part in parts)

        def padded(name: str, value: float) -> torch.Tensor:
            rows = [getattr(part, name) for part in parts]
            missing = [longest - row.shape[1] for row in rows]
            sides = [(0, n) if row.dim() == 2 else (0, 0, 0, n) for row, n in zip(rows, missing, strict=True)]
            return torch.cat([nn.functional.pad(row, side, value=value) for row, side in zip(rows, sides, strict=True)])

        return VisualFeatures(
            encoder_output=_each_features(_joined, *(part.encoder_output for part in parts)),
            tokens=padded("tokens", 0.0),
            valid=padded("valid", False),
            centers=padded("centers", _FAR_AWAY),
            grids=[grid for part in parts for grid in part.grids],
            per_image={name: torch.cat([part.per_image[name] for part in parts]) for name in parts[0].per_image},
        )


Features = torch.Tensor | Sequence[torch.Tensor]
"""Of several images, in the form that the family knows: one tensor, or a sequence of one per image."""


def _each_features(change: Callable[..., Features], *outputs: BaseModelOutputWithPooling) -> BaseModelOutputWithPooling:
    """An output with everything in it changed that holds features image by image."""
    changed = type(outputs[0])(pooler_output=change(*(output.pooler_output for output in outputs)))
    if "deepstack_features" in outputs[0]:
        layers = zip(*(output.deepstack_features for output in outputs), strict=True)
        changed.deepstack_features = [change(*layer) for layer in layers]
    return changed


def _repeated(features: Features, times: int) -> Features:
    if isinstance(features, torch.Tensor):
        return features.repeat_interleave(times, 0)
    return [feature for feature in features for _ in range(times)]


def _joined(*parts: Features) -> Features:
    if all(isinstance(part, torch.Tensor) for part in parts):
        return torch.cat(parts)
    return [feature for part in parts for feature in part]


def rows_per_image(n_rows: int, n_images: int) -> int:
    """How many rows of text each image serves.

    Raises:
        ValueError: the rows are not a multiple of the images.
    """
    if n_images == 0 or n_rows % n_images:
        raise ValueError(f"{n_rows} rows of input_ids for {n_images} images: rows must be a multiple of the images")
    return n_rows // n_images


def take_images(inputs: dict[str, Any]) -> dict[str, torch.Tensor]:
    """What an image processor handed over, taken out of a model's inputs; without what is None."""
    taken = {name: inputs.pop(name, None) for name in VISION_INPUTS}
    return {name: value for name, value in taken.items() if value is not None}


def equal_images(inputs: dict[str, torch.Tensor], n_rows: int) -> tuple[torch.Tensor, int]:
    """Which rows of text show the same image.

    Args:
        inputs: what the image processor returned, ``pixel_values`` among it.
        n_rows: of text.

    Returns:
        Rows (n_rows,), on the CPU, in an order in which each image serves t of them in a row, and the largest such t: 1
        where images come unevenly often. Rows as they are, and 1, where images cannot be compared: several images or
        crops for a row, or one list of all patches.
    """
    values = list(inputs.values())
    if any(len(value) != n_rows for value in values):
        return torch.arange(n_rows), 1
    groups: list[list[int]] = []
    for row in range(n_rows):
        for group in reversed(groups):
            if all(torch.equal(value[row], value[group[0]]) for value in values):
                group.append(row)
                break
        else:
            groups.append([row])
    order = [row for group in groups for row in group]
    return torch.tensor(order), math.gcd(*map(len, groups))


def encode_images(vlm: PreTrainedModel, inputs: dict[str, torch.Tensor]) -> VisualFeatures:
    """Run the vision tower and projector of a base model once.

    Args:
        vlm: the base model.
        inputs: what its image processor returned (``pixel_values`` and whatever goes with it).

    Raises:
        ValueError: the image tokens lie on no grid that is known for this family.
    """
    accepted = inspect.signature(vlm.get_image_features).parameters
    output = vlm.get_image_features(**{k: v for k, v in inputs.items() if k in accepted}, return_dict=True)
    features = list(output.pooler_output)
    thw = inputs.get("image_grid_thw")
    sizes = [None] * len(features) if thw is None else thw.tolist()
    places = [image_grid(vlm.config, len(f), size) for f, size in zip(features, sizes, strict=True)]
    longest = max(h * w for _, h, w in places)
    tokens, valid, centers = [], [], []
    for feature, (first, height, width) in zip(features, places, strict=True):
        cells = height * width
        tokens.append(nn.functional.pad(feature[first : first + cells], (0, 0, 0, longest - cells)))
        valid.append(torch.arange(longest, device=feature.device) < cells)
        centers.append(nn.functional.pad(cell_centers(height, width, feature.device), (0, 0, 0, longest - cells),
                                         value=_FAR_AWAY))  # fmt: skip
    return VisualFeatures(
        encoder_output=output,
        tokens=torch.stack(tokens),
        valid=torch.stack(valid),
        centers=torch.stack(centers),
        grids=[(height, width) for _, height, width in places],
        per_image={} if thw is None else {"image_grid_thw": thw},
    )


@contextmanager
def embeddings_at(vlm: PreTrainedModel, mask: torch.Tensor, values: torch.Tensor) -> Iterator[None]:
    """While open, the first embedding look-up of a whole prompt gives ``values`` where ``mask`` is True.

    Only the first one, the prefill: a token sampled later is an ordinary token.

    Args:
        vlm: the base model.
        mask: (R, S) bool, True at K placeholders of each row.
        values: (R, K, D) embeddings to put there.

    Raises:
        ValueError: the number of placeholders differs from the number of embeddings.
    """
    if int(mask.sum()) != values.shape[0] * values.shape[1]:
        raise ValueError(
            f"{int(mask.sum())} placeholder tokens for {values.shape[0] * values.shape[1]} embeddings "
            f"({values.shape[1]} in each of {values.shape[0]} rows)"
        )
    pending = [True]

    def replace(module: nn.Module, args: tuple, kwargs: dict, output: torch.Tensor) -> torch.Tensor:
        if not pending or output.shape[1] != mask.shape[1]:
            return output
        pending.clear()
        times = output.shape[0] // mask.shape[0]  # beams and several return sequences repeat the rows
        rows = values.repeat_interleave(times, 0).to(output.dtype).reshape(-1, values.shape[-1])
        return output.masked_scatter(mask.repeat_interleave(times, 0)[..., None], rows)

    hook = vlm.get_input_embeddings().register_forward_hook(replace, with_kwargs=True)
    try:
        yield
    finally:
        hook.remove()


def shared_prefix_length(input_ids: torch.Tensor, attention_mask: torch.Tensor, image_token_id: int, times: int) -> int:
    """Length of the prefix (through the last image token) that the ``times`` rows of each image have in common.

    0 if there is nothing to share: one row per image, no image token, padding before its end (photos with other numbers
    of image tokens, padded on the left), or rows whose prefixes differ or end elsewhere.
    """
    is_image = input_ids == image_token_id
    if times == 1 or not is_image.any(1).all():
        return 0
    ends = input_ids.shape[1] - is_image.flip(1).int().argmax(1)
    length = int(ends[0])
    if not attention_mask[:, :length].all():
        return 0
    grouped = input_ids[:, :length].unflatten(0, (-1, times))
    return length if bool((ends == length).all()) and bool((grouped == grouped[:, :1]).all()) else 0


def run_prefix(
    vlm: PreTrainedModel,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor,
    visual: VisualFeatures,
    times: int,
    length: int,
) -> tuple[Cache, torch.Tensor | None, torch.Tensor]:
    """Run each image's prefix once: its keys and values, for each of its ``times`` rows.

    Arguments as for :func:`run_with_shared_prefix`.

    Returns:
        The cache, the position ids (3, R, S) of whole rows where the family does not just count, and the prefixes'
        hidden states (B, length, D).

    Raises:
        RuntimeError: the model has kept no keys and values.
    """
    types = token_types(vlm, input_ids)
    per_row = {name: value.repeat_interleave(times, 0) for name, value in visual.per_image.items()}
    positions = row_positions(vlm, input_ids, attention_mask, types, per_row)
    first = {name: value[::times, :length] for name, value in types.items()}
    if positions is not None:
        first["position_ids"] = positions[:, ::times, :length]
    prefix = vlm.base_model(
        input_ids=input_ids[::times, :length],
        attention_mask=attention_mask[::times, :length],
        mm_encoder_outputs={"image": visual.encoder_output},
        use_cache=True,
        **first,
    )
    cache = prefix.past_key_values
    if cache is None or cache.get_seq_length() != length:
        raise RuntimeError(
            "the image prefix was not kept: gradient checkpointing turns caches off; "
            "train with share_image_prefix=false or without gradient checkpointing"
        )
    cache.batch_repeat_interleave(times)
    return cache, positions, prefix.last_hidden_state


def run_with_shared_prefix(
    vlm: PreTrainedModel,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor,
    visual: VisualFeatures,
    times: int,
    length: int,
    mask: torch.Tensor,
    values: torch.Tensor,
    whole: bool = False,
) -> BaseModelOutputWithPast:
    """The base model over many rows of text per image, its image prefix run once and its keys and values shared.

    Equal to running the whole rows (up to rounding) for models whose image tokens see nothing behind the image.

    Args:
        vlm: the base model.
        input_ids: (B * times, length + S).
        attention_mask: same shape.
        visual: B encoded images.
        times: rows per image.
        length: of the prefix, from :func:`shared_prefix_length`.
        mask, values: placeholders (R, length + S), none of them in the prefix, and what to put there; see
            :func:`embeddings_at`.
        whole: give the hidden states of the prefix as well.

    Returns:
        The base model's output over the S tokens after the prefix; the cache covers all.
    """
    cache, positions, states = run_prefix(vlm, input_ids, attention_mask, visual, times, length)
    rest = {} if positions is None else {"position_ids": positions[:, :, length:]}
    with embeddings_at(vlm, mask[:, length:], values):
        output = vlm.base_model(
            input_ids=input_ids[:, length:],
            attention_mask=attention_mask,
            past_key_values=cache,
            use_cache=True,
            **rest,
        )
    if whole:
        output.last_hidden_state = torch.cat([states.repeat_interleave(times, 0), output.last_hidden_state], 1)
    return output
