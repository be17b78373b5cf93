"""A smooth field kept on a grid of the unit frame, looked up by trilinear interpolation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float32
from torch import Tensor

from meshlearn.models.cross_sections.body import REACH, Body


def grid_nodes(n: int) -> Float32[Tensor, "m 3"]:
    """(n ** 3, 3) nodes of the cube [-REACH, REACH] ** 3, the last axis fastest."""
    x = torch.linspace(-REACH, REACH, n)
    return torch.stack(torch.meshgrid(x, x, x, indexing="ij"), dim=-1).reshape(-1, 3)


def field_at(grid: Float32[Tensor, "c m m m"], points: Float32[Tensor, "n 3"]) -> Float32[Tensor, "n c"]:
    """Trilinear values at points of the unit frame."""
    where = (points / REACH).flip(1)[None, None, None]
    return F.grid_sample(grid[None], where, align_corners=True, padding_mode="border")[0, :, 0, 0].T


def sampled(function: Callable[[Tensor], Tensor], body: Body, n: int, room: float) -> Float32[Tensor, "c n n n"]:
    """A function (n, 3) -> (n, c) on n nodes per side, evaluated near the body only.

    Farther than `room` and three nodes from the hull of the contours, where fields are closed anyway, nodes have the
    distance from the hull (negative for labels, positive for the outside).
    """
    nodes = grid_nodes(n)
    hull = torch.from_numpy(body.hull)
    over = torch.cat([(part @ hull[:, :3].T + hull[:, 3]).amax(1) for part in nodes.split(65536)])
    near = (over < room + 6 * REACH / n).nonzero().squeeze(1)
    signs = torch.tensor([1.0 if label == 0 else -1.0 for label in body.channels])
    values = over.clamp(min=0)[:, None] * signs
    parts = nodes.index_select(0, near).split(16384)
    values[near] = torch.cat([function(part) for part in parts]) if len(near) else values[near]
    return values.T.reshape(-1, n, n, n).contiguous()


def finer(grid: Float32[Tensor, "c m m m"], n: int) -> Float32[Tensor, "c n n n"]:
    """The same field on n nodes per side, by cubic splines."""
    from scipy.ndimage import map_coordinates

    m = grid.shape[1]
    if m == n:
        return grid
    axis = np.linspace(0, m - 1, n)
    rows = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"))
    found = [map_coordinates(channel, rows, order=3, mode="nearest", output=np.float32) for channel in grid.numpy()]
    return torch.from_numpy(np.stack(found))


def on_planes(grid: Float32[Tensor, "c m m m"], body: Body) -> Float32[Tensor, "k c g g"]:
    """The field on the grids of all planes."""
    found = torch.empty_like(body.data)
    axis = torch.linspace(-REACH, REACH, body.grid, dtype=torch.float64)
    flat = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), dim=-1).reshape(-1, 2).numpy()
    for k in range(len(found)):
        points = body.offsets[k] * body.normals[k] + flat @ body.axes[k]
        values = field_at(grid, torch.from_numpy(points.astype(np.float32)))
        found[k] = values.T.reshape(found[k].shape)
    return found
