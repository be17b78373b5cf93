"""The background grid: momentum in, velocity out, with gravity and walls in between."""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.sim.motion.arguments import positive
from meshlearn.sim.motion.walls import Wall, box, side_walls

PADDING = 2  # cells outside every side: particles on a wall reach one node beyond it
LEEWAY = 0.5  # of a cell: so far particles may be pressed into a wall, or stick out of an open side
MOST_NODES = 2**27


class Grid:
    """A grid of cells of one size over a box.

    spacing       edge length of the cells
    lower, upper  corners of the box; its sides are whole numbers of cells long
    walls         what its sides are, see `meshlearn.sim.motion.walls.side_walls`

    shape    nodes along each axis, with those outside the box
    origin   place of the first node
    """

    def __init__(self, spacing: Any, lower: Any, upper: Any, walls: Any) -> None:
        self.lower, self.upper = box(lower, upper)
        self.spacing = positive("spacing", spacing)
        counts = [(high - low) / self.spacing for low, high in zip(self.lower, self.upper, strict=True)]
        for axis, count in enumerate(counts):
            if round(count) < 1 or abs(count - round(count)) > 1e-3:
                length = self.upper[axis] - self.lower[axis]
                raise ParameterError(
                    f"the box is {length:g} long along axis {axis}, which is {count:g} cells of {self.spacing:g}: it "
                    f"must be a whole number.\n  Take spacing={length / max(round(count), 1):g}, or another box."
                )
        self.shape = tuple(round(count) + 1 + 2 * PADDING for count in counts)
        self.n_nodes = math.prod(self.shape)
        if self.n_nodes > MOST_NODES:
            raise ParameterError(
                f"spacing={self.spacing:g} gives a grid of {self.n_nodes} nodes, more than {MOST_NODES}: take larger "
                "cells."
            )
        self.origin = tuple(low - PADDING * self.spacing for low in self.lower)
        self.walls = side_walls(walls, self.dim)

    @property
    def dim(self) -> int:
        """2 or 3."""
        return len(self.lower)

    def bounded(self, velocity: Float[Tensor, "dim n_nodes"]) -> Float[Tensor, "dim n_nodes"]:
        """Velocities that respect the walls: those of the nodes on a wall and behind it are changed."""
        velocity = velocity.reshape(self.dim, *self.shape)
        for axis, pair in enumerate(self.walls):
            for wall, is_upper in zip(pair, (False, True), strict=True):
                if wall.kind != "open":
                    velocity = _at_wall(velocity, axis, is_upper, wall)
        return velocity.reshape(self.dim, -1)

    def outside(self, points: Float[Tensor, "dim n"], leeway: float = LEEWAY) -> Bool[Tensor, " n"]:
        """Particles that are nowhere, or further from the box than a share of a cell."""
        low = points.new_tensor(self.lower)[:, None] - leeway * self.spacing
        high = points.new_tensor(self.upper)[:, None] + leeway * self.spacing
        return ~((points >= low) & (points <= high)).all(0)


def _at_wall(velocity: Tensor, axis: int, is_upper: bool, wall: Wall) -> Tensor:
    """(dim, *shape) -> the same; the layers on and behind one wall are replaced."""
    layers = PADDING + 1
    size = velocity.shape[axis + 1]
    start = size - layers if is_upper else 0
    at = velocity.narrow(axis + 1, start, layers)
    normal = at[axis]
    if wall.kind == "sticky":
        new = torch.zeros_like(at)
    else:
        if wall.kind == "slip":
            kept = torch.zeros_like(normal)
        else:
            kept = normal.clamp(max=0.0) if is_upper else normal.clamp(min=0.0)
        parts = list(at.unbind(0))
        if wall.friction:
            along = torch.stack([part for i, part in enumerate(parts) if i != axis])
            speed = (along.square().sum(0) + 1e-30).sqrt()
            share = (1 - wall.friction * (normal - kept).abs() / speed).clamp(min=0.0)
            parts = [part * share for part in parts]
        parts[axis] = kept
        new = torch.stack(parts)
    pieces = [new, velocity.narrow(axis + 1, layers, size - layers)]
    if is_upper:
        pieces = [velocity.narrow(axis + 1, 0, start), new]
    return torch.cat(pieces, axis + 1)
