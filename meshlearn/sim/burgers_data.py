"""Data sets of Burgers' equation on a square, with and without holes: humps that steepen into moving fronts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.refinement import refine
from meshlearn.mesh.shapes import plate_with_holes, square
from meshlearn.mesh.trajectory import Trajectory
from meshlearn.sim.burgers import burgers
from meshlearn.sim.collection import SERIES, bounds, collect, design, mesher_seed
from meshlearn.sim.holes import circles, hole_numbers, hole_ranges
from meshlearn.sim.plate import Range

Bounds = tuple[float, float]
FEWEST = 4
CELLS = ("triangle", "quad")
LAYER = 0.05  # distance from holes over which initial values go to 0


def make_burgers(
    n: int,
    folder: str | Path | None = None,
    seed: int = 0,
    resolution: int = 24,
    reference: int = 3,
    humps: int = 2,
    components: int = 1,
    width: Range = (0.08, 0.16),
    height: Range = (0.6, 1.2),
    viscosity: Range = (0.004, 0.01),
    time_step: float = 0.05,
    frames: int = 20,
    substeps: int = 2,
    cells: Any = "triangle",
    holes: Any = 0,
    progress: bool = False,
) -> list[Trajectory]:
    """Draw and solve `n` initial values on the unit square; write them as `burgers_0000.mesh.safetensors` … or not.

    Each starts from a sum of Gaussians, u = 0 on the boundary throughout, and steepens into fronts of width nu / |u|.
    The solution is that of a finer mesh, at the points of the one asked for: errors of a solver or a network on that
    mesh are errors against the truth.

    folder       to write to
    n, seed      trajectory i depends on the seed and on i only (and on the number of humps)
    resolution   cells along a side of the mesh of the trajectories
    reference    the reference has this many times as many, in elements of order 2; 1 is the same mesh
    humps        Gaussians in the initial values
    components   1: a scalar, carried along (1, 1); 2: a vector
    width, height
                 of the Gaussians exp(-r^2 / (2 width^2)); of a vector its length, in a direction that is drawn, too
    viscosity    nu: a number, or (smallest, largest), drawn evenly in its logarithm
    time_step, frames, substeps
                 as in `burgers`, the last of the reference
    cells        "triangle", or "quad": the square is a regular grid
    holes        number of round holes, 0 to 4, or (fewest, most); u = 0 on their walls as well. Meshes with holes are
                 of triangles of edge length 1 / resolution, and the reference has the next lower power of 2 times as
                 many cells along a line, on the same polygons
    progress     show a progress bar (on a terminal)

    Every trajectory is planar, float32, with the boundaries "left", "right", "bottom" and "top" (with holes those of
    `ml.shapes.plate_with_holes`), and has
      point_data   u (), or (2,)
      global_data  viscosity (), of the mesh
    The same seed with another `resolution` is the same problem on another mesh. Raises ParameterError for impossible
    requests, and for a folder that holds other trajectories.

    >>> wave, = ml.sim.make_burgers(1, resolution=8, frames=3)
    >>> wave.point_data["u"].shape
    torch.Size([4, 81])
    """
    for name, value, least in (("resolution", resolution, FEWEST), ("reference", reference, 1), ("humps", humps, 1)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ParameterError(f"{name} is a whole number of at least {least}, not {value!r}.")
    if components not in (1, 2):
        raise ParameterError(f"components is 1 (a scalar) or 2 (a vector), not {components!r}.")
    fewest, most = hole_numbers(holes)
    if cells not in CELLS or (most and cells != "triangle"):
        raise ParameterError(f"cells={cells!r}: 'triangle' is expected, or without holes one of {list(CELLS)}.")
    ranges = _ranges(
        humps, bounds("width", width, 1e-3), bounds("height", height), bounds("viscosity", viscosity, 1e-6)
    )
    if most:  # without holes, what is drawn does not depend on there being any
        ranges |= hole_ranges(fewest, most)
    drawn = design(n, seed, ranges)
    meshes: Any = None if most else _squares(resolution, reference, cells)

    def make(i: int) -> Trajectory:
        values = drawn[i]
        walls = circles(values) if most else []
        mesh, fine, rows = meshes or _plates(walls, resolution, reference, mesher_seed(seed, i))
        still: Any = 0.0 if components == 1 else (0.0, 0.0)
        solved = burgers(
            fine,
            Humps(values, humps, components, walls),
            math.exp(values["log_viscosity"]),
            time_step,
            frames,
            substeps,
            dirichlet={"boundary": still},
            order=2 if reference > 1 else 1,
        )
        field = solved.point_data["u"].index_select(1, rows)
        named = mesh.with_global_data(viscosity=solved.mesh.global_data["viscosity"])
        return Trajectory(named, solved.times, {"u": field})

    return collect(make, n, folder, "burgers", progress, SERIES)


class Humps:
    """The sum of Gaussians that a draw describes, as a function of the place x (2, n); it goes to 0 at round walls."""

    def __init__(
        self,
        values: dict[str, float],
        humps: int,
        components: int,
        walls: Sequence[tuple[float, float, float]] = (),
    ) -> None:
        self.values, self.humps, self.components, self.walls = values, humps, components, tuple(walls)

    def __call__(self, x: Tensor) -> Any:
        parts = []
        for k in range(self.humps):
            of = {name: self.values[f"{name}{k}"] for name in ("x", "y", "width", "height", "angle")}
            square_distance = (x[0] - of["x"]).square() + (x[1] - of["y"]).square()
            hump = of["height"] * torch.exp(-square_distance / (2 * of["width"] ** 2))
            parts.append((hump, np.cos(of["angle"]) * hump, np.sin(of["angle"]) * hump))
        free = self._away(x)
        scalar, across, up = (free * sum(part) for part in zip(*parts, strict=True))
        return scalar if self.components == 1 else (across, up)

    def _away(self, x: Tensor) -> Tensor:
        """0 at the walls, 1 away from them."""
        free = torch.ones_like(x[0])
        for across, up, radius in self.walls:
            gap = (torch.hypot(x[0] - across, x[1] - up) - radius).clamp_min(0.0)
            free = free * (1 - torch.exp(-(gap / LAYER).square()))
        return free


def _ranges(humps: int, width: Bounds, height: Bounds, viscosity: Bounds) -> dict[str, Bounds]:
    """What is drawn, by name."""
    low, high = viscosity
    ranges = {"log_viscosity": (math.log(low), math.log(high))}
    for k in range(humps):
        ranges |= {f"x{k}": (0.2, 0.6), f"y{k}": (0.2, 0.6), f"width{k}": width}
        ranges |= {f"height{k}": height, f"angle{k}": (0.0, 2 * math.pi)}
    return ranges


def _squares(resolution: int, reference: int, cells: str) -> tuple[Mesh, Mesh, Tensor]:
    """(mesh, mesh of the reference, (n_points,) the number in the second of every point of the first)."""
    mesh = square(n=resolution, cells=cells, dtype=torch.float64)
    fine = square(n=resolution * reference, cells=cells, dtype=torch.float64)
    return mesh, fine, _common(mesh, fine)


def _plates(
    walls: list[tuple[float, float, float]], resolution: int, reference: int, seed: int
) -> tuple[Mesh, Mesh, Tensor]:
    mesh = plate_with_holes(walls, 1.0 / resolution, seed=seed, dtype=torch.float64)
    fine = refine(mesh, int(math.log2(reference)))
    return mesh, fine, torch.arange(mesh.n_points)  # refinement adds points after those that there are


def _common(mesh: Mesh, fine: Mesh) -> Tensor:
    """(n_points,) the number in the finer mesh of every point."""
    from scipy.spatial import KDTree

    return torch.from_numpy(KDTree(fine.points.numpy()).query(mesh.points.numpy())[1])
