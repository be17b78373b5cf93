"""Where interior points start: hexagonal lattices, one for each level of size, with a little noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from meshlearn.mesh.shapes.mesher.curves import Curve
from meshlearn.mesh.shapes.mesher.sizing import GROWTH, SizeField

STEP = 2**0.25  # ratio of the sizes of two levels
JITTER = 0.05


def inside_region(curves: Sequence[Curve], points: np.ndarray) -> np.ndarray:
    """(n,) bool: inside the first curve and outside all others."""
    inside = curves[0].contains(points)
    for hole in curves[1:]:
        inside &= ~hole.contains(points)
    return inside


def interior_points(
    curves: Sequence[Curve], field: SizeField, nodes: np.ndarray, segments: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Points (n, 2) inside the region at the local size from each other and from the boundary `segments`."""
    low, high = nodes.min(0), nodes.max(0)
    levels = int(np.ceil(np.log(field.largest / field.smallest) / np.log(STEP))) if field.trees else 0
    blocks = _blocks(low, high, field)
    taken = np.zeros((0, 2))
    for level in range(levels, -1, -1):
        spacing = field.largest / STEP**level
        chosen = [(b.corner[b.near(spacing)], b.side) for b in blocks]
        points = np.concatenate([_lattice(corner, side, spacing, low) for corner, side in chosen])
        points = points[inside_region(curves, points)]
        if levels:
            nearest = np.round(np.log(field.largest / field(points)) / np.log(STEP))
            points = points[nearest == level]
        points = points + JITTER * spacing * rng.uniform(-1, 1, points.shape)
        points = points[_distance(points, nodes[segments]) > 0.6 * spacing]
        if len(taken) and len(points):
            distance, _ = cKDTree(taken).query(points, distance_upper_bound=spacing)
            points = points[distance > 0.8 * spacing]
        taken = np.concatenate([taken, points])
    return taken[inside_region(curves, taken)]


@dataclass
class _Blocks:
    """Squares of one side length: lower left corners (b, 2), and bounds (b,) on the sizes wanted inside."""

    corner: np.ndarray
    side: float
    least: np.ndarray
    most: np.ndarray

    def near(self, spacing: float) -> np.ndarray:
        """(b,) bool: blocks where a size that rounds to the level `spacing` may occur."""
        return (self.least < spacing * STEP) & (self.most > spacing / STEP)


def _blocks(low: np.ndarray, high: np.ndarray, field: SizeField) -> list[_Blocks]:
    """Squares that cover the region: one if the size is uniform, else a quadtree with blocks of a few sizes."""
    if not field.trees:
        return [_Blocks(low[None], float((high - low).max()), np.array([field.largest]), np.array([field.largest]))]
    side = 2 * field.largest
    count = np.ceil((high - low) / side).astype(np.int64)
    i, j = np.meshgrid(np.arange(count[0]), np.arange(count[1]), indexing="ij")
    corner = low + side * np.stack([i.reshape(-1), j.reshape(-1)], axis=1)
    blocks = []
    while len(corner):
        middle = field(corner + side / 2)
        spread = GROWTH * side * np.sqrt(0.5)
        coarse = side > 2 * middle  # so that sizes within a leaf differ by a factor of 3 at most
        leaf = ~coarse
        blocks.append(_Blocks(corner[leaf], side, middle[leaf] - spread, middle[leaf] + spread))
        side = side / 2
        corner = (corner[coarse][:, None] + side * np.array([[0, 0], [1, 0], [0, 1], [1, 1]])).reshape(-1, 2)
    return blocks


def _lattice(blocks: np.ndarray, side: float, spacing: float, origin: np.ndarray) -> np.ndarray:
    """Points of one hexagonal lattice through `origin` in the half-open blocks."""
    height = spacing * np.sqrt(3) / 2
    rows, columns = int(np.ceil(side / height)) + 1, int(np.ceil(side / spacing)) + 2
    first = np.ceil((blocks - origin) / (spacing, height)).astype(np.int64) - (1, 0)
    i = first[:, 0, None, None] + np.arange(columns)[None, :, None]
    j = first[:, 1, None, None] + np.arange(rows)[None, None, :]
    i, j = np.broadcast_arrays(i, j)
    x, y = (i + 0.5 * (j % 2)) * spacing, j * height
    points = np.stack([x, y], axis=3) + origin
    corner = blocks[:, None, None]
    return points[((points >= corner) & (points < corner + side)).all(3)]


def _distance(points: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Distance (n,) to the nearest of the segments (s, 2, 2) whose middles are among the three nearest."""
    if not len(points):
        return np.zeros(0)
    _, index = cKDTree(ends.mean(1)).query(points, k=min(3, len(ends)))
    a, b = ends[index.reshape(len(points), -1)].transpose(2, 0, 1, 3)
    along = b - a
    t = ((points[:, None] - a) * along).sum(2) / (along * along).sum(2)
    return np.linalg.norm(points[:, None] - a - np.clip(t, 0, 1)[..., None] * along, axis=2).min(1)
