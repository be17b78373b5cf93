"""Wedges in files that number them by VTK: its documentation turns the base against ours, its sources do not."""

from __future__ import annotations

import numpy as np


def inside_out(table: np.ndarray, points: np.ndarray) -> bool:
    """True if more wedges have a negative volume than a positive one, read as ours; False for nodes out of range.

    table   (n, 6) node numbers in our order
    points  (n_points, 3)
    """
    if not len(table) or points.shape[1] != 3 or not 0 <= int(table.min()) <= int(table.max()) < len(points):
        return False
    p = [points[table[:, k]].astype(np.float64) for k in range(4)]
    volume = np.einsum("ij,ij->i", np.cross(p[1] - p[0], p[2] - p[0]), p[3] - p[0])
    return bool((volume < 0).sum() > (volume > 0).sum())
