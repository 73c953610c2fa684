"""From a point (or a region) to a few keypoint tokens: learned queries that read the photo through a window.

As in Talking Points (arXiv 2510.14583, section 3): a learned prompt embedding and a sinusoidal encoding of the point
make the queries; in EVERY layer their cross-attention to the vision tokens is limited by one fixed boolean mask,
here a Gaussian around the point cut at a threshold. Ours differs in that the mask may also be any region (a segment,
a box), which makes the same encoder a region captioner, and that it reads one scale. A point is a box of no size.
"""

import math

import torch
from torch import nn


def encode_points(points: torch.Tensor, dim: int, max_frequency: float = 64.0) -> torch.Tensor:
    """Sinusoidal encoding of unit points (..., 2) -> (..., dim): sine and cosine at dim / 4 frequencies per axis."""
    count = dim // 4
    octaves = torch.linspace(0, math.log(max_frequency), count, device=points.device, dtype=torch.float32)
    angles = points.float()[..., None] * (octaves.exp() * math.pi)
    return torch.cat([angles.sin(), angles.cos()], dim=-1).flatten(-2)


def cell_centers(height: int, width: int, device: torch.device | str = "cpu") -> torch.Tensor:
    """Unit centres (x, y) of the cells of a grid, row by row: (height * width, 2)."""
    ys = (torch.arange(height, device=device) + 0.5) / height
    xs = (torch.arange(width, device=device) + 0.5) / width
    grid_y, grid_x = torch.meshgrid(ys, xs, indexing="ij")
    return torch.stack([grid_x, grid_y], dim=-1).view(-1, 2)


def gaussian_window(points: torch.Tensor, centers: torch.Tensor, sigma: float, threshold: float) -> torch.Tensor:
    """The boolean window of the paper: cells where a Gaussian around the point is above a threshold.

    Args:
        points: (B, 2) unit points.
        centers: (B, N, 2) unit centres of the cells.
        sigma: standard deviation of the Gaussian, in shares of the image.
        threshold: cut, 0..1 of the Gaussian's height; the radius is ``sigma * sqrt(-2 ln threshold)``.

    Returns:
        (B, N) bool; the cell nearest to the point is always inside.
    """
    distance2 = ((centers.float() - points.float()[:, None]) ** 2).sum(-1)
    window = torch.exp(-distance2 / (2 * sigma**2)) >= threshold
    return window | (distance2 == distance2.amin(-1, keepdim=True))


def box_window(boxes: torch.Tensor, centers: torch.Tensor) -> torch.Tensor:
    """Cells whose centre lies in a box, and the one nearest to the box's middle.

    Args:
        boxes: (R, 4) unit corners x0, y0, x1, y1.
        centers: (R, N, 2) unit centres of the cells.

    Returns:
        (R, N) bool.
    """
    low, high = boxes[:, None, :2], boxes[:, None, 2:]
    inside = ((centers >= low) & (centers <= high)).all(-1)
    distance2 = ((centers - (low + high) / 2) ** 2).sum(-1)
    return inside | (distance2 == distance2.amin(-1, keepdim=True))


def mask_window(masks: torch.Tensor, grids: list[tuple[int, int]], cells: int) -> torch.Tensor:
    """Cells of which at least half lies in a mask, or, where a mask fills no cell by half, those that it fills most.

    Args:
        masks: (R, h, w) shares of small squares that lie in the mask, 0 to 1, over the whole photo.
        grids: (height, width) of each row's grid, R of them.
        cells: N, to which grids are padded.

    Returns:
        (R, N) bool; all False for a mask of zeros.
    """
    window = torch.zeros(len(masks), cells, dtype=torch.bool, device=masks.device)
    for grid in set(grids):
        rows = [row for row, other in enumerate(grids) if other == grid]
        shares = nn.functional.adaptive_avg_pool2d(masks[rows].float(), grid).flatten(1)
        enough = shares.amax(-1, keepdim=True).clamp(max=0.5)
        window[rows, : shares.shape[1]] = (shares >= enough) & (shares > 0)
    return window


