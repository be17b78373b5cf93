"""The particles at one time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class State:
    """The particles at one time; `points` and `velocities` have the particles first, the fields have them last.

    position  (dim, n)
    velocity  (dim, n)
    affine    (dim, dim, n): the velocity gradient that a particle carries
    memory    of the materials, one (k, n_of_body) for each body
    step      number of steps since the start
    time      since the start
    """

    position: Float[Tensor, "dim n"]
    velocity: Float[Tensor, "dim n"]
    affine: Float[Tensor, "dim dim n"]
    memory: tuple[Tensor, ...]
    step: int = 0
    time: float = 0.0

    @property
    def points(self) -> Float[Tensor, "n dim"]:
        """Places of the particles, as a mesh has them."""
        return self.position.t()

    @property
    def velocities(self) -> Float[Tensor, "n dim"]:
        """Velocities of the particles."""
        return self.velocity.t()

    def detach(self) -> State:
        """The same values without their history of gradients."""
        return self.with_tensors([tensor.detach() for tensor in self.tensors()])

    def tensors(self) -> tuple[Tensor, ...]:
        """Everything that gradients flow through."""
        return (self.position, self.velocity, self.affine, *self.memory)

    def with_tensors(self, tensors: Any, **changes: Any) -> State:
        """The state with other tensors, in the order of `tensors()`."""
        position, velocity, affine, *memory = tensors
        return replace(self, position=position, velocity=velocity, affine=affine, memory=tuple(memory), **changes)

    def is_finite(self) -> bool:
        """Whether all values are."""
        total = sum(tensor.detach().sum(dtype=torch.float64) for tensor in self.tensors())
        return bool(torch.isfinite(torch.as_tensor(total)))
