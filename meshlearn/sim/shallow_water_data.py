"""Data sets of shallow water: heaps of water that fall apart in a square basin, around pillars."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from meshlearn.mesh.shapes import plate_with_holes, square
from meshlearn.mesh.trajectory import Trajectory
from meshlearn.sim.collection import SERIES, bounds, collect, design, mesher_seed
from meshlearn.sim.marching import check_march
from meshlearn.sim.plate import Range
from meshlearn.sim.shallow_water import shallow_water
from meshlearn.train.option_checks import flag, number, whole


def make_shallow_water(
    n: int,
    folder: str | Path | None = None,
    seed: int = 0,
    size: Any = 0.04,
    pillar: Any = False,
    radius: Range = (0.1, 0.25),
    rise: Range = (0.5, 1.0),
    gravity: Any = 1.0,
    time_step: float = 0.05,
    frames: int = 20,
    progress: bool = False,
) -> list[Trajectory]:
    """Draw and solve `n` basins; write them as `shallow_water_0000.mesh.safetensors` … or not.

    A round heap of water stands in a unit square of depth 1 between walls (the radial dam break of M. Takamoto et al.
    2022, "PDEBench", arXiv:2210.07182, appendix D.4, anywhere in the basin), and falls apart at time 0.

    folder     to write to
    n, seed    basin i depends on the seed and on i only
    size       edge length of the cells
    pillar     a round pillar stands in every basin, elsewhere in each: triangles around it; else quads
    radius, rise
               of the heap, and how much higher than the rest it is: a number, or (smallest, largest)
    gravity    g
    time_step, frames
               as in `shallow_water`
    progress   show a progress bar (on a terminal)

    Every trajectory is planar, float32, and has
      cell_data  height (), velocity (2,) in time, ground () of the mesh
    Raises ParameterError for impossible requests, and for a folder that holds other trajectories.

    >>> basin, = ml.sim.make_shallow_water(1, size=0.1, frames=3)
    >>> basin.cell_data["height"]["quad"].shape
    torch.Size([4, 100])
    """
    edge = float(number("an edge length between 0 and 0.25", lambda value: 0 < value <= 0.25)("size", size))  # type: ignore[arg-type]
    number("a positive number", lambda value: value > 0)("gravity", gravity)
    whole(0)("seed", seed)
    check_march(time_step, frames, 1)
    ranges = {"radius": bounds("radius", radius, 0.01, 0.4), "rise": bounds("rise", rise, 0.0)}
    ranges |= {"x": (0.25, 0.75), "y": (0.25, 0.75), "angle": (0.0, 2 * math.pi), "pillar": (0.07, 0.12)}
    drawn = design(n, seed, ranges)
    with_pillar = flag("pillar", pillar)

    def make(i: int) -> Trajectory:
        values = drawn[i]
        if with_pillar:
            place = (0.5 + 0.25 * math.cos(values["angle"]), 0.5 + 0.25 * math.sin(values["angle"]))
            mesh = plate_with_holes([(*place, values["pillar"])], size=edge, seed=mesher_seed(seed, i)).double()
        else:
            mesh = square(n=max(round(1.0 / edge), 4), cells="quad", dtype=torch.float64)

        def height(x: Tensor) -> Tensor:
            away = ((x[0] - values["x"]).square() + (x[1] - values["y"]).square()).sqrt()
            return torch.where(away < values["radius"], 1.0 + values["rise"], 1.0)

        return shallow_water(mesh, height, None, None, gravity, time_step, frames)

    return collect(make, n, folder, "shallow_water", progress, SERIES)
