"""What the keypoint tokens say of a point besides words: which kind of thing is there, which part of it, which side.

The descriptor's belief: read off the tokens before the language model, so it costs next to nothing and is there before
the first word. ``known`` is the probability that the kind is one that the model was taught.
"""

from dataclasses import dataclass

import torch
from torch import nn

SIDES = ("none", "left", "right")


@dataclass
class BeliefLogits:
    """Unnormalised scores for R points.

    Attributes:
        kinds: (R, number of kinds), in the order of ``config.kinds``.
        parts: (R, number of parts), in the order of ``config.parts``.
        sides: (R, 3), in the order of ``SIDES``; the thing's own.
    """

    kinds: torch.Tensor
    parts: torch.Tensor
    sides: torch.Tensor


class BeliefHead(nn.Module):
    """Keypoint tokens (R, K, D) -> :class:`BeliefLogits`.

    Args:
        dim: D.
        kinds, parts: how many of each.
        width: of the hidden layer.
    """

    def __init__(self, dim: int, kinds: int, parts: int, width: int = 256):
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.hidden = nn.Linear(dim, width)
        self.kinds = nn.Linear(width, kinds)
        self.parts = nn.Linear(width, parts)
        self.sides = nn.Linear(width, len(SIDES))

    def forward(self, keypoints: torch.Tensor) -> BeliefLogits:
        hidden = nn.functional.gelu(self.hidden(self.norm(keypoints).mean(1)))  # (R, width)
        return BeliefLogits(*(layer(hidden).float() for layer in (self.kinds, self.parts, self.sides)))
