"""What a mesh graph network sees of one mesh: the point graph, coarser graphs, and the edges between them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from jaxtyping import Float
from torch import Tensor

from meshlearn.ops import Adjacency
from meshlearn.train.sample import GraphSample


@dataclass(frozen=True)
class CoarseGraph:
    """One coarser level. Rows of a feature table follow the edges of the adjacency of the same name.

    edges   graph of the coarse points
    down    rows are coarse points, columns the points of the next finer level: who is gathered into whom
    up      rows are points of the next finer level, columns coarse points: who is interpolated from whom
    meshes  row m holds the coarse points of mesh m
    """

    edges: Adjacency
    down: Adjacency
    up: Adjacency
    meshes: Adjacency
    edge_features: Float[Tensor, "n_edges k"]
    down_features: Float[Tensor, "n_down k"]
    up_features: Float[Tensor, "n_up k"]


TRANSFERS = ("edge", "down", "up")


@dataclass(frozen=True)
class MultilevelSample(GraphSample):
    """`GraphSample` with coarser graphs.

    meshes         row m holds the points of mesh m
    point_weights  (n_points,) share of the measure of the mesh that each point stands for
    coarse         levels 1, 2, …, from fine to coarse; () for a single level
    """

    meshes: Adjacency = field(kw_only=True)
    point_weights: Float[Tensor, " n_points"] = field(kw_only=True)
    coarse: tuple[CoarseGraph, ...] = field(default=(), kw_only=True)

    @property
    def cost(self) -> tuple[int, int]:
        """(points, edges) over all levels."""
        points, edges = super().cost
        for level in self.coarse:
            points += level.edges.n_rows
            edges += level.edges.n_edges + level.down.n_edges + level.up.n_edges
        return points, edges

    def feature_tensors(self) -> dict[str, Tensor]:
        """{name: (rows, width)} of everything the estimator normalises, coarse levels included."""
        nested = {
            f"{kind}_features_{number}": getattr(level, f"{kind}_features")
            for number, level in enumerate(self.coarse, start=1)
            for kind in TRANSFERS
        }
        return super().feature_tensors() | nested

    def with_feature_tensors(self, features: dict[str, Tensor]) -> MultilevelSample:
        """A copy with these features in the place of the old ones."""
        own = {name: values for name, values in features.items() if name in self.features}
        coarse = []
        for number, level in enumerate(self.coarse, start=1):
            changes: dict[str, Any] = {f"{kind}_features": features[f"{kind}_features_{number}"] for kind in TRANSFERS}
            coarse.append(replace(level, **changes))
        return self.replace(**own, coarse=tuple(coarse))
