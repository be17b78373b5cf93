"""Channels that a learned kernel makes on a grid of the fields around its nodes.

The graph kernel layer of neural operators (Z. Li et al. 2020, "Neural operator: graph kernel network for partial
differential equations", arXiv:2003.03485; as the way to a grid in Z. Li et al. 2023, "Geometry-informed neural
operator", arXiv:2309.00583), written as a quotient of integrals:

    c(x) = sum_j w_j k(|x - y_j| / r) phi((y_j - x) / r, f_j) / sum_j w_j k(|x - y_j| / r)

w_j is the measure that value j stands for and k the kernel of `regression`, which goes to 0 smoothly at the radius r: a
finer or graded mesh of the same fields gives the same channels up to second order. No node is without neighbours, since
r grows, node by node, until there are enough.
"""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from meshlearn import ops
from meshlearn.grids.transfer import GridTransfer
from meshlearn.ops import Adjacency

HIDDEN = 32


@dataclass(frozen=True)
class Surroundings:
    """The values of a mesh at one location, and what lies around the nodes of its grid.

    values   (n, f) input fields
    edges    row i holds the values around node i
    shares   (n_edges,) w_j k over their sum
    offsets  (n_edges, dim) from the node to the value, in units of the radius
    """

    values: Float[Tensor, "n f"]
    edges: Adjacency
    shares: Float[Tensor, " n_edges"]
    offsets: Float[Tensor, "n_edges dim"]


def surroundings(pair: GridTransfer, values: Float[Tensor, "n f"]) -> Surroundings:
    """What lies around the nodes of one grid; floats in the dtype of the values."""
    around = pair.around
    edges = around.shares.adjacency
    edges.transpose()  # built once here, and kept by every batch made of it
    offsets = around.offsets / around.reach[:, None]
    return Surroundings(values, edges, around.shares.values.to(values), offsets.to(values))


class KernelEncoder(nn.Module):
    """phi, an MLP with one hidden layer; (n, f) values -> (n_nodes, width) channels."""

    def __init__(self, n_in: int, dim: int, width: int) -> None:
        super().__init__()
        self.values = nn.Linear(n_in, HIDDEN)  # applied to the values before they are gathered: once for each
        self.offsets = nn.Linear(dim, HIDDEN, bias=False)
        self.out = nn.Linear(HIDDEN, width)

    def forward(self, around: Surroundings) -> Tensor:
        """(n_nodes, width)."""
        own = ops.gather_senders(self.values(around.values), around.edges)
        hidden = functional.gelu(own + self.offsets(around.offsets))
        return self.out(ops.segment_sum(hidden * around.shares[:, None], around.edges))
