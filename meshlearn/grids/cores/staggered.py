"""Grids taken apart into interleaved coarser ones, and put together again without any loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from meshlearn.errors import ParameterError
from meshlearn.grids.cores.calling import call_core, check_images
from meshlearn.grids.cores.padding import crop, to_multiple


def take_apart(x: Float[Tensor, "batch channels *shape"], factor: int) -> Float[Tensor, "..."]:
    """(batch, channels, *shape) -> (factor^dim, batch, channels, *coarse): every factor-th node along each axis.

    Sub-grid (o_1, o_2, …) holds the nodes o_i, o_i + factor, …; the last offset varies fastest. The shape is a multiple
    of the factor.

    >>> from meshlearn.grids.cores.staggered import take_apart, put_together
    >>> x = torch.arange(6.0).reshape(1, 1, 6)
    >>> take_apart(x, 2).squeeze().tolist()
    [[0.0, 2.0, 4.0], [1.0, 3.0, 5.0]]
    >>> torch.equal(put_together(take_apart(x, 2), 2), x)
    True
    """
    batch, channels, *shape = x.shape
    dim = len(shape)
    split = x.reshape(batch, channels, *(part for n in shape for part in (n // factor, factor)))
    offsets, nodes = [3 + 2 * axis for axis in range(dim)], [2 + 2 * axis for axis in range(dim)]
    return split.permute(*offsets, 0, 1, *nodes).reshape(factor**dim, batch, channels, *(n // factor for n in shape))


def put_together(parts: Float[Tensor, "parts batch channels *coarse"], factor: int) -> Float[Tensor, "..."]:
    """The inverse of `take_apart`."""
    _, batch, channels, *coarse = parts.shape
    dim = len(coarse)
    split = parts.reshape(*[factor] * dim, batch, channels, *coarse)
    order = [dim, dim + 1, *(at for axis in range(dim) for at in (dim + 2 + axis, axis))]
    return split.permute(*order).reshape(batch, channels, *(n * factor for n in coarse))


class StaggeredCore(nn.Module):
    """A core per interleaved sub-grid: (batch, n_in, *shape) -> (batch, n_out, *shape).

    cores   factor^dim modules, or one that all sub-grids share
    factor  every so manieth node along an axis belongs to one sub-grid
    n_out   channels that they have to make; None: any number

    Axes that are not periodic may have any number of nodes; periodic ones a multiple of the factor. Takes a time if the
    cores do.
    """

    def __init__(
        self, cores: Sequence[nn.Module], factor: int, periodic: Sequence[bool], n_out: int | None = None
    ) -> None:
        super().__init__()
        self.cores, self.factor, self.periodic = nn.ModuleList(cores), factor, tuple(periodic)
        self.n_out = n_out
        self.takes_time = bool(getattr(cores[0], "takes_time", False))

    def forward(self, x: Tensor, time: Tensor | None = None) -> Tensor:
        """(batch, n_in, *shape) -> (batch, n_out, *shape)."""
        shape = x.shape[2:]
        for axis, wraps in enumerate(self.periodic):
            if wraps and shape[axis] % self.factor:
                raise ParameterError(
                    f"space={self.factor}: along the periodic axis {axis} the grid needs a multiple of {self.factor} "
                    f"nodes to be taken apart, not {shape[axis]}.\n  Choose such a shape, or another space."
                )
        parts = take_apart(to_multiple(x, self.factor, self.periodic, "NeuralStagger"), self.factor)
        if len(self.cores) == 1:  # all sub-grids as one batch
            count = len(parts)
            made = self._made(self.cores[0], parts.flatten(0, 1), None if time is None else time.repeat(count))
            made = made.reshape(count, -1, *made.shape[1:])
        else:
            made = torch.stack([self._made(core, part, time) for core, part in zip(self.cores, parts, strict=True)])
        return crop(put_together(made, self.factor), shape)

    def _made(self, core: Any, x: Tensor, time: Tensor | None) -> Tensor:
        return check_images(core, call_core(core, x, time), self.n_out, x)
