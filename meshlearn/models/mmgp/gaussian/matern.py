"""The Matérn kernel with smoothness 5/2 and one length scale per input, for a batch of length scales.

k(r) = (1 + s + s^2 / 3) exp(-s) with s = sqrt(5) r and r^2 = sum_q (x_q - x'_q)^2 / l_q^2 (Rasmussen and Williams,
Gaussian Processes for Machine Learning, 2006, eq. 4.17). `gpytorch.kernels.MaternKernel` gives the same values; ours
returns the factor of the gradient with them, which makes a step of training several times cheaper than by autograd.
"""

from __future__ import annotations

import torch
from jaxtyping import Float64
from torch import Tensor

TINY = 1e-30  # under the root: its slope at 0 would be infinite


def squared_distances(a: Float64[Tensor, "*b n d"], b: Float64[Tensor, "*b m d"]) -> Float64[Tensor, "*b n m"]:
    """|a_i - b_j|^2 by one matrix product; rounding errors are cut off at 0."""
    cross = a @ b.transpose(-1, -2)
    norms = a.square().sum(-1)[..., :, None] + b.square().sum(-1)[..., None, :]
    return (norms - 2 * cross).clamp(min=0)


def matern(
    a: Float64[Tensor, "*batch n d"], b: Float64[Tensor, "*batch m d"], log_scales: Float64[Tensor, "batch d"]
) -> Float64[Tensor, "batch n m"]:
    """k(a_i, b_j) for every row of log length scales; differentiable. Points are shared, or those of every row."""
    inverse = (-log_scales).exp()[:, None, :]
    s = (5 * squared_distances(a * inverse, b * inverse)).clamp(min=TINY).sqrt()
    return (1 + s + s.square() / 3) * torch.exp(-s)


def matern_with_slope(
    x: Float64[Tensor, "*batch n d"], log_scales: Float64[Tensor, "batch d"]
) -> tuple[Float64[Tensor, "batch n n"], Float64[Tensor, "batch n n"]]:
    """(k, m) on the pairs of one set, where dk_ij / d log l_q = m_ij (x_iq - x_jq)^2 / l_q^2.

    m = 5/3 (1 + s) exp(-s).
    """
    z = x * (-log_scales).exp()[:, None, :]
    s = squared_distances(z, z).mul_(5)
    s.diagonal(dim1=-2, dim2=-1).zero_()  # exactly, whatever the rounding of the product
    return _with_slope(s)


def cross_with_slope(
    a: Float64[Tensor, "batch n d"], b: Float64[Tensor, "m d"], log_scales: Float64[Tensor, "batch d"]
) -> tuple[Float64[Tensor, "batch n m"], Float64[Tensor, "batch n m"]]:
    """The same on the pairs of two sets, the first one of which may differ from problem to problem."""
    inverse = (-log_scales).exp()[:, None, :]
    return _with_slope(squared_distances(a * inverse, b * inverse).mul_(5))


def _with_slope(s: Tensor) -> tuple[Tensor, Tensor]:
    """(k, m) of 5 r^2, which is used up."""
    s.sqrt_()
    decay = torch.exp(-s)
    k = s.square().div_(3).add_(s).add_(1).mul_(decay)
    return k, s.add_(1).mul_(decay).mul_(5 / 3)
