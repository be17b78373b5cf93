"""Meshes of a data set that have nothing in common but their shape: a lattice of its own for each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float

from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.shapes import planar
from meshlearn.sim.plate import Circle

TURN = 512.0  # frames are turned and stretched by whole numbers up to this: without rounding, sides in line stay so
CORNERS, POINTS = 2.0**-30, 2.0**-40  # given and returned coordinates are multiples of these times the extent
SPREAD = 0.04  # of the size, to both sides


def independent_mesh(
    corners: Float[np.ndarray, "n 2"],
    holes: Sequence[Circle] = (),
    size: float = 0.1,
    seed: int = 0,
    side_names: Sequence[str] | None = None,
    refine: int = 0,
) -> Mesh:
    """Triangles in float64 as `planar` makes them, but meshed in a frame turned at random, with edges of size ± 4 %.

    Two seeds give meshes without common interior points, where those of `planar` lie close together: its lattice
    begins at the same place in the same direction. Arguments and errors as in `planar`.
    """
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 2 * np.pi)
    p, q = np.round(TURN * np.array([np.cos(angle), np.sin(angle)]))
    turn, scale = np.array([[p, -q], [q, p]]), float(np.hypot(p, q))
    extent = 2.0 ** np.ceil(np.log2(np.abs(corners).max()))
    mesh = planar(
        _rounded(corners, CORNERS * extent) @ turn.T,
        [(*(turn @ np.array([x, y])).tolist(), scale * r) for x, y, r in holes],
        size=scale * size * rng.uniform(1 - SPREAD, 1 + SPREAD),
        refine=refine,
        seed=seed,
        dtype=torch.float64,
        side_names=side_names,
    )
    back = mesh.points.numpy() @ turn / scale**2
    return mesh.replace(points=torch.from_numpy(_rounded(back, POINTS * extent)))


def _rounded(points: np.ndarray, step: float) -> np.ndarray:
    return np.round(points / step) * step
