"""scOT, the multiscale operator transformer of Poseidon: windows of tokens on several scales, conditioned on a time.

M. Herde, B. Raonic, T. Rohner, R. Kaeppeli, R. Molinaro, E. de Bezenac, S. Mishra 2024, "Poseidon: efficient foundation
models for PDEs", arXiv:2405.19101. Patches of the grid become tokens; four stages of attention in shifted windows
(`windows.py`), patches merged between them; a mirrored decoder; blocks of depthwise convolutions on the skips, which
are added. How far ahead to predict enters through every normalisation: its scale and shift are affine functions of it.
The smallest of theirs has hidden=48, depths=(4, 4, 4, 4), heads=3, patch=4, window=16.

Departures: 1-D to 3-D, grids of any shape (theirs is for squares), padding by boundary condition and windows that wrap
along periodic axes, and normalisations that begin as plain ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from meshlearn.errors import ParameterError
from meshlearn.grids.arguments import check_whole
from meshlearn.grids.cores.padding import CONVOLUTIONS, TRANSPOSED, Convolution, crop, to_multiple
from meshlearn.grids.cores.windows import WindowAttention

_RATIO, _SIZE, _SCALE = 4, 7, 1e-6
_SPREAD = 0.02  # of the weights of the time at the start


class TimedNorm(nn.Module):
    """Normalisation over the channels; y = a(t) (x - mean) / spread + b(t), a and b affine in the time t."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale, self.shift = nn.Linear(1, width), nn.Linear(1, width)
        for layer, at_rest in ((self.scale, 1.0), (self.shift, 0.0)):
            nn.init.normal_(layer.weight, std=_SPREAD)
            nn.init.constant_(layer.bias, at_rest)
        self.norm = nn.LayerNorm(width, elementwise_affine=False)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """(batch, *shape, width), (batch, 1) -> (batch, *shape, width)."""
        scale, shift = (_spread(layer(time), x) for layer in (self.scale, self.shift))
        return self.norm(x) * scale + shift


class WindowLayer(nn.Module):
    """x + norm(attention(x)), then x + norm(mlp(x))."""

    def __init__(self, width: int, heads: int, window: int, periodic: Sequence[bool], shifted: bool) -> None:
        super().__init__()
        self.attention = WindowAttention(width, heads, window, periodic, shifted)
        self.mlp = nn.Sequential(nn.Linear(width, _RATIO * width), nn.GELU(), nn.Linear(_RATIO * width, width))
        self.norms = nn.ModuleList(TimedNorm(width) for _ in range(2))

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """(batch, *shape, width) -> the same."""
        x = x + self.norms[0](self.attention(x), time)
        return x + self.norms[1](self.mlp(x), time)


class SkipBlock(nn.Module):
    """x + s mlp(norm(depthwise convolution(x))), s small at the start (ConvNeXt)."""

    def __init__(self, width: int, periodic: Sequence[bool]) -> None:
        super().__init__()
        self.depthwise = Convolution(width, width, periodic, size=_SIZE, groups=width)
        self.norm = TimedNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, _RATIO * width), nn.GELU(), nn.Linear(_RATIO * width, width))
        self.scale = nn.Parameter(torch.full((width,), _SCALE))

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """(batch, *shape, width) -> the same."""
        seen = self.depthwise(x.movedim(-1, 1)).movedim(1, -1)
        return x + self.scale * self.mlp(self.norm(seen, time))


