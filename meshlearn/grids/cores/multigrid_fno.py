"""Multigrid tensorised Fourier neural operator: patches of the grid, each with a coarser and wider look around.

J. Kossaifi, N. Kovachki, K. Azizzadenesheli, A. Anandkumar 2023, "Multi-grid tensorized Fourier neural operator for
high-resolution PDEs", arXiv:2310.00120, section 3.2. Departures: the windows beyond the box are filled by boundary
condition (the published code always wraps), axes of any number, and levels=0 is the network on the whole grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from meshlearn.errors import ParameterError
from meshlearn.grids.arguments import check_whole
from meshlearn.grids.cores.fno import FourierCore
from meshlearn.grids.cores.padding import crop, to_multiple


def patches(x: Tensor, levels: int, margin: int, periodic: Sequence[bool]) -> Tensor:
    """(batch, c, *shape) -> (batch * 2^(levels dim), c (levels + 1), *window): patches with their surroundings.

    Every axis is cut into 2^levels parts; a window is a part and `margin` nodes on both sides. Channels c l to
    c (l + 1) are the window of the field with every 2^l-th node, around the same centre: as many nodes, 2^l times as
    wide. Sizes are multiples of 4^levels.

    >>> from meshlearn.grids.cores.multigrid_fno import patches
    >>> x = torch.arange(8.0).reshape(1, 1, 8)
    >>> patches(x, 1, 1, [True])[0]
    tensor([[7., 0., 1., 2., 3., 4.],
            [4., 6., 0., 2., 4., 6.]])
    """
    looks = []
    for level in range(levels + 1):
        look = x
        for axis, wraps in enumerate(periodic):
            look = _windows(look, axis, levels, level, margin, wraps)
        looks.append(look)  # (batch, c, p_1, w_1, p_2, w_2, ...)
    dim = len(periodic)
    both = torch.cat(looks, dim=1)
    order = [0, *range(2, 2 + 2 * dim, 2), 1, *range(3, 3 + 2 * dim, 2)]
    return both.permute(order).flatten(0, dim)


def stitched(x: Tensor, batch: int, levels: int, margin: int, dim: int) -> Tensor:
    """The inverse of `patches` on one channel group: (batch * parts, c, *window) -> (batch, c, *shape)."""
    inner = crop(x, [n - 2 * margin for n in x.shape[2:]], start=margin)
    parts = inner.reshape(batch, *[2**levels] * dim, *inner.shape[1:])
    order = [0, dim + 1]
    for axis in range(dim):
        order += [1 + axis, dim + 2 + axis]
    shape = [n * 2**levels for n in inner.shape[2:]]
    return parts.permute(order).reshape(batch, inner.shape[1], *shape)


def _windows(x: Tensor, axis: int, levels: int, level: int, margin: int, wraps: bool) -> Tensor:
    """One space axis of x (the last ones of which are still whole) as (parts, window)."""
    place = 2 + 2 * axis  # the axes before are two each by now
    n, parts, step = x.shape[place], 2**levels, 2**level
    part = n // parts
    width = part + 2 * margin
    centre = (torch.arange(parts, device=x.device) * part + part // 2) // step
    nodes = (centre[:, None] - width // 2 + torch.arange(width, device=x.device)).reshape(-1)
    coarse = n // step
    nodes = nodes % coarse if wraps else nodes.clamp(0, coarse - 1)
    return x.index_select(place, nodes * step).unflatten(place, (parts, width))


class MultigridFourierCore(nn.Module):
    """TFNO on patches of grids (batch, n_in, *shape) -> (batch, n_out, *shape).

    levels   the grid is cut into 2^levels parts along every axis; each sees so many coarser looks
    margin   nodes around a patch that are computed and thrown away
    options  of `FourierCore`: hidden, modes, layers, padding, rank

    Numbers of nodes along periodic axes must be multiples of 4^levels; more levels than fill up a grid to twice its
    nodes along an axis are refused.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        periodic: Sequence[bool],
        levels: Any = 1,
        margin: Any = 4,
        hidden: Any = 32,
        modes: Any = 8,
        layers: Any = 4,
        padding: Any = 0.25,
        rank: Any = 0.1,
    ) -> None:
        super().__init__()
        levels, margin = check_whole("levels", levels, 0), check_whole("margin", margin, 0)
        self.periodic, self.levels = tuple(periodic), levels
        self.margin = margin if levels else 0
        inner = self.periodic if not levels else (False,) * len(self.periodic)  # a patch is no period
        self.network = FourierCore(n_in * (levels + 1), n_out, inner, hidden, modes, layers, padding, rank)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, n_in, *shape) -> (batch, n_out, *shape)."""
        if not self.levels:
            return self.network(x)
        least = min(x.shape[2:])
        if 4**self.levels > 2 * least and self.levels > 1:
            most = max(level for level in range(1, self.levels) if level == 1 or 4**level <= 2 * least)
            raise ParameterError(
                f"levels={self.levels}: the grid of {tuple(x.shape[2:])} nodes would be filled up to multiples of "
                f"{4**self.levels} along every axis.\n  Choose levels={most} or less, or a finer grid."
            )
        larger = to_multiple(x, 4**self.levels, self.periodic, "mgtfno")
        made = self.network(patches(larger, self.levels, self.margin, self.periodic))
        return crop(stitched(made, len(x), self.levels, self.margin, len(self.periodic)), x.shape[2:])
