"""Cross-attention from points to the latents of a field, through numbers that motions of both do not change."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from meshlearn import ops
from meshlearn.models.neural_fields.groups import Group
from meshlearn.models.neural_fields.latents import Latents

TINY = 1e-9
FEW = 64  # latents whose distances are all taken; a search tree of more
EXACT = "donot_use_mm_for_euclid_dist"


class FourierFeatures(nn.Module):
    """x -> [sin, cos](2 pi x W), W normal with standard deviation `std`, drawn once and kept with the weights."""

    frequencies: Tensor

    def __init__(self, n_in: int, n_out: int, std: float) -> None:
        super().__init__()
        self.register_buffer("frequencies", 2 * math.pi * std * torch.randn(n_in, n_out // 2))

    def forward(self, x: Float[Tensor, "*n a"]) -> Float[Tensor, "*n f"]:
        """Features of width n_out."""
        angle = x @ self.frequencies
        return torch.cat([angle.sin(), angle.cos()], -1)


class Pairs(NamedTuple):
    """What the attention needs of every pair of a point and a latent, codes aside: made once while poses stay.

    latent (b, n, k) row of each pair's latent in a table (b m, ...); None: all m latents of the mesh, in order
    query  (b, n, k, f) features that the logits are linear in
    gain, bias  (b, n, k, hidden) of the values
    logit  (b, n, k) logarithm of the window
    share  (b, n, k) factor of the weights that tapers them off towards latents that are left out, or None
    """

    latent: Tensor | None
    query: Tensor
    gain: Tensor
    bias: Tensor
    logit: Tensor
    share: Tensor | None


class CrossAttention(nn.Module):
    """y(x) = W sum_i a_i(x) gelu((V c_i) * (1 + g(x, p_i)) + b(x, p_i)), a softmax over the latents i, per head.

    The logits are <phi_q(a), K c_i> / sqrt(f) - |x - p_i|^2 / s_i^2, with the bi-invariants a = a(x, p_i) of the group
    (and the numbers `extra` of the point), Fourier features phi_q and phi_v, and [g, b] = MLP(phi_v(a)).

    nearest  how many latents a point attends to; None: all. The others are never looked at. So that the field stays
             continuous where neighbours change, the weight of a latent at distance d gets the factor
             (1 - d^2 / D^2)^2, D being the distance of the nearest latent that is left out
    """

    def __init__(
        self, group: Group, hidden: int, heads: int, frequencies: tuple[float, float], nearest: int | None, extra: int
    ) -> None:
        super().__init__()
        self.group, self.heads, self.nearest = group, heads, nearest
        n_in = group.n_invariants + extra
        self.phi_query = FourierFeatures(n_in, hidden, frequencies[0])
        self.phi_value = FourierFeatures(n_in, hidden, frequencies[1])
        self.key = nn.Linear(hidden, heads * hidden)
        self.value = nn.Linear(hidden, hidden)
        self.modulation = nn.Sequential(nn.Linear(hidden, hidden), nn.GELU("tanh"), nn.Linear(hidden, 2 * hidden))
        self.out = nn.Linear(hidden, hidden)

    def pairs(self, points: Float[Tensor, "b n dim"], extra: Tensor | None, latents: Latents) -> Pairs:
        """What does not depend on the codes; see `Pairs`.

        Differences and invariants are taken in the dtype of the places, which may be finer than that of the network:
        float64 places and poses, moved together, give the same numbers to its last digit.
        """
        (b, m), n = latents.shape, points.shape[1]
        index, share = None, None
        position, frame, window = latents.position[:, None], latents.frame, latents.window[:, None]
        frame = None if frame is None else frame[:, None]
        k = m if self.nearest is None else min(self.nearest, m)
        if k < m:
            index = self._neighbors(points, latents.position, k + 1)
            position = ops.gather(latents.position.flatten(0, 1), index)
            last = self.group.squared_distance(points - position[:, :, k])
            index, position = index[:, :, :k].contiguous(), position[:, :, :k]
            frame = None if frame is None else ops.gather(latents.frame.flatten(0, 1), index)  # type: ignore[union-attr]
            window = ops.gather(latents.window.flatten(), index)
        offset = points[:, :, None] - position
        squared = self.group.squared_distance(offset)
        if k < m:
            share = ((1 - squared / (last[..., None] + TINY)).clamp(min=0).square() + TINY).to(window)
        squared, numbers = squared.to(window), self.group.invariants(offset, frame).to(window)
        if extra is not None:
            numbers = torch.cat([numbers, extra[:, :, None].expand(b, n, k, -1)], -1)
        gain, bias = self.modulation(self.phi_value(numbers)).chunk(2, -1)
        return Pairs(index, self.phi_query(numbers), gain, bias, -squared * (-2 * window).exp(), share)

    def forward(self, pairs: Pairs, stem: Float[Tensor, "b m h"]) -> Float[Tensor, "b n h"]:
        """The features of every point."""
        (b, m, h), (_, n, k, f) = stem.shape, pairs.query.shape
        key, value = self.key(stem).reshape(b, m, self.heads, f), self.value(stem)
        if pairs.latent is None:
            logits = torch.einsum("bnmf,bmhf->bnmh", pairs.query, key)
            value = value[:, None]
        else:
            near = ops.gather(key.flatten(0, 1), pairs.latent)
            logits = (near @ pairs.query[..., None])[..., 0]
            value = ops.gather(value.flatten(0, 1), pairs.latent)
        logits = logits / math.sqrt(f) + pairs.logit[..., None]
        weights = torch.softmax(logits, 2)
        if pairs.share is not None:
            weights = weights * pairs.share[..., None]
            weights = weights / weights.sum(2, keepdim=True)
        values = nn.functional.gelu(value * (1 + pairs.gain) + pairs.bias, approximate="tanh")
        mixed = (weights[..., None] * values.reshape(b, n, k, self.heads, h // self.heads)).sum(2)
        return self.out(mixed.reshape(b, n, h))

    def _neighbors(self, points: Tensor, position: Tensor, k: int) -> Tensor:
        """(b, n, k) rows of the nearest latents, rising in distance."""
        b, m, _ = position.shape
        n, device = points.shape[1], points.device
        places, queries = (self.group.embedded(x.detach()) for x in (position, points))
        starts = m * torch.arange(b + 1, device=device)
        if m <= FEW:
            rows = torch.cdist(queries, places.to(queries), compute_mode=EXACT).topk(k, largest=False).indices
            return rows + starts[:-1, None, None]
        numbers = n * torch.arange(b + 1, device=device)
        return ops.knn(places.flatten(0, 1), queries.flatten(0, 1), k, starts, numbers)[1].reshape(b, n, k)
