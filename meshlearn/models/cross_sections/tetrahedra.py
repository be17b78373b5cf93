"""Solids of tetrahedra inside the level zero of a field: a lattice, moved onto the surface and clipped by it.

Labelle and Shewchuk, "Isosurface stuffing: fast tetrahedral meshes with good dihedral angles", SIGGRAPH 2007: nodes of
a body-centred lattice that are close to the surface move onto it, so that what is clipped leaves no slivers. Here
faces that two tetrahedra share are cut along the diagonal of their lower node, instead of by parity.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np

CLOSE = 0.35
"""Nodes with the surface within this share of a lattice edge move onto it."""


def lattice(shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """((n, 3) nodes, (m, 4) tetrahedra) of a body-centred lattice of cubes of side 1: corners first, then centres."""
    n = np.array(shape)
    corners = np.moveaxis(np.indices(tuple(n + 1)), 0, -1).reshape(-1, 3)
    centres = np.moveaxis(np.indices(shape), 0, -1).reshape(-1, 3)
    cells = len(corners) + np.arange(len(centres)).reshape(n)
    tables = []
    for axis in range(3):
        low = [slice(None)] * 3
        high = [slice(None)] * 3
        low[axis], high[axis] = slice(None, -1), slice(1, None)
        first, second = cells[tuple(low)].reshape(-1), cells[tuple(high)].reshape(-1)
        base = centres[second - len(corners)]  # lower corner of the face between the two cells
        a, b = (np.eye(3, dtype=int)[k] for k in range(3) if k != axis)
        face = [base, base + a, base + a + b, base + b]
        ids = [np.ravel_multi_index(corner.T, tuple(n + 1)) for corner in face]
        for k in range(4):
            tables.append(np.stack([first, second, ids[k], ids[(k + 1) % 4]], axis=1))
    return np.concatenate([corners, centres + 0.5]), np.concatenate(tables)


def stuffed(
    values_at: Callable[[np.ndarray], np.ndarray], low: np.ndarray, size: float, shape: tuple[int, int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """((n, 3) points, (m, 4) positively oriented tetrahedra) where values are positive.

    values_at  values (n,) at points (n, 3); low, size, shape: the lattice of cubes of side `size` that starts at `low`
    """
    nodes, tets = lattice(shape)
    points = low + size * nodes
    values = values_at(points)
    signs = np.sign(values)[tets]
    tets = tets[(signs > 0).any(1)]
    points, values = _snapped(points, values, tets)
    return _clipped(points, values, tets)


def _edges(tets: np.ndarray) -> np.ndarray:
    pairs = np.concatenate([tets[:, [i, j]] for i in range(4) for j in range(i + 1, 4)])
    return np.unique(np.sort(pairs, axis=1), axis=0)


def _snapped(points: np.ndarray, values: np.ndarray, tets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nodes moved to the nearest crossing on one of their edges, where that is close; their value is zero then."""
    edges = _edges(tets)
    edges = edges[values[edges[:, 0]] * values[edges[:, 1]] < 0]
    a, b = np.concatenate([edges, edges[:, ::-1]]).T
    share = values[a] / (values[a] - values[b])
    close = share < CLOSE
    a, b, share = a[close], b[close], share[close]
    order = np.argsort(share, kind="stable")[::-1]  # the nearest is written last
    points, values = points.copy(), values.copy()
    target = points[a] + share[:, None] * (points[b] - points[a])
    points[a[order]] = target[order]
    values[a] = 0.0
    return points, values


def _clipped(points: np.ndarray, values: np.ndarray, tets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What tetrahedra have of the side of positive values."""
    signs = np.sign(values)[tets].astype(int)
    tets = tets[(signs > 0).any(1)]
    # positive nodes first, by number; then those on the surface; then negative ones
    signs = np.sign(values)[tets].astype(int)
    order = np.lexsort((tets, -signs), axis=1)
    tets = np.take_along_axis(tets, order, axis=1)
    signs = np.sign(values)[tets].astype(int)
    edges = _edges(tets)
    edges = edges[values[edges[:, 0]] * values[edges[:, 1]] < 0]
    keys = edges[:, 0] * len(points) + edges[:, 1]
    t = (values[edges[:, 0]] / (values[edges[:, 0]] - values[edges[:, 1]]))[:, None]
    cuts = points[edges[:, 0]] + t * (points[edges[:, 1]] - points[edges[:, 0]])

    def cut(rows: np.ndarray, i: int, j: int) -> np.ndarray:
        pair = np.sort(tets[rows][:, [i, j]], axis=1)
        return len(points) + np.searchsorted(keys, pair[:, 0] * len(points) + pair[:, 1])

    found = []
    for positive, zero in product(range(1, 5), range(4)):
        rows = np.flatnonzero(((signs > 0).sum(1) == positive) & ((signs == 0).sum(1) == zero))
        if positive + zero > 4 or not len(rows):
            continue
        own = [tets[rows, k] for k in range(4)]
        negative = 4 - positive - zero
        if negative == 0:
            found.append(np.stack(own, axis=1))
        elif positive == 1:
            last = [cut(rows, 0, 4 - negative + k) for k in range(negative)]
            found.append(np.stack([own[0], *own[1 : 1 + zero], *last], axis=1))
        elif positive == 3:
            found += _prism(own[:3], [cut(rows, k, 3) for k in range(3)])
        elif negative == 2:
            found += _prism([own[0], cut(rows, 0, 2), cut(rows, 0, 3)], [own[1], cut(rows, 1, 2), cut(rows, 1, 3)])
        else:  # two positive, one on the surface, one negative: a pyramid, cut from the lower node
            first, second = cut(rows, 0, 3), cut(rows, 1, 3)
            found.append(np.stack([own[0], own[1], own[2], second], axis=1))
            found.append(np.stack([own[0], own[2], second, first], axis=1))
    return _compact(np.concatenate([points, cuts]), np.concatenate([np.zeros((0, 4), np.int64), *found]))


def _prism(low: list[np.ndarray], high: list[np.ndarray]) -> list[np.ndarray]:
    """A prism between two triangles as three tetrahedra, with diagonals from earlier corners below to later above."""
    (a, b, c), (d, e, f) = low, high
    return [np.stack(corners, axis=1) for corners in ((a, d, e, f), (a, b, e, f), (a, b, c, f))]


def _compact(points: np.ndarray, tets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positively oriented tetrahedra of some volume, and the points they use."""
    x = points[tets]
    volume = np.linalg.det(x[:, 1:] - x[:, :1])
    tets = np.where((volume < 0)[:, None], tets[:, [0, 2, 1, 3]], tets)
    used, number = np.unique(tets, return_inverse=True)
    return points[used], number.reshape(tets.shape)
