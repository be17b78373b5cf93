"""Data sets of particles: bodies thrown into a box, dams that break, columns of sand that collapse."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from meshlearn.errors import ParameterError
from meshlearn.mesh.shapes import box, rectangle
from meshlearn.mesh.trajectory import Trajectory
from meshlearn.sim.collection import SERIES, collect, design
from meshlearn.sim.motion.film import simulate
from meshlearn.sim.motion.requests import requested, with_facts
from meshlearn.sim.motion.shapes import DRAWN as PLACED
from meshlearn.sim.motion.shapes import checked_shapes, thrown
from meshlearn.sim.motion.walls import Wall
from meshlearn.sim.mpm.body import Body
from meshlearn.sim.mpm.elastic import NeoHookean
from meshlearn.sim.mpm.material import Material
from meshlearn.sim.mpm.plastic import Sand, VonMises
from meshlearn.sim.mpm.solver import MPM
from meshlearn.sim.mpm.water import Water
from meshlearn.sim.plate import Range

GRAVITY = 9.81
DRAWN: dict[str, dict[str, Range]] = {
    "elastic": {"young": (5e4, 2e5), "poisson": (0.2, 0.4), "speed": (0.5, 2.0), "spin": (-8.0, 8.0)},
    "metal": {"young": 1e6, "poisson": 0.3, "yield_stress": (1e4, 4e4), "speed": (0.5, 2.0), "spin": (-8.0, 8.0)},
    "water": {"bulk": 5e4, "viscosity": 0.0, "width": (0.2, 0.45), "height": (0.25, 0.5)},
    "sand": {"young": 3e5, "poisson": 0.2, "friction": (20.0, 40.0), "width": (0.15, 0.3), "height": (0.2, 0.5)},
}
"""What is drawn unless given: Pa; m/s; rad/s; Pa s; m; degrees."""
DENSITY = {"elastic": 1000.0, "metal": 2000.0, "water": 1000.0, "sand": 1500.0}
LIMITS = {
    "poisson": (-0.9, 0.49),
    "friction": (1.0, 59.0),
    "width": (0.05, 0.9),
    "height": (0.05, 0.9),
    "spin": (-math.inf, math.inf),
}
FLOOR_FRICTION = 0.5


def make_mpm(
    n: int,
    folder: str | Path | None = None,
    seed: int = 0,
    kind: str = "elastic",
    dim: int = 2,
    cells: int = 32,
    duration: float = 1.0,
    frames: int = 100,
    shapes: Any = None,
    progress: bool = False,
    **constants: Range,
) -> list[Trajectory]:
    """Draw and simulate `n` scenes in a box of 1 m; write them as `mpm_elastic_0000.mesh.safetensors` … to a folder.

    n, seed    scene i depends on the seed and on i only (a Sobol sequence in all that is drawn)
    kind       "elastic", "metal": a body of some shape, turned somehow, is thrown with a spin and falls;
               "water": a dam breaks; "sand": a column collapses on a floor with friction
    dim        2 (plane strain) or 3
    cells      of the grid along a side; a body has two particles along each edge of a cell
    duration   simulated time in seconds, in `frames` equal steps
    shapes     for "elastic" and "metal", those to draw from: "block", "disc", "angle" in 2-D; "block", "ball",
               "cylinder" in 3-D; all of them unless given
    progress   show a progress bar (on a terminal)
    constants  of the material and the scene: numbers or ranges (`DRAWN` unless given)

    Every trajectory is a point cloud in float32 with the fields of `mpm.simulate` and, as global data of
    its mesh, all that was drawn, gravity (dim,) and box (2, dim), its corners.
    Raises ParameterError for impossible requests, and for a folder that holds other scenes of this name.

    >>> drop, = ml.sim.make_mpm(1, cells=16, duration=0.1, frames=2)
    >>> drop.moving_points.shape[::2], list(drop.mesh.global_data)
    (torch.Size([3, 2]), ['young', 'poisson', 'speed', 'spin', 'gravity', 'box'])
    """
    ranges = requested(kind, DRAWN, dim, cells, 8, constants, LIMITS)
    if shapes is not None and kind in ("water", "sand"):
        raise ParameterError(f"{kind} is always a column; shapes are for elastic and metal.")
    forms = checked_shapes(shapes, dim)
    drawn = design(n, seed, ranges | dict.fromkeys(PLACED, (0.0, 1.0)))

    def make(i: int) -> Trajectory:
        values = drawn[i]
        known = {name: values[name] for name in ranges}
        scene = _scene(kind, dim, cells, values, forms)
        film = simulate(scene, duration, frames)
        facts = {**known, "gravity": [0.0] * (dim - 1) + [-GRAVITY], "box": [[0.0] * dim, [1.0] * dim]}
        return with_facts(film, facts)

    return collect(make, n, folder, f"mpm_{kind}", progress, SERIES)


def _scene(kind: str, dim: int, cells: int, values: Mapping[str, float], forms: tuple[str, ...]) -> MPM:
    h = 1.0 / cells
    material = _material(kind, values)
    if kind in ("water", "sand"):
        wide, high = values["width"], values["height"]
        column = rectangle(wide, high, n=1) if dim == 2 else box(wide, wide, high, n=1)
        body = Body.fill(column, material, h / 2, DENSITY[kind])
        walls: Any = "separate" if kind == "water" else {"bottom": Wall("separate", FLOOR_FRICTION)}
    else:
        mesh, centre, velocity = thrown(values, forms, dim, 2 * h, 4)
        body = Body.fill(mesh, material, h / 2, DENSITY[kind], velocity, centre)
        walls = "separate"
    return MPM(body, h, (0.0,) * dim, (1.0,) * dim, walls, [0.0] * (dim - 1) + [-GRAVITY])


def _material(kind: str, values: Mapping[str, float]) -> Material:
    if kind == "water":
        return Water(values["bulk"], values["viscosity"])
    if kind == "sand":
        return Sand(values["young"], values["poisson"], values["friction"])
    if kind == "metal":
        return VonMises(values["young"], values["poisson"], values["yield_stress"])
    return NeoHookean(values["young"], values["poisson"])
