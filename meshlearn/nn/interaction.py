"""Message passing with edge latents: the processor step of graph networks."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from meshlearn.errors import ParameterError
from meshlearn.nn.mlp import MLP, Picked
from meshlearn.ops import Adjacency

AGGREGATIONS = ("sum", "mean")


class Interaction(nn.Module):
    """m_e = phi(e, x_r, x_s);  e <- e + m_e;  x_r <- x_r + psi(x_r, sum over the edges e of row r of m_e [, c_r]).

    s and r are the sender and the receiver of the edge, phi and psi MLPs with LayerNorm (Battaglia et al. 2018,
    arXiv:1806.01261, eq. 1; as residual updates in Pfaff et al. 2021). With aggregation "mean" the sum is divided by
    the number of edges of the row; a row without edges gets 0.

    width         of all latents
    layers        hidden layers of both MLPs
    conditioning  width of a further input c of psi (for example a context shared by all points of a mesh); 0 without
    update_edges  False for a step after which the edge latents are not used: they are not computed
    fused, recompute  see `MLP`

    forward(x, e, adjacency, condition=None, senders=None) -> (x, e)
      x          (n_rows, width) latents of the receivers
      e          (n_edges, width) latents of the edges, in the order of the adjacency
      condition  (n_rows, conditioning) tensor, or Picked from a coarser table
      senders    (n_cols, width) latents of the senders where they are other points than the receivers
    """

    def __init__(
        self,
        width: int,
        layers: int = 1,
        activation: str = "silu",
        aggregation: str = "sum",
        conditioning: int = 0,
        update_edges: bool = True,
        fused: bool = True,
        recompute: bool | None = None,
    ) -> None:
        super().__init__()
        if aggregation not in AGGREGATIONS:
            raise ParameterError(f"aggregation={aggregation!r} is not known; choose one of {list(AGGREGATIONS)}.")
        self.aggregation, self.update_edges = aggregation, update_edges
        options = {"layers": layers, "activation": activation, "fused": fused, "recompute": recompute}
        self.edge_mlp = MLP([width] * 3, width, **options)  # type: ignore[arg-type]
        self.point_mlp = MLP([width, width, *[conditioning] * (conditioning > 0)], width, **options)  # type: ignore[arg-type]

    def forward(
        self,
        x: Float[Tensor, "n_rows width"],
        e: Float[Tensor, "n_edges width"],
        adjacency: Adjacency,
        condition: Tensor | Picked | None = None,
        senders: Float[Tensor, "n_cols width"] | None = None,
    ) -> tuple[Float[Tensor, "n_rows width"], Float[Tensor, "n_edges width"]]:
        """One step: new latents of the points and of the edges."""
        ends = Picked(x, adjacency, "receivers"), Picked(x if senders is None else senders, adjacency, "senders")
        new, total = self.edge_mlp.evaluate((e, *ends), residual=True, sum_over=adjacency, keep=self.update_edges)
        assert total is not None
        if self.aggregation == "mean":
            total = total / adjacency.degree().clamp(min=1).to(total.dtype)[:, None]
        extra = () if condition is None else (condition,)
        return self.point_mlp.residual(x, total, *extra), e if new is None else new

    def extra_repr(self) -> str:
        return f"aggregation={self.aggregation!r}, update_edges={self.update_edges}"
