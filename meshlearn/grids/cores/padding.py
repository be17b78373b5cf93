"""Padding by boundary condition: periodic axes wrap, the others repeat their last values; convolutions that do so."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from meshlearn.errors import ParameterError

CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
POOLINGS = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}
LARGEST = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
POOLS = {1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}

_AROUND = 2  # nodes that bicubic interpolation looks at beside a point


def pad(x: Tensor, axis: int, before: int, after: int, periodic: bool) -> Tensor:
    """x (batch, channels, *shape) with more nodes along one space axis, at either end.

    >>> from meshlearn.grids.cores.padding import pad
    >>> pad(torch.tensor([[[1.0, 2.0, 3.0]]]), 0, 1, 2, True), pad(torch.tensor([[[1.0, 2.0]]]), 0, 1, 1, False)
    (tensor([[[3., 1., 2., 3., 1., 2.]]]), tensor([[[1., 1., 2., 2.]]]))
    """
    axis, n = axis + 2, x.shape[axis + 2]
    place = torch.arange(-before, n + after, device=x.device)
    return x.index_select(axis, place % n if periodic else place.clamp(0, n - 1))


def pad_all(x: Tensor, width: int, periodic: Sequence[bool]) -> Tensor:
    """x with `width` more nodes at both ends of every axis."""
    for axis, wraps in enumerate(periodic):
        x = pad(x, axis, width, width, wraps)
    return x


def crop(x: Tensor, shape: Sequence[int], start: int = 0) -> Tensor:
    """The part of (batch, channels, *larger) with this shape, from node `start` of every axis on."""
    for axis, n in enumerate(shape):
        x = x.narrow(axis + 2, start, n)
    return x


class Convolution(nn.Module):
    """A convolution of odd `size` over axes that are periodic or not.

    Stride 2 leaves nodes 0, 2, 4, ...: n nodes become (n + 1) // 2. Channels of different `groups` do not mix.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        periodic: Sequence[bool],
        size: int = 3,
        stride: int = 1,
        bias: bool = True,
        groups: int = 1,
    ) -> None:
        super().__init__()
        self.periodic, self.width = tuple(periodic), size // 2
        made = CONVOLUTIONS[len(self.periodic)]
        self.kernel = made(n_in, n_out, size, stride=stride, bias=bias, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, n_in, *shape) -> (batch, n_out, *shape)."""
        return self.kernel(pad_all(x, self.width, self.periodic) if self.width else x)


class Doubling(nn.Module):
    """A transposed convolution of size 4 and stride 2 that doubles the number of nodes, to the last one of an axis."""

    def __init__(self, n_in: int, n_out: int, periodic: Sequence[bool], bias: bool = True) -> None:
        super().__init__()
        self.periodic = tuple(periodic)
        self.kernel = TRANSPOSED[len(self.periodic)](n_in, n_out, 4, stride=2, padding=1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, n_in, *shape) -> (batch, n_out, *doubled)."""
        wanted = [2 * n for n in x.shape[2:]]
        return crop(self.kernel(pad_all(x, 1, self.periodic)), wanted, start=2)


def doubled(x: Tensor, periodic: Sequence[bool], cubic: bool = False) -> Tensor:
    """x with twice as many nodes along every axis, two for each node: (multi)linear interpolation, or bicubic in 2-D.

    >>> from meshlearn.grids.cores.padding import doubled
    >>> doubled(torch.tensor([[[0.0, 4.0]]]), [False])
    tensor([[[0., 1., 3., 4.]]])
    """
    dim = len(periodic)
    mode = {1: "linear", 2: "bicubic" if cubic else "bilinear", 3: "trilinear"}[dim]
    larger = functional.interpolate(pad_all(x, _AROUND, periodic), scale_factor=2, mode=mode, align_corners=False)
    return crop(larger, [2 * n for n in x.shape[2:]], start=2 * _AROUND)


def to_multiple(x: Tensor, factor: int, periodic: Sequence[bool], core: str) -> Tensor:
    """x, with more nodes at the ends of its axes until their numbers are multiples of `factor`.

    Raises ParameterError for a periodic axis that is not one: more nodes would change the period.
    """
    check_periods(x, factor, periodic, core)
    for axis in range(len(periodic)):
        missing = -x.shape[axis + 2] % factor
        x = pad(x, axis, 0, missing, False) if missing else x
    return x


def check_periods(x: Tensor, factor: int, periodic: Sequence[bool], core: str) -> None:
    """Raise ParameterError for a periodic axis whose number of nodes is not a multiple of `factor`."""
    for axis, wraps in enumerate(periodic):
        if wraps and x.shape[axis + 2] % factor:
            raise ParameterError(
                f"core={core!r} halves the grid several times: along the periodic axis {axis} it needs a multiple of "
                f"{factor} nodes, not {x.shape[axis + 2]}.\n  Choose such a shape, or fewer levels."
            )
