"""Data sets of the flow over a barrier: a stream along the floor of a basin meets a dam, and goes over it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from meshlearn.mesh.elevation import second_order
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.shapes import planar
from meshlearn.mesh.trajectory import Trajectory
from meshlearn.sim.collection import SERIES, bounds, collect, design, mesher_seed
from meshlearn.sim.marching import check_march
from meshlearn.sim.navier_stokes import navier_stokes
from meshlearn.sim.plate import Range
from meshlearn.train.option_checks import number

LENGTH, HEIGHT, BEFORE = 12.0, 4.0, 5.0  # of the basin, and the way from the inflow to the barrier
TALLEST = 2.0
_SIDES = ("bottom", "barrier", "barrier", "barrier", "bottom", "right", "top", "left", "inlet")


def make_dams(
    n: int,
    folder: str | Path | None = None,
    seed: int = 0,
    size: Any = 0.3,
    reynolds: Range = (5.0, 50.0),
    barrier_height: Range = (1.0, 1.5),
    barrier_width: Range = (0.2, 1.0),
    time_step: float = 1.0,
    frames: int = 20,
    substeps: int = 4,
    progress: bool = False,
) -> list[Trajectory]:
    """Draw, mesh and solve `n` flows over a barrier; write them as `dam_0000.mesh.safetensors` … or not.

    The dams of Y. Luo, Y. Chen, Z. Zhang 2023, "CFDBench", arXiv:2310.05963, in units of the height of the inflow and
    of its mean speed: there speed, density, viscosity and the size of the barrier vary; without dimensions these are
    the Reynolds number and the two sides. The basin is 12 x 4, the inflow the lowest 1 of its left side, the barrier
    stands on the floor 5 away from it. There water flows into air, under gravity; here the basin is full, all sides but
    the inflow and the right one are walls, and the inflow is a parabola.

    folder      to write to
    n, seed     flow i depends on the seed and on i only; meshes differ
    size        largest edge length; at the barrier and the inflow edges are a third of that at most
    reynolds    1 / nu: a number, or (smallest, largest)
    barrier_height, barrier_width
                of the barrier: numbers, or (smallest, largest)
    time_step, frames, substeps
                as in `navier_stokes`
    progress    show a progress bar (on a terminal)

    The flow begins as Stokes flow. Solved with velocities of second order; what is returned are the values at the
    corners of the cells. Every trajectory is planar, float32, of triangles, with the boundaries "inlet", "left" (the
    wall above it), "right" (free outflow), "bottom", "top" and "barrier", and has
      point_data   velocity (2,), pressure ()
      global_data  reynolds, viscosity, barrier_height, barrier_width (), of the mesh; drag () in time: the force on the
                   barrier along the floor
    Raises ParameterError for impossible requests, and for a folder that holds other flows.

    >>> flow, = ml.sim.make_dams(1, size=0.9, frames=2, substeps=1)
    >>> flow.point_data["velocity"].shape == (3, flow.n_points, 2), list(flow.global_data)
    (True, ['drag'])
    """
    edge: Any = number("an edge length of at most 1", lambda value: 0 < value <= 1)("size", size)
    check_march(time_step, frames, substeps)
    ranges = {
        "reynolds": bounds("reynolds", reynolds, 1e-3, 200.0),
        "barrier_height": bounds("barrier_height", barrier_height, 0.1, TALLEST),
        "barrier_width": bounds("barrier_width", barrier_width, 0.1, TALLEST),
    }
    drawn = design(n, seed, ranges)

    def make(i: int) -> Trajectory:
        values = drawn[i]
        mesh = dam_mesh(values["barrier_height"], values["barrier_width"], edge, mesher_seed(seed, i))
        fine = second_order(mesh)
        viscosity, rest = 1.0 / values["reynolds"], (0.0, 0.0)
        walls = dict.fromkeys(("bottom", "top", "left", "barrier"), rest)
        flow = navier_stokes(
            fine, viscosity, {"inlet": _inflow, **walls}, time_step, frames, substeps, forces=["barrier"]
        )
        fields = {name: flow.point_data[name][:, : mesh.n_points] for name in ("velocity", "pressure")}
        known = {**values, "viscosity": viscosity}
        named = mesh.with_global_data(**{name: mesh.points.new_tensor(value) for name, value in known.items()})
        return Trajectory(named, flow.times, fields, global_data={"drag": flow.global_data["force_barrier"][:, 0]})

    return collect(make, n, folder, "dam", progress, SERIES)


def dam_mesh(height: float, width: float, size: float, seed: int = 0) -> Mesh:
    """The basin with its barrier, in triangles.

    >>> from meshlearn.sim.dam import dam_mesh
    >>> sorted(dam_mesh(1.0, 0.5, 0.9).cell_sets)
    ['barrier', 'bottom', 'inlet', 'left', 'right', 'top']
    """
    near, far = BEFORE, BEFORE + width
    corners = [
        *((0.0, 0.0), (near, 0.0), (near, height), (far, height), (far, 0.0), (LENGTH, 0.0)),
        *((LENGTH, HEIGHT), (0.0, HEIGHT), (0.0, 1.0)),
    ]
    outline, names = [], []
    for k, (start, name) in enumerate(zip(corners, _SIDES, strict=True)):
        end = corners[(k + 1) % len(corners)]
        length = abs(end[0] - start[0]) + abs(end[1] - start[1])
        parts = max(round(3 * length / size), 2) if name in ("barrier", "inlet") else 1
        shares = [part / parts for part in range(parts)]
        outline += [(start[0] + s * (end[0] - start[0]), start[1] + s * (end[1] - start[1])) for s in shares]
        names += [name] * parts
    mesh = planar(outline, [], size, seed=seed, dtype=torch.float64, side_names=names)
    return mesh.replace(cell_sets={name: by for name, by in mesh.cell_sets.items() if name != "outline"})


def _inflow(x: Tensor, time: float) -> tuple[Tensor, Tensor]:
    """A parabola of mean 1 on the lowest 1 of the left side, at all times."""
    return 6 * x[1] * (1 - x[1]), torch.zeros_like(x[1])
