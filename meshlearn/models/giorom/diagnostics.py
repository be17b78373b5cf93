"""What is told of a rollout at every time: pieces of the graph, conserved quantities, points that have left."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.mesh.components import connected_components
from meshlearn.models.giorom.body import Body, Nodes
from meshlearn.ops import Adjacency, radius_neighbors


class Diagnostics:
    """Gathers numbers of every frame.

    Momentum and kinetic energy are those of the nodes, each with the mass of the points that it stands for
    (`point_data["mass"]`, or one in all).
    """

    def __init__(self, body: Body, nodes: Nodes, n_query: int, solid: bool, step: float) -> None:
        self.body, self.nodes, self.solid, self.step = body, nodes, solid, step
        mass = body.rest.point_data.get("mass")
        total = 1.0 if mass is None else float(mass.double().sum())
        self.mass = nodes.share * total
        self.first_nonfinite = -1
        self.rows: list[dict[str, Tensor]] = []
        self.pieces = self._pieces(nodes.sparse.graph)

    def see(self, state: Any, points: Float[Tensor, "m dim"]) -> None:
        """Add a frame: the state of the nodes, and the places of all points."""
        if not self.solid:
            radius = self.nodes.sparse.radius
            self.pieces = self._pieces(radius_neighbors(state.places, state.places, radius, exclude_self=True))
        velocity = state.displacement / self.step
        outside = torch.tensor(0)
        if self.body.box is not None:
            low, high = self.body.box.to(points)
            outside = ((points < low) | (points > high)).any(1).sum()
        components, degree = self.pieces
        self.rows.append(
            {
                "components": torch.tensor(components),
                "mean_degree": torch.tensor(degree),
                "momentum": (self.mass * velocity).sum(0),
                "kinetic_energy": 0.5 * (self.mass * velocity.square()).sum(),
                "out_of_bounds": outside,
            }
        )

    def series(self) -> dict[str, Tensor]:
        """{name: (n_times, ...)}."""
        return {name: torch.stack([row[name] for row in self.rows]) for name in self.rows[0]}

    @staticmethod
    def _pieces(graph: Adjacency) -> tuple[int, float]:
        return connected_components(graph.receivers, graph.index, graph.n_rows)[0], graph.n_edges / graph.n_rows
