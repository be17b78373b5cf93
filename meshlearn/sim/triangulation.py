"""Meshes of a data set that have nothing in common but their shape: a lattice of its own for each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float

from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.shapes import planar
from meshlearn.sim.plate import Circle

GRID = 2.0**-40  # coordinates are multiples of this times the extent: sides stay on their lines when turned back
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
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    mesh = planar(
        corners @ turn.T,
        [(*(turn @ np.array([x, y])).tolist(), r) for x, y, r in holes],
        size=size * rng.uniform(1 - SPREAD, 1 + SPREAD),
        refine=refine,
        seed=seed,
        dtype=torch.float64,
        side_names=side_names,
    )
    step = GRID * 2.0 ** np.ceil(np.log2(np.abs(corners).max()))
    return mesh.replace(points=(mesh.points @ torch.from_numpy(turn) / step).round() * step)
