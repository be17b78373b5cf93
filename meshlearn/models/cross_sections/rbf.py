"""Radial basis functions: the field of least bending that takes given values, phi(r) = r^3 with a linear part.

Carr et al., "Reconstruction and representation of 3D objects with radial basis functions", SIGGRAPH 2001. Centres are
points on contours (value 0), beside them, and all over the planes (in-plane distances). As centres are few, the field
is smooth; what it leaves on the planes is put back by `Field`.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from meshlearn.models.cross_sections.body import Body
from meshlearn.models.cross_sections.samples import along_contours, over_planes, values_at

BESIDE = 0.04
"""Distance of centres beside contours, in unit frame; less for thin ones."""
LIMIT = 0.5
CHUNK = 256
"""Points at a time: their distances to all centres stay in the cache, which is three times as fast."""


class RadialField:
    """Interpolation of all channels of a body by radial basis functions.

    centres    number of centres, about
    smoothing  of the fit, relative to the kernel; makes room for planes that contradict each other
    """

    def __init__(self, body: Body, centres: int = 1500, smoothing: float = 1e-9, seed: int = 0):
        generator = np.random.default_rng(seed)
        on = along_contours(body, centres // 3, generator)
        far_plane, far = over_planes(body, max(centres // (5 * len(body.sections)), 6), generator)
        plane = np.concatenate([on.plane, on.plane, on.plane, far_plane])
        beside = np.minimum(on.width, BESIDE)[:, None] * on.across
        flat = np.concatenate([on.flat, on.flat + beside, on.flat - beside, far])
        points, values = values_at(body, plane, flat, LIMIT)
        if len(body.channels) == 1:
            values[: len(on)] = 0.0
        points, first = np.unique(np.round(points, 6), axis=0, return_index=True)
        self.points = torch.from_numpy(points)
        self.weights = torch.from_numpy(_solve(points, values[first], smoothing))

    def __call__(self, points: Float32[Tensor, "n 3"]) -> Float32[Tensor, "n c"]:
        """Values at points of the unit frame."""
        n = len(self.points)
        found = []
        for part in points.double().split(CHUNK):
            r = torch.cdist(part, self.points, compute_mode="use_mm_for_euclid_dist")
            linear = self.weights[n] + part @ self.weights[n + 1 :]
            found.append((r.square().mul_(r) @ self.weights[:n] + linear).float())
        return torch.cat(found)


def _solve(points: np.ndarray, values: np.ndarray, smoothing: float) -> np.ndarray:
    """(n + 4, c) weights of centres, then of 1, x, y, z."""
    from scipy.linalg import lu_factor, lu_solve

    n = len(points)
    r = torch.cdist(torch.from_numpy(points), torch.from_numpy(points)).numpy()
    matrix = np.zeros((n + 4, n + 4))
    matrix[:n, :n] = r**3
    matrix[:n, :n][np.diag_indices(n)] += smoothing * n
    matrix[:n, n] = matrix[n, :n] = 1.0
    matrix[:n, n + 1 :] = points
    matrix[n + 1 :, :n] = points.T
    right = np.concatenate([values, np.zeros((4, values.shape[1]))])
    return lu_solve(lu_factor(matrix), right)
