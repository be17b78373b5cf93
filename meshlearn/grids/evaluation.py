"""Values at grid nodes from values on a mesh: shape functions inside, an extension (never zero) outside.

Outside the domain (beyond its outline, in its holes) a field is continued from the closest point p of the mesh: by its
value there ("nearest", no new extrema) or by value and gradient, u(p) + g(p) . (x - p) ("linear"), g the least-squares
gradient of `ml.ops.graph_gradient`. The second makes linear fields exact also beside curved boundaries and holes, so
that what is sampled back there is right to second order. x is brought within one diagonal of a grid cell from p, so
that values stay bounded deep in a hole; no mesh point ever looks at a node farther away.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from meshlearn.grids.grid import RegularGrid
from meshlearn.mesh.interpolation import interpolation_operator
from meshlearn.mesh.location import INSIDE, PointLocator
from meshlearn.mesh.mesh import Mesh
from meshlearn.ops import SparseOperator, graph_gradient, knn


@dataclass(frozen=True)
class Evaluation:
    """The nodes of a grid, and the mesh: what is looked up once for all transfers.

    closest  (n_nodes, n_points): shape functions at the nodes; outside the domain, at its closest points. For a point
             cloud, averages of near points
    inside   (n_nodes,) bool: nodes in the domain; for surfaces and clouds, nodes within half a grid diagonal
    nearby   (n_nodes, dim) the nodes, those outside moved towards the domain until one grid diagonal away
    """

    closest: SparseOperator
    inside: Bool[Tensor, " n_nodes"]
    nearby: Float[Tensor, "n_nodes dim"]


def evaluation(mesh: Mesh, grid: RegularGrid) -> Evaluation:
    """Look the nodes of a grid up in a mesh of float64 points."""
    at, points = grid.points.to(mesh.points), mesh.points.detach()
    closest, status = interpolation_operator(mesh, at)
    if mesh.domain_types:
        foot, inside = closest @ points, status == INSIDE
    else:
        foot, inside = points.index_select(0, knn(points, at, 1)[1][:, 0]), torch.zeros_like(status, dtype=torch.bool)
    gap = at - foot
    if mesh.cell_dim < mesh.dim:
        inside = gap.norm(dim=1) <= grid.diagonal / 2
    return Evaluation(closest, inside, torch.where(inside[:, None], at, foot + _limited(gap, grid.diagonal)))


def point_values(mesh: Mesh, known: Evaluation, extension: str) -> SparseOperator:
    """(n_nodes, n_points): point fields at the nodes of the grid; exact for linear fields with extension="linear"."""
    outside = (~known.inside).nonzero().squeeze(1)
    if extension == "nearest" or mesh.cell_dim < mesh.dim or not len(outside):
        return known.closest
    foot = known.closest @ mesh.points.detach()
    step = (known.nearby - foot).index_select(0, outside)
    return known.closest + _gradient_rows(mesh, known.closest, outside, step)


def cell_values(mesh: Mesh, grid: RegularGrid) -> SparseOperator:
    """(n_nodes, n_cells): cell fields at the nodes, the value of the cell that holds the node or is closest to it."""
    cell = PointLocator(mesh).locate(grid.points.to(mesh.points)).cell
    ptr = torch.arange(len(cell) + 1, device=cell.device)
    return SparseOperator(ptr, cell, mesh.points.new_ones(len(cell)), mesh.n_cells, validate=False)


def _limited(step: Tensor, length: float) -> Tensor:
    size = step.norm(dim=1, keepdim=True)
    return step * torch.where(size > length, length / size.clamp_min(1e-300), 1.0)


def _gradient_rows(mesh: Mesh, inner: SparseOperator, outside: Tensor, step: Tensor) -> SparseOperator:
    """Rows `outside` of sum_k step_k (gradient component k at the closest point); other rows are empty."""
    from scipy.sparse import csr_array

    gradient = graph_gradient(mesh.point_adjacency, mesh.points.detach()).to_scipy()  # rows point * dim + component
    closest = inner.to_scipy()[outside.cpu().numpy()].tocoo()
    dim, moves = mesh.dim, step.cpu().numpy()
    row = torch.from_numpy(closest.row).long()
    columns = torch.from_numpy(closest.col).long()[:, None] * dim + torch.arange(dim)
    values = torch.from_numpy(closest.data)[:, None] * torch.from_numpy(moves[closest.row])
    rows = row[:, None].expand_as(columns)
    directional = csr_array(
        (values.reshape(-1).numpy(), (rows.reshape(-1).numpy(), columns.reshape(-1).numpy())),
        shape=(len(outside), mesh.n_points * dim),
    )
    made = (directional @ gradient).tocoo()
    at = outside.cpu().index_select(0, torch.from_numpy(made.row).long())
    entries = (at, torch.from_numpy(made.col).long(), torch.from_numpy(made.data))
    return SparseOperator.from_coo(*entries, inner.shape).to(mesh.device)
