"""Weakly compressible liquids. What they remember is the logarithm of the volume ratio."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.sim.mpm.material import Material, Matrices, Memory, constant, extremes
from meshlearn.sim.mpm.tensors import identity, trace

EXPONENT = 7.0  # of Tait's equation of state for water


class Water(Material):
    """Pressure bulk / 7 (J^-7 - 1), never below zero, and a Newtonian viscosity.

    bulk       bulk modulus: how little the liquid is compressed. Real water has 2e9 Pa; the time step falls with its
               root, and 100 times density times the squared largest speed keeps compression below 1 %
    viscosity  dynamic viscosity, stress times time; it acts on the deviator in space of the strain rate, in 2-D too
               (there the third rate is zero)

    A liquid that does not pull (no tension) falls apart where it is stretched, as splashes do. Its pressure comes from
    how its volume has changed since the start (Tait's equation; Monaghan, Simulating free surface flows with SPH,
    Journal of Computational Physics 110, 1994).
    """

    def __init__(self, bulk: Any = 1e5, viscosity: Any = 0.0) -> None:
        self.bulk = constant("the bulk modulus", bulk, 0.0)
        self.viscosity = constant("the viscosity", viscosity, 0.0, open_below=False)

    def rest(self, dim: int, like: Float[Tensor, " n"]) -> Memory:
        """Uncompressed."""
        return torch.zeros(1, len(like), dtype=like.dtype, device=like.device)

    def stress(self, memory: Memory, slope: Matrices) -> Matrices:
        """(dim, dim, n)."""
        log = memory[0]
        pressure = self.bulk / EXPONENT * torch.expm1(-EXPONENT * log.clamp(max=0.0))
        volume = log.exp()
        stress = -(pressure * volume) * identity(slope)
        if isinstance(self.viscosity, Tensor) or self.viscosity > 0:
            strain_rate = slope + slope.transpose(0, 1)
            deviator = strain_rate - trace(strain_rate) / 3 * identity(slope)  # plane flow has a deviator in space, too
            stress = stress + self.viscosity * volume * deviator
        return stress.expand_as(slope)

    def moved(self, memory: Memory, growth: Matrices) -> Memory:
        """The volume grows by 1 + trace: the change of volume of a step to first order, for which no determinant is
        needed."""
        return memory + trace(growth).log1p()

    def energy(self, memory: Memory) -> Float[Tensor, " n"]:
        """The integral of the pressure over the volume, from J = 1."""
        log = memory[0].clamp(max=0.0)
        slow = torch.expm1((1 - EXPONENT) * log) / (EXPONENT - 1)
        return self.bulk / EXPONENT * (slow + torch.expm1(log))

    def volume_ratio(self, memory: Memory) -> Float[Tensor, " n"]:
        """J."""
        return memory[0].exp()

    def stiffness(self) -> float:
        """The bulk modulus."""
        return extremes(self.bulk)[1]

    def viscosity_bound(self) -> float:
        """The viscosity."""
        return extremes(self.viscosity)[1]

    def __repr__(self) -> str:
        return f"Water(bulk={self.bulk}, viscosity={self.viscosity})"
