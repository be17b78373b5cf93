"""How points follow nodes, frame by frame: in the body at rest, or as they are at present."""

from __future__ import annotations

import copy
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.models.giorom.learned_reconstruction.learned import LearnedReconstruction
from meshlearn.models.giorom.learned_reconstruction.residual import Surroundings
from meshlearn.models.giorom.least_squares import BLOCK, checked_count, moving_least_squares, nearby
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
    return moving_least_squares(points, queries, checked_count(points, neighbors, or_fewer=True))


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


class LearnedCarrier:
    """Points that keep their places in the body at rest, with what a model has learned of how they follow.

    One sparse product per frame with the learned kernel, which costs what least squares cost, and the learned
    correction, which is a network of all queries and their neighbours, in every frame. As `RestCarrier` otherwise.
    """

    def __init__(
        self, nodes: Tensor, queries: Tensor, learned: LearnedReconstruction, neighbors: int | None, dtype: torch.dtype
    ) -> None:
        self.nodes, self.queries, self.dtype = nodes.double(), queries.to(dtype), dtype
        asked, residual = queries.double(), learned.residual_in_use
        count = checked_count(self.nodes, neighbors, or_fewer=True)
        self.operator = moving_least_squares(self.nodes, asked, count, learned.kernel_in_use).to(dtype)
        self.residual = None if residual is None else copy.deepcopy(residual).to(dtype).requires_grad_(False)
        self.around: list[tuple[Tensor, Surroundings]] = []
        for start in range(0, len(asked) if residual is not None else 0, BLOCK):
            near = nearby(self.nodes, asked[start : start + BLOCK], count)
            with torch.no_grad():
                self.around.append((near.index, Surroundings.of(near, learned.kernel_in_use).to(dtype)))

    def __call__(self, places: Float[Tensor, "n dim"]) -> Float[Tensor, "m dim"]:
        """Places of the points from those of the nodes (float64)."""
        moved = places - self.nodes
        points = self.queries + self.operator @ moved.to(self.dtype)
        if self.residual is None:
            return points
        parts = []
        for index, around in self.around:
            # Relative to the nearest node, so that a body that flies far away keeps its digits.
            relative = (moved[index] - moved[index[:, :1]]).to(self.dtype)
            parts.append(self.residual(relative, around))
        return points + torch.cat(parts) if parts else points


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


def carrier_of(
    model: Any, nodes: Float[Tensor, "n dim"], queries: Float[Tensor, "m dim"], dtype: torch.dtype
) -> RestCarrier | LearnedCarrier | FlowCarrier:
    """How the points of a model follow; nodes and queries at rest (fluids: at present), places in this dtype.

    Raises ParameterError for a model that has not learned how, and is asked for it.
    """
    if model.reconstruction != "learned":
        make = RestCarrier if model.kind == "solid" else FlowCarrier
        return make(nodes, queries, model.reconstruction, model.neighbors, dtype)
    learned = getattr(model, "reconstruction_", None)
    if learned is None:
        raise ParameterError(
            "reconstruction='learned', but this model was fitted with another one and has not learned it: fit it again."
        )
    return LearnedCarrier(nodes, queries, learned, model.neighbors, dtype)
