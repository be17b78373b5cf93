"""Multigrid cycles of learned smoothers on the dofs of a finite-element space, with exact transfers between levels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from meshlearn import ops
from meshlearn.models.spon.network import DofDecoder, DofEncoder
from meshlearn.models.spon.sample import DofSample
from meshlearn.nn.mlp import MLP


class EdgeKernel(nn.Module):
    """(A u)_i = B u_i + sum over edges j -> i of k(e_ij) * (V u_j), * channel by channel.

    k is an affine map of the edge features (positions, entries of the mass and the stiffness matrix) and of what a
    small network, shared by all kernels of a level, makes of them. With k one of these entries it is that matrix.
    """

    def __init__(self, edge_width: int, hidden: int) -> None:
        super().__init__()
        self.own = nn.Linear(hidden, hidden, bias=False)
        self.others = nn.Linear(hidden, hidden, bias=False)
        self.kernel = nn.Linear(edge_width, hidden)

    def forward(self, u: Tensor, graph: Any, features: Tensor) -> Tensor:
        """(n, hidden), edge features (n_edges, edge_width) -> (n, hidden)."""
        messages = ops.gather_senders(self.others(u), graph.edges) * self.kernel(features)
        return self.own(u) + ops.segment_sum(messages, graph.edges)


class EdgeSmoothing(nn.Module):
    """u <- u + S (f - A u); the first of all, which has no u yet: u <- S f."""

    def __init__(self, edge_width: int, hidden: int, first: bool = False) -> None:
        super().__init__()
        self.smoother = EdgeKernel(edge_width, hidden)
        self.operator = None if first else EdgeKernel(edge_width, hidden)

    def forward(self, f: Tensor, u: Tensor | None, graph: Any, features: Tensor) -> Tensor:
        """(n, hidden) all."""
        if self.operator is None or u is None:
            return self.smoother(f, graph, features)
        return u + self.smoother(f - self.operator(u, graph, features), graph, features)


class EdgeCycle(nn.Module):
    """A linear map f -> u, one V-cycle; between levels values go by the restriction and the prolongation of the spaces,
    and channels by learned maps.

    edge_widths     features of the edges of every level, from fine to coarse
    steps           smoothings of every level but the coarsest on the way down, and as many on the way up
    coarse_steps    of the coarsest
    residual        restrict f - A u instead of f
    """

    def __init__(
        self, edge_widths: list[int], hidden: int, steps: int, coarse_steps: int, residual: bool = False
    ) -> None:
        super().__init__()
        finer = edge_widths[:-1]
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for level, width in enumerate(edge_widths):
            count = steps if level < len(finer) else coarse_steps
            own = [EdgeSmoothing(width, hidden, first=level == k == 0) for k in range(count)]
            self.down.append(nn.ModuleList(own))
        for width in finer:
            self.up.append(nn.ModuleList(EdgeSmoothing(width, hidden) for _ in range(steps)))
        maps = (nn.ModuleList(nn.Linear(hidden, hidden, bias=False) for _ in finer) for _ in range(3))
        self.restrict_f, self.restrict_u, self.prolong = maps
        self.operators = nn.ModuleList(EdgeKernel(width, hidden) for width in (finer if residual else ()))

    def forward(self, f: Tensor, graphs: list[Any], features: list[Tensor]) -> Tensor:
        """(n, hidden) on the finest level -> the same; the graphs of all levels and the features of their edges."""
        u: Any = None
        seen: list[tuple[Tensor, Tensor]] = []
        for level, (graph, known) in enumerate(zip(graphs, features, strict=True)):
            if level:
                above = level - 1
                rest = f - self.operators[above](u, graphs[above], features[above]) if len(self.operators) else f
                f = self.restrict_f[above](ops.neighbor_sum(rest, graph.down, graph.down_values))
                u = self.restrict_u[above](ops.neighbor_sum(u, graph.down, graph.down_values))
            for smoothing in self.down[level]:  # type: ignore[attr-defined]
                u = smoothing(f, u, graph, known)
            seen.append((f, u))
        for level in range(len(graphs) - 2, -1, -1):
            f, own = seen[level]
            coarse = graphs[level + 1]
            u = own + self.prolong[level](ops.neighbor_sum(u, coarse.up, coarse.up_values))
            for smoothing in self.up[level]:  # type: ignore[attr-defined]
                u = smoothing(f, u, graphs[level], features[level])
        return u


class CycleNetwork(nn.Module):
    """DofSample -> {location: (n, width)}: u <- act(W u + B u) layer by layer, W an `EdgeCycle`, B a map of channels.

    sizes    widths of the features by name; outputs  widths by location
    hidden   channels
    layers   cycles, one after the other
    steps, coarse_steps, levels, residual  of the cycles
    """

    def __init__(
        self,
        sizes: dict[str, int],
        outputs: dict[str, int],
        hidden: int,
        layers: int,
        steps: int,
        coarse_steps: int,
        levels: int,
        residual: bool,
    ) -> None:
        super().__init__()
        edges = [sizes["edge_features"], *(sizes[f"edges_{k}"] for k in range(1, levels))]
        both = [width + hidden for width in edges]
        self.encode = DofEncoder(sizes, hidden)
        self.edges = nn.ModuleList(MLP(width, hidden, norm=False) for width in edges)
        self.cycles = nn.ModuleList(EdgeCycle(both, hidden, steps, coarse_steps, residual) for _ in range(layers))
        self.pointwise = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(layers))
        self.decode = DofDecoder(hidden, outputs)

    def forward(self, batch: DofSample) -> dict[str, Tensor]:
        """Normalised outputs."""
        graphs: list[Any] = [batch, *batch.coarse]
        features = [
            torch.cat([graph.edge_features, encode(graph.edge_features)], dim=1)
            for graph, encode in zip(graphs, self.edges, strict=True)
        ]
        u = self.encode(batch)
        for cycle, pointwise in zip(self.cycles, self.pointwise, strict=True):
            u = functional.gelu(cycle(u, graphs, features) + pointwise(u))
        return self.decode(u)
