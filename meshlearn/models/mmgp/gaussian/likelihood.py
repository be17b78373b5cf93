"""The marginal likelihood of Gaussian processes and its gradient in closed form, for a batch at once.

Targets y (n, m) share the inputs, the length scales l and the noise ratio; the covariance is sigma^2 C with
C = k(x, x) + ratio I. The best sigma^2 for given l and ratio is y^T C^-1 y / (n m), and with it

    log p = -m n / 2 (1 + log(2 pi sigma^2)) - m / 2 log|C|

(concentrated likelihood; Santner, Williams and Notz, The Design and Analysis of Computer Experiments, 2003, section
3.3). Its derivative is 1/2 sum_ij W_ij dC_ij with W = a a^T / sigma^2 - m C^-1 and a = C^-1 y (Rasmussen and
Williams 2006, eq. 5.9); the sums over pairs of inputs for all length scales are one matrix
product of W times the slope of the kernel.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float64
from torch import Tensor

from meshlearn.models.mmgp.gaussian.matern import matern_with_slope

Parameters = Float64[Tensor, "batch p"]


def split(theta: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of parameters as (log length scales (batch, d), log noise ratio (batch,))."""
    return theta[:, :-1], theta[:, -1]


def negative_log_likelihood(
    theta: Parameters, x: Float64[Tensor, "n d"], y: Float64[Tensor, "batch n m"]
) -> tuple[Float64[Tensor, " batch"], Float64[Tensor, "batch p"]]:
    """(values, gradients) of -log p divided by the number n m of targets; infinite where C is not positive definite."""
    log_scales, log_ratio = split(theta)
    n, m = y.shape[1:]
    c, slope = matern_with_slope(x, log_scales)
    ratio = log_ratio.exp()
    c.diagonal(dim1=-2, dim2=-1).add_(ratio[:, None])
    factor, failed = torch.linalg.cholesky_ex(c)
    a = torch.cholesky_solve(y, factor)
    variance = (y * a).sum((1, 2)) / (n * m)
    log_det = factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    value = 0.5 * (1 + math.log(2 * math.pi)) + 0.5 * variance.log() + log_det / n
    scaled = a * (variance * m).rsqrt()[:, None, None]
    w = torch.cholesky_inverse(factor).neg_().baddbmm_(scaled, scaled.transpose(1, 2))
    trace = w.diagonal(dim1=-2, dim2=-1).sum(-1)
    w.mul_(slope)
    squares = (w.sum(-1, keepdim=True) * x.square()).sum(1) - (w @ x).mul_(x).sum(1)
    gradient = torch.cat([squares * (-2 * log_scales).exp(), 0.5 * (ratio * trace)[:, None]], dim=1).div_(-n)
    bad = (failed != 0) | ~torch.isfinite(value)
    return torch.where(bad, torch.inf, value), torch.where(bad[:, None], 0.0, gradient)