class WindowedLayer(nn.Module):
    """Cross-attention of the queries to the cells of the window, then an MLP; pre-norm."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm_query = nn.LayerNorm(dim)
        self.norm_cells = nn.LayerNorm(dim)
        self.query = nn.Linear(dim, dim)
        self.key_value = nn.Linear(dim, 2 * dim)
        self.out = nn.Linear(dim, dim)
        self.norm_mlp = nn.LayerNorm(dim)
        self.up = nn.Linear(dim, 2 * dim)
        self.down = nn.Linear(2 * dim, dim)

    def forward(self, x: torch.Tensor, cells: torch.Tensor, window: torch.Tensor) -> torch.Tensor:
        batch, count, dim = x.shape
        split = (batch, -1, self.heads, dim // self.heads)
        query = self.query(self.norm_query(x)).view(split).transpose(1, 2)
        key_value = self.key_value(self.norm_cells(cells))  # once for all points of a photo
        key, value = key_value.repeat_interleave(batch // len(cells), 0).chunk(2, dim=-1)
        key, value = key.view(split).transpose(1, 2), value.view(split).transpose(1, 2)
        attended = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=window[:, None, None])
        x = x + self.out(attended.transpose(1, 2).reshape(batch, count, dim))
        return x + self.down(nn.functional.gelu(self.up(self.norm_mlp(x))))


class KeypointEncoder(nn.Module):
    """Vision tokens and a point, a box or a mask -> keypoint tokens of the language model's width.

    Args:
        dim: width of the vision tokens and of the output.
        num_tokens: keypoint tokens per point (K).
        heads, layers: of the windowed cross-attention.
        sigma, threshold: of the Gaussian window, see :func:`gaussian_window`.
        attention_region: "gaussian" (the paper) or "none" (its ablation: the queries see the whole photo).
        width: inner width; None takes ``dim``, with which the weights grow as its square.
    """

    def __init__(
        self,
        dim: int,
        num_tokens: int = 4,
        heads: int = 4,
        layers: int = 2,
        sigma: float = 0.1,
        threshold: float = 0.1,
        attention_region: str = "gaussian",
        width: int | None = None,
    ):
        super().__init__()
        self.dim, self.sigma, self.threshold = width or dim, sigma, threshold
        self.attention_region = attention_region
        self.prompt = nn.Parameter(torch.empty(num_tokens, self.dim))
        self.project_point = nn.Linear(4 * (self.dim // 4), self.dim)
        self.layers = nn.ModuleList(WindowedLayer(self.dim, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(self.dim)
        self.narrow = nn.Identity() if width is None else nn.Linear(dim, width)
        self.widen = nn.Identity() if width is None else nn.Linear(width, dim)

    def forward(
        self,
        cells: torch.Tensor,
        valid: torch.Tensor,
        centers: torch.Tensor,
        boxes: torch.Tensor,
        region: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Args:
            cells: (B, N, D) vision tokens.
            valid: (B, N) bool, False on padding.
            centers: (B, N, 2) unit centres of the cells.
            boxes: (R, 4) unit corners x0, y0, x1, y1, the same twice for a point; R a multiple of B: each photo's in a
                row.
            region: optional (R, N) bool, True where the queries may look; the rows without any True are points.

        Returns:
            (R, K, D) keypoint tokens.
        """
        valid, centers = (x.repeat_interleave(len(boxes) // len(cells), 0) for x in (valid, centers))
        first, second = boxes[:, :2], boxes[:, 2:]
        if self.attention_region == "gaussian":
            window = gaussian_window((first + second) / 2, centers, self.sigma, self.threshold) & valid
        else:
            window = valid
        if region is not None:
            window = torch.where(region.any(-1, keepdim=True), region & valid, window)
        dtype = self.prompt.dtype
        places = (encode_points(first, self.dim) + encode_points(second, self.dim)) / 2  # of a point: its own
        x = self.prompt[None] + self.project_point(places.to(dtype))[:, None]
        cells = self.narrow(cells.to(dtype))
        for layer in self.layers:
            x = layer(x, cells, window)
        return self.widen(self.norm(x))
