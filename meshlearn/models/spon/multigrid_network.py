"""The processor on a hierarchy: light message passing on the fine levels, heavy message passing on the coarsest."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from meshlearn import ops
from meshlearn.models.spon.network import DofDecoder, DofEncoder, Steps
from meshlearn.models.spon.sample import DofSample
from meshlearn.nn.mlp import MLP


class MultigridNetwork(nn.Module):
    """DofSample -> {location: (n, width)} in one V.

    Down: light steps, then latents and inputs are restricted (weighted means, no weights). On the coarsest level the
    heavy steps. Up: the coarse latents are prolonged exactly and join those of the way down (skip), light steps.
    Every level has a decoder; the output is the sum of their prolonged values.

    sizes    widths of the features by name; outputs  widths by location
    hidden, steps          of the fine levels, on each way
    coarse_hidden, coarse_steps  of the coarsest
    """

    def __init__(
        self,
        sizes: dict[str, int],
        outputs: dict[str, int],
        hidden: int,
        steps: int,
        coarse_hidden: int,
        coarse_steps: int,
        levels: int,
    ) -> None:
        super().__init__()
        widths = [hidden] * (levels - 1) + [coarse_hidden]
        edges = [sizes["edge_features"], *(sizes[f"edges_{k}"] for k in range(1, levels))]
        self.encode = DofEncoder(sizes, widths[0])
        self.down = nn.ModuleList(Steps(edges[k], widths[k], steps) for k in range(levels - 1))
        self.restrict = nn.ModuleList(
            MLP([sizes[f"dofs_{k + 1}"], widths[k]], widths[k + 1]) for k in range(levels - 1)
        )
        self.bottom = Steps(edges[-1], widths[-1], coarse_steps)
        self.join = nn.ModuleList(MLP([widths[k], widths[k + 1]], widths[k]) for k in range(levels - 1))
        self.up = nn.ModuleList(Steps(edges[k], widths[k], steps) for k in range(levels - 1))
        self.decode = nn.ModuleList(DofDecoder(width, outputs) for width in widths)

    def forward(self, batch: DofSample) -> dict[str, Tensor]:
        """Normalised outputs."""
        graphs = [batch, *batch.coarse]
        x = self.encode(batch)
        skips = []
        for k, level in enumerate(batch.coarse):
            x = self.down[k](x, graphs[k])
            skips.append(x)
            x = self.restrict[k](level.dof_inputs, ops.neighbor_sum(x, level.down, level.down_values))
        x = self.bottom(x, graphs[-1])
        total = self.decode[-1](x)
        for k in range(len(batch.coarse) - 1, -1, -1):
            level = batch.coarse[k]
            names, widths = list(total), [table.shape[1] for table in total.values()]
            lifted = ops.neighbor_sum(torch.cat([x, *total.values()], dim=1), level.up, level.up_values)
            coarse, tables = lifted[:, : x.shape[1]], lifted[:, x.shape[1] :].split(widths, 1)
            x = self.join[k].residual(skips[k], coarse.contiguous())  # type: ignore[operator]
            x = self.up[k](x, graphs[k])
            own = self.decode[k](x)
            total = {name: own[name] + table for name, table in zip(names, tables, strict=True)}
        return total
