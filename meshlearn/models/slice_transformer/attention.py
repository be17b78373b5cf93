"""Slice attention: points are averaged into a few tokens, the tokens attend to each other, and are read back."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

_LEAST = 1e-6  # share of the measure of a mesh below which a slice counts as empty


class SliceAttention(nn.Module):
    """y_i = sum_s a_is t_s, t = attention among the tokens z_s = sum_i w_i a_is f_i / sum_i w_i a_is, per head.

    a_i = softmax(slices(x_i) / temperature) says how much point i belongs to each slice; w_i is the share of the
    measure of the mesh that it stands for, so that tokens are means over parts of the domain, however it is meshed.

    forward(x, weights) -> (n_meshes, n, width)
      x        (n_meshes, n, width) points of meshes, padded to the same number
      weights  (n_meshes, n) shares of the measure, 0 for padding
    """

    def __init__(self, width: int, heads: int, slices: int) -> None:
        super().__init__()
        self.heads, size = heads, width // heads
        self.features, self.places = nn.Linear(width, width), nn.Linear(width, width)
        self.slices = nn.Linear(size, slices)
        nn.init.orthogonal_(self.slices.weight)
        self.temperature = nn.Parameter(torch.full((heads, 1, 1), 0.5))
        self.query, self.key, self.value = (nn.Linear(size, size, bias=False) for _ in range(3))
        self.out = nn.Linear(width, width)

    def forward(self, x: Float[Tensor, "m n c"], weights: Float[Tensor, "m n"]) -> Float[Tensor, "m n c"]:
        """See the class."""
        logits = self.slices(self._by_head(self.places(x))) / self.temperature.clamp(0.1, 5.0)
        share = functional.softmax(logits, dim=-1)  # (m, heads, n, slices)
        weighted = share * weights[:, None, :, None]
        tokens = weighted.transpose(2, 3) @ self._by_head(self.features(x))
        tokens = tokens / (weighted.sum(2) + _LEAST)[..., None]
        tokens = functional.scaled_dot_product_attention(self.query(tokens), self.key(tokens), self.value(tokens))
        return self.out((share @ tokens).transpose(1, 2).flatten(2))

    def _by_head(self, x: Tensor) -> Tensor:
        """(m, heads, n, size)."""
        return x.reshape(*x.shape[:2], self.heads, -1).transpose(1, 2)


class SliceBlock(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, width: int, heads: int, slices: int, ratio: int) -> None:
        super().__init__()
        self.attention_norm, self.mlp_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = SliceAttention(width, heads, slices)
        self.mlp = nn.Sequential(nn.Linear(width, ratio * width), nn.GELU(), nn.Linear(ratio * width, width))

    def forward(self, x: Float[Tensor, "m n c"], weights: Float[Tensor, "m n"]) -> Float[Tensor, "m n c"]:
        """(n_meshes, n, width) -> the same."""
        x = x + self.attention(self.attention_norm(x), weights)
        return x + self.mlp(self.mlp_norm(x))
