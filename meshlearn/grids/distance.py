"""Distances from the nodes of a grid to the boundary of a domain."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.grids.grid import RegularGrid
from meshlearn.mesh.location import PointLocator
from meshlearn.mesh.mesh import Mesh
from meshlearn.ops import knn


def distance_to_boundary(mesh: Mesh, grid: RegularGrid) -> Float[Tensor, " n_nodes"]:
    """(n_nodes,) distance of every node to the boundary facets; for surfaces, curves and point clouds to themselves.

    The sides of a box that is periodic there are no boundary. Without any boundary: the diagonal of the box.
    """
    at = grid.points.to(mesh.points)
    if not mesh.domain_types:
        return knn(mesh.points.detach(), at, 1)[0][:, 0]
    if mesh.cell_dim < mesh.dim:
        return PointLocator(mesh).locate(at).distance
    skin = mesh.boundary_mesh().without_data()
    kept = {kind: nodes[~_on_seam(skin.points, nodes, grid)] for kind, nodes in skin.cells.items()}
    kept = {kind: nodes for kind, nodes in kept.items() if len(nodes)}
    if not kept:
        return at.new_full((len(at),), sum(length**2 for length in grid.lengths) ** 0.5)
    if mesh.dim == 1:  # the boundary of an interval is two points
        ends = torch.unique(torch.cat([nodes.reshape(-1) for nodes in kept.values()]))
        return knn(skin.points.detach().index_select(0, ends), at, 1)[0][:, 0]
    facets = PointLocator(Mesh(skin.points.detach(), kept))
    images = [facets.locate(at + at.new_tensor(shift)).distance for shift in grid.images()]
    return torch.stack(images).amin(0)


def _on_seam(points: Tensor, facets: Tensor, grid: RegularGrid) -> Tensor:
    """Facets that lie in the first or last plane of a periodic axis."""
    on = torch.zeros(len(facets), dtype=torch.bool, device=facets.device)
    corner = grid.second_corner()
    for axis in (axis for axis, wraps in enumerate(grid.periodic) if wraps):
        x = points.detach()[:, axis].index_select(0, facets.reshape(-1)).reshape(facets.shape)
        for end in (grid.low[axis], corner[axis]):
            on |= ((x - end).abs() < 1e-9 * grid.lengths[axis]).all(1)
    return on
