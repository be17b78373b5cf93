"""Two branches: a graph network on the mesh at rest and one on the moved mesh, joined by learned interpolation."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from meshlearn import ops
from meshlearn.models.mmpde.sample import MovingSample
from meshlearn.models.mmpde.transfer import LearnedTransfer


class ResidualCut(nn.Module):
    """A small correction from each point and the mean of its neighbours; it starts as zero.

    What the paper's solver adds beside both branches: it can take over what interpolation cuts off.
    """

    def __init__(self, inputs: int, outputs: int, hidden: int) -> None:
        super().__init__()
        self.own, self.near = nn.Linear(inputs, hidden), nn.Linear(inputs, hidden, bias=False)
        self.out = nn.Linear(hidden, outputs)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor, batch: MovingSample) -> Tensor:
        """(n_points, outputs)."""
        graph = batch.adjacency
        around = ops.segment_mean(ops.gather_senders(x, graph), graph)
        return self.out(nn.functional.silu(self.own(x) + self.near(around)))


class MovingNetwork(nn.Module):
    """y = G(u; mesh) + I' G'(I u; moved mesh) + cut(u), all in normalised units (Hu, Wang and Ma 2024, section 4).

    rest, moving  graph networks of the same kind
    fields        number of columns of the point inputs that are fields, which stay in space while the points move
    hidden        width of the networks that give the weights of the interpolations, and of the cut
    cut           whether there is one
    back          whether the outputs are those at rest. If not, "moved" is the next mesh, and all is at its points:
                  y = G(u; mesh) + G'(I u; next mesh) + cut(u)
    """

    def __init__(
        self,
        rest: nn.Module,
        moving: nn.Module,
        fields: int,
        outputs: int,
        dim: int,
        hidden: int,
        cut: bool,
        back: bool = True,
    ) -> None:
        super().__init__()
        self.rest, self.moving, self.fields = rest, moving, fields
        self.to_moved = LearnedTransfer(dim, hidden)
        self.to_rest = LearnedTransfer(dim, hidden) if back else None
        self.cut = ResidualCut(fields, outputs, hidden) if cut else None

    def forward(self, batch: MovingSample) -> dict[str, Tensor]:
        """Normalised outputs at the points."""
        fields = batch.point_inputs[:, : self.fields]
        carried = self.to_moved(fields, batch.to_moved)
        there: Any = self.moving(batch.moved(carried))["point"]
        if self.to_rest is not None:
            there = self.to_rest(there, batch.to_rest)
        total = self.rest(batch)["point"] + there
        if self.cut is not None:
            total = total + self.cut(fields, batch)
        return {"point": total}
