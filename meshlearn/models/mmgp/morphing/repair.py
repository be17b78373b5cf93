"""Turned-over cells repaired where they are: their points become means of their neighbours again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from meshlearn.mesh.mesh import Mesh
from meshlearn.models.mmgp.morphing.means import MeanMap, fill_middles
from meshlearn.models.mmgp.morphing.validity import worst_jacobians

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_RINGS = 4


def repaired(mesh: Mesh, points: np.ndarray, weights: csr_matrix, fixed: np.ndarray) -> np.ndarray:
    """(n_points, 2) positions with fewer turned-over cells, or the same ones if that does not help.

    The free corners of turned-over cells, and more and more rings of neighbours, move to the weighted means of their
    neighbours, everything else stays.

    weights  (n_points, n_points), positive on the edges
    fixed    (n_points,) bool: points that must not move
    """
    points = fill_middles(mesh, points)
    bad = _turned(mesh, points)
    pattern = (weights != 0).astype(np.float64)
    for rings in range(_RINGS + 1):
        if not bad.any():
            break
        chosen = np.zeros(mesh.n_points)
        for kind, rows in mesh.split_cells(torch.from_numpy(bad)).items():
            chosen[mesh.cells[kind][rows].reshape(-1).numpy()] = 1.0
        for _ in range(rings):
            chosen = chosen + pattern @ chosen
        candidate = fill_middles(mesh, MeanMap(weights, fixed | (chosen == 0)).solve(points))
        still = _turned(mesh, candidate)
        if still.sum() < bad.sum():
            points, bad = candidate, still
    return points


def _turned(mesh: Mesh, points: np.ndarray) -> np.ndarray:
    return (worst_jacobians(mesh, torch.from_numpy(points)) <= 1e-9).numpy()
