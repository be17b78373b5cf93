"""The variational bound on the marginal likelihood of Gaussian processes with inducing points, and its gradient.

M. Titsias, "Variational learning of inducing variables in sparse Gaussian processes", AISTATS 2009: with inducing
points z, Q = k(x, z) k(z, z)^-1 k(z, x), C = Q + ratio I and covariance sigma^2 C,

    log p >= log N(y | 0, sigma^2 C) - m tr(k(x, x) - Q) / (2 ratio)

for m targets that share the parameters. As in the exact case (`likelihood`) the best sigma^2 is y^T C^-1 y / (n m).
With k(z, z) = L L^T, A = L^-1 k(z, x) / sqrt(ratio) and B = I + A A^T everything costs O(n M^2), and the derivatives of
the bound with respect to the two kernel matrices are, for P = k(z, z)^-1 k(z, x) and a = C^-1 y / sigma,

    to k(z, x):  P a a^T + m L^-T (I - B^-1) A / sqrt(ratio)
    to k(z, z):  -(P a a^T P^T + m L^-T (B - 2 I + B^-1) L^-1) / 2.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float64
from torch import Tensor

from meshlearn.models.mmgp.gaussian.likelihood import Parameters, split
from meshlearn.models.mmgp.gaussian.matern import cross_with_slope, matern_with_slope

JITTER = 1e-10  # on the diagonal of k(z, z), relative to the variance of the process


class Factors:
    """L, A and B of a batch; `failed` (batch,) where k(z, z) is not positive definite.

    lower, inner  (batch, M, M) Cholesky factors L of k(z, z), and of B; whitened (batch, M, n) A
    """

    def __init__(self, kzz: Tensor, kzx: Tensor, ratio: Tensor) -> None:
        kzz.diagonal(dim1=-2, dim2=-1).add_(JITTER)
        self.lower, failed = torch.linalg.cholesky_ex(kzz)
        self.whitened = torch.linalg.solve_triangular(self.lower, kzx, upper=False)
        self.whitened *= ratio.rsqrt()[:, None, None]
        self.square = self.whitened @ self.whitened.transpose(1, 2)
        b = self.square.clone()
        b.diagonal(dim1=-2, dim2=-1).add_(1)
        self.inner, also = torch.linalg.cholesky_ex(b)
        self.failed = (failed != 0) | (also != 0)


def negative_bound(
    theta: Parameters,
    x: Float64[Tensor, "n d"],
    y: Float64[Tensor, "batch n m"],
    z: Float64[Tensor, "batch inducing d"],
) -> tuple[Float64[Tensor, " batch"], Float64[Tensor, "batch p"]]:
    """(values, gradients) of the negative bound divided by the number n m of targets; infinite where it has none."""
    log_scales, log_ratio = split(theta)
    n, m = y.shape[1:]
    ratio = log_ratio.exp()
    kzz, slope_zz = matern_with_slope(z, log_scales)
    kzx, slope_zx = cross_with_slope(z, x, log_scales)
    f = Factors(kzz, kzx, ratio)
    count = z.shape[1]
    projected = f.whitened @ y  # A y
    solved = torch.cholesky_solve(projected, f.inner)  # B^-1 A y
    a = (y - f.whitened.transpose(1, 2) @ solved) / ratio[:, None, None]  # C^-1 y
    variance = (y * a).sum((1, 2)) / (n * m)
    trace = f.square.diagonal(dim1=-2, dim2=-1).sum(-1)
    log_det = f.inner.diagonal(dim1=-2, dim2=-1).log().sum(-1) + 0.5 * n * log_ratio
    lost = n - ratio * trace  # tr(k(x, x) - Q)
    value = 0.5 * (1 + math.log(2 * math.pi)) + 0.5 * variance.log() + log_det / n + lost / (2 * n * ratio)

    inverse = torch.cholesky_inverse(f.inner)  # B^-1
    a = a * variance.rsqrt()[:, None, None]
    root = ratio.sqrt()[:, None, None]
    pa = torch.linalg.solve_triangular(f.lower.transpose(1, 2), f.whitened @ a, upper=True) * root
    eye = torch.eye(count, dtype=x.dtype)
    w_zx = torch.linalg.solve_triangular(f.lower.transpose(1, 2), (eye - inverse) * (m / root), upper=True)
    w_zx = (w_zx @ f.whitened).baddbmm_(pa, a.transpose(1, 2))
    core = m * (f.square - eye + inverse)
    half = torch.linalg.solve_triangular(f.lower.transpose(1, 2), core, upper=True)
    w_zz = torch.linalg.solve_triangular(f.lower, half, upper=False, left=False)
    w_zz = -0.5 * (w_zz + pa @ pa.transpose(1, 2))
    squares = weighted_squares(w_zx.mul_(slope_zx), z, x) + weighted_squares(w_zz * slope_zz, z, z)
    by_scale = squares * (-2 * log_scales).exp()
    trace_c = (n - count + inverse.diagonal(dim1=-2, dim2=-1).sum(-1)) / ratio  # tr C^-1
    by_ratio = 0.5 * ratio * (a.square().sum((1, 2)) - m * trace_c + m * lost / ratio.square())
    gradient = torch.cat([by_scale, by_ratio[:, None]], dim=1).div_(-n * m)
    bad = f.failed | ~torch.isfinite(value)
    return torch.where(bad, torch.inf, value), torch.where(bad[:, None], 0.0, gradient)


def weighted_squares(w: Tensor, z: Tensor, x: Tensor) -> Tensor:
    """(batch, d): sum over pairs of w_ij (z_iq - x_jq)^2, by matrix products."""
    rows, columns = w.sum(2), w.sum(1)
    ends = torch.einsum("bi,biq->bq", rows, z.square())
    others = columns @ x.square() if x.ndim == 2 else torch.einsum("bj,bjq->bq", columns, x.square())
    return ends + others - 2 * ((w @ x) * z).sum(1)
