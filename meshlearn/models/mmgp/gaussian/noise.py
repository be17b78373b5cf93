"""The noise that maximises the bound of processes with inducing points, at given length scales.

With W = L^-1 k(z, x) and W W^T = U diag(s) U^T, C = W^T W + ratio I has closed forms in s for every ratio: one
decomposition, O(n M^2), gives the whole curve. Noise and variance must be of the same length scales: with a ratio that
is too small for what the points cannot represent, the best variance y^T C^-1 y / (n m) is that remainder divided by the
ratio, and bands are of no use.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float64
from torch import Tensor

from meshlearn.models.mmgp.gaussian.bound import JITTER
from meshlearn.models.mmgp.gaussian.matern import matern

TRIED = 400
ROUNDING = 1e-14


def best_noise(
    log_scales: Float64[Tensor, " d"],
    x: Float64[Tensor, "n d"],
    y: Float64[Tensor, "n m"],
    z: Float64[Tensor, "inducing d"],
    bounds: tuple[float, float],
) -> Float64[Tensor, ""]:
    """Log noise ratio between the bounds (of the ratio): the best of 400."""
    n, m = y.shape
    kzz = matern(z, z, log_scales[None])[0]
    kzz.diagonal().add_(JITTER)
    w = torch.linalg.solve_triangular(torch.linalg.cholesky(kzz), matern(z, x, log_scales[None])[0], upper=False)
    s, vectors = torch.linalg.eigh(w @ w.T)
    sound = s > ROUNDING * s[-1]
    s, vectors = s[sound], vectors[:, sound]
    squares = (vectors.T @ (w @ y)).square().sum(1) / s  # of y along the directions that W spans
    log_ratio = torch.linspace(math.log(bounds[0]), math.log(bounds[1]), TRIED, dtype=x.dtype)
    ratio = log_ratio.exp()[:, None]
    beside = (y.square().sum() - squares.sum()).clamp(min=0)
    variance = ((squares / (s + ratio)).sum(1) + beside / ratio[:, 0]) / (n * m)
    log_det = (s / ratio).log1p().sum(1) + n * log_ratio
    lost = (n - s.sum()).clamp(min=0)
    value = variance.clamp(min=1e-300).log() + log_det / n + lost / (n * ratio[:, 0])
    return log_ratio[value.argmin()]
