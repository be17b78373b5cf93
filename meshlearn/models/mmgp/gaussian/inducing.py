"""Which rows become inducing points: those that the rows chosen before explain least.

Greedy choice by conditional variance, which is a pivoted Cholesky factorisation of the kernel matrix: Burt, Rasmussen
and van der Wilk, "Convergence of sparse variational inference in Gaussian processes regression", JMLR 21, 2020.
"""

from __future__ import annotations

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from meshlearn.models.mmgp.gaussian.matern import matern

LEAST = 1e-9  # conditional variance, relative to that of the process: more points would only make k(z, z) singular


def choose_inducing(
    x: Float64[Tensor, "n d"], log_scales: Float64[Tensor, " d"], count: int
) -> Int64[Tensor, " chosen"]:
    """Numbers of at most `count` rows, in the order of the choice; O(n count^2)."""
    left = x.new_ones(len(x))
    columns = x.new_zeros(min(count, len(x)), len(x))
    chosen: list[int] = []
    for k in range(len(columns)):
        i = int(left.argmax())
        variance = float(left[i])
        if variance < LEAST:
            break
        row = matern(x[i : i + 1], x, log_scales[None])[0, 0]
        columns[k] = (row - columns[:k, i] @ columns[:k]) / variance**0.5
        left = (left - columns[k].square()).clamp(min=0)
        left[i] = 0.0
        chosen.append(i)
    return torch.tensor(chosen, dtype=torch.int64)
