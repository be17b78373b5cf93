"""The stepper: from the nodes of bodies, at one time, to the accelerations of the frame ahead."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from meshlearn import ops
from meshlearn.models.giorom.latent_grid import LatentGrid
from meshlearn.models.giorom.sample import Window
from meshlearn.nn import MLP, Interaction

KIND_WIDTH = 8
SMALLEST = 1e-9  # of other scales: what is smaller is rounding


@dataclass(frozen=True)
class Scales:
    """Sizes of what a stepper sees and gives, root mean squares over the training windows; all alike in all directions.

    length        of edges at rest (fluids: at present)
    velocity      displacement per frame
    acceleration  change of it per frame, without gravity
    shift         change of the offset along an edge since the rest
    stretch       relative change of its length
    extent        largest distance along an axis from the centre of a body
    reach         radius of the graph, from which on walls are felt
    """

    length: float
    velocity: float
    acceleration: float
    shift: float
    stretch: float
    extent: float
    reach: float

    def to_json(self) -> dict[str, float]:
        """A dictionary that `json` can write."""
        return asdict(self)


class Stepper(nn.Module):
    """Window -> (n, dim) acceleration over `scales.acceleration`, without gravity.

    Encode, pass messages, couple all nodes by the latent grid, pass messages, decode. Edges of solids carry offsets at
    rest and at present, whose difference is strain; those of fluids offsets at present. No place enters but relative to
    others and to walls, so that moving the scene changes nothing.
    """

    def __init__(
        self,
        dim: int,
        solid: bool,
        history: int,
        sizes: dict[str, int],
        kinds: int,
        walls: bool,
        scales: Scales,
        hidden: int,
        layers: int,
        grid: int,
        options: dict[str, Any],
    ) -> None:
        super().__init__()
        self.solid, self.walls, self.scales = solid, walls, scales
        inputs = history * dim + dim + 1 + 2 * dim * walls + sizes["point_inputs"] + sizes["global_inputs"]
        self.kinds = nn.Embedding(kinds, KIND_WIDTH) if kinds > 1 else None
        inputs += KIND_WIDTH * (kinds > 1)
        self.encode_points = MLP(inputs, hidden, **options)
        self.encode_edges = MLP(3 * dim + 3 if solid else dim + 1, hidden, **options)
        before = layers // 2 if grid else 0
        options = {**options, "aggregation": "mean"}
        self.first = nn.ModuleList(Interaction(hidden, **options) for _ in range(before))
        self.grid = LatentGrid(hidden, dim, grid, scales.extent) if grid else None
        count = layers - before
        self.second = nn.ModuleList(Interaction(hidden, update_edges=i < count - 1, **options) for i in range(count))
        self.decode = MLP(hidden, dim, hidden, layers=1, norm=False)

    def coefficients(self, batch: Window) -> None:
        """Nothing here: what frames of the same bodies and nodes share, of steppers that have such."""

    def forward(self, batch: Window, coefficients: None = None) -> Float[Tensor, "n dim"]:
        """The scaled acceleration of every node."""
        x, e = self.encode_points(self._points(batch)), self.encode_edges(self._edges(batch))
        for step in self.first:
            x, e = step(x, e, batch.adjacency)
        if self.grid is not None:
            x = self.grid(x, batch)
        for step in self.second:
            x, e = step(x, e, batch.adjacency)
        return self.decode(x)

    def _points(self, batch: Window) -> Tensor:
        dim, bodies = batch.places.shape[1], batch.mesh_index("point")
        columns = [batch.velocities / self.scales.velocity, batch.driven[:, :dim] / self.scales.velocity, batch.free]
        if self.walls:
            columns.append(wall_distances(batch, self.scales.reach))
        if self.kinds is not None:
            columns.append(self.kinds(batch.kinds))
        columns += [batch.point_inputs, ops.gather(batch.global_inputs, bodies)]
        return torch.cat(columns, 1)

    def _edges(self, batch: Window) -> Tensor:
        graph, scales = batch.adjacency, self.scales
        now = offsets(batch.places, graph)
        length = now.norm(dim=1, keepdim=True)
        if not self.solid:
            return torch.cat([now, length], 1) / scales.length
        rest = offsets(batch.rest, graph)
        before = rest.norm(dim=1, keepdim=True)
        stretch = (length - before) / before.clamp(min=SMALLEST * scales.length)
        sizes = torch.cat([rest, before, now, length], 1) / scales.length
        return torch.cat([sizes, (now - rest) / scales.shift, stretch / scales.stretch], 1)


def wall_distances(batch: Window, reach: float) -> Float[Tensor, "n sides"]:
    """From the lower and the upper walls, in units of a reach, from which on walls are felt."""
    dim, box = batch.places.shape[1], ops.gather(batch.box, batch.mesh_index("point"))
    distance = torch.cat([batch.places - box[:, :dim], box[:, dim:] - batch.places], 1)
    return (distance / reach).clamp(-1, 1)


def offsets(places: Float[Tensor, "n dim"], graph: ops.Adjacency) -> Float[Tensor, "n_edges dim"]:
    """From receivers to senders."""
    return ops.gather_senders(places, graph) - ops.gather_receivers(places, graph)
