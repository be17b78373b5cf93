"""What a material of the material point method is: a stress for what it remembers, and how that changes in a step."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

from jaxtyping import Float
from torch import Tensor

from meshlearn.errors import ParameterError

Memory = Float[Tensor, "k n"]
Matrices = Float[Tensor, "dim dim n"]


class Material(ABC):
    """A material; subclass it for one of your own.

    `memory` (k, n) is what the particles remember of their deformation, whatever the material needs; all arrays have
    the particles last. Everything is written in torch, so that gradients flow to constants that are tensors.
    """

    @abstractmethod
    def rest(self, dim: int, like: Float[Tensor, " n"]) -> Memory:
        """The memory of particles at rest, in the dtype and on the device of `like`."""

    @abstractmethod
    def stress(self, memory: Memory, slope: Matrices) -> Matrices:
        """Kirchhoff stress, symmetric, per undeformed volume; `slope` is the velocity gradient."""

    @abstractmethod
    def moved(self, memory: Memory, growth: Matrices) -> Memory:
        """The memory after a step in which a line element dx became (1 + growth) dx."""

    @abstractmethod
    def energy(self, memory: Memory) -> Float[Tensor, " n"]:
        """Stored energy per undeformed volume."""

    @abstractmethod
    def volume_ratio(self, memory: Memory) -> Float[Tensor, " n"]:
        """Volume over undeformed volume; what is not positive is turned inside out."""

    @abstractmethod
    def stiffness(self) -> float:
        """The largest modulus of a plane wave, in the unit of stress: density times the squared speed of sound."""

    def viscosity_bound(self) -> float:
        """The viscosity that limits a time step, stress times time; 0 for most materials."""
        return 0.0


def constant(name: str, value: Any, lowest: float, highest: float = math.inf, open_below: bool = True) -> Any:
    """A constant of a material: a number, or a tensor () or (n,). Raises ParameterError for one out of its range."""
    if not isinstance(value, (int, float, Tensor)) or isinstance(value, bool):
        raise ParameterError(f"{name} is a number, or a tensor () or (n,), not {value!r:.60}.")
    if isinstance(value, Tensor) and (value.dim() > 1 or not value.is_floating_point()):
        raise ParameterError(
            f"{name} as a tensor is floating-point, () or (n,), not {value.dtype} {tuple(value.shape)}."
        )
    least, most = extremes(value)
    above = least > lowest if open_below else least >= lowest
    if not (above and most < highest):
        room = f"{'above' if open_below else 'at least'} {lowest:g}"
        raise ParameterError(
            f"{name} must be {room}{f' and below {highest:g}' if highest < math.inf else ' and finite'}, not "
            f"{least if not above else most:g}."
        )
    return value


def extremes(value: Any) -> tuple[float, float]:
    """Smallest and largest entry of a number or tensor; NaN for what holds a NaN."""
    if isinstance(value, Tensor):
        return float(value.detach().min()), float(value.detach().max())
    return float(value), float(value)


def lame(young: Any, poisson: Any) -> tuple[Any, Any]:
    """(mu, lambda): shear modulus and Lamé's first constant."""
    return young / (2 * (1 + poisson)), young * poisson / ((1 + poisson) * (1 - 2 * poisson))
