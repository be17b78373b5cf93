"""LSM: a pyramid of convolutions, and on every scale an operator in a latent space of a few tokens.

H. Wu, T. Hu, H. Luo, J. Wang, M. Long 2023, "Solving high-dimensional PDEs with latent spectral models",
arXiv:2301.12664: points of a patch attend into a few latent tokens, these go through a sum of sines and cosines of
their own values, and the points read them back. Theirs has hidden=32, levels=4, heads=8, tokens=4, modes=12.

Departures: 1-D and 3-D; GroupNorm instead of BatchNorm, so that a prediction does not depend on the other meshes of a
batch; patches are a share of the grid, so that finer grids have as many; padding by boundary condition; the sine of
frequency 0, which is 0, has no weight.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from meshlearn.errors import ParameterError
from meshlearn.grids.arguments import check_whole
from meshlearn.grids.cores.padding import LARGEST, Convolution, crop, doubled, to_multiple


class SpectralBlock(nn.Module):
    """x -> x + what the tokens of its patch say; (batch, hidden, *shape) both.

    With T learned tokens t_0 of every head: t = t_0 + attention of t_0 to the points of the patch;
    t <- t + sum_m w_m^cos cos(pi m t / M) + w_m^sin sin(pi m t / M), m = 0 to M - 1, channel by channel;
    x <- x + attention of the points to t. Nothing is scaled by the width before a softmax.

    parts  patches along every axis
    """

    def __init__(self, hidden: int, dim: int, parts: int, heads: int, tokens: int, modes: int) -> None:
        super().__init__()
        self.parts, self.heads, width = parts, heads, hidden // heads
        self.tokens = nn.Parameter(torch.rand(heads, tokens, width) / hidden)
        self.cosines = nn.Parameter(torch.rand(modes, heads, width) / hidden)
        self.sines = nn.Parameter(torch.rand(modes - 1, heads, width) / hidden)
        self.into = Convolution(hidden, 2 * hidden, (False,) * dim, size=1)
        self.out_of = Convolution(hidden, hidden, (False,) * dim, size=1)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, hidden, *shape) -> the same."""
        shape = x.shape[2:]
        points = patched(x, self.parts)  # (patches, channels, points)
        keys, values = self._heads(patched(self.into(x), self.parts)).chunk(2, dim=-1)
        t = self.tokens + torch.softmax(self.tokens @ keys.transpose(2, 3), dim=-1) @ values
        t = t + self._waves(t)
        queries = self._heads(patched(self.out_of(x), self.parts))
        read = torch.softmax(queries @ t.transpose(2, 3), dim=-1) @ t  # (patches, heads, points, width)
        return unpatched(points + read.transpose(2, 3).flatten(1, 2), len(x), shape, self.parts)

    def _heads(self, points: Tensor) -> Tensor:
        """(patches, heads w, points) -> (patches, heads, points, w)."""
        return points.unflatten(1, (self.heads, -1)).transpose(2, 3)

    def _waves(self, t: Tensor) -> Tensor:
        modes = len(self.cosines)
        frequency = torch.arange(modes, device=t.device) * (math.pi / modes)
        angle = t[..., None] * frequency.to(t)
        cosines = torch.einsum("nhtcm,mhc->nhtc", angle.cos(), self.cosines)
        return cosines + torch.einsum("nhtcm,mhc->nhtc", angle[..., 1:].sin(), self.sines)


def patched(x: Tensor, parts: int) -> Tensor:
    """(batch, c, *shape) -> (batch * parts^dim, c, points of a patch); every axis is cut into `parts`."""
    dim = x.ndim - 2
    for axis in range(dim):
        place = 2 + 2 * axis
        x = x.unflatten(place, (parts, x.shape[place] // parts))
    cuts = list(range(2, 2 + 2 * dim, 2))
    return x.permute(0, *cuts, 1, *(place + 1 for place in cuts)).flatten(0, dim).flatten(2)


def unpatched(patches: Tensor, batch: int, shape: Sequence[int], parts: int) -> Tensor:
    """The inverse of `patched`."""
    dim = len(shape)
    x = patches.reshape(batch, *[parts] * dim, patches.shape[1], *(n // parts for n in shape))
    order = [place for axis in range(dim) for place in (1 + axis, 2 + dim + axis)]
    return x.permute(0, 1 + dim, *order).reshape(batch, patches.shape[1], *shape)


class Pair(nn.Sequential):
    """Two convolutions, each normalised and cut off at 0."""

    def __init__(self, n_in: int, middle: int, n_out: int, periodic: Sequence[bool]) -> None:
        layers: list[nn.Module] = []
        for a, b in ((n_in, middle), (middle, n_out)):
            layers += [Convolution(a, b, periodic, bias=False), nn.GroupNorm(1, b), nn.ReLU()]
        super().__init__(*layers)


class LatentSpectralCore(nn.Module):
    """LSM on grids (batch, n_in, *shape) -> (batch, n_out, *shape).

    hidden  channels of the finest level, a multiple of `heads`
    levels  halvings: the grid has 2^levels patches along each axis, the coarsest level is one patch
    heads   of the attention between points and tokens
    tokens  latent tokens of a patch, per head
    modes   frequencies in the latent space

    Axes that are not periodic may have any number of nodes; periodic ones a multiple of 2^levels.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        periodic: Sequence[bool],
        hidden: Any = 24,
        levels: Any = 3,
        heads: Any = 8,
        tokens: Any = 4,
        modes: Any = 12,
    ) -> None:
        super().__init__()
        hidden, levels, heads, tokens, modes = (
            check_whole(name, value, 1)
            for name, value in (
                ("hidden", hidden),
                ("levels", levels),
                ("heads", heads),
                ("tokens", tokens),
                ("modes", modes),
            )
        )
        if hidden % heads:
            raise ParameterError(f"hidden={hidden} must be a multiple of heads={heads}.")
        self.periodic, self.factor, dim = tuple(periodic), 2**levels, len(periodic)
        widths = [hidden * 2 ** min(level, levels - 1) for level in range(levels + 1)]
        self.lift = Convolution(n_in, hidden, periodic, size=1)
        self.first = Pair(hidden, hidden, hidden, periodic)
        self.pool = LARGEST[dim](2)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for level in range(levels):
            fine, coarse = widths[level], widths[level + 1]
            self.down.append(Pair(fine, coarse, coarse, periodic))
            narrow = max(fine // 2, hidden)
            self.up.append(Pair(2 * fine, fine, narrow, periodic))
        self.spectral = nn.ModuleList(
            SpectralBlock(width, dim, 2 ** (levels - level), heads, tokens, modes) for level, width in enumerate(widths)
        )
        self.project = nn.Sequential(
            Convolution(hidden, 4 * hidden, periodic, size=1),
            nn.GELU(),
            Convolution(4 * hidden, n_out, periodic, size=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(batch, n_in, *shape) -> (batch, n_out, *shape)."""
        shape = x.shape[2:]
        x = self.first(self.lift(to_multiple(x, self.factor, self.periodic, "lsm")))
        levels = [x]
        for block in self.down:
            levels.append(block(self.pool(levels[-1])))
        x = self.spectral[-1](levels[-1])
        for level in range(len(self.up) - 1, -1, -1):
            skip = self.spectral[level](levels[level])
            x = self.up[level](torch.cat([skip, doubled(x, self.periodic)], dim=1))
        return crop(self.project(x), shape)
