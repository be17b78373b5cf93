"""Moduli of a law: how stress answers to small deformations on top of large ones, and how fast waves are."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.sim.mpm.tensors import cofactor, determinant, product

Stress = Callable[[Tensor], Tensor]
STEP = 1e-5  # of the central differences, in float64
DIRECTIONS = 16


def first_piola(
    kirchhoff: Float[Tensor, "dim dim n"], deformation: Float[Tensor, "dim dim n"]
) -> Float[Tensor, "dim dim n"]:
    """P = tau F^-T: force per undeformed area."""
    return product(kirchhoff, cofactor(deformation) / determinant(deformation))


@torch.no_grad()
def moduli(stress: Stress, deformation: Float[Tensor, "dim dim n"]) -> Float[Tensor, "n dim dim dim dim"]:
    """dP_ij / dF_kl by central differences; `stress` gives the Kirchhoff stress (dim, dim, n) of deformations."""
    dim, n = len(deformation), deformation.shape[2]
    steps = STEP * torch.eye(dim * dim, dtype=deformation.dtype).view(dim, dim, 1, dim * dim)
    sides = []
    for sign in (1.0, -1.0):
        at = (deformation[..., None] + sign * steps.to(deformation.device)).flatten(2)
        sides.append(first_piola(stress(at), at).view(dim, dim, n, dim, dim))
    return ((sides[0] - sides[1]) / (2 * STEP)).permute(2, 0, 1, 3, 4)


def largest_modulus(stress: Stress, deformation: Float[Tensor, "dim dim n"]) -> float:
    """The largest eigenvalue of dP/dF (of its symmetric part, where there is no energy) over some deformations."""
    flat = moduli(stress, deformation).flatten(3).flatten(1, 2)
    return float(torch.linalg.eigvalsh(0.5 * (flat + flat.transpose(1, 2))).max())


def wave_modulus(stress: Stress, deformation: Float[Tensor, "dim dim n"]) -> float:
    """The largest density at rest times squared speed of waves through the deformed body, over some deformations and
    directions n: N = F^T n is the wave's direction at rest, longer where the body is stretched."""
    dim = len(deformation)
    angle = math.pi * torch.arange(DIRECTIONS, dtype=torch.float64) / DIRECTIONS
    ways = torch.stack([angle.cos(), angle.sin()], 1)
    if dim == 3:
        zero = torch.zeros_like(angle)
        diagonals = torch.tensor([[1.0, 1, 1], [-1, 1, 1], [1, -1, 1], [1, 1, -1]], dtype=torch.float64) / math.sqrt(3)
        planes = [torch.stack([angle.cos(), angle.sin(), zero], 1).roll(shift, 1) for shift in range(3)]
        ways = torch.cat([*planes, diagonals])
    ways = torch.einsum("ijn,wi->nwj", deformation, ways.to(deformation))
    acoustic = torch.einsum("nijkl,nwj,nwl->nwik", moduli(stress, deformation), ways, ways)
    return float(torch.linalg.eigvalsh(0.5 * (acoustic + acoustic.transpose(2, 3))).max())
