"""Graphs and geometric features of one mesh, from its points and cells alone."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from meshlearn import ops
from meshlearn.mesh.mesh import Mesh
from meshlearn.models.meshgraphnet.coarsening import Coarsening, coarsen
from meshlearn.ops import Adjacency
from meshlearn.train.graph import nearest_graph

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
    graph = mesh.point_adjacency if mesh.cell_dim > 0 else nearest_graph(mesh.points.detach(), k)
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


def offsets(senders: Tensor, receivers: Tensor, graph: Adjacency) -> Float[Tensor, "n_edges k"]:
    """(n_edges, dim + 1): position of the sender relative to the receiver, and its length."""
    offset = ops.gather_senders(senders, graph) - ops.gather_receivers(receivers, graph)
    return torch.cat([offset, offset.norm(dim=1, keepdim=True)], dim=1)
