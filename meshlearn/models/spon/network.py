"""The processor: message passing on the graph of dofs, from the dofs of the inputs to those of the outputs."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from meshlearn.models.spon.mixing import PartitionMixing
from meshlearn.models.spon.sample import DofSample
from meshlearn.nn.interaction import Interaction
from meshlearn.nn.mlp import MLP


class DofEncoder(nn.Module):
    """Latents of the output dofs: their own features, and messages from input dofs of other spaces that share a cell.

    sizes  widths of the features by name, as the estimator's normalisers know them
    """

    def __init__(self, sizes: dict[str, int], width: int) -> None:
        super().__init__()
        self.dofs = MLP(sizes["dof_inputs"], width)
        names = [name.removeprefix("values_") for name in sizes if name.startswith("values_")]
        self.values = nn.ModuleDict({name: MLP(sizes[f"values_{name}"], width) for name in names})
        self.edges = nn.ModuleDict({name: MLP(sizes[f"edges_{name}"], width) for name in names})
        self.messages = nn.ModuleDict(
            {name: Interaction(width, aggregation="mean", update_edges=False) for name in names}
        )

    def forward(self, batch: DofSample) -> Tensor:
        """(n, width) latents."""
        x = self.dofs(batch.dof_inputs)
        for name, message in self.messages.items():
            other = batch.others[name]
            e = self.edges[name](other.edge_features)
            x, _ = message(x, e, other.edges, senders=self.values[name](other.values))
        return x


class Steps(nn.Module):
    """Message-passing steps on one graph, each followed by an exchange over the whole mesh where `parts` > 0."""

    def __init__(self, edge_width: int, width: int, steps: int, parts: int = 0) -> None:
        super().__init__()
        self.encode_edges = MLP(edge_width, width)
        self.steps = nn.ModuleList(
            Interaction(width, aggregation="mean", update_edges=k < steps - 1) for k in range(steps)
        )
        self.mixing = nn.ModuleList(PartitionMixing(width, parts) for _ in range(steps if parts else 0))

    def forward(self, x: Tensor, graph: Any, share: Tensor | None = None, sizes: list[int] | None = None) -> Tensor:
        """Latents after the steps; `graph` has `edges` and `edge_features`."""
        e = self.encode_edges(graph.edge_features)
        for k, step in enumerate(self.steps):
            x, e = step(x, e, graph.edges)
            if len(self.mixing):
                x = self.mixing[k](x, share, sizes)
        return x


class DofDecoder(nn.Module):
    """From latents to normalised outputs at every location."""

    def __init__(self, width: int, outputs: dict[str, int]) -> None:
        super().__init__()
        self.heads = nn.ModuleDict({name: MLP(width, size, width=width, norm=False) for name, size in outputs.items()})

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """{location: (n, width)}."""
        return {name: head(x) for name, head in self.heads.items()}


class DofNetwork(nn.Module):
    """DofSample -> {location: (n, width)}: encoder, steps on the dof graph, decoder."""

    def __init__(self, sizes: dict[str, int], outputs: dict[str, int], hidden: int, steps: int, parts: int) -> None:
        super().__init__()
        self.encode = DofEncoder(sizes, hidden)
        self.steps = Steps(sizes["edge_features"], hidden, steps, parts)
        self.decode = DofDecoder(hidden, outputs)
        self.parts = parts

    def forward(self, batch: DofSample) -> dict[str, Tensor]:
        """Normalised outputs."""
        sizes = batch.counts["point"].tolist() if self.parts else None
        return self.decode(self.steps(self.encode(batch), batch, batch.share, sizes))
