"""A smooth field kept on a grid of the unit frame, looked up by cubic splines; fine near its surface only."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from meshlearn.models.cross_sections.body import REACH, Body
from meshlearn.models.cross_sections.trust import trust_at

COARSE = 49
"""Nodes per side at which a field is evaluated everywhere; every refinement doubles the intervals."""
CELLS_ACROSS = 1.25
"""Cells that the quarter diameter of thin parts must have."""


class SplineGrid:
    """A field of c channels on n nodes per side of the cube [-REACH, REACH] ** 3, between them cubic splines."""

    def __init__(self, values: Float32[Tensor, "c n n n"]):
        from scipy.ndimage import spline_filter

        self.values = values
        self.coefficients = [spline_filter(channel, 3, output=np.float32) for channel in values.numpy()]

    def __call__(self, points: Float32[Tensor, "m 3"]) -> Float32[Tensor, "m c"]:
        """Values at points of the unit frame."""
        from scipy.ndimage import map_coordinates

        last = self.values.shape[1] - 1
        rows = np.clip((points.double().numpy().T / REACH + 1) * (0.5 * last), 0, last)
        found = [
            map_coordinates(channel, rows, order=3, mode="mirror", prefilter=False, output=np.float32)
            for channel in self.coefficients
        ]
        return torch.from_numpy(np.stack(found, axis=1))


def grid_nodes(n: int) -> Float32[Tensor, "m 3"]:
    """(n ** 3, 3) nodes of the cube [-REACH, REACH] ** 3, the last axis fastest."""
    x = torch.linspace(-REACH, REACH, n)
    return torch.stack(torch.meshgrid(x, x, x, indexing="ij"), dim=-1).reshape(-1, 3)


def sampled(function: Callable[[Tensor], Tensor], body: Body, n: int, room: float) -> Float32[Tensor, "c n n n"]:
    """A function (n, 3) -> (n, c) on n nodes per side, evaluated near the body only.

    Farther than `room` and three nodes from the hull of the contours, where fields are closed anyway, nodes have the
    distance from the hull (negative for labels, positive for the outside).
    """
    nodes = grid_nodes(n)
    over = beyond_hull(body, nodes)
    near = (over < room + 6 * REACH / n).nonzero().squeeze(1)
    signs = torch.tensor([1.0 if label == 0 else -1.0 for label in body.channels])
    values = over.clamp(min=0)[:, None] * signs
    parts = nodes.index_select(0, near).split(16384)
    values[near] = torch.cat([function(part) for part in parts]) if len(near) else values[near]
    return values.T.reshape(-1, n, n, n).contiguous()


def beyond_hull(body: Body, points: Float32[Tensor, "n 3"]) -> Float32[Tensor, " n"]:
    """How far points lie beyond the hull of the contours; negative inside."""
    hull = torch.from_numpy(body.hull)
    normals, offsets = hull[:, :3].T.contiguous(), hull[:, 3]
    # parts that stay in the cache: what is written per point is 160 numbers, what is kept is one
    parts = [torch.addmm(offsets, part, normals).amax(1) for part in points.split(2048)]
    return torch.cat(parts) if parts else points.new_zeros(0)


def refined(function: Callable[[Tensor], Tensor], grid: Float32[Tensor, "c m m m"]) -> Float32[Tensor, "c n n n"]:
    """The field on twice as many intervals: exact near the surfaces, by cubic interpolation elsewhere.

    function  (n, 3) -> (n, c), about distances near the surfaces
    """
    fine = doubled(grid)
    n = fine.shape[1]
    reach = 1.2 * 2 * REACH / (grid.shape[1] - 1)  # a cell of the coarse grid, and what interpolation may be off
    near = (fine.abs().amin(0) < reach).reshape(-1).nonzero().squeeze(1)
    place = torch.stack(torch.unravel_index(near, (n, n, n)), dim=1)
    points = place.to(torch.float32) * (2 * REACH / (n - 1)) - REACH
    flat = fine.reshape(len(fine), -1)
    for rows, part in zip(near.split(16384), points.split(16384), strict=True):
        flat[:, rows] = function(part).T
    return fine


def doubled(grid: Float32[Tensor, "c m m m"]) -> Float32[Tensor, "c n n n"]:
    """The same values with one more node between neighbours, n = 2 m - 1, by cubic interpolation along each axis."""
    for axis in (1, 2, 3):
        moved = grid.movedim(axis, -1)
        padded = torch.cat(
            [2 * moved[..., :1] - moved[..., 1:2], moved, 2 * moved[..., -1:] - moved[..., -2:-1]], dim=-1
        )
        between = (9 * (moved[..., :-1] + moved[..., 1:]) - padded[..., :-3] - padded[..., 3:]) / 16
        both = torch.stack([moved[..., :-1], between], dim=-1).flatten(-2)
        grid = torch.cat([both, moved[..., -1:]], dim=-1).movedim(-1, axis)
    return grid.contiguous()


def detail(body: Body) -> int:
    """How often the coarse grid is to be refined, so that thin parts have their cells: 1 or 2."""
    from meshlearn.models.cross_sections.samples import widths

    thin = float(np.quantile(widths(body), 0.1))
    return 1 if len(body.channels) > 4 or thin * 2 * (COARSE - 1) >= CELLS_ACROSS * 2 * REACH else 2


def on_planes(field: SplineGrid, body: Body) -> Float32[Tensor, "k c g g"]:
    """The field on the grids of all planes."""
    found = torch.empty_like(body.data)
    for k in range(len(found)):
        found[k] = field(torch.from_numpy(_plane_nodes(body, k).astype(np.float32))).T.reshape(found[k].shape)
    return found


def weighted(body: Body, data: Float32[Tensor, "k c g g"]) -> Float32[Tensor, "k c g g"]:
    """Data of the planes, less where a plane is not to be trusted."""
    found = data
    for k in sorted({doubt.plane for doubt in body.doubts if doubt.alone}):
        trust = torch.from_numpy(trust_at(body.doubts, k, _plane_nodes(body, k)).astype(np.float32))
        found = data.clone() if found is data else found
        found[k] = data[k] * trust.reshape(data.shape[2:])
    return found


def _plane_nodes(body: Body, k: int) -> np.ndarray:
    axis = np.linspace(-REACH, REACH, body.grid)
    flat = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    return body.offsets[k] * body.normals[k] + flat @ body.axes[k]
