"""J2 plasticity with isotropic hardening: stresses, internal variables and tangent at strains, all places at once.

Small strains; the elastic trial stress is returned radially to the yield surface (Simo and Hughes, Computational
Inelasticity, 1998, boxes 3.1 and 3.2). The yield stress is sigma_0 + H p + Q (1 - exp(-b p)), p the cumulated plastic
strain, dp = sqrt(2/3) |d eps_p|: linear hardening H, and Voce's saturating one.

Symmetric tensors are vectors (..., 4), xx, yy, zz, sqrt(2) xy, or (..., 6), xx, yy, zz, sqrt(2) xy, sqrt(2) yz,
sqrt(2) xz, so that a product of two of them is the product of the tensors.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.errors import ConvergenceError

ITERATIONS = 60
ROUNDING = 1e-13  # of the yield function against the yield stress and the trial stress


class Material(NamedTuple):
    """Elastic and hardening constants: (1, 1) or (n_cells, 1) tensors; stresses in one unit.

    shear, bulk     moduli of the elastic part
    yield_stress    of the virgin material, in uniaxial tension
    hardening       H, linear
    saturation      Q, added in the long run by saturating hardening
    rate            b, of the saturation per plastic strain
    """

    shear: Tensor
    bulk: Tensor
    yield_stress: Tensor
    hardening: Tensor
    saturation: Tensor
    rate: Tensor

    def strength(self, p: Tensor) -> Tensor:
        """Yield stress at a cumulated plastic strain."""
        return self.yield_stress + self.hardening * p - self.saturation * torch.expm1(-self.rate * p)

    def slope(self, p: Tensor) -> Tensor:
        """Its derivative."""
        return self.hardening + self.saturation * self.rate * torch.exp(-self.rate * p)

    def of(self, cells: Tensor) -> Material:
        """Those of some cells."""
        return Material(*(value.index_select(0, cells) if len(value) > 1 else value for value in self))

    def expanded(self, like: Tensor) -> Material:
        """All constants in the shape of a tensor."""
        return Material(*(value.expand(like.shape) for value in self))


class Returned(NamedTuple):
    """stress, plastic strain (..., 4 or 6), cumulated plastic strain (...), and what the tangent needs."""

    stress: Tensor
    plastic: Tensor
    cumulated: Tensor
    normal: Tensor
    theta: Tensor
    theta_bar: Tensor


def trial_stress(strain: Float[Tensor, "*places k"], material: Material) -> Float[Tensor, "*places k"]:
    """Elastic stress."""
    volume = strain[..., :3].sum(-1)
    mean = (material.bulk - 2 / 3 * material.shear) * volume
    return 2 * material.shear[..., None] * strain + mean[..., None] * identity(strain)


def return_mapping(
    strain: Float[Tensor, "*places k"],
    plastic: Float[Tensor, "*places k"],
    cumulated: Float[Tensor, "*places"],
    material: Material,
) -> Returned:
    """The state after a step that ends at a strain, from the internal variables before it.

    Raises ConvergenceError where the plastic multiplier is not found (strains that are not finite).
    """
    constants = material.expanded(cumulated)
    trial = trial_stress(strain - plastic, constants)
    deviator = trial - trial[..., :3].mean(-1, keepdim=True) * identity(strain)
    size = torch.linalg.vector_norm(deviator, dim=-1)
    equivalent = math.sqrt(1.5) * size
    yields = ~(equivalent <= constants.strength(cumulated) * (1 + ROUNDING))
    step = torch.zeros_like(cumulated)
    if bool(yields.any()):
        rows = torch.nonzero(yields.reshape(-1))[:, 0]
        picked = Material(*(value.reshape(-1).index_select(0, rows) for value in constants))
        start, target = (value.reshape(-1).index_select(0, rows) for value in (cumulated, equivalent))
        step = step.reshape(-1).index_copy(0, rows, _multiplier(start, target, picked)).reshape(step.shape)
    normal = deviator / torch.where(size > 0, size, 1.0)[..., None] * yields[..., None]
    share = torch.where(yields, 3 * constants.shear * step / torch.where(size > 0, equivalent, 1.0), 0.0)
    after = cumulated + step
    bend = torch.where(yields, 1 / (1 + constants.slope(after) / (3 * constants.shear)) - share, 0.0)
    return Returned(
        stress=trial - (math.sqrt(6.0) * constants.shear * step)[..., None] * normal,
        plastic=plastic + (math.sqrt(1.5) * step)[..., None] * normal,
        cumulated=after,
        normal=normal,
        theta=1 - share,
        theta_bar=bend,
    )


def _multiplier(start: Tensor, target: Tensor, material: Material) -> Tensor:
    """s > 0 with target - 3 G s = strength(start + s): Newton from 0 rises to it, because the function is convex."""
    s = torch.zeros_like(start)
    for _ in range(ITERATIONS):
        strength = material.strength(start + s)
        excess = target - 3 * material.shear * s - strength
        if bool((excess.abs() <= ROUNDING * (target + strength)).all()):
            return s
        s = (s + excess / (3 * material.shear + material.slope(start + s))).clamp_min(0.0)
    raise ConvergenceError(
        f"the plastic multiplier was not found at {int((excess.abs() > ROUNDING * (target + strength)).sum())} of "
        f"{len(s)} places that yield; the largest trial stress is {float(target.max()):.3g}.\n  Load in smaller steps.",
        [float(excess.abs().max())],
    )


def consistent_tangent(state: Returned, material: Material) -> Float[Tensor, "*places k k"]:
    """Derivative of the returned stress in the strain."""
    constants = material.expanded(state.cumulated)
    one = identity(state.normal)
    volumetric = one[:, None] * one
    deviatoric = torch.eye(len(one), dtype=one.dtype, device=one.device) - volumetric / 3
    shear = 2 * constants.shear
    return (
        constants.bulk[..., None, None] * volumetric
        + (shear * state.theta)[..., None, None] * deviatoric
        - (shear * state.theta_bar)[..., None, None] * state.normal[..., :, None] * state.normal[..., None, :]
    )


def identity(like: Float[Tensor, "*places k"]) -> Float[Tensor, " k"]:
    """The unit tensor."""
    made = like.new_zeros(like.shape[-1])
    made[:3] = 1.0
    return made


def equivalent_stress(stress: Float[Tensor, "*places k"]) -> Float[Tensor, "*places"]:
    """Von Mises' stress, sqrt(3/2) |s|."""
    deviator = stress - stress[..., :3].mean(-1, keepdim=True) * identity(stress)
    return math.sqrt(1.5) * torch.linalg.vector_norm(deviator, dim=-1)
