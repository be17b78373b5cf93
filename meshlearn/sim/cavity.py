"""Data sets of lid-driven cavities: a box of fluid whose lid moves, the oldest test of flow solvers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.shapes import rectangle
from meshlearn.mesh.trajectory import Trajectory
from meshlearn.sim.collection import SERIES, bounds, collect, design
from meshlearn.sim.marching import check_march
from meshlearn.sim.navier_stokes import navier_stokes, steady_navier_stokes
from meshlearn.sim.plate import Range
from meshlearn.train.option_checks import whole

LARGEST = 1000.0  # Reynolds number up to which Newton's method finds the steady flow from that without inertia


def steady_cavity(resolution: Any = 32, reynolds: Any = 100.0, height: Any = 1.0) -> Mesh:
    """The steady flow in a box of width 1 whose lid moves to the right at speed 1.

    resolution  cells along the width; they are the smaller the closer to a wall
    reynolds    1 / nu, up to 1000
    height      of the box

    Returns a Mesh of quads with the boundaries "left", "right", "bottom" and "top", the point fields velocity (2,) and
    pressure () and the global values reynolds, height and viscosity, in float64. The two upper corners rest, so that
    no fluid leaks through the sides; the pressure grows without bound towards them. Raises ParameterError for
    impossible requests.

    >>> flow = ml.sim.steady_cavity(8, reynolds=100.0)
    >>> flow.point_data["velocity"].shape
    torch.Size([81, 2])
    """
    cells = int(whole(4)("resolution", resolution))
    number, tall = bounds("reynolds", reynolds, 1e-3, LARGEST)[0], bounds("height", height, 0.1, 10.0)[0]
    mesh = _box(cells, tall)
    return _named(steady_navier_stokes(mesh, 1.0 / number, _walls(1.0)), number, tall)


def make_cavities(
    n: int,
    folder: str | Path | None = None,
    seed: int = 0,
    resolution: Any = 24,
    reynolds: Range = (50.0, 400.0),
    height: Range = 1.0,
    time_step: float = 0.5,
    frames: int = 20,
    substeps: int = 5,
    progress: bool = False,
) -> list[Trajectory]:
    """Draw and solve `n` cavities from rest; write them as `cavity_0000.mesh.safetensors` … or not.

    The cases of Y. Luo, Y. Chen, Z. Zhang 2023, "CFDBench", arXiv:2310.05963, section 3.1, in units of the width and
    of the speed of the lid: there, speed, density, viscosity and size vary; without dimensions these are the Reynolds
    number and the height.

    folder      to write to
    n, seed     cavity i depends on the seed and on i only
    resolution  cells along the width
    reynolds    1 / nu: a number, or (smallest, largest)
    height      of the box: a number, or (smallest, largest)
    time_step, frames, substeps
                as in `navier_stokes`; the lid starts at once at time 0, with the fluid at rest in the first frame
    progress    show a progress bar (on a terminal)

    Every trajectory is planar, float32, of quads, with boundaries and global values as in `steady_cavity`, and has
      point_data  velocity (2,), pressure ()
    The pressure of the first frame is that of the first step. Raises ParameterError for impossible requests, and for a
    folder that holds other flows.

    >>> flow, = ml.sim.make_cavities(1, resolution=6, frames=2, substeps=1)
    >>> flow.point_data["velocity"].shape
    torch.Size([3, 49, 2])
    """
    cells = int(whole(4)("resolution", resolution))
    check_march(time_step, frames, substeps)
    ranges = {
        "reynolds": bounds("reynolds", reynolds, 1e-3, 10 * LARGEST),
        "height": bounds("height", height, 0.1, 10.0),
    }
    drawn = design(n, seed, ranges)

    def make(i: int) -> Trajectory:
        number, tall = drawn[i]["reynolds"], drawn[i]["height"]
        mesh = _box(cells, tall)
        rest = torch.zeros(mesh.n_points, 2, dtype=torch.float64)
        flow = navier_stokes(mesh, 1.0 / number, _walls(1.0), time_step, frames, substeps, initial=rest)
        return flow.replace(mesh=_named(flow.mesh, number, tall))

    return collect(make, n, folder, "cavity", progress, SERIES)


def _box(cells: int, height: float) -> Mesh:
    """Quads that are smaller at the walls: x -> x - sin(2 pi x) / (4 pi), along both axes."""
    mesh = rectangle(1.0, height, n=(cells, max(round(cells * height), 4)), cells="quad", dtype=torch.float64)
    size = torch.tensor([1.0, height], dtype=torch.float64)
    x = mesh.points / size
    return mesh.replace(points=size * (x - torch.sin(2 * torch.pi * x) / (4 * torch.pi)))


def _walls(speed: float) -> dict[str, Any]:
    """The corners come last, and rest: moving ones would let fluid through the sides."""
    rest = (0.0, 0.0)
    return {"top": (speed, 0.0), "left": rest, "right": rest, "bottom": rest}


def _named(mesh: Mesh, reynolds: float, height: float) -> Mesh:
    values = {"reynolds": reynolds, "height": height, "viscosity": 1.0 / reynolds}
    return mesh.with_global_data(**{name: mesh.points.new_tensor(value) for name, value in values.items()})
