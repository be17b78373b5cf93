"""What a stepper sees: the nodes of a body at one time, how they have come there, and what acts on them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from meshlearn.ops import Adjacency, radius_neighbors
from meshlearn.train.sample import Sample


@dataclass(frozen=True)
class Window(Sample):
    """The nodes of one body, or of several (`collate`). Velocities are displacements per frame.

    window         (n_bodies, 2) int64: numbers of the trajectory and of the present frame, in training
    rest           (n, dim) places at rest
    places         (n, dim) present places, from the centre of the body, so that float32 is enough wherever it is
    velocities     (n, h * dim) the last h displacements, the newest last
    driven         (n, k * dim) the next k displacements of nodes that are forced; 0 for others
    free           (n, 1) 1 for nodes that move by themselves, 0 for those that are forced
    share          (n, 1) share of the body that each node stands for; they add up to 1 over a body
    kinds          (n,) int64 numbers of the kinds of particles, from 0
    point_inputs   (n, p), global_inputs (n_bodies, g): constants of nodes and of bodies
    gravity        (n_bodies, dim) displacement per frame squared
    box            (n_bodies, 2 * dim) lower and upper corner from the centre of the body; (n_bodies, 0) without walls
    radius         (n_bodies, 1) of the graph
    adjacency      graph of the nodes: at rest for solids, at present for fluids
    """

    window: Int64[Tensor, "n_bodies 2"] = field(kw_only=True)
    rest: Float[Tensor, "n dim"] = field(kw_only=True)
    places: Float[Tensor, "n dim"] = field(kw_only=True)
    velocities: Float[Tensor, "n history"] = field(kw_only=True)
    driven: Float[Tensor, "n ahead"] = field(kw_only=True)
    free: Float[Tensor, "n 1"] = field(kw_only=True)
    share: Float[Tensor, "n 1"] = field(kw_only=True)
    kinds: Int64[Tensor, " n"] = field(kw_only=True)
    point_inputs: Float[Tensor, "n p"] = field(kw_only=True)
    global_inputs: Float[Tensor, "n_bodies g"] = field(kw_only=True)
    gravity: Float[Tensor, "n_bodies dim"] = field(kw_only=True)
    box: Float[Tensor, "n_bodies sides"] = field(kw_only=True)
    radius: Float[Tensor, "n_bodies 1"] = field(kw_only=True)
    adjacency: Adjacency = field(kw_only=True)

    features: ClassVar[tuple[str, ...]] = ("point_inputs", "global_inputs")

    @property
    def cost(self) -> tuple[int, int]:
        """(nodes, edges) that count against the budgets of a batch."""
        return len(self.places), self.adjacency.n_edges

    def rows(self, location: str) -> int:
        """Nodes, or bodies."""
        return len(self.places) if location == "point" else super().rows(location)

    @property
    def last_velocity(self) -> Float[Tensor, "n dim"]:
        """The displacement that led to the present."""
        return self.velocities[:, -self.places.shape[1] :]

    def moved(self, displacement: Float[Tensor, "n dim"]) -> Window:
        """The next frame: places and velocities after a displacement, the graph as it was."""
        dim = self.places.shape[1]
        velocities = torch.cat([self.velocities[:, dim:], displacement], dim=1)
        driven = torch.cat([self.driven[:, dim:], torch.zeros_like(displacement)], dim=1)
        return self.replace(places=self.places + displacement, velocities=velocities, driven=driven)

    def reconnected(self) -> Window:
        """With the graph of the present places."""
        counts = self.counts["point"].tolist()
        parts = self.places.detach().split(counts)
        graphs = [
            radius_neighbors(part, part, float(radius), exclude_self=True)
            for part, radius in zip(parts, self.radius[:, 0].tolist(), strict=True)
        ]
        return self.replace(adjacency=graphs[0] if len(graphs) == 1 else Adjacency.block_diagonal(graphs))
