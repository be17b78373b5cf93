"""How points follow nodes, frame by frame: in the body at rest, or as they are at present."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.models.giorom.least_squares import moving_least_squares
from meshlearn.ops import SparseOperator, knn


def nearest_node(points: Float[Tensor, "n dim"], queries: Float[Tensor, "m dim"]) -> SparseOperator:
    """The (m, n) map that gives every query the value of the nearest point."""
    index = knn(points, queries, 1)[1][:, 0]
    ptr = torch.arange(len(queries) + 1, device=points.device)
    return SparseOperator(ptr, index, points.new_ones(len(queries)), len(points), validate=False)


def follow(points: Tensor, queries: Tensor, reconstruction: str, neighbors: int | None) -> SparseOperator:
    """The map from values at points to values at queries, of the kind that was asked for."""
    if reconstruction == "nearest":
        return nearest_node(points, queries)
    return moving_least_squares(points, queries, None if neighbors is None else min(neighbors, len(points)))


class RestCarrier:
    """Points that keep their places in the body at rest: one sparse product per frame, the same for all.

    nodes, queries   places at rest; dtype  of the result
    """

    def __init__(
        self, nodes: Tensor, queries: Tensor, reconstruction: str, neighbors: int | None, dtype: torch.dtype
    ) -> None:
        operator = follow(nodes.double(), queries.double(), reconstruction, neighbors)
        self.operator, self.dtype = operator.to(dtype), dtype
        self.nodes, self.queries = nodes.double(), queries.to(dtype)

    def __call__(self, places: Float[Tensor, "n dim"]) -> Float[Tensor, "m dim"]:
        """Places of the points from those of the nodes (float64)."""
        return self.queries + self.operator @ (places - self.nodes).to(self.dtype)


class FlowCarrier:
    """Points that are carried along: each moves as the nodes that are near it in the frame before.

    nodes, queries   places at present
    """

    def __init__(
        self, nodes: Tensor, queries: Tensor, reconstruction: str, neighbors: int | None, dtype: torch.dtype
    ) -> None:
        self.nodes, self.queries, self.dtype = nodes.double(), queries.double(), dtype
        self.kind, self.neighbors = reconstruction, neighbors

    def __call__(self, places: Float[Tensor, "n dim"]) -> Float[Tensor, "m dim"]:
        """Places of the points at the next frame."""
        moved = places - self.nodes
        if bool(moved.any()):
            self.queries = self.queries + follow(self.nodes, self.queries, self.kind, self.neighbors) @ moved
        self.nodes = places
        return self.queries.to(self.dtype)
