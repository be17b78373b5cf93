"""Walls that push back: what nodes feel where they are pressed into a side of the box."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.sim.motion.walls import SIDES, Wall


class Contact:
    """Springs behind the sides of a box: an acceleration of the squared rate times how far a node is inside a wall.

    Friction slows nodes that are pressed into a wall by its coefficient times that acceleration, until they stick.
    """

    def __init__(
        self, lower: tuple[float, ...], upper: tuple[float, ...], walls: tuple[tuple[Wall, Wall], ...], rate: float
    ) -> None:
        self.rate = rate
        self.sides = []
        for axis, pair in enumerate(walls):
            for sign, wall, plane, name in zip(
                (1.0, -1.0), pair, (lower[axis], upper[axis]), SIDES[len(lower)][axis], strict=True
            ):
                if wall.kind in ("slip", "sticky"):
                    raise ParameterError(
                        f'the side "{name}" is {wall.kind!r}, which is for grids: walls of a mesh are "separate" (with '
                        'friction if need be) or "open"; fixed={…} holds parts of its boundary.'
                    )
                if wall.kind == "separate":
                    self.sides.append((axis, sign, plane, wall.friction))

    def acceleration(self, position: Float[Tensor, "dim n"]) -> Float[Tensor, "dim n"]:
        """Away from the walls."""
        rows = [torch.zeros_like(row) for row in position.unbind(0)]
        for axis, sign, plane, _ in self.sides:
            rows[axis] = rows[axis] + sign * self.rate**2 * self._depth(position, axis, sign, plane)
        return torch.stack(rows)

    def rubbed(
        self, velocity: Float[Tensor, "dim n"], position: Float[Tensor, "dim n"], duration: float
    ) -> Float[Tensor, "dim n"]:
        """Velocities after friction has acted for a while."""
        for axis, sign, plane, friction in self.sides:
            if friction:
                loss = friction * duration * self.rate**2 * self._depth(position, axis, sign, plane)
                rows = list(velocity.unbind(0))
                along = torch.stack([row for i, row in enumerate(rows) if i != axis])
                kept = (1 - loss / (along.square().sum(0) + 1e-30).sqrt()).clamp(min=0.0)
                velocity = torch.stack([row if i == axis else row * kept for i, row in enumerate(rows)])
        return velocity

    def energy(self, position: Float[Tensor, "dim n"], mass: Float[Tensor, " n"]) -> Float[Tensor, ""]:
        """Stored in the walls."""
        total = position.new_zeros(())
        for axis, sign, plane, _ in self.sides:
            total = total + 0.5 * self.rate**2 * (mass * self._depth(position, axis, sign, plane).square()).sum()
        return total

    @staticmethod
    def _depth(position: Tensor, axis: int, sign: float, plane: float) -> Tensor:
        return (sign * (plane - position[axis])).clamp(min=0.0)
