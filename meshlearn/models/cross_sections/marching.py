"""Marching cubes over any set of grid cells: closed, manifold, oriented triangles, without a loop over cells."""

from __future__ import annotations

import numpy as np

from meshlearn.models.cross_sections.marching_table import EDGES, marching_table


def marching_cubes(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """((n, 3) points in grid numbers, (m, 3) triangles facing away from positive values) of the level zero.

    values  (n0, n1, n2) floating; positive is inside, zero counts as outside. Where no inside value lies on the border
            the surface is closed; it is always manifold. Points stay a hundredth of an edge away from its ends, so that
            triangles have an area
    """
    inside = values > 0
    low = np.zeros(tuple(n - 1 for n in values.shape), dtype=np.uint8)
    shape = np.array(values.shape)
    strides = np.array([shape[1] * shape[2], shape[2], 1])
    for corner in range(8):
        x, y, z = corner & 1, corner >> 1 & 1, corner >> 2 & 1
        part = inside[x : shape[0] - 1 + x, y : shape[1] - 1 + y, z : shape[2] - 1 + z]
        low |= part.astype(np.uint8) << corner
    cells = np.flatnonzero((low > 0) & (low < 255))
    case = low.reshape(-1)[cells].astype(np.int64)
    i, j, k = np.unravel_index(cells, low.shape)
    base = (i * strides[0] + j * strides[1] + k).astype(np.int64)
    first, table = marching_table()
    offset = np.array([[c & 1, c >> 1 & 1, c >> 2 & 1] for c in range(8)]) @ strides
    start = np.array([offset[a] for a, _ in EDGES])
    axis = np.array([{1: 0, 2: 1, 4: 2}[a ^ b] for a, b in EDGES])

    count = first[case + 1] - first[case]
    owner = np.repeat(np.arange(len(case)), count)
    rank = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    local = table[first[case[owner]] + rank]  # (m, 3)

    keys = (base[owner, None] + start[local]) * 3 + axis[local]
    used, number = np.unique(keys, return_inverse=True)
    return _crossings(values, used, strides), number.reshape(keys.shape)


def _crossings(values: np.ndarray, keys: np.ndarray, strides: np.ndarray) -> np.ndarray:
    """(n, 3) places on grid edges where the value is zero, by linear interpolation."""
    node, axis = keys // 3, keys % 3
    flat = values.reshape(-1)
    here, there = flat[node].astype(np.float64), flat[node + strides[axis]].astype(np.float64)
    t = np.clip(here / (here - there), 0.01, 0.99)
    points = np.stack(np.unravel_index(node, values.shape), axis=1).astype(np.float64)
    points[np.arange(len(points)), axis] += t
    return points
