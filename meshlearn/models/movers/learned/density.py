"""Monitors of point fields, for many meshes at a time: the same as `HessianMonitor` and the others give one by one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.models.movers.learned.elliptic import solve_blocks
from meshlearn.models.movers.learned.geometry import Geometry
from meshlearn.models.movers.learned.sample import MoverSample
from meshlearn.models.movers.monitors.field import derivative_rounding

MONITORS = ("hessian", "squared_hessian", "gradient", "field")


def monitor_values(
    kind: str,
    field: Float[Tensor, " n"],
    batch: MoverSample,
    geometries: tuple[Geometry, ...],
    amplitude: float,
    smoothing: float,
    kinds: Sequence[torch.dtype],
) -> Float[Tensor, " n"]:
    """(n,) float64 from the values of a field at the points of a batch in float64.

    kind       "hessian": 1 + amplitude |H| / max |H|; "squared_hessian", "gradient": 1 + amplitude of the squares;
               "field": the field is the monitor
    smoothing  length over which it is spread, in units of the size of each mesh
    kinds      dtype in which the field of each mesh was given

    Of a field that is constant (for Hessians: linear) up to rounding the monitor is 1 everywhere.
    """
    made = field.double()
    if kind != "field":
        size = _size(kind, made, batch)
        largest, scale = (batch.extremes(x)[1] for x in (size, made.abs()))
        order = 1 if kind == "gradient" else 2
        flat = largest <= scale * scale.new_tensor(
            [derivative_rounding((own, g.kind), g.smallest, order) for own, g in zip(kinds, geometries, strict=True)]
        )
        relative = size / batch.spread(torch.where(flat, 1.0, largest))
        relative = relative * batch.spread((~flat).to(size.dtype))
        made = 1 + amplitude * (relative if kind == "hessian" else relative.square())
    if smoothing == 0:
        return made
    solvers = tuple(geometry.smoothing(smoothing) for geometry in geometries)
    spread = solve_blocks((batch.operators.lumped * made)[:, None], solvers)[:, 0]
    low, high = (batch.spread(extreme) for extreme in batch.extremes(made))
    return spread.clamp(low, high)


def _size(kind: str, field: Tensor, batch: MoverSample) -> Tensor:
    operators = batch.operators
    dim = operators.dim
    slope = (operators.clement @ field).reshape(-1, dim)
    if kind == "gradient":
        return sum((x.square() for x in slope.unbind(1)), torch.zeros_like(field)).sqrt()
    H = (operators.clement @ slope).reshape(-1, dim * dim).unbind(1)
    square = torch.zeros_like(field)
    for i in range(dim):  # of the symmetric part; by columns, since reductions over tiny axes are slow
        square = square + H[i * dim + i].square()
        for j in range(i):
            square = square + (H[i * dim + j] + H[j * dim + i]).square() / 2
    return square.sqrt()


def relative_density(monitor: Float[Tensor, " n"], batch: MoverSample) -> Float[Tensor, " n"]:
    """The monitor over its mean on each mesh."""
    return monitor / batch.spread(batch.sums(batch.operators.lumped * monitor))
