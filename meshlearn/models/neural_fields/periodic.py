"""Meshes in a box with periodic sides: copies of points across them, facets that lie on them, places outside of it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from itertools import product

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from meshlearn.train.survey import FitWarning

Period = Sequence[float | None]
"""Length of the box along every axis, None (or 0) where it is not periodic; () for no such box."""
NEAR = 1e-4  # of a period: what is so near to a side is on it
LONGER = 1.01


def images(x: Float[Tensor, "n dim"], period: Period) -> tuple[Float[Tensor, "m dim"], int]:
    """The points, and copies of them in the neighbouring boxes; and how many copies there are with the points."""
    steps = [(0.0, -p, p) if p else (0.0,) for p in period]
    shifts = x.new_tensor(list(product(*steps))) if steps else x.new_zeros(1, x.shape[1])
    return (x[None] + shifts[:, None]).reshape(-1, x.shape[1]), len(shifts)


def repeated(nodes: Int64[Tensor, "c k"], n_points: int, n_copies: int) -> Int64[Tensor, "d k"]:
    """Elements of the points, and of their copies."""
    return torch.cat([nodes + n_points * i for i in range(n_copies)])


def unglued(
    x: Float[Tensor, "n dim"], facets: Mapping[str, Int64[Tensor, "_c _k"]], period: Period
) -> dict[str, Int64[Tensor, "_d _k"]]:
    """The facets but for those on two opposite sides of the mesh that lie a period apart."""
    kept = dict(facets)
    for axis, length in _filled(x, period):
        low, high = float(x[:, axis].min()), float(x[:, axis].max())
        for kind, nodes in kept.items():
            at = x[:, axis][nodes]
            on_side = [((at - side).abs() < NEAR * length).all(1) for side in (low, high)]
            kept[kind] = nodes[~(on_side[0] | on_side[1])]
    return kept


def into_box(points: Float[Tensor, "m dim"], x: Float[Tensor, "n dim"], period: Period) -> Float[Tensor, "m dim"]:
    """Points moved by whole periods to where the points `x` of a mesh are, along axes on which these fill the box."""
    moved = points.clone()
    for axis, length in _filled(x, period):
        low = x[:, axis].min().to(moved)
        high = x[:, axis].max().to(moved)
        column = moved[:, axis]
        outside = (column < low) | (column > high)
        moved[:, axis] = torch.where(outside, low + torch.remainder(column - low, length), column)
    return moved


def warn_of_longer(meshes: Sequence[Float[Tensor, "_n dim"]], period: Period) -> None:
    """A FitWarning for points of meshes that are longer than the box: places a period apart are one place there."""
    for axis, p in enumerate(period):
        longest = max(float(x[:, axis].max() - x[:, axis].min()) for x in meshes) if p else 0.0
        if p and longest > LONGER * p:
            warnings.warn(
                f"training meshes are up to {longest:.3g} long along axis {axis}, more than period={p:.3g} there: to "
                "the model, places a period apart are the same place. This is right for fields that repeat.",
                FitWarning,
                stacklevel=2,
            )


def _filled(x: Tensor, period: Period) -> list[tuple[int, float]]:
    """Axes along which a mesh is as long as its box, and how long that is."""
    sizes = (x.amax(0) - x.amin(0)).tolist()
    return [(axis, p) for axis, p in enumerate(period) if p and abs(sizes[axis] - p) < NEAR * p]
