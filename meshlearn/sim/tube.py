"""Data sets of the flow into a tube: a uniform stream that the walls slow down until it is a parabola."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.shapes import rectangle
from meshlearn.mesh.trajectory import Trajectory
from meshlearn.sim.collection import SERIES, bounds, collect, design
from meshlearn.sim.marching import check_march
from meshlearn.sim.navier_stokes import navier_stokes
from meshlearn.sim.plate import Range
from meshlearn.train.option_checks import whole


def make_tubes(
    n: int,
    folder: str | Path | None = None,
    seed: int = 0,
    resolution: Any = 12,
    reynolds: Range = (100.0, 1000.0),
    length: Range = (4.0, 8.0),
    time_step: float = 0.4,
    frames: int = 20,
    substeps: int = 5,
    progress: bool = False,
) -> list[Trajectory]:
    """Draw and solve `n` flows between two plates; write them as `tube_0000.mesh.safetensors` … or not.

    The tubes of Y. Luo, Y. Chen, Z. Zhang 2023, "CFDBench", arXiv:2310.05963 (planar, too), in units of the width and
    of the speed of the inflow: there speed, density, viscosity, width and length vary; without dimensions these are the
    Reynolds number, 500 to 1500, and the length, 5 to 20. There water flows into air; here the tube is full.

    folder      to write to
    n, seed     tube i depends on the seed and on i only
    resolution  cells across the tube, at least 4; they are smaller at the walls, and twice as long as wide on average
    reynolds    1 / nu: a number, or (smallest, largest)
    length      of the tube: a number, or (smallest, largest)
    time_step, frames, substeps
                as in `navier_stokes`
    progress    show a progress bar (on a terminal)

    The fluid moves as one with speed 1 in the first frame, and enters so at all times; the walls hold it, and it leaves
    freely: at rates of flow of 1, in every cross-section. Every trajectory is planar, float32, of quads, with the
    boundaries "left" (inflow), "right", "bottom" and "top", and has
      point_data   velocity (2,), pressure ()
      global_data  reynolds, length, viscosity (), of the mesh
    The pressure of the first frame is that of the first step. Raises ParameterError for impossible requests, and for a
    folder that holds other flows.

    >>> flow, = ml.sim.make_tubes(1, resolution=4, length=2.0, frames=2, substeps=1)
    >>> flow.point_data["velocity"].shape
    torch.Size([3, 25, 2])
    """
    cells = int(whole(4)("resolution", resolution))
    check_march(time_step, frames, substeps)
    ranges = {"reynolds": bounds("reynolds", reynolds, 1e-3, 2000.0), "length": bounds("length", length, 1.0, 50.0)}
    drawn = design(n, seed, ranges)

    def make(i: int) -> Trajectory:
        mesh, speed = _tube(cells, drawn[i]["length"])
        viscosity = 1.0 / drawn[i]["reynolds"]
        rest = (0.0, 0.0)
        velocity = {"left": (speed, 0.0), "bottom": rest, "top": rest}
        stream = torch.tensor([speed, 0.0], dtype=torch.float64).expand(mesh.n_points, 2)
        flow = navier_stokes(mesh, viscosity, velocity, time_step, frames, substeps, initial=stream)
        known = {name: mesh.points.new_tensor(value) for name, value in drawn[i].items()}
        return flow.replace(mesh=flow.mesh.with_global_data(**known))

    return collect(make, n, folder, "tube", progress, SERIES)


def _tube(cells: int, length: float) -> tuple[Mesh, float]:
    """The mesh, and the speed of the stream with which 1 flows through a cross-section.

    Velocities are of second order, and 0 in the corners: the cells there let through 5 / 6 of what they would.
    """
    along = max(round(length * cells / 2), 4)
    mesh = rectangle(length, 1.0, n=(along, cells), cells="quad", dtype=torch.float64)
    y = mesh.points[:, 1] - torch.sin(2 * torch.pi * mesh.points[:, 1]) / (4 * torch.pi)
    first = float(y[y > 1e-12].min())
    return mesh.replace(points=torch.stack([mesh.points[:, 0], y], dim=1)), 1.0 / (1.0 - first / 3.0)
