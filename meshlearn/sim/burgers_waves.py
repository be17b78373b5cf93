"""Data sets of Burgers' equation on a periodic interval: smooth random waves that steepen into saw teeth."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from meshlearn.mesh.shapes import interval
from meshlearn.mesh.trajectory import Trajectory
from meshlearn.sim.burgers import burgers
from meshlearn.sim.collection import SERIES, bounds, collect, design, mesher_seed
from meshlearn.sim.marching import check_march
from meshlearn.sim.plate import Range
from meshlearn.train.option_checks import whole

WAVES = 24  # of the initial values: the last is 600 times smaller than the first
_SIZE, _SHIFT = 25.0, 25.0  # of the covariance


def make_burgers_waves(
    n: int,
    folder: str | Path | None = None,
    seed: int = 0,
    resolution: Any = 128,
    reference: Any = 4,
    viscosity: Range = (0.005, 0.05),
    time_step: float = 0.05,
    frames: int = 20,
    substeps: int = 10,
    progress: bool = False,
) -> list[Trajectory]:
    """Draw and solve `n` initial values of period 1; write them as `burgers_waves_0000.mesh.safetensors` … or not.

    The setting of Z. Li et al. 2021, "Fourier neural operator", arXiv:2010.08895, section 5.1: u_t + u u_x = nu u_xx,
    initial values from a Gaussian field with covariance 625 (-Laplace + 25)^-2, here without its mean, and on shorter
    times at smaller viscosities, too.

    folder      to write to
    n, seed     trajectory i depends on the seed and on i only
    resolution  lines of the interval
    reference   the equation is solved on so many times as many, in elements of order 2
    viscosity   nu: a number, or (smallest, largest), drawn evenly in its logarithm
    time_step, frames, substeps
                as in `burgers`
    progress    show a progress bar (on a terminal)

    Every trajectory is float32, in 1-D, on [0, 1], and has
      point_data   u (), whose last point is the first again: models of it are `periodic`
      global_data  viscosity (), of the mesh
    Raises ParameterError for impossible requests, and for a folder that holds other trajectories.

    >>> wave, = ml.sim.make_burgers_waves(1, resolution=32, reference=2, frames=3)
    >>> wave.point_data["u"].shape
    torch.Size([4, 33])
    """
    lines, times = int(whole(8)("resolution", resolution)), int(whole(1)("reference", reference))
    check_march(time_step, frames, substeps)
    low, high = bounds("viscosity", viscosity, 1e-6)
    drawn = design(n, seed, {"log_viscosity": (math.log(low), math.log(high))})
    mesh, fine = (interval(1.0, n=lines * k, dtype=torch.float64) for k in (1, times))

    def make(i: int) -> Trajectory:
        nu = math.exp(drawn[i]["log_viscosity"])
        wave = RandomWave(mesher_seed(seed, i))
        solved = burgers(fine, wave, nu, time_step, frames, substeps, periodic=(("left", "right"),), order=2)
        named = mesh.with_global_data(viscosity=mesh.points.new_tensor(nu))
        return Trajectory(named, solved.times, {"u": solved.point_data["u"][:, ::times]})

    return collect(make, n, folder, "burgers_waves", progress, SERIES)


class RandomWave:
    """A sum of waves of period 1 with normal amplitudes, as a function of the place x (1, n).

    Wave k has the variance 625 (4 pi^2 k^2 + 25)^-2, as its sine and its cosine.

    >>> from meshlearn.sim.burgers_waves import RandomWave
    >>> ends = RandomWave(seed=0)(torch.tensor([[0.0, 1.0]]))
    >>> bool((ends[0] - ends[1]).abs() < 1e-5)
    True
    """

    def __init__(self, seed: int) -> None:
        self.k = 2 * math.pi * torch.arange(1, WAVES + 1, dtype=torch.float64)
        spread = _SIZE / (self.k.square() + _SHIFT)
        draw = torch.randn(2, WAVES, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
        self.across, self.along = (math.sqrt(2.0) * spread * draw).unbind(0)

    def __call__(self, x: Tensor) -> Tensor:
        """(n,) values, in the dtype of the places."""
        phase = x[0].double()[:, None] * self.k
        return (torch.sin(phase) @ self.across + torch.cos(phase) @ self.along).to(x.dtype)
