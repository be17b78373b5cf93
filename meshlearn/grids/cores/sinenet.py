"""SineNet: several small U-Nets one after the other, so that features move a little in each.

X. Zhang, J. Helwig, Y. Lin, Y. Xie, C. Fu, S. Wojtowytsch, S. Ji 2024, "SineNet: learning temporal dynamics in
time-dependent partial differential equations", arXiv:2403.19507: every wave is a U-Net added to its own input; below
the first halving, blocks see a pooled copy of that input as well. Theirs has hidden=64, waves=8, growth=1.425,
levels=4. Departures: 1-D and 3-D (there, values are doubled linearly instead of bicubically), padding by boundary
condition.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from meshlearn.grids.arguments import check_share, check_whole
from meshlearn.grids.cores.padding import POOLINGS, Convolution, crop, doubled, to_multiple


class WaveBlock(nn.Module):
    """shortcut(y) + c(c(x)), c a convolution, a normalisation over all channels and a GELU; y some channels of x."""

    def __init__(self, n_in: int, n_out: int, n_shortcut: int, periodic: Sequence[bool]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width in (n_in, n_out):
            layers += [Convolution(width, n_out, periodic), nn.GroupNorm(1, n_out), nn.GELU()]
        self.layers = nn.Sequential(*layers)
        self.shortcut = Convolution(n_shortcut, n_out, periodic, size=1)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """(batch, n_in, *shape), (batch, n_shortcut, *shape) -> (batch, n_out, *shape)."""
        return self.shortcut(y) + self.layers(x)


class Wave(nn.Module):
    """x + u(x), u a U-Net with these widths from level to level."""

    def __init__(self, widths: Sequence[int], periodic: Sequence[bool]) -> None:
        super().__init__()
        self.periodic = tuple(periodic)
        self.pool = POOLINGS[len(self.periodic)](2)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for level, (wide, wider) in enumerate(itertools.pairwise(widths)):
            self.down.append(WaveBlock(wide + (widths[0] if level else 0), wider, wide, periodic))
            self.up.insert(0, WaveBlock(wider + wide, wide, wider, periodic))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width, *shape) -> the same."""
        start, skips, now = x, [], x
        for level, block in enumerate(self.down):
            skips.append(now)
            now, start = self.pool(now), self.pool(start)
            now = block(torch.cat([now, start], dim=1) if level else now, now)
        for block in self.up:
            now = doubled(now, self.periodic, cubic=True)
            now = block(torch.cat([now, skips.pop()], dim=1), now)
        return x + now


class SineNetCore(nn.Module):
    """SineNet on grids (batch, n_in, *shape) -> (batch, n_out, *shape).

    hidden  channels of the finest level
    waves   number of U-Nets
    growth  of the channels from level to level
    levels  halvings in each wave

    Axes that are not periodic may have any number of nodes; periodic ones a multiple of 2^levels.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        periodic: Sequence[bool],
        hidden: Any = 24,
        waves: Any = 4,
        growth: Any = 1.5,
        levels: Any = 3,
    ) -> None:
        super().__init__()
        hidden, waves, levels = (
            check_whole(name, value, 1) for name, value in (("hidden", hidden), ("waves", waves), ("levels", levels))
        )
        growth = check_share("growth", growth, 1.0, 4.0)
        self.periodic, self.factor = tuple(periodic), 2**levels
        widths = [int(hidden * growth**level) for level in range(levels + 1)]
        self.lift = Convolution(n_in, hidden, periodic)
        self.waves = nn.Sequential(*(Wave(widths, periodic) for _ in range(waves)))
        self.project = Convolution(hidden, n_out, periodic)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, n_in, *shape) -> (batch, n_out, *shape)."""
        larger = to_multiple(x, self.factor, self.periodic, "sinenet")
        return crop(self.project(self.waves(self.lift(larger))), x.shape[2:])
