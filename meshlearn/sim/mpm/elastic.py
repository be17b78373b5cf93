"""Elastic solids: neo-Hookean, and fixed corotated. What they remember is the deformation gradient F."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.sim.mpm.material import Material, Matrices, Memory, constant, extremes, lame
from meshlearn.sim.mpm.tensors import determinant, identity, product, product_transposed, rotation


class Elastic(Material):
    """Materials that remember only F, as (dim dim, n), row by row; subclass it for an elastic law of your own, which
    then serves `dynamics.ElasticDynamics`, too."""

    @abstractmethod
    def modulus_bound(self, dim: int) -> float:
        """The largest eigenvalue of the elastic moduli dP/dF, in the unit of stress."""

    def rest(self, dim: int, like: Float[Tensor, " n"]) -> Memory:
        """Undeformed."""
        eye = torch.eye(dim, dtype=like.dtype, device=like.device).reshape(-1, 1)
        return eye.repeat(1, len(like))

    def moved(self, memory: Memory, growth: Matrices) -> Memory:
        """F becomes (1 + growth) F."""
        deformation = matrices(memory)
        return (deformation + product(growth, deformation)).flatten(0, 1)

    def volume_ratio(self, memory: Memory) -> Float[Tensor, " n"]:
        """det F."""
        return determinant(matrices(memory))


class _Isotropic(Elastic):
    """Two constants."""

    def __init__(self, young: Any = 1e5, poisson: Any = 0.3) -> None:
        self.young = constant("Young's modulus", young, 0.0)
        self.poisson = constant("Poisson's ratio", poisson, -1.0, 0.5)

    def stiffness(self) -> float:
        """lambda + 2 mu, at rest."""
        mu, bulk = self._largest()
        return bulk + 2 * mu

    def modulus_bound(self, dim: int) -> float:
        """2 mu, or dim lambda + 2 mu where that is larger; at rest."""
        mu, bulk = self._largest()
        return max(2 * mu, dim * bulk + 2 * mu)

    def _largest(self) -> tuple[float, float]:
        return lame(extremes(self.young)[1], extremes(self.poisson)[1])

    def __repr__(self) -> str:
        return f"{type(self).__name__}(young={self.young}, poisson={self.poisson})"


class NeoHookean(_Isotropic):
    """Kirchhoff stress mu (F F^T - 1) + lambda ln(J) 1, the law of `meshlearn.sim.hyperelasticity`.

    young    Young's modulus at small strains: a number, or a tensor () or (n,)
    poisson  Poisson's ratio at small strains, between -1 and 0.5

    In 2-D the strain is plane. Particles that are turned inside out have no stress: they end a run with an error.
    """

    def stress(self, memory: Memory, slope: Matrices) -> Matrices:
        """(dim, dim, n)."""
        mu, bulk = lame(self.young, self.poisson)
        deformation = matrices(memory)
        pressure = bulk * determinant(deformation).log() - mu
        return mu * product_transposed(deformation, deformation) + pressure * identity(deformation)

    def energy(self, memory: Memory) -> Float[Tensor, " n"]:
        """mu / 2 (tr F F^T - dim) - mu ln J + lambda / 2 (ln J)^2."""
        mu, bulk = lame(self.young, self.poisson)
        deformation = matrices(memory)
        log = determinant(deformation).log()
        return mu * (0.5 * memory.square().sum(0) - 0.5 * len(deformation) - log) + 0.5 * bulk * log.square()


class Corotated(_Isotropic):
    """Kirchhoff stress 2 mu (F - R) F^T + lambda J (J - 1) 1 with the rotation R of F = R S.

    The fixed corotated law of Stomakhin, Howes, Schroeder and Teran, Energetically consistent invertible elasticity
    (2012): finite also where particles are flattened, which makes it hardier than `NeoHookean`; in 3-D R costs an
    iteration. Arguments as for `NeoHookean`.
    """

    def stress(self, memory: Memory, slope: Matrices) -> Matrices:
        """(dim, dim, n)."""
        mu, bulk = lame(self.young, self.poisson)
        deformation = matrices(memory)
        volume = determinant(deformation)
        rotated = product_transposed(deformation - rotation(deformation), deformation)
        return 2 * mu * rotated + (bulk * volume * (volume - 1)) * identity(deformation)

    def energy(self, memory: Memory) -> Float[Tensor, " n"]:
        """mu |F - R|^2 + lambda / 2 (J - 1)^2."""
        mu, bulk = lame(self.young, self.poisson)
        deformation = matrices(memory)
        strain = (deformation - rotation(deformation)).square().sum((0, 1))
        return mu * strain + 0.5 * bulk * (determinant(deformation) - 1).square()


def matrices(memory: Memory) -> Matrices:
    """(dim dim, n) as (dim, dim, n)."""
    dim = math.isqrt(memory.shape[0])
    return memory.view(dim, dim, -1)
