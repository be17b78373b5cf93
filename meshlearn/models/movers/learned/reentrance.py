"""Where the boundary bends inwards: there a gradient map has no bounded displacement, and a mover has to hold back."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn import ops
from meshlearn.models.movers.elements import Elements

_REACHES = (0.03, 0.1)  # of the size of the mesh
_LEAST = 0.01


def reentrance(elements: Elements, boundary: np.ndarray) -> Float[Tensor, "n k"]:
    """Columns b exp(-d / reach) for two reaches, d being the distance to the nearest point where the boundary bends.

    b is how much it bends inwards: the angle (solid angle) of the mesh there over that of a half-space, minus 1. All is
    0 where no point bends inwards.
    """
    bend = 2 * angles(elements) - 1
    corners = np.flatnonzero(boundary & (bend > _LEAST))
    points = torch.from_numpy(elements.points)
    if elements.dim == 1 or not len(corners):
        return points.new_zeros(len(points), len(_REACHES))
    distance, nearest = ops.knn(points[torch.from_numpy(corners)], points, 1)
    strength = torch.from_numpy(bend[corners])[nearest[:, 0]]
    return torch.stack([strength * torch.exp(-distance[:, 0] / reach) for reach in _REACHES], 1)


def angles(elements: Elements) -> np.ndarray:
    """(n,): the angles of the cells at each point, over the full circle or sphere: 1 inside, 1/2 on straight walls."""
    x = elements.points[elements.cells]
    total = np.zeros(elements.n)
    for corner in range(elements.dim + 1):
        others = [k for k in range(elements.dim + 1) if k != corner]
        v = x[:, others] - x[:, corner : corner + 1]
        v /= np.linalg.norm(v, axis=2, keepdims=True)
        cosines = [(v[:, i] * v[:, j]).sum(1) for i, j in combinations(range(elements.dim), 2)]
        if elements.dim == 1:
            share = np.full(len(x), 0.5)
        elif elements.dim == 2:
            share = np.arccos(np.clip(cosines[0], -1, 1)) / (2 * math.pi)
        else:  # A. van Oosterom and J. Strackee, "The solid angle of a plane triangle" (1983)
            share = 2 * np.arctan2(np.abs(np.linalg.det(v)), 1 + sum(cosines)) / (4 * math.pi)
        total += np.bincount(elements.cells[:, corner], share, minlength=elements.n)
    return total
