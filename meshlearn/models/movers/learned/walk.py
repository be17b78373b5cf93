"""Which cell a moved point is in: by walking through the mesh, from near by where that is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from meshlearn import ops
from meshlearn.mesh.location import PointLocator
from meshlearn.mesh.mesh import Mesh

if TYPE_CHECKING:
    from meshlearn.models.movers.learned.geometry import Operators

_EDGE = 1e-5  # of a shape function: how far outside a cell still counts as inside
_MOST_STEPS = 100
_FINE = 8.0  # boxes of a grid for each cell
_MOST_BOXES = 1 << 16


def walk(
    operators: Operators, x: Float[Tensor, "n dim"], start: Int64[Tensor, " n"]
) -> tuple[Int64[Tensor, " n"], Int64[Tensor, " k"]]:
    """(cells of the points x, numbers of the points that are in none of those that were reached).

    From the cell `start` across the facet behind which a point lies, until it is inside or there is a wall.
    """
    k, shortcuts = operators.dim + 1, operators.shortcuts
    beyond = operators.beyond.index.reshape(-1, k).t().contiguous() if shortcuts is None else shortcuts.beyond
    cell, cells, active = start, start.clone(), torch.arange(len(x), device=x.device)
    place, stuck = [column.contiguous() for column in x.unbind(1)], []
    for _ in range(_MOST_STEPS):
        at = ops.gather(operators.shapes, cell).unbind(1)
        shapes = []
        for a in range(k):
            value = at[a * k + k - 1]
            for i, coordinate in enumerate(place):
                value = torch.addcmul(value, at[a * k + i], coordinate)
            shapes.append(value)
        lowest = shapes[0]
        for value in shapes[1:]:
            lowest = torch.minimum(lowest, value)
        outside = (lowest < -_EDGE).nonzero().squeeze(1)
        if not len(outside):
            break
        before = cell.index_select(0, outside)
        best, target = torch.zeros_like(lowest[: len(outside)]), before
        for value, behind in zip(shapes, beyond, strict=True):
            there, value = behind.index_select(0, before), value.index_select(0, outside)
            better = (value < best) & (there != before)  # no way through walls
            best, target = torch.where(better, value, best), torch.where(better, there, target)
        onward = best < -_EDGE
        if not bool(onward.all()):
            stuck.append(active.index_select(0, outside[~onward]))
            outside, target = outside[onward], target[onward]
            if not len(outside):
                break
        cell, active = target, active.index_select(0, outside)
        cells.index_copy_(0, active, cell)
        place = [coordinate.index_select(0, outside) for coordinate in place]
    return cells, torch.cat(stuck) if stuck else active[:0]


@dataclass(frozen=True)
class Boxes:
    """A grid of boxes over each mesh of a batch, with a cell near the middle of each box: where to start a walk.

    cells  (n_boxes,) numbers within a mesh
    low, rate  (n, dim) of the mesh of every point: corner of its grid, boxes for a unit of length
    first, cell  (n,) of the mesh of every point: number of its first box, of its first cell
    count  boxes along a side
    """

    cells: Int64[Tensor, " n_boxes"]
    low: Float[Tensor, "n dim"]
    rate: Float[Tensor, "n dim"]
    first: Int64[Tensor, " n"]
    cell: Int64[Tensor, " n"]
    count: int

    @classmethod
    def over(cls, meshes: Sequence[Mesh], copies: Sequence[int]) -> Boxes:
        """Of meshes that come so often each."""
        dim = meshes[0].dim
        most = min(max(int(_FINE * mesh.n_cells) for mesh in meshes), _MOST_BOXES)
        count = max(2, round(most ** (1 / dim)))
        steps = torch.cartesian_prod(*[(torch.arange(count) + 0.5) / count] * dim).reshape(-1, dim)
        cells, low, rate, first, own, passed = [], [], [], [], [], 0
        for number, (mesh, times) in enumerate(zip(meshes, copies, strict=True)):
            corner, size = mesh.points.amin(0), mesh.points.amax(0) - mesh.points.amin(0)
            cells.append(PointLocator(mesh).locate(corner + steps.to(size) * size).cell)
            rows = times * mesh.n_points
            low.append(corner.expand(rows, dim))
            rate.append((count / size).expand(rows, dim))
            first.append(torch.full((rows,), number * len(steps)))
            own.append((passed + mesh.n_cells * torch.arange(times)).repeat_interleave(mesh.n_points))
            passed += times * mesh.n_cells
        return cls(torch.cat(cells), torch.cat(low), torch.cat(rate), torch.cat(first), torch.cat(own), count)

    def start(self, x: Float[Tensor, "n dim"]) -> Int64[Tensor, " n"]:
        """(n,) cells of the batch, near the points x."""
        box = ((x - self.low) * self.rate).long().clamp_(0, self.count - 1)
        number = self.first
        for i in range(x.shape[1]):
            number = number + box[:, i] * self.count ** (x.shape[1] - 1 - i)
        return self.cells.index_select(0, number) + self.cell


@dataclass(frozen=True)
class Shortcuts:
    """What makes passes over the same meshes fast; it follows from the operators, and samples to learn from have none.

    nodes   (k * n_cells,) the first nodes of all cells, then the second ones, ..., with k = dim + 1
    shapes  (k * k, n_cells);  beyond (k, n_cells): those of the operators, by columns
    rows    number of points of every mesh where all have as many, 0 elsewhere
    boxes   where to look first for the cell of a point, if that is worth it
    """

    nodes: Int64[Tensor, " corners"]
    shapes: Float[Tensor, "kk n_cells"]
    beyond: Int64[Tensor, "k n_cells"]
    rows: int
    boxes: Boxes | None

    @classmethod
    def of(cls, operators: Operators, counts: Sequence[int], boxes: Boxes | None) -> Shortcuts:
        """counts: points of every mesh."""
        k = operators.dim + 1
        nodes, beyond = (a.index.reshape(-1, k).t().contiguous() for a in (operators.nodes, operators.beyond))
        rows = counts[0] if len(set(counts)) == 1 else 0
        return cls(nodes.reshape(-1), operators.shapes.t().contiguous(), beyond, rows, boxes)
