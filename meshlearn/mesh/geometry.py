"""Measures, centroids and normals of cells, differentiable in the points."""

from __future__ import annotations

import math
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.errors import TopologyError
from meshlearn.mesh.cells import cell_dim, cell_type
from meshlearn.mesh.checks import of_mesh
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.reference import jacobian_measure, reference_cell, unit
from meshlearn.ops import gather

PerCell = dict[str, Float[Tensor, " _"]]
PerCellVector = dict[str, Float[Tensor, "_n _dim"]]


def cell_points(mesh: Mesh, kind: str) -> Float[Tensor, "n k {mesh.dim}"]:
    """(n, k, dim): coordinates of the nodes of every cell of one type."""
    return gather(mesh.points, mesh.cells[kind])


def check_space(mesh: Mesh) -> None:
    """Raises TopologyError for cells of more dimensions than the space has, such as solids in a plane."""
    if mesh.cell_dim > mesh.dim:
        raise TopologyError(
            f"{', '.join(mesh.domain_types)} cells have {mesh.cell_dim} dimensions, the points only "
            f"{mesh.dim} coordinate{'s' if mesh.dim > 1 else ''}{of_mesh(mesh.source)}.\n"
            "  add the missing coordinates, or remove these cells."
        )


def cell_measures(mesh: Mesh) -> PerCell:
    """Length, area or volume of every cell, by cell type: {type: (n,)}, dtype and device of `points`.

    Unit: (unit of `points`) ** (cell dimension); m, m^2 or m^3 for points in metres; vertices count 1. Second-order
    cells: the mapped, curved cell, by quadrature. Inverted cells count with their absolute value: see
    `signed_cell_measures`. Raises TopologyError for a type without a reference cell; it names the type.

    >>> ml.shapes.rectangle(2.0, 1.0, cells="quad", n=(2, 1), boundary=False).cell_measures()
    {'quad': tensor([1., 1.])}
    """
    return {kind: _measure(mesh, kind).abs() for kind in mesh.cells}


def signed_cell_measures(mesh: Mesh) -> PerCell:
    """As `cell_measures`, negative for inverted cells, for the cells whose dimension is that of the space."""
    return {kind: _measure(mesh, kind) for kind in mesh.cells if cell_dim(kind) == mesh.dim}


def _measure(mesh: Mesh, kind: str) -> Tensor:
    cell = cell_type(kind)
    check_space(mesh)
    x = cell_points(mesh, kind)
    if cell.dim == 0:
        return x.new_ones(len(x))
    if cell.order == 1 and cell.corners == cell.dim + 1:  # simplices: constant Jacobian
        return jacobian_measure((x[:, 1:] - x[:, :1]).transpose(1, 2)) / math.factorial(cell.dim)
    _, weights = _rule(kind, x.dtype, x.device)
    jacobian = torch.einsum("qkj,nkd->nqdj", _gradients(kind, x.dtype, x.device), x)
    return jacobian_measure(jacobian) @ weights


