"""Nodes whose velocity is prescribed: held still, drawn evenly, or driven by a function of time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.mesh.boundary import tagged_points
from meshlearn.mesh.mesh import Mesh


class Held:
    """Prescribed components of velocity, by name of a boundary or point set.

    fixed  {name: components}: 0.0 holds it still, (vx, vy[, vz]) moves it with None for what is free, and a function of
           the time returns either. Where sets overlap, the later one counts
    """

    def __init__(self, mesh: Mesh, fixed: Any) -> None:
        if fixed is not None and not isinstance(fixed, Mapping):
            raise ParameterError(f"fixed is {{boundary or point set: velocity}}, not {fixed!r:.60}.")
        self.dim, self.n = mesh.dim, mesh.n_points
        self.parts: list[tuple[str, Tensor, Any]] = []
        for name, value in (fixed or {}).items():
            self.parts.append((name, tagged_points(mesh, name), value))
            self._components(name, value(0.0) if callable(value) else value)

    def applied(self, velocity: Float[Tensor, "dim n"], time: float) -> Float[Tensor, "dim n"]:
        """Velocities with the prescribed ones in their places."""
        for name, points, value in self.parts:
            parts = self._components(name, value(time) if callable(value) else value)
            rows = list(velocity.unbind(0))
            for axis, part in enumerate(parts):
                if part is not None:
                    rows[axis] = rows[axis].index_fill(0, points, float(part))
            velocity = torch.stack(rows)
        return velocity

    def _components(self, name: str, value: Any) -> tuple[float | None, ...]:
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value == 0:
            return (0.0,) * self.dim
        parts = tuple(value) if isinstance(value, (list, tuple)) else ()
        good = [
            p is None or (isinstance(p, (int, float)) and not isinstance(p, bool) and math.isfinite(p)) for p in parts
        ]
        if len(parts) != self.dim or not all(good):
            raise ParameterError(
                f"the velocity of {name!r} is {value!r:.60}: 0.0 holds it, or give {self.dim} numbers, None for what "
                "is free; or a function of the time that returns these."
            )
        return parts
