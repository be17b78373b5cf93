"""The graph network of `meshlearn.models.meshgraphnet` in its usual form: torch_geometric.nn.MessagePassing.

Both ends and the latent of every edge are concatenated, go through the edge MLP, and are summed by scatter; the sums
are concatenated with the point latents and go through the point MLP. Parameters have the same shapes in the same order
as in `GraphNetwork(levels=1, context=False)`: `copy_weights` makes the two the same function.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing

ACTIVATIONS = {"relu": nn.ReLU, "silu": nn.SiLU, "gelu": lambda: nn.GELU(approximate="tanh")}


def mlp(n_in: int, n_out: int, width: int, layers: int, activation: str, norm: bool = True) -> nn.Sequential:
    sizes = [n_in, *[width] * layers, n_out]
    modules: list[nn.Module] = []
    for a, b in itertools.pairwise(sizes):
        modules += [nn.Linear(a, b), ACTIVATIONS[activation]()]
    modules.pop()
    return nn.Sequential(*modules, *([nn.LayerNorm(n_out)] if norm else []))


class Block(MessagePassing):
    def __init__(self, hidden: int, layers: int, activation: str):
        super().__init__(aggr="sum")
        self.edge_mlp = mlp(3 * hidden, hidden, hidden, layers, activation)
        self.point_mlp = mlp(2 * hidden, hidden, hidden, layers, activation)

    def forward(self, x: Tensor, edge_index: Tensor, e: Tensor) -> tuple[Tensor, Tensor]:
        new = self.edge_updater(edge_index, x=x, e=e)
        total = self.propagate(edge_index, new=new, size=(len(x), len(x)))
        return x + self.point_mlp(torch.cat([x, total], dim=1)), e + new

    def edge_update(self, x_i: Tensor, x_j: Tensor, e: Tensor) -> Tensor:
        return self.edge_mlp(torch.cat([e, x_i, x_j], dim=1))

    def message(self, new: Tensor) -> Tensor:
        return new


class UsualMeshGraphNet(nn.Module):
    def __init__(
        self, point_in: int, edge_in: int, out: int, hidden: int, steps: int, layers: int = 1, activation: str = "silu"
    ):
        super().__init__()
        self.encode_points = mlp(point_in, hidden, hidden, layers, activation)
        self.encode_edges = mlp(edge_in, hidden, hidden, layers, activation)
        self.blocks = nn.ModuleList(Block(hidden, layers, activation) for _ in range(steps))
        self.decode = mlp(hidden, out, hidden, layers, activation, norm=False)

    def forward(self, x: Tensor, edge_index: Tensor, e: Tensor) -> Tensor:
        x, e = self.encode_points(x), self.encode_edges(e)
        for block in self.blocks:
            x, e = block(x, edge_index, e)
        return self.decode(x)

    def copy_weights(self, other: nn.Module) -> None:
        """Take the parameters of a GraphNetwork with one level."""
        mine, theirs = list(self.parameters()), list(other.parameters())
        assert [p.shape for p in mine] == [p.shape for p in theirs], "the two networks differ"
        with torch.no_grad():
            for p, q in zip(mine, theirs, strict=True):
                p.copy_(q)
