"""Marching cubes over any set of grid cells: closed, manifold, oriented triangles, without a loop over cells."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from meshlearn.models.cross_sections.marching_table import EDGES, marching_table

STEPS = 6
SETTLED = 0.05
"""Crossings that a step moves by less than this share of an edge are where they belong."""


def marching_cubes(
    values: np.ndarray, values_at: Callable[[np.ndarray], np.ndarray] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """((n, 3) points in grid numbers, (m, 3) triangles facing away from positive values) of the level zero.

    values  (n0, n1, n2) floating; positive is inside, zero counts as outside. Where no inside value lies on the border
            the surface is closed; it is always manifold. Points stay a hundredth of an edge away from its ends, so that
            triangles have an area
    values_at  values (n,) at points (n, 3) in grid numbers. Points are then where these are zero; by default, where a
               linear function along the edge is, which makes parts too thick that are thinner than an edge
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
    return _crossings(values, used, strides, values_at), number.reshape(keys.shape)


def _crossings(
    values: np.ndarray,
    keys: np.ndarray,
    strides: np.ndarray,
    values_at: Callable[[np.ndarray], np.ndarray] | None,
) -> np.ndarray:
    """(n, 3) places on grid edges where the value is zero."""
    node, axis = keys // 3, keys % 3
    flat = values.reshape(-1)
    here, there = flat[node].astype(np.float64), flat[node + strides[axis]].astype(np.float64)
    points = np.stack(np.unravel_index(node, values.shape), axis=1).astype(np.float64)

    def at(rows: np.ndarray, share: np.ndarray) -> np.ndarray:
        place = points[rows]
        place[np.arange(len(rows)), axis[rows]] += share
        return place

    every = np.arange(len(keys))
    t = here / (here - there)
    if values_at is not None and len(keys):
        t = _zeros(lambda rows, share: values_at(at(rows, share)), here, there)
    return at(every, np.clip(t, 0.01, 0.99))


def _zeros(
    values_at: Callable[[np.ndarray, np.ndarray], np.ndarray], here: np.ndarray, there: np.ndarray
) -> np.ndarray:
    """(n,) zeros of functions on [0, 1] with values of opposite sign at the ends: regula falsi (Illinois variant).

    values_at  values at places of some of the functions: (their numbers, places)
    """
    rows = np.arange(len(here))
    low, high = np.zeros(len(here)), np.ones(len(here))
    f_low, f_high = here.copy(), there.copy()
    t = here / (here - there)
    kept = np.zeros(len(here), dtype=np.int8)  # which end stayed in the step before
    for _ in range(STEPS):
        at = t[rows]
        value = np.asarray(values_at(rows, at), dtype=np.float64)
        same = np.sign(value) == np.sign(here[rows])
        up, down = rows[same], rows[~same]
        f_high[up] *= np.where(kept[up] == 1, 0.5, 1.0)
        f_low[down] *= np.where(kept[down] == -1, 0.5, 1.0)
        low[up], f_low[up], kept[up] = at[same], value[same], 1
        high[down], f_high[down], kept[down] = at[~same], value[~same], -1
        span = f_low[rows] - f_high[rows]
        span = np.where(span == 0, 1.0, span)
        t[rows] = low[rows] + f_low[rows] / span * (high[rows] - low[rows])
        rows = rows[np.abs(t[rows] - at) > SETTLED]
        if not len(rows):
            break
    return t