class Merging(nn.Module):
    """2^dim neighbouring tokens become one of twice the width."""

    def __init__(self, width: int, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.reduce = nn.Linear(2**dim * width, 2 * width, bias=False)
        self.norm = TimedNorm(2 * width)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """(batch, *shape, width) -> (batch, *halved, 2 width)."""
        for axis in range(self.dim):
            x = x.unflatten(1 + 2 * axis, (x.shape[1 + 2 * axis] // 2, 2))
        odd, even = list(range(1, 1 + 2 * self.dim, 2)), list(range(2, 2 + 2 * self.dim, 2))
        joined = x.permute(0, *odd, *even, 1 + 2 * self.dim).flatten(1 + self.dim)
        return self.norm(self.reduce(joined), time)


class Unmerging(nn.Module):
    """A token becomes 2^dim neighbouring ones of half the width."""

    def __init__(self, width: int, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.expand = nn.Linear(width, 2**dim * (width // 2), bias=False)
        self.norm = TimedNorm(width // 2)
        self.mix = nn.Linear(width // 2, width // 2, bias=False)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """(batch, *shape, width) -> (batch, *doubled, width / 2)."""
        shape, dim = x.shape[1:-1], self.dim
        x = self.expand(x).unflatten(-1, (*[2] * dim, -1))
        order = [place for axis in range(dim) for place in (1 + axis, 1 + dim + axis)]
        x = x.permute(0, *order, 1 + 2 * dim).reshape(len(x), *(2 * n for n in shape), -1)
        return self.mix(self.norm(x, time))


class Stage(nn.ModuleList):
    """Layers whose windows are shifted in turn."""

    def __init__(self, depth: int, width: int, heads: int, window: int, periodic: Sequence[bool]) -> None:
        super().__init__(WindowLayer(width, heads, window, periodic, shifted=k % 2 == 1) for k in range(depth))

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """(batch, *shape, width) -> the same."""
        for layer in self:
            x = layer(x, time)
        return x


class OperatorTransformerCore(nn.Module):
    """scOT on grids (batch, n_in, *shape) -> (batch, n_out, *shape); conditioned on a time, if there is one.

    hidden  width of the tokens of the first stage, a multiple of `heads`, and even; twice as wide from stage to stage
    depths  layers of every stage; as many in the decoder
    heads   of the first stage; twice as many from stage to stage
    patch   nodes along an axis that become one token
    window  tokens along an axis of a window
    skips   blocks on every skip

    Axes that are not periodic may have any number of nodes; periodic ones a multiple of patch 2^(stages - 1), with
    tokens that windows divide.
    """

    takes_time = True

    def __init__(
        self,
        n_in: int,
        n_out: int,
        periodic: Sequence[bool],
        hidden: Any = 32,
        depths: Any = (2, 2, 2),
        heads: Any = 2,
        patch: Any = 2,
        window: Any = 8,
        skips: Any = 2,
    ) -> None:
        super().__init__()
        hidden, heads, patch, window = (
            check_whole(name, value, 1)
            for name, value in (("hidden", hidden), ("heads", heads), ("patch", patch), ("window", window))
        )
        skips = check_whole("skips", skips, 0)
        if hidden % heads or hidden % 2:
            raise ParameterError(f"hidden={hidden} must be even, and a multiple of heads={heads}.")
        if not isinstance(depths, (list, tuple)) or not depths:
            raise ParameterError(f"depths={depths!r}: the layers of every stage are expected, such as [2, 2, 2].")
        depths = [check_whole("each entry of depths", depth, 1) for depth in depths]
        self.periodic, dim = tuple(periodic), len(periodic)
        self.factor = patch * 2 ** (len(depths) - 1)
        widths = [hidden * 2**k for k in range(len(depths))]
        self.embed = CONVOLUTIONS[dim](n_in, hidden, patch, stride=patch)
        self.norm = TimedNorm(hidden)
        stages = [
            (depth, width, heads * 2**k, window, periodic)
            for k, (depth, width) in enumerate(zip(depths, widths, strict=True))
        ]
        self.down = nn.ModuleList(Stage(*stage) for stage in stages)
        self.up = nn.ModuleList(Stage(*stage) for stage in stages)
        self.merge = nn.ModuleList(Merging(width, dim) for width in widths[:-1])
        self.unmerge = nn.ModuleList(Unmerging(width, dim) for width in widths[1:])
        self.skips = nn.ModuleList(nn.ModuleList(SkipBlock(w, periodic) for _ in range(skips)) for w in widths[:-1])
        self.recover = TRANSPOSED[dim](hidden, n_out, patch, stride=patch)
        self.smooth = Convolution(n_out, n_out, periodic, size=5, bias=False)

    def forward(self, x: Tensor, time: Tensor | None = None) -> Tensor:
        """(batch, n_in, *shape), times (batch,) -> (batch, n_out, *shape); no time is time 0."""
        shape = x.shape[2:]
        t = x.new_zeros(len(x), 1) if time is None else time.to(x)[:, None]
        x = self.embed(to_multiple(x, self.factor, self.periodic, "scot")).movedim(1, -1)
        x = self.norm(x, t)
        levels = []
        for level, stage in enumerate(self.down):
            x = stage(self.merge[level - 1](x, t) if level else x, t)
            levels.append(x)
        for level in range(len(levels) - 1, -1, -1):
            x = self.up[level](x, t)
            if level:
                x = self.unmerge[level - 1](x, t) + self._skip(level - 1, levels[level - 1], t)
        return crop(self.smooth(self.recover(x.movedim(-1, 1))), shape)

    def _skip(self, level: int, x: Tensor, time: Tensor) -> Tensor:
        for block in self.skips[level]:  # type: ignore[attr-defined]
            x = block(x, time)
        return x


def _spread(values: Tensor, like: Tensor) -> Tensor:
    """(batch, width) -> (batch, 1, ..., 1, width)."""
    return values.reshape(len(values), *[1] * (like.ndim - 2), -1)
