"""Derivatives of a point field, recovered at the points: means over the cells around, weighted by measure (Clément)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.mesh.mesh import Mesh


def cell_gradients(mesh: Mesh, field: Float[Tensor, "n *c"]) -> Float[Tensor, "n_cells *c dim"]:
    """Slopes of the P1 function with these point values, exact on every simplex."""
    (kind,) = mesh.domain_types
    nodes = mesh.cells[kind]
    x, u = mesh.points[nodes], field[nodes].flatten(2)
    slopes = torch.linalg.solve(x[:, 1:] - x[:, :1], u[:, 1:] - u[:, :1])  # (cells, dim, c)
    return slopes.transpose(1, 2).reshape(len(nodes), *field.shape[1:], mesh.dim)


def point_means(mesh: Mesh, values: Float[Tensor, "n_cells *c"]) -> Float[Tensor, "n *c"]:
    """Means of cell values over the cells around each point, weighted by their measure."""
    (kind,) = mesh.domain_types
    nodes, measures = mesh.cells[kind], mesh.cell_measures()[kind]
    flat = values.reshape(len(nodes), -1) * measures[:, None]
    total = flat.new_zeros(mesh.n_points, flat.shape[1])
    mass = measures.new_zeros(mesh.n_points)
    for column in nodes.unbind(1):
        total = total.index_add(0, column, flat)
        mass = mass.index_add(0, column, measures)
    return (total / mass[:, None]).reshape(mesh.n_points, *values.shape[1:])


def recovered_gradient(mesh: Mesh, field: Float[Tensor, " n"]) -> Float[Tensor, "n dim"]:
    """(n, dim) gradient at the points; exact for linear fields."""
    return point_means(mesh, cell_gradients(mesh, field[:, None])[:, 0])


def recovered_hessian(mesh: Mesh, field: Float[Tensor, " n"]) -> Float[Tensor, "n dim dim"]:
    """(n, dim, dim) symmetric Hessian at the points: the recovery of the gradient, applied twice."""
    second = point_means(mesh, cell_gradients(mesh, recovered_gradient(mesh, field)))
    return (second + second.transpose(1, 2)) / 2
