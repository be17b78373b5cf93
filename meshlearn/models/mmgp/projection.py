"""L2 projection onto the shape functions of a mesh."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.reference import jacobian_measure, jacobians, map_points, reference_cell
from meshlearn.models.mmgp.slopes import Slopes
from meshlearn.ops import SparseOperator


class Projection:
    """M u = S^T W f with f given at quadrature points; factorised once.

    M = S^T W S is the mass matrix of the same quadrature: fields of the space come back exactly, and the integral of
    the projection equals that of f by the rule. Points without cells get 0.

    points  (q, d) where f is wanted
    """

    def __init__(self, mesh: Mesh) -> None:
        from scipy.sparse import diags_array
        from scipy.sparse.linalg import splu

        self.mesh = mesh
        self.points, shape, weights = quadrature(mesh)
        self.shape: Any = shape
        self.right = (diags_array(weights) @ shape).T.tocsr()
        mass = (self.right @ shape).tocsc()
        self.factor = splu(mass + diags_array((mass.diagonal() <= 0).astype(float), format="csc"))

    def __call__(self, values: Float64[Tensor, "q k"]) -> Float64[Tensor, "n k"]:
        """Values at the points of the mesh."""
        return torch.from_numpy(self.factor.solve(self.right @ values.numpy()))

    def bent(self, values: Float64[Tensor, "n k"]) -> Float64[Tensor, "n k"]:
        """An estimate of the projection of a field less its values at the points, which are given."""
        return self(self._slopes.missed(SparseOperator.from_scipy(self.shape), self.points, values))

    @cached_property
    def _slopes(self) -> Slopes:
        return Slopes(self.mesh)


def quadrature(mesh: Mesh) -> tuple[Tensor, object, np.ndarray]:
    """(points (q, d), shape functions there as a scipy matrix (q, n_points), weights (q,)).

    Exact for products of two shape functions on affine cells.
    """
    from scipy.sparse import csr_array

    points, columns, values, weights, widths = [], [], [], [], []
    for kind in mesh.domain_types:
        cell, nodes = reference_cell(kind), mesh.cells[kind]
        local, weight = cell.quadrature(2 * cell.order)
        shape = cell.shape(local)
        corners = mesh.points[nodes]
        measure = jacobian_measure(jacobians(cell, corners, local)).abs() * weight
        points.append(map_points(cell, corners, local).reshape(-1, mesh.dim))
        weights.append(measure.reshape(-1))
        columns.append(nodes[:, None, :].expand(-1, len(local), -1).reshape(-1))
        values.append(shape.expand(len(nodes), -1, -1).reshape(-1))
        widths.append(torch.full((len(weights[-1]),), shape.shape[1]))
    pointers = torch.cat([torch.zeros(1, dtype=torch.int64), torch.cat(widths).cumsum(0)])
    table = (torch.cat(values).numpy(), torch.cat(columns).numpy(), pointers.numpy())
    return torch.cat(points), csr_array(table, shape=(len(pointers) - 1, mesh.n_points)), torch.cat(weights).numpy()
