"""From a mesh to the standard sample of graph networks."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from meshlearn import ops
from meshlearn.mesh.mesh import Mesh
from meshlearn.train.fields import FieldSet
from meshlearn.train.sample import GraphSample

# Edge features depend on coordinates alone: the frames of a trajectory on a fixed mesh share them through this table.
_EDGE_FEATURES = WeakTensorKeyDictionary()
_CLOUD_GRAPHS = WeakTensorKeyDictionary()
CLOUD_NEIGHBOURS = 8


def graph_sample(mesh: Mesh, fields: FieldSet, *, boundary: bool = True, coordinates: bool = False) -> GraphSample:
    """The standard sample of one mesh: its input fields, its point graph and relative positions along the edges.

    Tensors have the dtype of the mesh's points (fields that need float64 keep it); `NetworkEstimator` converts samples
    to the dtype of the network.

    boundary     add the boundary flag as the last point input (0 everywhere on a point cloud)
    coordinates  add the coordinates as the first point inputs (models that shall not ignore translations)
    """
    columns = [fields.table(mesh, "inputs", "point", exact=True)]
    if coordinates:
        columns.insert(0, mesh.points)
    on_cells = bool(fields.at("inputs", "cell") or fields.at("outputs", "cell"))
    cell_points = cell_inputs = None
    if on_cells:
        cell_points = mesh.topology.point_cells.transpose()[0]
        cell_inputs = fields.table(mesh, "inputs", "cell", exact=True)
        if cell_inputs.shape[1]:
            columns.append(cells_to_points(mesh, cell_inputs))
    if boundary:
        columns.append(boundary_flag(mesh)[:, None])
    adjacency = point_graph(mesh)
    adjacency.transpose()  # built once here, and kept by every batch made of this sample
    return GraphSample(
        counts=row_counts(mesh),
        points=mesh.points.detach(),
        point_inputs=torch.cat(columns, dim=1),
        global_inputs=fields.table(mesh, "inputs", "global", exact=True),
        adjacency=adjacency,
        edge_features=edge_features(mesh),
        cell_points=cell_points,
        cell_inputs=None if cell_inputs is None else cell_inputs,
    )


def cells_to_points(mesh: Mesh, values: Float[Tensor, "n_cells *f"]) -> Float[Tensor, "n_points *f"]:
    """The mean of the cells around every point, each counting the same; 0 at points without cells."""
    owners = mesh.topology.point_cells
    return ops.segment_mean(ops.gather(values, owners.index), owners)


def point_graph(mesh: Mesh) -> ops.Adjacency:
    """The graph messages travel on: `mesh.point_adjacency`; for a point cloud, the 8 nearest neighbours, symmetric.

    A point cloud's graph is kept as long as its points.
    """
    if mesh.domain_types:
        return mesh.point_adjacency
    if mesh.points not in _CLOUD_GRAPHS:
        _CLOUD_GRAPHS[mesh.points] = nearest_graph(mesh.points.detach(), CLOUD_NEIGHBOURS)
    return _CLOUD_GRAPHS[mesh.points]


def nearest_graph(points: Float[Tensor, "n_points dim"], k: int) -> ops.Adjacency:
    """Every point joined to its k nearest others, in both directions, so that a point may have more than k neighbours.

    All points as far as the k-th nearest (ties) are joined too: the graph does not depend on the numbering.
    So m points at one place are joined pairwise, with m (m - 1) edges: merge duplicates first where there are many.
    """
    n = len(points)
    k = min(k, n - 1)
    rows = torch.arange(n if k > 0 else 0, device=points.device)
    keys = [rows[:0]]
    asked = min(4 * k + 1, n)
    while len(rows):
        distance, candidates = ops.knn(points, points.index_select(0, rows), asked)
        limit = 1.00001 * distance[:, k : k + 1]
        tied = (distance[:, -1] <= limit[:, 0]) & (asked < n)  # there may be more at this distance: ask again
        own = rows[:, None].expand_as(candidates)
        chosen = (distance <= limit) & (candidates != own) & ~tied[:, None]
        senders, receivers = candidates[chosen], own[chosen]
        keys += [receivers * n + senders, senders * n + receivers]
        rows, asked = rows[tied], min(4 * asked, n)
    found = torch.unique(torch.cat(keys))
    return ops.Adjacency.from_edges(found % n, found // n, n)


def edge_features(mesh: Mesh) -> Float[Tensor, "n_edges k"]:
    """(n_edges, dim + 1) for every edge of `point_graph(mesh)`: sender minus receiver position, and its length."""
    adjacency = point_graph(mesh)
    known = _EDGE_FEATURES.get(mesh.points)
    if known is not None and known[0] is adjacency:
        return known[1]
    offset = ops.gather(mesh.points, adjacency.index) - ops.gather(mesh.points, adjacency.receivers)
    values = torch.cat([offset, offset.norm(dim=1, keepdim=True)], dim=1).detach()
    _EDGE_FEATURES[mesh.points] = (adjacency, values)
    return values


def boundary_flag(mesh: Mesh) -> Float[Tensor, " n_points"]:
    """1 for points on the boundary, 0 elsewhere; 0 everywhere on a mesh without cells."""
    flag = mesh.points.new_zeros(mesh.n_points)
    if mesh.domain_types:
        flag[mesh.boundary_points] = 1.0
    return flag


def row_counts(mesh: Mesh) -> dict[str, Tensor]:
    """{location: (1,) int64}: how many rows this mesh has at points, at cells and for the whole mesh."""
    sizes = {"point": mesh.n_points, "cell": mesh.n_cells, "global": 1}
    return {location: torch.tensor([size], device=mesh.device) for location, size in sizes.items()}


def measure_weights(mesh: Mesh, location: str) -> Float[Tensor, " rows"]:
    """Weights of the rows of `location`, adding up to 1: the share of length, area or volume that each row stands for.

    Uniform where the mesh has no measure (point clouds, or all cells degenerate). Inverted cells count by magnitude.
    """
    if location == "global":
        return mesh.points.new_ones(1)
    if location == "cell":
        weights = torch.cat([mesh.cell_measures()[kind] for kind in mesh.domain_types])
    else:
        weights = mesh.point_measures() if mesh.domain_types else mesh.points.new_ones(mesh.n_points)
    weights = weights.detach().abs()
    total = weights.sum()
    if not bool(torch.isfinite(total)) or float(total) <= 0.0:
        return torch.full_like(weights, 1.0 / len(weights))
    return weights / total
