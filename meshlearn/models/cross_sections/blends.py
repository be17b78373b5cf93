"""Classical interpolation of in-plane distances into space: what the planes say on them, a mean between them.

A blend maps data on the grids of planes, (n_planes, n_channels, n, n), to values at points (n, 3) of the unit frame,
linearly in the data: on a plane it gives the data of that plane back.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float32
from torch import Tensor

from meshlearn.models.cross_sections.body import REACH, Body


class StackBlend:
    """Parallel planes: linear between neighbouring slices, or cubic (Catmull-Rom slopes) through four of them.

    Beyond the outer planes the outer data are carried on towards `beyond` at the distance of the cap.
    """

    def __init__(self, body: Body, cubic: bool):
        self.cubic = cubic
        levels = body.offsets * np.sign(body.normals[:, 2])
        self.order = torch.from_numpy(np.argsort(levels, kind="stable"))
        inner = np.sort(levels)
        self.levels = np.concatenate([[inner[0] - body.cap], inner, [inner[-1] + body.cap]])

    def __call__(
        self, points: Float32[Tensor, "n 3"], data: Float32[Tensor, "k c g g"], beyond: Tensor
    ) -> Float32[Tensor, "n c"]:
        """Values at points; `beyond` (c,) is the data of the virtual planes at the caps."""
        z = points[:, 2].double().numpy()
        i = np.clip(np.searchsorted(self.levels, z, side="right") - 1, 0, len(self.levels) - 2)
        width = np.maximum(self.levels[i + 1] - self.levels[i], 1e-12)
        t = np.clip((z - self.levels[i]) / width, 0.0, 1.0)
        slots, weights = self._weights(i, t) if self.cubic else ((i, i + 1), (1 - t, t))
        last = len(self.levels) - 1
        values = points.new_zeros(len(points), data.shape[1])
        total = np.stack(slots), np.stack(weights).astype(np.float32)
        for level in range(last + 1):
            # a point needs a slice once, with the sum of the weights of the slots that name it
            share = (total[1] * (total[0] == level)).sum(0)
            rows = torch.from_numpy(np.flatnonzero(share))
            if not len(rows):
                continue
            weight = torch.from_numpy(share).index_select(0, rows)[:, None]
            if level in (0, last):
                part = beyond[None].expand(len(rows), -1)
            else:
                part = look_up(data[int(self.order[level - 1])], points.index_select(0, rows)[:, :2])
            values.index_add_(0, rows, weight * part)
        return values

    def _weights(self, i: np.ndarray, t: np.ndarray) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
        """Cubic Hermite weights of four slices with slopes by differences, on uneven levels."""
        last = len(self.levels) - 1
        before, after = np.maximum(i - 1, 0), np.minimum(i + 2, last)
        h = self.levels[i + 1] - self.levels[i]
        left = h / np.maximum(self.levels[i + 1] - self.levels[before], 1e-12)
        right = h / np.maximum(self.levels[after] - self.levels[i], 1e-12)
        h00, h10 = 2 * t**3 - 3 * t**2 + 1, t**3 - 2 * t**2 + t
        h01, h11 = -2 * t**3 + 3 * t**2, t**3 - t**2
        weights = (-h10 * left, h00 - h11 * right, h01 + h10 * left, h11 * right)
        return (before, i, i + 1, after), weights


class DistanceBlend:
    """Planes in any position: the mean of their data at the feet of a point, with weights 1 / distance ** power."""

    def __init__(self, body: Body, power: float = 3.0):
        self.power = power
        self.normals = torch.from_numpy(body.normals.astype(np.float32))
        self.offsets = torch.from_numpy(body.offsets.astype(np.float32))
        self.axes = torch.from_numpy(body.axes.astype(np.float32))
        feet = np.einsum("kij,kj->ki", body.axes, body.origins)
        # plane coordinates that are zero in the middle of the grid
        self.middle = torch.from_numpy((feet + body.lows + REACH).astype(np.float32))

    def __call__(
        self, points: Float32[Tensor, "n 3"], data: Float32[Tensor, "k c g g"], beyond: Tensor
    ) -> Float32[Tensor, "n c"]:
        """Values at points; `beyond` plays no role: the hull closes the body."""
        total = points.new_zeros(len(points), 1)
        values = points.new_zeros(len(points), data.shape[1])
        for k in range(len(data)):
            height = points @ self.normals[k] - self.offsets[k]
            weight = (height.square() + 1e-6).pow(-0.5 * self.power)[:, None]
            values += weight * look_up(data[k], points @ self.axes[k].T - self.middle[k])
            total += weight
        return values / total


def look_up(grid: Float32[Tensor, "c g g"], flat: Float32[Tensor, "n 2"]) -> Float32[Tensor, "n c"]:
    """Bilinear values of a grid over [-REACH, REACH] ** 2 at points of the plane."""
    where = (flat / REACH).flip(1)[None, None]
    return F.grid_sample(grid[None], where, align_corners=True, padding_mode="border")[0, :, 0].T


def make_blend(body: Body, kind: str) -> StackBlend | DistanceBlend:
    """The blend of this name: "linear" or "cubic" (parallel planes), "distance"."""
    return DistanceBlend(body) if kind == "distance" else StackBlend(body, kind == "cubic")
