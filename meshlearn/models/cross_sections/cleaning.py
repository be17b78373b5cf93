"""Bodies and cavities that no plane crosses have no evidence: they are removed."""

from __future__ import annotations

import numpy as np


def seen_parts(
    points: np.ndarray, triangles: np.ndarray, normals: np.ndarray, offsets: np.ndarray, tolerance: float
) -> tuple[np.ndarray, np.ndarray]:
    """The cells, triangles (m, 3) or tetrahedra (m, 4), without connected parts that every plane has on one side, and
    without unused points."""
    if not len(triangles):
        return points, triangles
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = np.concatenate([triangles[:, k : k + 2] for k in range(triangles.shape[1] - 1)])
    graph = coo_array((np.ones(len(edges), np.int8), (edges[:, 0], edges[:, 1])), shape=(len(points),) * 2)
    count, part = connected_components(graph, directed=False)
    if count == 1:
        return points, triangles
    order = np.argsort(part, kind="stable")
    first = np.searchsorted(part[order], np.arange(count))
    seen = np.zeros(count, dtype=bool)
    for normal, offset in zip(normals, offsets, strict=True):
        height = (points @ normal - offset)[order]
        low, high = np.minimum.reduceat(height, first), np.maximum.reduceat(height, first)
        seen |= (low <= tolerance) & (high >= -tolerance)
    keep = seen[part]
    number = np.cumsum(keep) - 1
    return points[keep], number[triangles[keep[triangles[:, 0]]]]
