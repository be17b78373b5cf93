"""Data sets of the flow past a cylinder in a channel: position, radius and Reynolds number vary.

The channel is that of M. Schaefer and S. Turek (1996), "Benchmark computations of laminar flow around a cylinder":
2.2 x 0.41, the cylinder about 0.2 from the inflow; lengths in their unit, and 1 for the mean velocity of the inflow.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.mesh.elevation import second_order
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.shapes import planar
from meshlearn.mesh.trajectory import Trajectory
from meshlearn.sim.collection import SERIES, bounds, collect, design, mesher_seed
from meshlearn.sim.marching import check_march
from meshlearn.sim.navier_stokes import navier_stokes
from meshlearn.sim.plate import Range

LENGTH, HEIGHT = 2.2, 0.41
GAP = 0.05  # smallest distance of the cylinder from the walls
SEGMENTS = 36  # of the cylinder; the cells grow away from it
SIDES = ("bottom", "right", "top", "left", "cylinder")


def make_cylinder_flows(
    n: int,
    folder: str | Path | None = None,
    seed: int = 0,
    size: Any = 0.05,
    radius: Range = (0.035, 0.06),
    x: Range = (0.2, 0.3),
    y: Range = (0.16, 0.25),
    reynolds: Range = (60.0, 150.0),
    start: Any = 1.0,
    time_step: float = 0.04,
    frames: int = 30,
    substeps: int = 4,
    progress: bool = False,
) -> list[Trajectory]:
    """Draw, mesh and solve `n` flows; write them as `cylinder_0000.mesh.safetensors` … when a folder is given.

    n, seed      flow i depends on the seed and on i only; meshes differ
    size         largest edge length; at the cylinder edges are an 18th of pi times its radius
    radius, x, y of the cylinder and its centre: numbers, or (smallest, largest)
    reynolds     mean velocity of the inflow (1) times diameter over viscosity; vortices are shed from about 50 on
    start        time at which the trajectory begins; the flow itself begins at 0 as Stokes flow
    time_step, frames, substeps
                 as in `navier_stokes`; stronger flows on finer meshes need more substeps
    progress     show a progress bar (on a terminal)

    The inflow is a parabola, the outflow free. Solved with velocities of second order on cells whose sides follow the
    circle; what is returned are the values at the corners, so that a network that interpolates linearly is measured
    against a solution that is finer than its mesh. Every trajectory is planar, float32, of triangles, with the
    boundaries "left", "right", "bottom", "top" and "cylinder", and has
      point_data   velocity (2,), pressure ()
      global_data  reynolds, viscosity, radius (), centre (2,), of the mesh; drag, lift () in time: the force on the
                   cylinder over half the diameter
    Raises ParameterError for impossible requests, and for a folder that holds other flows.

    >>> flow, = ml.sim.make_cylinder_flows(1, size=0.2, start=0.0, frames=2, substeps=1)
    >>> flow.point_data["velocity"].shape == (3, flow.n_points, 2), list(flow.global_data)
    (True, ['drag', 'lift'])
    """
    step = check_march(time_step, frames, substeps)
    if not isinstance(start, (int, float)) or not 0 <= start < math.inf:
        raise ParameterError(f"start is the time at which trajectories begin, at least 0, not {start!r}.")
    if not isinstance(size, (int, float)) or not 0 < size <= HEIGHT / 2:
        raise ParameterError(f"size is an edge length of at most half the height, {HEIGHT / 2:g}, not {size!r}.")
    largest = bounds("radius", radius, 0.01, HEIGHT / 2 - GAP)[1]
    free = largest + GAP
    ranges = {
        "radius": bounds("radius", radius, 0.01, HEIGHT / 2 - GAP),
        "x": bounds("x", x, free, LENGTH / 2),
        "y": bounds("y", y, free, HEIGHT - free),
        "reynolds": bounds("reynolds", reynolds, 1e-3, 500.0),
    }
    drawn = design(n, seed, ranges)
    before = round(start / step)

    def make(i: int) -> Trajectory:
        values = drawn[i]
        mesh, curved = cylinder_meshes(values["x"], values["y"], values["radius"], size, seed=mesher_seed(seed, i))
        return solve_cylinder(mesh, curved, values, step, before, frames, substeps)

    return collect(make, n, folder, "cylinder", progress, SERIES)


def cylinder_meshes(x: float, y: float, radius: float, size: float, segments: int = SEGMENTS, seed: int = 0) -> Any:
    """(triangles, triangle6 cells whose sides follow the circle): the points of the first are the first of the second.

    >>> from meshlearn.sim.cylinder import cylinder_meshes
    >>> [list(mesh.cell_counts) for mesh in cylinder_meshes(0.2, 0.2, 0.05, size=0.2)]
    [['triangle', 'line'], ['triangle6', 'line3']]
    """
    angle = np.arange(segments) * 2 * np.pi / segments
    hole = np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle)], axis=1)
    outline = [(0.0, 0.0), (LENGTH, 0.0), (LENGTH, HEIGHT), (0.0, HEIGHT)]
    mesh = planar(outline, [hole], size, seed=seed, dtype=torch.float64, side_names=SIDES)
    mesh = mesh.replace(cell_sets={name: by for name, by in mesh.cell_sets.items() if name != "outline"})
    centre = torch.tensor([x, y], dtype=torch.float64)

    def on_circle(points: Tensor) -> Tensor:
        away = points - centre
        return centre + radius * away / away.norm(dim=1, keepdim=True)

    return mesh, second_order(mesh, project={"cylinder": on_circle})


def solve_cylinder(
    mesh: Mesh, curved: Mesh, values: dict[str, float], step: float, before: int, frames: int, substeps: int
) -> Trajectory:
    """The trajectory of `make_cylinder_flows` on its two meshes, after so many steps before its first frame."""
    diameter = 2 * values["radius"]
    viscosity = diameter / values["reynolds"]
    rest = (0.0, 0.0)
    velocity = {"left": inflow, "bottom": rest, "top": rest, "cylinder": rest}
    every = substeps if before % substeps == 0 else 1
    total = before // every + frames * (substeps // every)
    flow = navier_stokes(curved, viscosity, velocity, step * every, total, every, forces=["cylinder"])
    kept = slice(before // every, total + 1, substeps // every)
    u, p = (flow.point_data[name][kept, : mesh.n_points] for name in ("velocity", "pressure"))
    force = flow.global_data["force_cylinder"][kept] * (2 / diameter)
    known = {"reynolds": values["reynolds"], "viscosity": viscosity, "radius": values["radius"]}
    named = mesh.with_global_data(
        **{name: mesh.points.new_tensor(value) for name, value in known.items()},
        centre=mesh.points.new_tensor([values["x"], values["y"]]),
    )
    return Trajectory(
        named,
        flow.times[kept] - flow.times[kept][0],
        {"velocity": u, "pressure": p},
        global_data={"drag": force[:, 0], "lift": force[:, 1]},
    )


def inflow(x: Tensor, time: float) -> tuple[Tensor, Tensor]:
    """A parabola of mean 1 across the channel, at all times."""
    return 6 * x[1] * (HEIGHT - x[1]) / HEIGHT**2, torch.zeros_like(x[1])
