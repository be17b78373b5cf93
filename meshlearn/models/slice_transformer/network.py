"""The network of `SliceTransformer`, and what it sees of a mesh."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from meshlearn import ops
from meshlearn.models.slice_transformer.attention import SliceBlock
from meshlearn.ops import Adjacency
from meshlearn.train.sample import Sample


@dataclass(frozen=True)
class PointSample(Sample):
    """Points with features, and no graph.

    point_inputs   (n_points, f) fields and geometry
    global_inputs  (n_meshes, g) global input fields
    point_weights  (n_points,) share of the measure of the mesh that each point stands for
    cell_points    row c holds the points of cell c; None unless outputs live on cells
    """

    point_inputs: Float[Tensor, "n_points f"] = field(kw_only=True)
    global_inputs: Float[Tensor, "n_meshes g"] = field(kw_only=True)
    point_weights: Float[Tensor, " n_points"] = field(kw_only=True)
    cell_points: Adjacency | None = field(default=None, kw_only=True)

    features: ClassVar[tuple[str, ...]] = ("point_inputs", "global_inputs")


class SliceNetwork(nn.Module):
    """Embedding, blocks, and a head per location; cells read the mean of their points, meshes that of all points."""

    def __init__(
        self, n_in: int, widths: dict[str, int], hidden: int, layers: int, heads: int, slices: int, ratio: int
    ) -> None:
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(n_in, 2 * hidden), nn.GELU(), nn.Linear(2 * hidden, hidden))
        self.blocks = nn.ModuleList(SliceBlock(hidden, heads, slices, ratio) for _ in range(layers))
        self.norm = nn.LayerNorm(hidden)
        self.heads = nn.ModuleDict({location: nn.Linear(hidden, width) for location, width in widths.items()})

    def forward(self, batch: PointSample) -> dict[str, Tensor]:
        """{location: (rows, width)}."""
        ptr, mesh = batch.ptr("point"), batch.mesh_index("point")
        inputs = [batch.point_inputs, ops.gather(batch.global_inputs, mesh).to(batch.point_inputs)]
        x = self.embed(torch.cat(inputs, dim=1))
        most = int(batch.counts["point"].max())
        slot = mesh * most + torch.arange(len(mesh), device=mesh.device) - ops.gather(ptr, mesh)
        padded = _padded(x, slot, batch.n_meshes, most)
        weights = _padded(batch.point_weights.to(x)[:, None], slot, batch.n_meshes, most)[..., 0]
        for block in self.blocks:
            padded = block(padded, weights)
        x = self.norm(padded).flatten(0, 1).index_select(0, slot)
        return {location: head(self._at(location, x, batch, ptr)) for location, head in self.heads.items()}

    def _at(self, location: str, x: Tensor, batch: PointSample, ptr: Tensor) -> Tensor:
        if location == "global":
            return ops.segment_sum(x * batch.point_weights.to(x)[:, None], ptr)
        if location == "cell":
            cells = batch.cell_points
            assert cells is not None
            return ops.segment_mean(ops.gather_senders(x, cells), cells)
        return x


def _padded(rows: Tensor, slot: Tensor, n_meshes: int, most: int) -> Tensor:
    """(n_meshes, most, c): the rows of every mesh, and zeros behind them."""
    return rows.new_zeros(n_meshes * most, rows.shape[1]).index_copy(0, slot, rows).reshape(n_meshes, most, -1)
