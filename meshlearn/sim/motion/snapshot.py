"""A body, or many, at one time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

S = TypeVar("S", bound="Snapshot")


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """Places and velocities at one time; `points` and `velocities` have the points first, the fields have them last.

    position  (dim, n)
    velocity  (dim, n)
    step      number of steps since the start
    time      since the start
    """

    position: Float[Tensor, "dim n"]
    velocity: Float[Tensor, "dim n"]
    step: int = 0
    time: float = 0.0

    @property
    def points(self) -> Float[Tensor, "n dim"]:
        """Places, as a mesh has them."""
        return self.position.t()

    @property
    def velocities(self) -> Float[Tensor, "n dim"]:
        """Velocities of the points."""
        return self.velocity.t()

    def tensors(self) -> tuple[Tensor, ...]:
        """Everything that gradients flow through."""
        found: list[Tensor] = []
        for field in fields(self):
            value = getattr(self, field.name)
            found += [value] if isinstance(value, Tensor) else list(value) if isinstance(value, tuple) else []
        return tuple(found)

    def with_tensors(self: S, tensors: Sequence[Tensor], **changes: Any) -> S:
        """The state with other tensors, in the order of `tensors()`."""
        given = iter(tensors)
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Tensor):
                changes[field.name] = next(given)
            elif isinstance(value, tuple):
                changes[field.name] = tuple(next(given) for _ in value)
        return replace(self, **changes)

    def detach(self: S) -> S:
        """The same values without their history of gradients."""
        return self.with_tensors([tensor.detach() for tensor in self.tensors()])

    def is_finite(self) -> bool:
        """Whether all values are."""
        total = sum(tensor.detach().sum(dtype=torch.float64) for tensor in self.tensors())
        return bool(torch.isfinite(torch.as_tensor(total)))
