"""The gated stepper of solids: linear in the motion, with coefficients that are learned of the body at rest.

Accelerations of elastic bodies are nearly linear in displacements and velocities; what is not linear in a stiffness
matrix is how it depends on the shape. So a graph network sees the body at rest only, and its latents gate (multiply)
message passing that has neither activations nor norms. A gated linear unit (Y. Dauphin et al. 2017, "Language modeling
with gated convolutional networks", arXiv:1612.08083) whose gate is the geometry. What large rotations make of strain
stands in the edges' inputs: the change of an offset, and the stretch along the edge at rest and at present, the
direction of a spring's force. The gates stay as they are for all frames of a body and are computed once.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from meshlearn import ops
from meshlearn.models.giorom.network import KIND_WIDTH, SMALLEST, Scales, offsets, wall_distances
from meshlearn.models.giorom.sample import Window
from meshlearn.nn import MLP, Interaction

_GEOMETRY_LAYERS = 2


class Gates(NamedTuple):
    """What the body at rest makes of a stepper.

    points     one before, of every layer, and one after all: (n, width)
    edges      of every layer, and one of the strain: (n_edges, width)
    means      (n, width) of the gates of a layer over the edges of each node
    rest       (n_edges, dim) offsets at rest
    length     (n_edges, 1) of these
    """

    points: list[Tensor]
    edges: list[Tensor]
    means: list[Tensor]
    rest: Float[Tensor, "n_edges dim"]
    length: Float[Tensor, "n_edges 1"]


class GatedStepper(nn.Module):
    """Window -> (n, dim) acceleration over `scales.acceleration`, without gravity; arguments as of `Stepper`.

    layers  of gated message passing: as far as a wave goes in one frame, and some more. Two more see the body at rest

    Away from walls the result is linear in velocities, changes of offsets and stretches.
    """

    def __init__(
        self,
        dim: int,
        history: int,
        sizes: dict[str, int],
        kinds: int,
        walls: bool,
        scales: Scales,
        hidden: int,
        layers: int,
        options: dict[str, Any],
    ) -> None:
        super().__init__()
        self.walls, self.scales = walls, scales
        self.kinds = nn.Embedding(kinds, KIND_WIDTH) if kinds > 1 else None
        constants = 2 + KIND_WIDTH * (kinds > 1) + sizes["point_inputs"] + sizes["global_inputs"]
        self.encode_points, self.encode_edges = MLP(constants, hidden, **options), MLP(dim + 1, hidden, **options)
        options = {**options, "aggregation": "mean"}
        self.geometry = nn.ModuleList(Interaction(hidden, **options) for _ in range(_GEOMETRY_LAYERS))
        self.point_gates = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(layers + 2))
        self.edge_gates = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(layers + 1))
        moving = (history + 1) * dim
        self.state = nn.Linear(moving, hidden, bias=False)
        self.strain = nn.Linear(3 * dim, hidden, bias=False)
        self.ends = nn.ModuleList(nn.Linear(hidden, 2 * hidden, bias=False) for _ in range(layers))
        self.update = nn.ModuleList(nn.Linear(hidden, hidden, bias=False) for _ in range(layers))
        self.wall = MLP(2 * dim + moving, hidden, norm=False) if walls else None
        self.decode = nn.Linear(hidden, dim, bias=False)

    def coefficients(self, batch: Window) -> Gates:
        """The gates, which frames of the same bodies and nodes share."""
        graph, bodies = batch.adjacency, batch.mesh_index("point")
        rest = offsets(batch.rest, graph)
        length = rest.norm(dim=1, keepdim=True)
        count = ops.gather(batch.counts["point"].to(batch.share)[:, None], bodies)
        columns = [batch.free, batch.share * count, batch.point_inputs, ops.gather(batch.global_inputs, bodies)]
        if self.kinds is not None:
            columns.append(self.kinds(batch.kinds))
        x = self.encode_points(torch.cat(columns, 1))
        e = self.encode_edges(torch.cat([rest, length], 1) / self.scales.length)
        for step in self.geometry:
            x, e = step(x, e, graph)
        points, edges = [1 + gate(x) for gate in self.point_gates], [1 + gate(e) for gate in self.edge_gates]
        means = [ops.segment_mean(gate, graph) for gate in edges[1:]]
        return Gates(points, edges, means, rest, length.clamp(min=SMALLEST * self.scales.length))

    def forward(self, batch: Window, coefficients: Gates | None = None) -> Float[Tensor, "n dim"]:
        """The scaled acceleration of every node."""
        gates, graph = self.coefficients(batch) if coefficients is None else coefficients, batch.adjacency
        dim = batch.places.shape[1]
        moving = torch.cat([batch.velocities, batch.driven[:, :dim]], 1) / self.scales.velocity
        x = gates.points[0] * self.state(moving)
        if self.wall is not None:
            near = wall_distances(batch, self.scales.reach)
            closeness = (1 - near.abs()).amax(1, keepdim=True)
            x = x + closeness * self.wall(torch.cat([near, moving], 1))
        x = x + ops.segment_mean(gates.edges[0] * self.strain(self._strain(batch, gates)), graph)
        for ends, update, gate, mean, own in zip(
            self.ends, self.update, gates.edges[1:], gates.means, gates.points[1:-1], strict=True
        ):
            sent, kept = ends(x).chunk(2, 1)
            heard = ops.segment_mean(gate * ops.gather_senders(sent.contiguous(), graph), graph)
            x = x + update(own * (heard + mean * kept))
        return self.decode(gates.points[-1] * x)

    def _strain(self, batch: Window, gates: Gates) -> Float[Tensor, "n_edges strains"]:
        """Change of the offset, and the stretch along the edge at rest and at present."""
        now = offsets(batch.places, batch.adjacency)
        length = now.norm(dim=1, keepdim=True)
        stretch = (length / gates.length - 1) / self.scales.stretch
        present = now / length.clamp(min=SMALLEST * self.scales.length)
        shift = (now - gates.rest) / self.scales.shift
        return torch.cat([shift, stretch * gates.rest / gates.length, stretch * present], 1)
