"""What the point models need of a base vision-language model, whatever its family (see families.py for that).

Image tokens and the grid they lie on, and one encoding of an image shared by many rows of text. The base model keeps
its own forward: it is handed ``input_ids`` and the encoded image, so its position ids, masks and caches stay native.
What stands at placeholder tokens is in placeholders.py, one run of a prefix for many rows in shared_prefix.py.
"""

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPooling

from .families import image_grid
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
    if not torch.is_grad_enabled():
        features = [feature.detach() for feature in features]  # assisted decoding copies them, which takes leaves
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
    grids = [None] * len(features) if thw is None else thw.tolist()
    sizes = _seen_sizes(inputs, len(features))
    places = [image_grid(vlm.config, len(f), *one) for f, *one in zip(features, grids, sizes, strict=True)]
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


def _seen_sizes(inputs: dict[str, torch.Tensor], images: int) -> list[tuple[int, int] | None]:
    """(height, width) in pixels of what the tower sees of each image; None where the inputs do not tell."""
    if inputs.get("image_sizes") is not None:  # of images that are padded to those of the batch
        return [(int(height), int(width)) for height, width in inputs["image_sizes"].tolist()]
    pixels = inputs["pixel_values"]
    whole = pixels.dim() == 4 and len(pixels) == images
    return [(pixels.shape[-2], pixels.shape[-1]) if whole else None] * images
