"""`Sites`: where the values of a field live on a mesh (its points or its cells), and what each of them stands for."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.reference import jacobian_measure, jacobians, reference_cell
from meshlearn.ops import SparseOperator, gather

LOCATIONS = ("point", "cell")


@dataclass(frozen=True)
class Sites:
    """The values of a field in float64.

    location  "point" or "cell"
    places    (n, dim) points, or centres of the cells in global cell order
    mass      (n, n) matrix of the inner product: the finite-element mass matrix for points of first-order cells;
              diagonal for points of second-order cells (lumped, positive), for cells (their measures) and for point
              clouds (1 / n)
    weights   (n,) measure that each value stands for: `mesh.point_measures()`, the measures of the cells, or 1 / n
    """

    location: str
    places: Float[Tensor, "n dim"]
    mass: SparseOperator
    weights: Float[Tensor, " n"]

    @property
    def n(self) -> int:
        """Number of values."""
        return len(self.places)


def sites_of(mesh: Mesh, location: str) -> Sites:
    """The sites of a mesh in float64. Raises ParameterError for the cells of a point cloud."""
    if location == "cell":
        if not mesh.domain_types:
            raise ParameterError("location='cell' needs a mesh with cells; this is a point cloud: location='point'.")
        weights = mesh.join_cells(mesh.cell_measures()).detach()
        return Sites("cell", mesh.join_cells(mesh.cell_centroids()), _diagonal(weights), weights)
    if not mesh.domain_types:
        weights = mesh.points.detach().new_full((mesh.n_points,), 1.0 / mesh.n_points)
        return Sites("point", mesh.points, _diagonal(weights), weights)
    weights = mesh.point_measures().detach()
    first_order = all(reference_cell(kind).order == 1 for kind in mesh.domain_types)
    return Sites("point", mesh.points, mass_matrix(mesh) if first_order else _diagonal(weights), weights)


def mass_matrix(mesh: Mesh) -> SparseOperator:
    """M_ij = integral of N_i N_j over the domain, N the shape functions of any cell types, mixed ones too; (n, n).

    Inverted cells count with their absolute value.

    >>> from meshlearn.grids.sites import mass_matrix
    >>> round(float(mass_matrix(ml.shapes.square(n=2, cells="mixed")).values.sum()), 6)
    1.0
    """
    rows, columns, values = [], [], []
    for kind in mesh.domain_types:
        cell, nodes = reference_cell(kind), mesh.cells[kind]
        xi, weights = cell.quadrature(2 if cell.is_affine else 6 if cell.order == 1 else 8)
        at = gather(mesh.points.detach(), nodes)
        shape = cell.shape(xi).to(at)
        if cell.is_affine:
            unit = torch.einsum("q,qa,qb->ab", weights.to(at), shape, shape)
            block = jacobian_measure(jacobians(cell, at, xi[:1])).abs()[:, :, None] * unit
        else:
            size = jacobian_measure(jacobians(cell, at, xi)).abs() * weights.to(at)
            block = torch.einsum("nq,qa,qb->nab", size, shape, shape)
        rows.append(nodes[:, :, None].expand_as(block).reshape(-1))
        columns.append(nodes[:, None, :].expand_as(block).reshape(-1))
        values.append(block.reshape(-1))
    return _summed(torch.cat(rows), torch.cat(columns), torch.cat(values), mesh.n_points)


def _summed(rows: Tensor, columns: Tensor, values: Tensor, n: int) -> SparseOperator:
    """With one entry per pair of nodes."""
    key, place = torch.unique(rows * n + columns, return_inverse=True)
    total = values.new_zeros(len(key)).index_add_(0, place, values)
    counts = torch.bincount(key.div(n, rounding_mode="floor"), minlength=n)
    ptr = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    return SparseOperator(ptr, key % n, total, n, validate=False)


def _diagonal(values: Tensor) -> SparseOperator:
    at = torch.arange(len(values) + 1, device=values.device)
    return SparseOperator(at, at[:-1], values, len(values), validate=False)
