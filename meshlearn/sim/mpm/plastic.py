"""Metals and sand: what flows once its shear stress is too large.

What they remember is the elastic part of the strain at constant volume, b (symmetric, det b = 1; in 2-D with its zz,
the strain is plane), and the logarithm of the volume ratio. Kirchhoff stress: mu dev b + p 1 (Simo, A framework for
finite strain elastoplasticity based on maximum plastic dissipation, CMAME 66 and 68, 1988; Simo and Hughes,
Computational Inelasticity, 1998, section 9.3). The flow scales the deviator of b back to the yield surface: no
eigenvalues are needed, and gradients are finite at equal stretches. After a flow b is scaled to det b = 1 again, which
leaves the stress below the yield surface by the square of the elastic strain.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.sim.mpm.material import Material, Matrices, Memory, constant, extremes, lame
from meshlearn.sim.mpm.tensors import determinant, identity, product, product_transposed, trace

PLACES = {2: ((0, 0), (1, 1), (0, 1)), 3: ((0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (0, 2))}
TINY = 1e-30  # under the roots of sums of squares, so that the derivative at zero is zero


class _Plastic(Material):
    """Memory rows: xx, yy, xy, zz (2-D) or xx, yy, zz, xy, yz, xz (3-D) of b, then the log of the volume ratio."""

    def __init__(self, young: Any, poisson: Any) -> None:
        self.young = constant("Young's modulus", young, 0.0)
        self.poisson = constant("Poisson's ratio", poisson, -1.0, 0.5)

    @abstractmethod
    def limit(self, pressure: Float[Tensor, " n"], dim: int) -> Any:
        """The largest Frobenius norm of the stress deviator under a pressure."""

    @abstractmethod
    def mean_stress(self, log_volume: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """A third of the trace of the Kirchhoff stress."""

    def constants(self) -> tuple[Any, Any]:
        """(mu, bulk modulus)."""
        mu, first = lame(self.young, self.poisson)
        return mu, first + 2 * mu / 3

    def rest(self, dim: int, like: Float[Tensor, " n"]) -> Memory:
        """Undeformed."""
        unit = [1.0, 1.0, 0.0, 1.0, 0.0] if dim == 2 else [1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]
        return torch.tensor(unit, dtype=like.dtype, device=like.device)[:, None].repeat(1, len(like))

    def stress(self, memory: Memory, slope: Matrices) -> Matrices:
        """(dim, dim, n)."""
        b, out_of_plane = _unpacked(memory)
        mean = (trace(b) + out_of_plane) / 3
        level = self.mean_stress(memory[-1]) - self.constants()[0] * mean
        return self.constants()[0] * b + level * identity(b)

    def moved(self, memory: Memory, growth: Matrices) -> Memory:
        """The trial strain, and what is left of it after the flow."""
        dim = len(growth)
        b, out_of_plane = _unpacked(memory)
        half = b + product(growth, b)
        b = half + product_transposed(half, growth)
        log_volume = memory[-1] + _log_determinant(growth)
        mean = (trace(b) + out_of_plane) / 3
        eye = identity(b)
        deviator, aside = b - mean * eye, out_of_plane - mean
        norm = (deviator.square().sum((0, 1)) + (aside.square() if dim == 2 else 0.0) + TINY).sqrt()
        # The volume of the step is taken out of b at the end, with that of the flow; the limit is for det b = 1.
        scale = _third_root(_determinant(b, out_of_plane, dim))
        allowed = self.limit(-self.mean_stress(log_volume), dim) / self.constants()[0] * scale
        share = (allowed / norm).clamp(max=1.0)
        b, out_of_plane = share * deviator + mean * eye, share * aside + mean
        unit = _third_root(_determinant(b, out_of_plane, dim))
        rows = [b[i, j] / unit for i, j in PLACES[dim]]
        if dim == 2:
            rows.append(out_of_plane / unit)
        return torch.stack([*rows, log_volume])

    def energy(self, memory: Memory) -> Float[Tensor, " n"]:
        """mu / 2 (tr b - 3) plus that of the volume."""
        b, out_of_plane = _unpacked(memory)
        mu, bulk = self.constants()
        mean = self.mean_stress(memory[-1])
        return 0.5 * mu * (trace(b) + out_of_plane - 3) + 0.5 * mean.square() / bulk

    def volume_ratio(self, memory: Memory) -> Float[Tensor, " n"]:
        """J."""
        return memory[-1].exp()

    def stiffness(self) -> float:
        """Bulk modulus + 4/3 mu."""
        mu, first = lame(extremes(self.young)[1], extremes(self.poisson)[1])
        return first + 2 * mu


class VonMises(_Plastic):
    """A metal: flows where the equivalent stress sqrt(3/2) |dev tau| would be above its yield stress; no hardening.

    young         Young's modulus: a number, or a tensor () or (n,)
    poisson       Poisson's ratio, between -1 and 0.5
    yield_stress  in a uniaxial test

    The mean stress is bulk modulus times ln J: the volume always stays elastic.
    """

    def __init__(self, young: Any = 1e6, poisson: Any = 0.3, yield_stress: Any = 1e4) -> None:
        super().__init__(young, poisson)
        self.yield_stress = constant("the yield stress", yield_stress, 0.0)

    def limit(self, pressure: Float[Tensor, " n"], dim: int) -> Any:
        """sqrt(2/3) times the yield stress."""
        return math.sqrt(2 / 3) * self.yield_stress

    def mean_stress(self, log_volume: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """Bulk modulus times ln J."""
        return self.constants()[1] * log_volume

    def __repr__(self) -> str:
        return f"VonMises(young={self.young}, poisson={self.poisson}, yield_stress={self.yield_stress})"


class Sand(_Plastic):
    """A dry granular material (Drucker-Prager): the shear stress is at most a multiple of the pressure.

    young     Young's modulus of the packed grains
    poisson   their Poisson's ratio
    friction  angle of internal friction in degrees, above 0 and below 60

    No cohesion: where the volume has grown there is no stress, until it is packed as at the start again (the volume
    since the start is remembered, so that grains which fell apart do not resist too early). The flow keeps the volume.
    In plane strain the cone is that whose sliding states are Mohr's and Coulomb's, |dev tau| = sqrt(2) sin(phi) p; in
    3-D it goes through their compressive corners, |dev tau| = sqrt(2/3) 6 sin(phi) / (3 - sin(phi)) p (Drucker and
    Prager 1952; Klár et al., Drucker-Prager elastoplasticity for sand animation, 2016, for its use in this method).
    """

    def __init__(self, young: Any = 1e6, poisson: Any = 0.3, friction: Any = 30.0) -> None:
        super().__init__(young, poisson)
        self.friction = constant("the angle of friction", friction, 0.0, 60.0)

    def limit(self, pressure: Float[Tensor, " n"], dim: int) -> Any:
        """In proportion to the pressure."""
        angle = self.friction * (math.pi / 180)
        sine = torch.sin(angle) if isinstance(angle, Tensor) else math.sin(angle)
        slope = math.sqrt(2) * sine if dim == 2 else math.sqrt(2 / 3) * 6 * sine / (3 - sine)
        return slope * pressure

    def mean_stress(self, log_volume: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """Bulk modulus times ln J where that is negative."""
        return self.constants()[1] * log_volume.clamp(max=0.0)

    def __repr__(self) -> str:
        return f"Sand(young={self.young}, poisson={self.poisson}, friction={self.friction})"


def _unpacked(memory: Tensor) -> tuple[Tensor, Any]:
    """(b in the plane or in space, its zz outside of that)."""
    if memory.shape[0] == 5:
        xx, yy, xy, zz, _ = memory.unbind(0)
        return torch.stack([torch.stack([xx, xy]), torch.stack([xy, yy])]), zz
    xx, yy, zz, xy, yz, xz, _ = memory.unbind(0)
    return torch.stack([torch.stack([xx, xy, xz]), torch.stack([xy, yy, yz]), torch.stack([xz, yz, zz])]), 0.0


def _determinant(b: Tensor, out_of_plane: Any, dim: int) -> Tensor:
    return determinant(b) * out_of_plane if dim == 2 else determinant(b)


def _third_root(values: Tensor) -> Tensor:
    return values ** (1 / 3)


def _log_determinant(growth: Tensor) -> Tensor:
    """ln det(1 + growth)."""
    return determinant(growth + identity(growth)).log()
