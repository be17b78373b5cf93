"""U-Net with residual blocks, in the form in which it does best on partial differential equations.

J. Gupta, J. Brandstetter 2022, "Towards multi-spatiotemporal-scale generalized PDE modeling", arXiv:2209.15616: two
pre-norm blocks a level going down, three going up, every output on the way down (also those of halvings) concatenated
on the way up. Their largest one has hidden=64, multipliers=(1, 2, 2, 4). Departures: 1-D and 3-D, and padding by
boundary condition instead of zeros.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from meshlearn.errors import ParameterError
from meshlearn.grids.arguments import check_whole
from meshlearn.grids.cores.padding import Convolution, Doubling, crop, to_multiple

_GROUPS = 8


class ResidualBlock(nn.Module):
    """x -> s(x) + c(a(n(c(a(n(x)))))), n a normalisation over all channels, a GELU, c convolutions, s a shortcut."""

    def __init__(self, n_in: int, n_out: int, periodic: Sequence[bool]) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.GroupNorm(1, n_in), nn.GELU(), Convolution(n_in, n_out, periodic))
        self.second = nn.Sequential(nn.GroupNorm(1, n_out), nn.GELU(), Convolution(n_out, n_out, periodic))
        self.shortcut = nn.Identity() if n_in == n_out else Convolution(n_in, n_out, periodic, size=1)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, n_in, *shape) -> (batch, n_out, *shape)."""
        return self.shortcut(x) + self.second(self.first(x))


class UNetCore(nn.Module):
    """U-Net on grids (batch, n_in, *shape) -> (batch, n_out, *shape).

    hidden       channels of the finest level
    multipliers  of the channels from level to level; the grid is halved once less than there are
    blocks       residual blocks on every level going down; one more going up

    Axes that are not periodic may have any number of nodes; periodic ones a multiple of 2^(levels - 1). A trained
    model works on the resolution it was trained on.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        periodic: Sequence[bool],
        hidden: Any = 32,
        multipliers: Any = (1, 2, 2),
        blocks: Any = 2,
    ) -> None:
        super().__init__()
        hidden, blocks = check_whole("hidden", hidden, 1), check_whole("blocks", blocks, 1)
        if not isinstance(multipliers, (list, tuple)) or not multipliers:
            raise ParameterError(
                f"multipliers={multipliers!r}: a list of whole numbers is expected, such as [1, 2, 2]."
            )
        multipliers = [check_whole("multipliers", multiplier, 1) for multiplier in multipliers]
        self.periodic, self.factor = tuple(periodic), 2 ** (len(multipliers) - 1)
        self.lift = Convolution(n_in, hidden, periodic)
        width, widths = hidden, [hidden]
        self.down = nn.ModuleList()
        for level, multiplier in enumerate(multipliers):
            for number in range(blocks):
                wider = width * multiplier if number == 0 else width
                self.down.append(ResidualBlock(width, wider, periodic))
                width = wider
                widths.append(width)
            if level < len(multipliers) - 1:
                self.down.append(Convolution(width, width, periodic, stride=2))
                widths.append(width)
        self.middle = nn.Sequential(ResidualBlock(width, width, periodic), ResidualBlock(width, width, periodic))
        self.up = nn.ModuleList()
        for level, multiplier in reversed(list(enumerate(multipliers))):
            for number in range(blocks + 1):
                narrower = width if number < blocks else width // multiplier
                self.up.append(ResidualBlock(width + widths.pop(), narrower, periodic))
                width = narrower
            if level > 0:
                self.up.append(Doubling(width, width, periodic))
        groups = _GROUPS if width % _GROUPS == 0 else 1
        self.project = nn.Sequential(nn.GroupNorm(groups, width), nn.GELU(), Convolution(width, n_out, periodic))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, n_in, *shape) -> (batch, n_out, *shape)."""
        shape = x.shape[2:]
        x = self.lift(to_multiple(x, self.factor, self.periodic, "unet"))
        skips = [x]
        for part in self.down:
            x = part(x)
            skips.append(x)
        x = self.middle(x)
        for part in self.up:
            x = part(x) if isinstance(part, Doubling) else part(torch.cat([x, skips.pop()], dim=1))
        return crop(self.project(x), shape)
