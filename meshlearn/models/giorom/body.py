"""A body whose points are known at some times: its constants, and the nodes that stand for it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from meshlearn.mesh.mesh import Mesh
from meshlearn.models.giorom.crowding import CrowdedGraphWarning
from meshlearn.models.giorom.nodes import SparseNodes
from meshlearn.models.giorom.sample import Window
from meshlearn.ops import farthest_point_sampling, knn


@dataclass
class Body:
    """The points of a body and what is known of them.

    rest      Mesh at rest (for fluids, at the first time)
    held      (n_points,) bool: points whose motion is given
    kinds     (n_points,) int64 numbers of the kinds of particles
    gravity   (dim,) float64, displacement per frame squared
    box       (2, dim) float64 corners of the walls, or None
    point_inputs, global_inputs   (n_points, p), (1, g): constants
    where     how errors call it
    """

    rest: Mesh
    held: Bool[Tensor, " n_points"]
    kinds: Int64[Tensor, " n_points"]
    gravity: Float[Tensor, " dim"]
    box: Float[Tensor, "2 dim"] | None
    point_inputs: Float[Tensor, "n_points p"]
    global_inputs: Float[Tensor, "1 g"]
    where: str = "the body"
    chosen: dict[Any, Nodes] = field(default_factory=dict)

    def nodes(self, count: int | None, method: str, seed: int, radius: float | None, neighbors: int | None) -> Nodes:
        """Nodes of this body, kept for the next time; None or more than there are points: all of them."""
        n = self.rest.n_points
        count = n if count is None else min(count, n)
        key = (count, method, seed, radius, neighbors)
        if key not in self.chosen:
            with warnings.catch_warnings():  # told once of all bodies, by what asks for the nodes
                warnings.simplefilter("ignore", CrowdedGraphWarning)
                first = SparseNodes(self.rest.points, count, method, seed, radius=None, neighbors=neighbors)
                numbers = _with_held(first.nodes, self.rest.points, self.held)
                changed = not torch.equal(numbers, first.nodes)
                if changed or radius is not None:
                    first = SparseNodes(self.rest.points, count, numbers, radius=radius, neighbors=neighbors)
            self.chosen[key] = Nodes(first, self.held.index_select(0, first.nodes))
        return self.chosen[key]


@dataclass
class Nodes:
    """Some points of a body, and which of them are forced; `constant` keeps what samples of them share."""

    sparse: SparseNodes
    held: Bool[Tensor, " n"]
    constant: Window | None = None

    @property
    def index(self) -> Int64[Tensor, " n"]:
        """Their numbers among the points."""
        return self.sparse.nodes

    @cached_property
    def share(self) -> Float[Tensor, "n 1"]:
        """Share of the points that are nearest to each node: the weights of sums over the body as integrals."""
        nearest = knn(self.sparse.node_points, self.sparse.points, 1)[1][:, 0]
        counts = torch.bincount(nearest, minlength=len(self.index)).double()
        return (counts.clamp(min=0.5) / counts.clamp(min=0.5).sum())[:, None]


def _with_held(nodes: Tensor, points: Tensor, held: Tensor) -> Tensor:
    """Nodes of which some are held where points are: dim of them, or as many as there are, in the place of others."""
    candidates = held.nonzero()[:, 0]
    wanted = min(points.shape[1], len(candidates), len(nodes) - 1)
    if int(held.index_select(0, nodes).sum()) >= wanted:
        return nodes
    best = candidates.index_select(0, farthest_point_sampling(points.index_select(0, candidates), wanted))
    free = nodes[~torch.isin(nodes, candidates)]
    distance = torch.cdist(points.index_select(0, free).double(), points.index_select(0, best).double()).amin(1)
    kept = free.index_select(0, distance.argsort(descending=True)[: len(nodes) - wanted])
    return torch.cat([kept, best]).sort().values
