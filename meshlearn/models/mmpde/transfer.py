"""Learned interpolation from one set of points to another that keeps constants, whatever it has learned.

Weights are those of linear interpolation in the cells plus a correction over the nearest points whose weights add up to
zero at every target: w_ij = b_ij + d_ij - mean_j d_ij. Rows thus add up to one, before and after training (a partition
of unity), while single weights may be negative, as those of higher orders are. The network that gives d sees where the
neighbours are, in units of their mean distance, so that it does not depend on the size or the number of points; it
starts as linear interpolation.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from meshlearn import ops
from meshlearn.mesh.interpolation import interpolation_operator
from meshlearn.mesh.location import PointLocator
from meshlearn.mesh.mesh import Mesh
from meshlearn.ops import Adjacency, SparseOperator


@dataclass(frozen=True)
class Transfer:
    """Where the points of a mesh lie in another one.

    cells    row i holds the points of the source cell that target i is in; shares their linear weights
    near     row i holds the source points nearest to target i
    offsets  (n_edges of near, dim + 1) from the target to them, and the distance, over their mean distance
    """

    cells: Adjacency
    shares: Float[Tensor, " n_shares"]
    near: Adjacency
    offsets: Float[Tensor, "n_edges k"]


def make_transfer(source: Mesh | PointLocator, points: Float[Tensor, "n dim"], neighbors: int) -> Transfer:
    """From the mesh `source` to points in it; those outside (at curved boundaries) take its closest point."""
    mesh = source.mesh if isinstance(source, PointLocator) else source
    operator, _ = interpolation_operator(source, points)
    senders = mesh.points.detach()
    distance, index = ops.knn(senders, points, min(neighbors, mesh.n_points))
    n, k = index.shape
    ptr = torch.arange(n + 1, device=points.device) * k
    near = Adjacency(ptr, index.reshape(-1), mesh.n_points)
    offset = ops.gather(senders, index.reshape(-1)) - points.repeat_interleave(k, 0)
    unit = distance.mean(1).clamp_min(torch.finfo(points.dtype).tiny).repeat_interleave(k).to(points.dtype)
    offset = offset / unit[:, None]
    for adjacency in (operator.adjacency, near):
        adjacency.transpose()  # made once here, and kept by every batch made of this sample
    features = torch.cat([offset, offset.norm(dim=1, keepdim=True)], dim=1)
    return Transfer(operator.adjacency, operator.values.to(points.dtype), near, features)


class LearnedTransfer(nn.Module):
    """(n_source, f) -> (n_target, f); see the module docstring."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(dim + 1, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU())
        self.among = nn.Linear(hidden, hidden, bias=False)
        self.weigh = nn.Linear(hidden, 1, bias=False)
        nn.init.zeros_(self.weigh.weight)

    def corrections(self, where: Transfer) -> Float[Tensor, " n_edges"]:
        """The weights beside those of linear interpolation: their sum is zero for every target."""
        each = self.embed(where.offsets)
        pooled = ops.segment_mean(each, where.near)
        both = nn.functional.silu(each + ops.gather_receivers(self.among(pooled), where.near))
        raw = self.weigh(both)
        return (raw - ops.gather_receivers(ops.segment_mean(raw, where.near), where.near))[:, 0]

    def forward(self, x: Float[Tensor, "n_source f"], where: Transfer) -> Float[Tensor, "n_target f"]:
        """Interpolated values."""
        linear = SparseOperator.from_adjacency(where.cells, where.shares.to(x.dtype)) @ x
        return linear + SparseOperator.from_adjacency(where.near, self.corrections(where)) @ x
