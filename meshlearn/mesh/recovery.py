"""Gradients of point and cell fields, recovered at the points and in the cells of any mesh."""

from __future__ import annotations

from functools import cached_property

import torch
from jaxtyping import Float64
from torch import Tensor

from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.reference import jacobian_measure, jacobians, map_points, reference_cell
from meshlearn.ops import Adjacency, SparseOperator

THIN = 1e-12  # smallest share of the largest cell's measure at which a cell has slopes
ALONE = 0.1  # smallest share of a slope that means over neighbors must show, for it to be told


class RecoveredGradients:
    """Gradients of point and cell fields on a mesh of float64 coordinates.

    At points, the mean over the cells around, weighted by measure (P. Clement, "Approximation by finite element
    functions using local regularization", RAIRO Analyse numerique 9, 1975), taken to be the gradient at the mean of
    their centres, and carried from there to the point, which matters at boundaries. Exact for linear fields, on
    second-order cells for quadratic ones, and on uniform meshes for quadratic ones too. On curves and surfaces, the
    component along them.

    often  for many fields: worth the time to multiply matrices before they meet a field

    >>> from meshlearn.mesh.recovery import RecoveredGradients
    >>> mesh = ml.shapes.square(n=3, dtype=torch.float64)
    >>> field = 2 * mesh.points[:, :1] - mesh.points[:, 1:]
    >>> RecoveredGradients(mesh).at_points(field)[:, 4, 0].round(decimals=12)
    tensor([ 2., -1.], dtype=torch.float64)
    """

    def __init__(self, mesh: Mesh, often: bool = False) -> None:
        self.mesh, self.often = mesh, often
        self.centre = mesh.points.mean(0)

    def at_points(self, values: Float64[Tensor, "n k"]) -> Float64[Tensor, "dim n k"]:
        """Derivatives of point fields at the points."""
        n, dim = self.mesh.n_points, self.mesh.dim
        if self.often:
            return (self._gradient @ values).reshape(dim, n, -1)
        means, step, further = self._around_points
        slopes = (means @ values).reshape(dim, n, -1)
        bends = (further @ slopes.permute(1, 0, 2).flatten(1)).reshape(dim, n, dim, -1)
        return slopes + torch.einsum("nb,bnak->ank", step, bends)

    def in_cells(self, values: Float64[Tensor, "n_cells k"]) -> Float64[Tensor, "dim n_cells k"]:
        """Derivatives of cell fields, exact for linear ones in every direction in which a cell has neighbors.

        Those of means over the cells around points, divided by what these make of the coordinates of the centres:
        at a boundary, means hold inside of it.
        """
        return torch.einsum("cab,bck->ack", self._exact_in_cells, self._of_means(values))

    def _of_means(self, values: Float64[Tensor, "n_cells k"]) -> Float64[Tensor, "dim n_cells k"]:
        slopes = self._centre_gradient @ (self.means_at_points @ values)
        return slopes.reshape(self.mesh.dim, self.mesh.n_cells, -1)

    @cached_property
    def _exact_in_cells(self) -> Float64[Tensor, "n_cells dim dim"]:
        """What takes the derivatives of means to those of linear fields."""
        centres = self.mesh.join_cells(self.mesh.cell_centroids()) - self.centre
        made = self._of_means(centres).permute(1, 0, 2)
        return torch.linalg.pinv(made, atol=ALONE)

    @cached_property
    def cell_size(self) -> float:
        """The side of a cube with the mean measure of the cells."""
        measures = self.mesh.join_cells(self.mesh.cell_measures()).abs()
        return float(measures.mean()) ** (1 / self.mesh.cell_dim)

    @cached_property
    def _around_points(self) -> tuple[SparseOperator, Tensor, SparseOperator]:
        """(mean derivatives around points, steps to the points from where they hold, derivatives of these)."""
        mesh = self.mesh
        means, holds_at = _derivatives(mesh, mesh.points, at_centres=False)
        further, _ = _derivatives(mesh, holds_at, at_centres=False)
        return means, mesh.points - holds_at, further

    @cached_property
    def _gradient(self) -> SparseOperator:
        """(dim * n, n): what `at_points` does, as one matrix."""
        from scipy.sparse import diags_array, vstack

        means, step, further = self._around_points
        axes = [slice(k * self.mesh.n_points, (k + 1) * self.mesh.n_points) for k in range(self.mesh.dim)]
        first, second = means.to_scipy(), further.to_scipy()
        along = sum(diags_array(step[:, k].numpy()) @ second[rows] for k, rows in enumerate(axes))
        return SparseOperator.from_scipy(vstack([first[rows] + along @ first[rows] for rows in axes]))

    @cached_property
    def _centre_gradient(self) -> SparseOperator:
        return _derivatives(self.mesh, self.mesh.points, at_centres=True)[0]

    @cached_property
    def means_at_points(self) -> SparseOperator:
        """(n_points, n_cells): means of cell fields over the cells around, weighted by measure; 0 if all are flat."""
        rows, columns, weights, start = [], [], [], 0
        for kind in self.mesh.domain_types:
            nodes, measure = self.mesh.cells[kind], self.mesh.cell_measures()[kind].abs()
            rows.append(nodes.flatten())
            columns.append(torch.arange(start, start + len(nodes)).repeat_interleave(nodes.shape[1]))
            weights.append(measure.repeat_interleave(nodes.shape[1]))
            start += len(nodes)
        row, weight, n = torch.cat(rows), torch.cat(weights), self.mesh.n_points
        mass = weight.new_zeros(n).index_add(0, row, weight)
        share = weight / torch.where(mass > 0, mass, 1.0).index_select(0, row)
        return SparseOperator.from_coo(row, torch.cat(columns), share, (n, start))


