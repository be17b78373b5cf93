"""Small matrices of many particles, components first: (dim, dim, n).

Every component is contiguous in memory, so that an operation on all particles is one pass over plain arrays.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

Matrices = Float[Tensor, "dim dim n"]
POLAR_STEPS = 8  # Newton's method converges quadratically; far-off stretches take the first few steps


def product(a: Matrices, b: Matrices) -> Matrices:
    """a b of every particle."""
    return (a[:, :, None] * b[None]).sum(1)


def product_transposed(a: Matrices, b: Matrices) -> Matrices:
    """a b^T of every particle."""
    return (a[:, None] * b[None]).sum(2)


def identity(like: Matrices) -> Float[Tensor, "dim dim 1"]:
    """The identity, to be broadcast over the particles."""
    return torch.eye(like.shape[0], dtype=like.dtype, device=like.device)[:, :, None]


def trace(a: Matrices) -> Float[Tensor, " n"]:
    """Sum of the diagonal."""
    return a.diagonal().sum(-1)


def cofactor(a: Matrices) -> Matrices:
    """det(a) a^-T, also where a is singular."""
    if a.shape[0] == 2:
        return torch.stack([torch.stack([a[1, 1], -a[1, 0]]), torch.stack([-a[0, 1], a[0, 0]])])
    return torch.stack([torch.linalg.cross(a[i - 2], a[i - 1], dim=0) for i in range(3)])


def determinant(a: Matrices) -> Float[Tensor, " n"]:
    """det a of every particle."""
    if a.shape[0] == 2:
        return a[0, 0] * a[1, 1] - a[0, 1] * a[1, 0]
    return (a[0] * torch.linalg.cross(a[1], a[2], dim=0)).sum(0)


def rotation(a: Matrices) -> Matrices:
    """The rotation R of the polar decomposition a = R S, for det a > 0; differentiable, also at equal stretches.

    In 2-D in closed form, in 3-D by Newton's method R <- (R + R^-T) / 2 (Higham 1986), each step scaled in the
    Frobenius norm.
    """
    if a.shape[0] == 2:
        cosine, sine = a[0, 0] + a[1, 1], a[1, 0] - a[0, 1]
        size = torch.hypot(cosine, sine)
        cosine, sine = cosine / size, sine / size
        return torch.stack([torch.stack([cosine, -sine]), torch.stack([sine, cosine])])
    for _ in range(POLAR_STEPS):
        other = cofactor(a)
        inverse = other / (a[0] * other[0]).sum(0)  # a^-T
        scale = (inverse.square().sum((0, 1)) / a.square().sum((0, 1))) ** 0.25
        a = 0.5 * (scale * a + inverse / scale)
    return a
