"""Graphs and geometric features of one mesh, from its points and cells alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from meshlearn import ops
from meshlearn.errors import FieldError
from meshlearn.mesh.mesh import Mesh
from meshlearn.models.meshgraphnet.coarsening import Coarsening, coarsen
from meshlearn.ops import Adjacency

# Everything here depends on points and cells only; frames of a trajectory share it. {points: {(what, graph): value}}
_KNOWN = WeakTensorKeyDictionary()


@dataclass(frozen=True)
class Hierarchy:
    """The graph of the points and the coarser levels made from it."""

    graph: Adjacency
    coarse: tuple[Coarsening, ...]

    def positions(self, points: Float[Tensor, "n_points dim"]) -> list[Tensor]:
        """Positions on every level when the points are at `points`: means over the aggregates."""
        levels = [points]
        for level in self.coarse:
            levels.append(ops.segment_mean(ops.gather(levels[-1], level.down.index), level.down))
        return levels


def hierarchy(mesh: Mesh, levels: int, k: int) -> Hierarchy:
    """The graph of a mesh (of the k nearest points where it has no cells) and levels - 1 coarser ones. Kept."""
    known = _KNOWN.setdefault(mesh.points, {})
    key = (levels, k, id(mesh.topology))
    if key in known:
        return known[key][0]
    graph = mesh.point_adjacency if _has_edges(mesh) else nearest_graph(mesh.points.detach(), k)
    coarse: list[Coarsening] = []
    points, finer = mesh.points.detach(), graph
    for _ in range(levels - 1):
        coarse.append(coarsen(points, finer))
        points, finer = coarse[-1].points, coarse[-1].edges
    for adjacency in (graph, *(a for level in coarse for a in (level.edges, level.down, level.up))):
        adjacency.transpose()  # built once here, and kept by every batch made of this sample
    result = Hierarchy(graph, tuple(coarse))
    known[key] = (result, mesh.topology)  # the topology is kept so that its id stays taken
    return result


def nearest_graph(points: Float[Tensor, "n_points dim"], k: int) -> Adjacency:
    """Symmetric graph that joins every point with its k nearest others, and with all at the same distance as the k-th."""
    n = len(points)
    wanted = min(k, n - 1)
    if wanted < 1:
        empty = torch.zeros(0, dtype=torch.int64, device=points.device)
        return Adjacency.from_edges(empty, empty, n)
    distance, index = ops.knn(points, points, min(4 * wanted + 1, n))
    own = torch.arange(n, device=points.device)[:, None].expand_as(index)
    near = (distance <= distance[:, wanted : wanted + 1] * (1 + 1e-5)) & (index != own)
    a, b = own[near], index[near]
    keys = torch.unique(torch.cat([a * n + b, b * n + a]))
    return Adjacency.from_edges(keys % n, keys // n, n)


def offsets(senders: Tensor, receivers: Tensor, graph: Adjacency) -> Float[Tensor, "n_edges k"]:
    """(n_edges, dim + 1): position of the sender relative to the receiver, and its length."""
    offset = ops.gather_senders(senders, graph) - ops.gather_receivers(receivers, graph)
    return torch.cat([offset, offset.norm(dim=1, keepdim=True)], dim=1)


def set_points(mesh: Mesh, pattern: str) -> Int[Tensor, " k"]:
    """Points of all point sets and cell sets whose name matches a pattern such as "left" or "hole_*", ascending.

    A pattern with a wildcard may match nothing. Raises FieldError for a plain name that the mesh does not have.
    """
    found = [points for name, points in mesh.point_sets.items() if fnmatchcase(name, pattern)]
    for name, by_type in mesh.cell_sets.items():
        if fnmatchcase(name, pattern):
            found += [mesh.cells[kind].index_select(0, rows).reshape(-1) for kind, rows in by_type.items()]
    if not found:
        if not any(c in pattern for c in "*?["):
            names = sorted({*mesh.point_sets, *mesh.cell_sets})
            raise FieldError(
                f"the mesh {mesh.source or ''} has no point set or cell set named {pattern!r} (boundary_sets).\n"
                f"  Its sets are {names or 'none'}. A pattern such as {pattern + '*'!r} may be absent on some meshes."
            )
        return torch.zeros(0, dtype=torch.int64, device=mesh.device)
    nodes = torch.unique(torch.cat(found))
    return nodes[nodes >= 0]


def boundary_features(mesh: Mesh, patterns: Sequence[str], distances: bool) -> Float[Tensor, "n_points f"]:
    """Columns: is on the boundary, is in the set of each pattern; with `distances`, how far away each of these is.

    The distance is to the nearest point of the set, in the unit of the points; where a mesh has no such point it is
    the diagonal of its bounding box.
    """
    known = _KNOWN.setdefault(mesh.points, {})
    sets = [mesh.boundary_points if mesh.domain_types else mesh.points.new_zeros(0).long()]
    sets += [set_points(mesh, pattern) for pattern in patterns]
    key = ("boundary", distances, id(mesh.topology), tuple(patterns), tuple(map(id, mesh.cell_sets.values())))
    if key in known:
        return known[key][0]
    points = mesh.points.detach()
    columns = []
    for nodes in sets:
        columns.append(points.new_zeros(len(points)).index_fill_(0, nodes, 1.0))
    if distances:
        diagonal = (points.amax(0) - points.amin(0)).norm()
        for nodes in sets:
            if len(nodes):
                columns.append(ops.knn(points.index_select(0, nodes), points, 1)[0][:, 0].to(points.dtype))
            else:
                columns.append(diagonal.expand(len(points)))
    table = torch.stack(columns, dim=1)
    known[key] = (table, mesh.topology, mesh.cell_sets)
    return table


def centred(points: Float[Tensor, "n_points dim"], weights: Float[Tensor, " n_points"]) -> Float[Tensor, "n_points dim"]:
    """Coordinates from the centre of mass: they do not change when the mesh is moved."""
    return points - (weights[:, None] * points).sum(0)


def _has_edges(mesh: Mesh) -> bool:
    return mesh.cell_dim > 0
