"""The discrete Monge-Ampère equation of `MongeAmpereMover`, in torch, for batches of unlike meshes, with gradients.

Potentials are P1, phi (n,). Moved points are x = xi + P grad(phi) with the L2 projection P on fields that slide along
the walls; the Hessian H is recovered at the points by integration by parts; m(x) det(I + H) = theta is tested with P1
functions, m being the P1 interpolant of its values at x. All of it is the problem that `Potential` states in numpy: its
solution has residual zero here.

Sums over a few components are written out by columns: reductions over tiny axes are slow.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from meshlearn import ops
from meshlearn.mesh.reference import reference_cell
from meshlearn.models.movers.learned.elliptic import Solves
from meshlearn.models.movers.learned.geometry import Operators
from meshlearn.models.movers.learned.sample import MoverSample
from meshlearn.models.movers.learned.walk import walk
from meshlearn.models.movers.safeguard import SIMPLICES
from meshlearn.ops import Adjacency


def hessian(batch: MoverSample, phi: Float[Tensor, " n"]) -> Float[Tensor, "n dim dim"]:
    """Recovered at the points; linear in phi."""
    dim = batch.operators.dim
    sides = (batch.operators.recovery @ phi).reshape(len(phi), dim * dim)
    return Solves.apply(sides, tuple(s.mass for s in batch.all_solvers)).reshape(-1, dim, dim)


def displacement(batch: MoverSample, phi: Float[Tensor, " n"]) -> Float[Tensor, "n dim"]:
    """The gradient, projected on P1 fields that slide along the walls; linear in phi."""
    load = (batch.operators.slope @ phi)[:, None]
    return Solves.apply(load, tuple(s.sliding for s in batch.all_solvers)).reshape(-1, batch.operators.dim)


def rough_map(
    batch: MoverSample, phi: Float[Tensor, " n"]
) -> tuple[Float[Tensor, "n dim"], Float[Tensor, "n dim dim"]]:
    """(displacement (n, dim), Hessian (n, dim, dim)) with lumped masses: close to the exact ones, and local."""
    operators, dim = batch.operators, batch.operators.dim
    sides = (operators.slope @ phi).reshape(-1, dim) / operators.lumped[:, None]
    x, frames, none = sides.unbind(1), operators.frames.unbind(1), torch.zeros_like(phi)
    moved = torch.stack([sum((frames[dim * i + j] * x[j] for j in range(dim)), none) for i in range(dim)], 1)
    H = (operators.recovery @ phi).reshape(-1, dim, dim) / operators.lumped[:, None, None]
    return moved, H


class Density:
    """The P1 function of values (n,) on the meshes of a batch, at points that have moved from their own places.

    Cells are found by walking: from a cell of the point, or where it was found the last time, across the facet behind
    which the new place lies. Outside the mesh the last cell's function counts, within the bounds of its values.
    """

    def __init__(self, operators: Operators, values: Float[Tensor, " n"]) -> None:
        self.operators = operators
        shortcuts, k = operators.shortcuts, operators.dim + 1
        if shortcuts is None:
            corners, shapes = table(operators.nodes, values).unbind(1), operators.shapes.unbind(1)
        else:
            corners = values.index_select(0, shortcuts.nodes).reshape(k, -1).unbind(0)
            shapes = shortcuts.shapes.unbind(0)
        none = torch.zeros_like(corners[0])
        slopes = [sum((v * shapes[a * k + i] for a, v in enumerate(corners)), none) for i in range(k)]
        low, high = corners[0], corners[0]
        for v in corners[1:]:
            low, high = torch.minimum(low, v), torch.maximum(high, v)
        self.functions = beside([*slopes, low, high])
        self._cells = operators.home.index

    @torch.no_grad()
    def locate(self, x: Float[Tensor, "n dim"]) -> Int64[Tensor, " n"]:
        """(n,) cells of the points x (n, dim)."""
        shortcuts = self.operators.shortcuts
        boxes = None if shortcuts is None else shortcuts.boxes
        if boxes is None:
            self._cells, _ = walk(self.operators, x, self._cells)
            return self._cells
        cells, outside = walk(self.operators, x, boxes.start(x))
        if len(outside):  # of the mesh: which cell counts is a matter of the way, and so they take the usual one
            start = self._cells.index_select(0, outside)
            cells.index_copy_(0, outside, walk(self.operators, x.index_select(0, outside), start)[0])
        self._cells = cells
        return cells

    def __call__(self, x: Float[Tensor, "n dim"]) -> Float[Tensor, " n"]:
        """(n,) values; their derivative in x is the slope in the cell that was found."""
        rows = ops.gather(self.functions, self.locate(x.detach())).unbind(1)
        dim = self.operators.dim
        value = rows[dim]
        for i, coordinate in enumerate(x.unbind(1)):
            value = value + rows[i] * coordinate
        return torch.minimum(torch.maximum(value, rows[-2]), rows[-1])


def beside(parts: list[Tensor]) -> Float[Tensor, "n k"]:
    """Columns (n,) and tables (n, c) side by side. `torch.cat` of narrow ones copies row by row, at half the speed."""
    tables = [part[:, None] if part.dim() == 1 else part for part in parts]
    if torch.is_grad_enabled():  # in training the way back counts as much, and that of `cat` is the faster one
        return torch.cat(tables, 1)
    made = tables[0].new_empty(len(tables[0]), sum(part.shape[1] for part in tables))
    for part, place in zip(tables, made.split([part.shape[1] for part in tables], 1), strict=True):
        place.copy_(part)
    return made


def table(adjacency: Adjacency, values: Tensor) -> Tensor:
    """(n_cells, dim + 1, ...): values at the nodes of the cells, which all have as many."""
    return ops.gather_senders(values, adjacency).reshape(adjacency.n_rows, -1, *values.shape[1:])


class Residual:
    """m det(I + H) - theta, tested with P1 functions.

    m (n,) at the moved points, H (n, dim, dim); meshes: row k holds the points of mesh k.

    load, values   (n,) int psi m det(I + H); load - theta int psi, over theta
    theta          (n_meshes,)
    """

    def __init__(self, operators: Operators, meshes: Adjacency, m: Tensor, H: Tensor) -> None:
        dim = operators.dim
        shape, weights = _rule(SIMPLICES[dim], dim + 2, m.dtype, m.device)
        fields = torch.cat([m[:, None], H.reshape(len(H), -1)], 1)
        local = shape @ table(operators.nodes, fields)  # (cells, q, 1 + dim * dim)
        identity = torch.eye(dim, dtype=H.dtype, device=H.device)
        det = determinant(identity + local[..., 1:].reshape(*local.shape[:2], dim, dim))
        tested = ((local[..., 0] * det) * weights * operators.volume[:, None]) @ shape
        by_point, order = operators.nodes.transpose()
        self.load = ops.segment_sum(ops.gather(tested.reshape(-1, 1), order), by_point)[:, 0]
        totals = ops.segment_sum(torch.stack([self.load, operators.lumped], 1), meshes)
        self.theta = totals[:, 0] / totals[:, 1]
        self.values = self.load / ops.gather_receivers(self.theta, meshes) - operators.lumped


@lru_cache
def _rule(kind: str, degree: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """(shape functions (q, dim + 1), weights (q,) that add up to 1) of a quadrature rule."""
    reference = reference_cell(kind)
    places, weights = reference.quadrature(degree)
    return reference.shape(places).to(device, dtype), (weights / weights.sum()).to(device, dtype)


def determinant(A: Tensor) -> Tensor:
    """(...) of (..., dim, dim), written out: far faster than a factorisation of many small matrices."""
    dim = A.shape[-1]
    if dim == 1:
        return A[..., 0, 0]
    if dim == 2:
        return A[..., 0, 0] * A[..., 1, 1] - A[..., 0, 1] * A[..., 1, 0]
    return (A[..., 0, :] * torch.linalg.cross(A[..., 1, :], A[..., 2, :])).sum(-1)


def cell_jacobians(operators: Operators, moved: Float[Tensor, "n dim"]) -> Float[Tensor, "n_cells dim dim"]:
    """d x / d xi on every cell, when the points are displaced by `moved`: I + sum of displacements times gradients."""
    k = operators.dim + 1
    gradients = operators.shapes.reshape(-1, k, k)[..., :-1]
    slopes = table(operators.nodes, moved).transpose(1, 2) @ gradients
    return torch.eye(operators.dim, dtype=moved.dtype, device=moved.device) + slopes
