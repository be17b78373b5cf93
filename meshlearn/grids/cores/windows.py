"""Attention inside shifted windows of a grid (Swin), with a continuous bias by relative place.

Z. Liu et al. 2022, "Swin transformer V2: scaling up capacity and resolution", arXiv:2111.09883: cosine attention with
a learned temperature, and a bias that a small network makes of log-spaced offsets; Z. Liu et al. 2021,
arXiv:2103.14030: every other layer has its windows shifted by half. Departures: 1-D to 3-D, any number of tokens
(windows that reach over the end are filled, and nothing attends to the filling); along periodic axes windows wrap, and
so do offsets in a window of a whole period: there is no seam.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional

from meshlearn.errors import ParameterError

_LEAST, _MOST = math.log(10.0), math.log(100.0)  # of the inverse temperature, at the start and at all
_BIAS, _SPREAD, _WIDTH = 16.0, 8.0, 512


class WindowAttention(nn.Module):
    """(batch, *shape, width) -> the same: every token attends to those of its window.

    window   tokens along an axis; all of them where there are fewer
    shifted  whether windows begin half a window later
    """

    def __init__(self, width: int, heads: int, window: int, periodic: Sequence[bool], shifted: bool) -> None:
        super().__init__()
        self.heads, self.window, self.periodic, self.shifted = heads, window, tuple(periodic), shifted
        self.query, self.value = nn.Linear(width, width), nn.Linear(width, width)
        self.key, self.out = nn.Linear(width, width, bias=False), nn.Linear(width, width)
        self.temperature = nn.Parameter(torch.full((heads, 1, 1), _LEAST))
        dim = len(self.periodic)
        self.bias = nn.Sequential(nn.Linear(dim, _WIDTH), nn.ReLU(), nn.Linear(_WIDTH, heads, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, *shape, width) -> the same."""
        shape = tuple(x.shape[1:-1])
        sizes = tuple(min(self.window, n) for n in shape)
        shifts = tuple(w // 2 if self.shifted and w < n else 0 for w, n in zip(sizes, shape, strict=True))
        grid = tuple(n + -n % w for n, w in zip(shape, sizes, strict=True))
        self._check(shape, grid)
        axes = list(range(1, len(shape) + 1))
        filled = functional.pad(x, [0, 0, *_ends(shape, grid)])
        tokens = windowed(filled.roll([-s for s in shifts], axes), sizes)
        query, key, value = (
            part(tokens).unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (self.query, self.key, self.value)
        )
        logits = functional.normalize(query, dim=-1) @ functional.normalize(key, dim=-1).transpose(2, 3)
        logits = logits * self.temperature.clamp(max=_MOST).exp() + self._biases(shape, sizes)
        strangers = apart(shape, grid, sizes, shifts, self.periodic)
        if strangers is not None:
            by_mesh = logits.unflatten(0, (len(x), -1))
            logits = by_mesh.masked_fill(strangers[:, None].to(x.device), -math.inf).flatten(0, 1)
        read = (torch.softmax(logits, dim=-1) @ value).transpose(1, 2).flatten(2)
        made = unwindowed(self.out(read), len(x), grid, sizes).roll(shifts, axes)
        for axis, n in zip(axes, shape, strict=True):
            made = made.narrow(axis, 0, n)
        return made

    def _check(self, shape: Sequence[int], grid: Sequence[int]) -> None:
        for axis, wraps in enumerate(self.periodic):
            if wraps and grid[axis] != shape[axis]:
                raise ParameterError(
                    f"core='scot': along the periodic axis {axis} a level has {shape[axis]} tokens, which windows of "
                    f"{self.window} do not divide.\n  Choose a window that does, or one of at least that many tokens."
                )

    def _biases(self, shape: Sequence[int], sizes: Sequence[int]) -> Tensor:
        """(heads, tokens, tokens) by the offset between two tokens; offsets far away differ little.

        Of a window that is a whole period, the offset is the shorter way round.
        """
        device = self.temperature.device
        steps = torch.cartesian_prod(*(torch.arange(1 - n, n, device=device) for n in sizes)).reshape(-1, len(sizes))
        share = steps.to(self.temperature) * self.temperature.new_tensor([_SPREAD / max(n - 1, 1) for n in sizes])
        table = self.bias(share.sign() * torch.log2(share.abs() + 1.0) / math.log2(_SPREAD))
        place = torch.cartesian_prod(*(torch.arange(n, device=device) for n in sizes)).reshape(-1, len(sizes))
        row = torch.zeros(len(place), len(place), dtype=torch.int64, device=device)
        for axis, n in enumerate(sizes):
            offset = place[:, None, axis] - place[:, axis]
            if self.periodic[axis] and n == shape[axis]:
                offset = (offset + n // 2) % n - n // 2
            row = row * (2 * n - 1) + offset + n - 1
        biases = table.index_select(0, row.reshape(-1)).reshape(*row.shape, self.heads)
        return _BIAS * torch.sigmoid(biases).permute(2, 0, 1)


@lru_cache(maxsize=64)
@torch.inference_mode(mode=False)  # what is kept serves training as well
def apart(
    shape: tuple[int, ...],
    grid: tuple[int, ...],
    sizes: tuple[int, ...],
    shifts: tuple[int, ...],
    periodic: tuple[bool, ...],
) -> Tensor | None:
    """(windows, tokens, tokens) bool: pairs of a window that are no neighbours; None where there are none.

    Those are the end and the beginning of an axis that is not periodic, and a token and filling. Kept by its arguments.
    """
    label = torch.zeros(1, *grid, 1, dtype=torch.int64)
    for axis, (n, end, shift) in enumerate(zip(shape, grid, shifts, strict=True)):
        place = torch.arange(end)
        side = (place >= n).long() + 2 * (place < shift).long() * (not periodic[axis])
        label = label * 3 + side.roll(-shift).reshape([-1 if k == axis + 1 else 1 for k in range(label.ndim)])
    if not bool(label.any()):
        return None
    seen = windowed(label, sizes)[:, :, 0]
    return seen[:, :, None] != seen[:, None, :]


def windowed(x: Tensor, sizes: Sequence[int]) -> Tensor:
    """(batch, *shape, c) -> (batch * windows, tokens of a window, c); shapes are multiples of the sizes.

    >>> from meshlearn.grids.cores.windows import windowed
    >>> windowed(torch.arange(4).reshape(1, 4, 1), [2])[:, :, 0]
    tensor([[0, 1],
            [2, 3]])
    """
    for axis, n in enumerate(sizes):
        x = x.unflatten(1 + 2 * axis, (x.shape[1 + 2 * axis] // n, n))
    dim = len(sizes)
    order = [*range(1, 1 + 2 * dim, 2), *range(2, 2 + 2 * dim, 2)]
    return x.permute(0, *order, 1 + 2 * dim).flatten(0, dim).flatten(1, dim)


def unwindowed(windows: Tensor, batch: int, shape: Sequence[int], sizes: Sequence[int]) -> Tensor:
    """The inverse of `windowed`."""
    counts, dim = [n // w for n, w in zip(shape, sizes, strict=True)], len(shape)
    x = windows.reshape(batch, *counts, *sizes, windows.shape[-1])
    order = [place for axis in range(dim) for place in (1 + axis, 1 + dim + axis)]
    return x.permute(0, *order, 1 + 2 * dim).reshape(batch, *shape, windows.shape[-1])


def _ends(shape: Sequence[int], grid: Sequence[int]) -> list[int]:
    """What `functional.pad` adds at the end of every axis, the last axis first."""
    return [k for n, end in zip(reversed(shape), reversed(grid), strict=True) for k in (0, end - n)]