@cache
def _rule(kind: str, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    cell = cell_type(kind)
    xi, weights = reference_cell(kind).quadrature(2 if cell.order == 1 else 5)
    return xi.to(device, dtype), weights.to(device, dtype)


@cache
def _gradients(kind: str, dtype: torch.dtype, device: torch.device) -> Tensor:
    xi, _ = _rule(kind, torch.float64, torch.device("cpu"))
    return reference_cell(kind).grad(xi).to(device, dtype)


def cell_centroids(mesh: Mesh) -> PerCellVector:
    """Mean of the corners of every cell: {type: (n, dim)}."""
    return {kind: cell_points(mesh, kind)[:, : cell_type(kind).corners].mean(1) for kind in mesh.cells}


def cell_normals(mesh: Mesh) -> PerCellVector:
    """Unit normals {type: (n, dim)} of the cells of a surface in 3-D, or of lines in 2-D, from their corners.

    Surfaces: by the right-hand rule. Lines: to the right of their direction, so outward on a counter-clockwise
    outline. Degenerate cells get a zero normal. Raises TopologyError where cells have no single normal.
    """
    return {kind: unit(_area_vectors(mesh, kind)) for kind in _surface_kinds(mesh)}


def point_normals(mesh: Mesh) -> Float[Tensor, "{mesh.n_points} {mesh.dim}"]:
    """(n_points, dim) unit normals at the points of a surface: means over the cells around, weighted by measure.

    Points without a cell get zero. Raises TopologyError where cells have no single normal.
    """
    total = torch.zeros_like(mesh.points)
    for kind in _surface_kinds(mesh):
        nodes, vectors = mesh.cells[kind], _area_vectors(mesh, kind)
        shared = vectors[:, None].expand(-1, nodes.shape[1], -1)
        total = total.index_add(0, nodes.reshape(-1), shared.reshape(-1, mesh.dim))
    return unit(total)


def _surface_kinds(mesh: Mesh) -> list[str]:
    if mesh.cell_dim != mesh.dim - 1 or mesh.cell_dim == 0:
        raise TopologyError(
            f"normals need a surface in 3-D or a curve in 2-D; this mesh has {mesh.cell_dim}-dimensional cells in "
            f"{mesh.dim}-D (cells {mesh.cell_counts}).\n  for the outline of a body use mesh.boundary_mesh() first."
        )
    return mesh.domain_types


def _area_vectors(mesh: Mesh, kind: str) -> Tensor:
    """Normals times measure, from the corners (for quads: half the cross product of the diagonals)."""
    x = cell_points(mesh, kind)
    if mesh.dim == 2:
        along = x[:, 1] - x[:, 0]
        return torch.stack([along[:, 1], -along[:, 0]], 1)
    if cell_type(kind).corners == 4:
        return torch.linalg.cross(x[:, 2] - x[:, 0], x[:, 3] - x[:, 1]) / 2
    return torch.linalg.cross(x[:, 1] - x[:, 0], x[:, 2] - x[:, 0]) / 2


def point_measures(mesh: Mesh) -> Float[Tensor, " {mesh.n_points}"]:
    """(n_points,) lumped measures of the domain, all positive; their sum is `mesh.measure()`.

    Each cell's measure is shared among its nodes in proportion to the diagonal of the mass matrix of its reference
    cell (Hinton, Rock and Zienkiewicz 1976), equally for linear simplices. A point cloud has measure 1 per point.
    """
    if not mesh.domain_types:
        return mesh.points.new_ones(mesh.n_points)
    total = mesh.points.new_zeros(mesh.n_points)
    for kind in mesh.domain_types:
        shares = _measure(mesh, kind).abs()[:, None] * _shares(kind).to(total)
        total = total.index_add(0, mesh.cells[kind].reshape(-1), shares.reshape(-1))
    return total


@cache
def _shares(kind: str) -> Tensor:
    reference = reference_cell(kind)
    xi, weights = reference.quadrature(6)
    diagonal = weights @ reference.shape(xi).square()
    return diagonal / diagonal.sum()


def measure(mesh: Mesh) -> Float[Tensor, ""]:
    """() total length, area or volume of the domain; for a point cloud its number of points."""
    if not mesh.domain_types:
        return mesh.points.new_tensor(float(mesh.n_points))
    return torch.stack([_measure(mesh, kind).abs().sum() for kind in mesh.domain_types]).sum()


def volume(mesh: Mesh) -> Float[Tensor, ""]:
    """() volume of a solid, or enclosed by a watertight surface (negative if it is inside out).

    Raises TopologyError for a surface that is not closed and for planar meshes.

    >>> ml.shapes.box(n=2).volume()
    tensor(1.)
    """
    if mesh.dim == 3 and mesh.cell_dim == 3:
        return measure(mesh)
    if mesh.dim != 3 or mesh.cell_dim != 2 or not mesh.is_watertight:
        raise TopologyError(
            f"only a solid or a watertight surface in 3-D has a volume; this mesh has {mesh.cell_dim}-dimensional "
            f"cells in {mesh.dim}-D" + (" and is open or not consistently oriented." if mesh.cell_dim == 2 else ".")
        )
    return mesh.join_cells(cone_volumes(mesh)).sum()


def cone_volumes(mesh: Mesh) -> PerCell:
    """Signed volume between the centre of the bounding box and each surface cell (divergence theorem)."""
    centre = mesh.bounding_box().mean(0)
    volumes = {}
    for kind in mesh.domain_types:
        x = cell_points(mesh, kind)[:, : cell_type(kind).corners] - centre
        fan = [(x[:, 0] * torch.linalg.cross(x[:, i], x[:, i + 1])).sum(-1) for i in range(1, x.shape[1] - 1)]
        volumes[kind] = torch.stack(fan).sum(0) / 6
    return volumes
