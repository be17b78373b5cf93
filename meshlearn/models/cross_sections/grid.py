"""Regular grids of the unit frame; between parallel planes with levels on the planes themselves."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from meshlearn.models.cross_sections.body import Body
from meshlearn.models.cross_sections.field import Field

STRIDE = 4
"""Nodes of a block along each side."""
WIDE = 0.35
"""Room beyond the contours that is looked through coarsely first, in unit frame."""
COARSE = 40
CLOSE = 0.5
"""Voxels that planes must be apart to have levels of their own whatever they show."""


@dataclass(frozen=True)
class Grid:
    """A grid of the unit frame: node (i, j, k) is at low + voxel * (i, j, k), or at the height levels[k]; sizes are
    multiples of STRIDE plus one. Levels are a voxel apart at most."""

    low: np.ndarray
    voxel: float
    shape: tuple[int, int, int]
    levels: np.ndarray | None = None

    @classmethod
    def of(cls, field: Field, resolution: int, labels: list[int], on_planes: bool = False) -> Grid:
        """The grid around the contours of some labels, with `resolution` voxels along the longest side of all.

        on_planes  parallel planes shall be levels of the grid, so that the surface has what they show, however close
                   they are: all those that begin or end something, and others half a voxel apart
        """
        every = field.body.sections.points
        voxel = float(np.ptp(every, axis=0).max()) / resolution
        corner = every.min(0)
        own = np.concatenate(
            [p.lift(ring.points) for p in field.body.sections for ring in p.rings if ring.label in labels] or [every]
        )
        low, high = _inhabited(field, labels, own, voxel)
        # grids of all labels share their nodes, so that neighbours meet
        first = np.floor((low - corner) / voxel / STRIDE) * STRIDE
        blocks = np.ceil((high - corner) / voxel / STRIDE - first / STRIDE).astype(int)
        n0, n1, n2 = (int(b) * STRIDE + 1 for b in blocks)
        if not (on_planes and field.body.parallel):
            return cls(corner + first * voxel, voxel, (n0, n1, n2))
        levels = _levels(field.body, voxel, field.room + 4 * voxel)
        start = max(int(np.searchsorted(levels, low[2])) - 1, 0) // STRIDE * STRIDE
        end = min(int(np.searchsorted(levels, high[2])), len(levels) - 1)
        n2 = -(-(end - start) // STRIDE) * STRIDE + 1
        return cls(corner + first * voxel, voxel, (n0, n1, n2), levels[start : start + n2])

    def places(self, numbers: np.ndarray) -> np.ndarray:
        """(n, 3) places of grid numbers, which need not be whole."""
        found = self.low + self.voxel * numbers
        if self.levels is not None:
            found[:, 2] = np.interp(numbers[:, 2], np.arange(len(self.levels)), self.levels)
        return found

    def numbers(self, places: np.ndarray) -> np.ndarray:
        """(n, 3) grid numbers of places."""
        found = (places - self.low) / self.voxel
        if self.levels is not None:
            found[:, 2] = np.interp(places[:, 2], self.levels, np.arange(len(self.levels)))
        return found

    def nodes(self, flat: np.ndarray) -> Tensor:
        """(n, 3) float32 places of nodes by their numbers."""
        index = np.stack(np.unravel_index(flat, self.shape), axis=1)
        return torch.from_numpy(self.places(index.astype(np.float64)).astype(np.float32))


def _inhabited(field: Field, labels: list[int], own: np.ndarray, voxel: float) -> tuple[np.ndarray, np.ndarray]:
    """Corners of the box in which labels can be: around their contours, and around what there is in a wide room."""
    low, high = own.min(0) - field.room - 3 * voxel, own.max(0) + field.room + 3 * voxel
    if field.room <= WIDE:
        return low, high
    axes = [np.linspace(a, b, COARSE) for a, b in zip(low, high, strict=True)]
    step = max(float(axis[1] - axis[0]) for axis in axes)
    nodes = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    points = torch.from_numpy(nodes.astype(np.float32))
    channels = [field.body.channels.index(label) for label in labels]
    values = [torch.cat([field.margin(part, c) for part in points.split(16384)]).numpy() for c in channels]
    near = np.concatenate([nodes[np.max(values, axis=0) > -2 * step], own])
    return np.maximum(low, near.min(0) - 2 * step), np.minimum(high, near.max(0) + 2 * step)


def _levels(body: Body, voxel: float, room: float) -> np.ndarray:
    """Heights from `room` below the lowest of parallel planes to as much above the highest."""
    heights = body.offsets * np.sign(body.normals[:, 2])
    order = np.argsort(heights, kind="stable")
    shown = [tuple(sorted(ring.label for ring in body.sections.planes[int(k)].rings)) for k in order]
    kept = [float(heights[order[0]])]
    for i in range(1, len(order)):
        changes = shown[i] != shown[i - 1] or (i + 1 < len(order) and shown[i] != shown[i + 1])
        height = float(heights[order[i]])
        if changes or height - kept[-1] >= CLOSE * voxel or i + 1 == len(order):
            kept.append(height)
    steps = int(np.ceil(room / voxel))
    parts = [kept[0] + voxel * np.arange(-steps, 0)]
    for a, b in itertools.pairwise(kept):
        count = max(int(np.ceil((b - a) / voxel - 1e-9)), 1)
        parts.append(a + (b - a) * np.arange(count) / count)
    parts.append(kept[-1] + voxel * np.arange(steps + STRIDE + 1))
    levels = np.concatenate(parts)
    return levels[: (len(levels) - 1) // STRIDE * STRIDE + 1]
