"""Heads of the Point Localizer: from the hidden state of the query token to a point.

``HeatmapHead`` scores the cells of the vision grid (each cut into sub-cells), ``PointHead`` is the paper's regression
(Talking Points, arXiv 2510.14583: a projection and a small MLP to (x, y)). The point and the confidence are read off
the heat map by :func:`best_points`.
"""

import torch
from torch import nn

from .keypoint_encoder import encode_points

CONFIDENCE_RADIUS = 0.1
"""The confidence is the heat map's mass within this distance (unit square) of the point."""

_SCORE_RADII = (0.05, 0.1, 0.2)
_PAIRS_AT_ONCE = 2**24  # of sub-cells: bounds the memory where a large photo has a large grid


class HeatmapHead(nn.Module):
    """Scores of the sub-cells, and presence: the query modulates each cell (look and place), an MLP reads it.

    Args:
        hidden_size: width of query and cells.
        head_size: inner width.
        subcells: sub-cells per cell and side (s).
    """

    def __init__(self, hidden_size: int, head_size: int, subcells: int):
        super().__init__()
        self.norm_cells = nn.LayerNorm(hidden_size)
        self.norm_query = nn.LayerNorm(hidden_size)
        self.cells = nn.Linear(hidden_size, head_size)
        self.positions = nn.Linear(4 * (head_size // 4), head_size)
        self.scale_shift = nn.Linear(hidden_size, 2 * head_size)
        self.hidden = nn.Linear(head_size, head_size)
        self.scores = nn.Linear(head_size, subcells**2)
        self.presence = nn.Linear(head_size, 1)
        self.query_key = nn.Linear(hidden_size, subcells**2 * head_size)

    def forward(
        self, cells: torch.Tensor, valid: torch.Tensor, centers: torch.Tensor, query: torch.Tensor, times: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Args:
            cells: (B, N, D) vision tokens, one set per image.
            valid: (B, N) bool, False on padding.
            centers: (B, N, 2) unit centres of the cells.
            query: (B * times, D) hidden states of the query token.
            times: rows per image.

        Returns:
            Scores (B * times, N, s * s), sub-cells row by row within their cell, -inf on padding; and presence logits
            (B * times,), read off the cells that fit the query best.
        """
        encoded = encode_points(centers, self.positions.in_features).to(cells.dtype)
        cells = (self.cells(self.norm_cells(cells)) + self.positions(encoded)).repeat_interleave(times, 0)
        query = self.norm_query(query)
        scale, shift = self.scale_shift(query)[:, None].chunk(2, dim=-1)
        mixed = nn.functional.gelu(self.hidden(nn.functional.gelu(cells * (1 + scale) + shift)))
        keys = self.query_key(query).unflatten(-1, (-1, cells.shape[-1]))
        scores = self.scores(mixed) + cells @ keys.transpose(1, 2) * cells.shape[-1] ** -0.5
        padding = ~valid.repeat_interleave(times, 0)[..., None]
        fitting = mixed.masked_fill(padding, -torch.inf).amax(1)
        return scores.float().masked_fill(padding, -torch.inf), self.presence(fitting)[:, 0].float()


class PointHead(nn.Module):
    """The paper's head: hidden state -> (x, y) in the unit square."""

    def __init__(self, hidden_size: int, head_size: int):
        super().__init__()
        self.norm = nn.LayerNorm(hidden_size)
        self.up = nn.Linear(hidden_size, head_size)
        self.out = nn.Linear(head_size, 2)
        self.presence = nn.Linear(head_size, 1)

    def forward(self, query: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(R, D) -> points (R, 2) in the unit square and presence logits (R,)."""
        hidden = nn.functional.gelu(self.up(self.norm(query)))
        return self.out(hidden).sigmoid().float(), self.presence(hidden)[:, 0].float()


def subcell_centers(centers: torch.Tensor, grids: list[tuple[int, int]], subcells: int) -> torch.Tensor:
    """Unit centres of the sub-cells: (B, N, 2) cell centres of ``grids`` -> (B, N, s * s, 2)."""
    steps = (torch.arange(subcells, device=centers.device) + 0.5) / subcells - 0.5
    step_y, step_x = torch.meshgrid(steps, steps, indexing="ij")
    steps = torch.stack([step_x, step_y], dim=-1).view(1, 1, -1, 2)
    sides = torch.tensor([(w, h) for h, w in grids], device=centers.device, dtype=centers.dtype)
    return centers[:, :, None] + steps / sides[:, None, None]


def gaussian_target(points: torch.Tensor, centers: torch.Tensor, sigma: float) -> torch.Tensor:
    """Training target: points (R, 2), sub-cell centres (R, M, 2) -> (R, M) probabilities."""
    distance2 = ((centers - points[:, None]) ** 2).sum(-1)
    return torch.softmax(-distance2 / (2 * sigma**2), dim=-1)


def best_points(probabilities: torch.Tensor, centers: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The points of highest expected score under heat maps, and their confidences.

    The score of a candidate is the mean mass within 0.05, 0.1 and 0.2 of it: what a user (and PCK) counts as found.
    The winner is then moved to the centre of mass of its surroundings, which gives sub-cell precision.

    Args:
        probabilities: (B, T, M), T heat maps for each of B images; each sums to 1.
        centers: (B, M, 2) unit centres of the M sub-cells.

    Returns:
        Points (B, T, 2) in the unit square, and confidences (B, T): the mass within 0.1 of the point, that is the
        probability that the error is under 0.1 if the heat map is calibrated.
    """
    scores = []
    for candidates in centers.split(max(1, _PAIRS_AT_ONCE // centers.shape[1]), dim=1):
        distances = torch.cdist(centers, candidates)
        kernel = sum((distances <= radius).to(probabilities.dtype) for radius in _SCORE_RADII)
        scores.append(probabilities @ kernel)
    best = torch.cat(scores, dim=-1).argmax(-1, keepdim=True)
    winner = centers.gather(1, best.expand(-1, -1, 2))
    near = probabilities * (torch.cdist(winner, centers) <= CONFIDENCE_RADIUS)
    points = near @ centers / near.sum(-1, keepdim=True).clamp_min(1e-9)
    confidence = (probabilities * (torch.cdist(points, centers) <= CONFIDENCE_RADIUS)).sum(-1)
    return points, confidence.clamp(max=1.0)  # rounding