def _derivatives(
    mesh: Mesh, points: Float64[Tensor, "n dim"], at_centres: bool
) -> tuple[SparseOperator, Float64[Tensor, "m dim"]]:
    """((dim * m, n) derivatives of point fields, where they hold): at the m centres of cells, or means around points.

    Gradients of first-order cells are those of their centres, where they are most accurate. `points` are those of the
    mesh, or others in their stead.
    """
    rows, columns, weights, slopes, places, start = [], [], [], [], [], 0
    for kind in mesh.domain_types:
        cell, nodes = reference_cell(kind), mesh.cells[kind]
        numbers = torch.arange(start, start + len(nodes))[:, None]
        start += len(nodes)
        where = cell.centre[None] if at_centres or cell.order == 1 else cell.nodes
        slope, measure = _slopes(kind, points[nodes], where)
        place = map_points(cell, points[nodes], where)
        owners = numbers if at_centres else nodes
        copies = (-1, owners.shape[1] // len(where), -1)  # one gradient for all nodes of a first-order cell
        rows.append(owners.flatten())
        columns.append(nodes[:, None, :].expand(-1, owners.shape[1], -1).flatten(0, 1))
        weights.append(measure.repeat(1, copies[1]).flatten())
        slopes.append(slope.repeat(1, copies[1], 1, 1).flatten(0, 1))
        places.append(place.repeat(1, copies[1], 1).flatten(0, 1))
    shape = (start if at_centres else mesh.n_points, mesh.n_points)
    row, weight = torch.cat(rows), torch.cat(weights)
    mass = weight.new_zeros(shape[0]).index_add(0, row, weight)
    known = mass > 0
    share = weight / torch.where(known, mass, 1.0).index_select(0, row)
    holds_at = points.new_zeros(shape[0], mesh.dim).index_add(0, row, share[:, None] * torch.cat(places))
    if not at_centres:
        holds_at = torch.where(known[:, None], holds_at, points)
    counts = torch.cat([torch.full((len(r),), c.shape[1]) for r, c in zip(rows, columns, strict=True)])
    column = torch.cat([c.flatten() for c in columns])
    scaled = torch.cat([s.flatten(0, 1) for s in slopes]) * share.repeat_interleave(counts)[:, None]
    adjacency, order = Adjacency.from_edges_with_order(column, row.repeat_interleave(counts), *shape)
    ends = [adjacency.ptr[1:] + axis * len(order) for axis in range(mesh.dim)]
    stacked = Adjacency(torch.cat([adjacency.ptr[:1], *ends]), adjacency.index.repeat(mesh.dim), shape[1])
    return SparseOperator.from_adjacency(stacked, scaled.index_select(0, order).T.flatten()), holds_at


def _slopes(
    kind: str, corners: Float64[Tensor, "n k dim"], where: Float64[Tensor, "q d"]
) -> tuple[Float64[Tensor, "n q k dim"], Float64[Tensor, "n q"]]:
    """(gradients of the shape functions at places of the reference cell, measures there); 0 where cells are flat."""
    cell = reference_cell(kind)
    tangents = jacobians(cell, corners, where)  # (n, q, dim, d)
    measure = jacobian_measure(tangents).abs()
    metric = tangents.transpose(-1, -2) @ tangents
    flat = measure <= THIN * measure.amax()
    metric = torch.where(flat[..., None, None], torch.eye(cell.dim, dtype=metric.dtype), metric)
    inverse = torch.linalg.solve(metric, tangents.transpose(-1, -2))  # (n, q, d, dim)
    slopes = cell.grad(where.to(corners)) @ inverse
    return torch.where(flat[..., None, None], 0.0, slopes), torch.where(flat, 0.0, measure)
