"""`RegularGrid`: values at the nodes of a box grid, and the matrix that samples them anywhere in the box."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.errors import MeshError
from meshlearn.ops import SparseOperator

_SLACK = 1e-5  # of the box: how far outside rounding may have put a point


@dataclass(frozen=True)
class RegularGrid:
    """Nodes low + i * spacing, i = (0, …, 0) to shape - 1; the last axis varies fastest.

    low       coordinates of the first node
    spacing   distance of neighbouring nodes along each axis
    shape     number of nodes along each axis
    periodic  axes on which node `shape` would be node 0 again: their last node is one spacing before the end

    >>> from meshlearn.grids.grid import RegularGrid
    >>> grid = RegularGrid((0.0, 0.0), (0.5, 1.0), (3, 2), (False, False))
    >>> grid.points.tolist()
    [[0.0, 0.0], [0.0, 1.0], [0.5, 0.0], [0.5, 1.0], [1.0, 0.0], [1.0, 1.0]]
    """

    low: tuple[float, ...]
    spacing: tuple[float, ...]
    shape: tuple[int, ...]
    periodic: tuple[bool, ...]

    @property
    def dim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return prod(self.shape)

    @property
    def diagonal(self) -> float:
        """Diagonal of one grid cell."""
        return sum(step * step for step in self.spacing) ** 0.5

    @property
    def lengths(self) -> tuple[float, ...]:
        """Sides of the box; on periodic axes the period."""
        intervals = (n if wraps else n - 1 for n, wraps in zip(self.shape, self.periodic, strict=True))
        return tuple(n * step for n, step in zip(intervals, self.spacing, strict=True))

    @cached_property
    def points(self) -> Float[Tensor, "n_nodes dim"]:
        """(n_nodes, dim) float64 coordinates of the nodes."""
        axes = [
            low + step * torch.arange(n, dtype=torch.float64)
            for low, step, n in zip(self.low, self.spacing, self.shape, strict=True)
        ]
        return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, self.dim)

    def sampling(self, points: Float[Tensor, "n dim"]) -> SparseOperator:
        """The matrix (n, n_nodes) of multilinear interpolation at points: rows add up to 1, entries are not negative.

        Differentiable in the points (with kinks at the faces of grid cells). Periodic axes wrap. Raises MeshError for
        points outside the box.
        """
        column = torch.zeros(len(points), 1, dtype=torch.int64, device=points.device)
        weight = points.new_ones(len(points), 1)
        for axis in range(self.dim):
            low, high, share = self._along(axis, points[:, axis])
            place = torch.stack([low, high], dim=1)
            part = torch.stack([1.0 - share, share], dim=1)
            column = (column[:, :, None] * self.shape[axis] + place[:, None, :]).flatten(1)
            weight = (weight[:, :, None] * part[:, None, :]).flatten(1)
        ptr = torch.arange(len(points) + 1, device=points.device) * 2**self.dim
        return SparseOperator(ptr, column.reshape(-1), weight.reshape(-1), self.n_nodes, validate=False)

    def _along(self, axis: int, coordinate: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(node below, node above, share of the latter) on one axis."""
        n, step, wraps = self.shape[axis], self.spacing[axis], self.periodic[axis]
        place = (coordinate - self.low[axis]) / step
        seen = place.detach()
        if not wraps:
            self._check(axis, seen)
            cell = seen.floor().clamp(0, n - 2)
            share = (place - cell).clamp(0.0, 1.0)
        else:
            cell = seen.floor()
            share = place - cell
        if not share.requires_grad:  # a point on a node takes its value alone, whatever the rounding
            whole, near = share.round(), 64 * torch.finfo(share.dtype).eps * n
            share = torch.where((share - whole).abs() < near, whole, share)
        below = cell.long() % n if wraps else cell.long()
        return below, (below + 1) % n if wraps else below + 1, share

    def _check(self, axis: int, place: Tensor) -> None:
        last = self.shape[axis] - 1
        out = (place < -_SLACK * last) | (place > last * (1 + _SLACK))
        if bool(out.any()):
            low, high = self.low[axis], self.low[axis] + last * self.spacing[axis]
            first = int(out.nonzero()[0])
            raise MeshError(
                f"{int(out.sum())} of {len(place)} points lie outside the box of the grid, the first is number {first}:"
                f" coordinate {axis} is {low + float(place[first]) * self.spacing[axis]:.6g}, the box goes from "
                f"{low:.6g} to {high:.6g}.\n  Give a box that holds every mesh, or box=None for each mesh its own."
            )

    def second_corner(self) -> tuple[float, ...]:
        """The corner of the box opposite to `low`."""
        return tuple(low + length for low, length in zip(self.low, self.lengths, strict=True))

    def images(self) -> list[tuple[float, ...]]:
        """The shifts by whole periods that bring the surroundings of the box into it: one, for no periodic axis."""
        choices = [
            (-length, 0.0, length) if wraps else (0.0,)
            for length, wraps in zip(self.lengths, self.periodic, strict=True)
        ]
        return list(product(*choices))
