"""The Kuramoto-Sivashinsky equation in 1-D: the simplest field that is chaotic in space and time."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from meshlearn.errors import FieldError, ParameterError
from meshlearn.mesh.shapes import interval
from meshlearn.mesh.trajectory import Trajectory
from meshlearn.sim.collection import SERIES, collect, mesher_seed
from meshlearn.sim.exponential import ExponentialStepper
from meshlearn.sim.marching import check_bounded, check_march
from meshlearn.train.option_checks import number, whole

_POSITIVE = number("a positive number", lambda value: value > 0)
WAVES = 8
DAMPED = (
    1.5  # wave number that has to be among those computed: waves below 1 grow, and give their energy to those above
)


def kuramoto_sivashinsky(
    initial: Any,
    length: Any = 64.0,
    time_step: float = 1.0,
    frames: int = 100,
    substeps: Any = 10,
) -> Trajectory:
    """Solve u_t + u u_x + u_xx + u_xxxx = 0 with period `length` from given values on.

    initial    (n,) values at the places j length / n, j = 0 … n - 1; at least 8
    length     period, without unit (the equation has none): perturbations of wave number k grow by k^2 - k^4, and above
               about 20 the field is chaotic
    time_step, frames, substeps
               time from frame to frame; their number after the first; steps of the solver from frame to frame

    Returns a Trajectory on an interval of n lines, whose last point is the first again, with the point field u
    (frames + 1, n + 1) in float64. Fourier collocation without aliasing (the upper third of the modes is left out),
    `ExponentialStepper` in time: errors fall as the fourth power of the step, and exponentially with n. Raises
    FieldError and ParameterError for values and arguments that do not fit, fewer places than damp the growing waves
    (three quarters of the length) among them, and ConvergenceError for steps that are too long.

    >>> x = 32 * torch.arange(64) / 64
    >>> ml.sim.kuramoto_sivashinsky(torch.sin(2 * torch.pi * x / 32), 32.0, frames=5).point_data["u"].shape
    torch.Size([6, 65])
    """
    length, step = _POSITIVE("length", length), check_march(time_step, frames, substeps)
    u = _checked(initial)
    _check_places(len(u), float(length))
    modes, wave = torch.fft.rfft(u), 2 * math.pi * torch.arange(len(u) // 2 + 1, dtype=torch.float64) / length
    kept = torch.arange(len(wave)) < len(u) / 3
    slope = 0.5j * wave * kept

    def convection(v: Tensor) -> Tensor:
        return -slope * torch.fft.rfft(torch.fft.irfft(v * kept, len(u)).square())

    advance = ExponentialStepper(wave**2 - wave**4, convection, step)
    fields = [u]
    for _ in range(frames):
        for _ in range(substeps):
            modes = advance(modes)
        fields.append(torch.fft.irfft(modes, len(u)))
    values = torch.stack(fields)
    check_bounded(values, time_step, "Take more substeps.")
    times = time_step * torch.arange(frames + 1, dtype=torch.float64)
    mesh = interval(length, n=len(u), dtype=torch.float64)
    return Trajectory(mesh, times, {"u": torch.cat([values, values[:, :1]], dim=1)})


def make_kuramoto_sivashinsky(
    n: int,
    folder: str | Path | None = None,
    seed: int = 0,
    resolution: Any = 128,
    length: Any = 64.0,
    time_step: float = 1.0,
    frames: int = 100,
    substeps: Any = 10,
    start: Any = 100.0,
    progress: bool = False,
) -> list[Trajectory]:
    """Draw and solve `n` initial values; write them as `kuramoto_sivashinsky_0000.mesh.safetensors` … or not.

    folder      to write to
    n, seed     trajectory i depends on the seed and on i only
    resolution  lines of the interval
    length, time_step, frames, substeps
                as in `kuramoto_sivashinsky`; a field decorrelates from itself within about ten units of time
    start       time from the initial values, sums of eight sines, to the first frame: chaos takes about a hundred
    progress    show a progress bar (on a terminal)

    Every trajectory is float32, in 1-D, with the point field u, whose last point is the first again: models of it are
    `periodic`. Raises ParameterError for impossible requests, and for a folder that holds other trajectories.

    >>> chaos, = ml.sim.make_kuramoto_sivashinsky(1, resolution=32, length=22.0, frames=3, start=10.0)
    >>> chaos.point_data["u"].shape
    torch.Size([4, 33])
    """
    whole(1)("n", n)
    whole(0)("seed", seed)
    nodes, period = int(whole(8)("resolution", resolution)), float(_POSITIVE("length", length))
    number("a number of at least 0", lambda value: value >= 0)("start", start)
    check_march(time_step, frames, substeps)
    before = round(start / time_step)
    _check_places(nodes, period)

    def make(i: int) -> Trajectory:
        generator = torch.Generator().manual_seed(mesher_seed(seed, i))
        size, phase = (torch.rand(2, WAVES, 1, generator=generator, dtype=torch.float64)).unbind(0)
        waves = torch.arange(1, WAVES + 1, dtype=torch.float64)[:, None]
        x = torch.arange(nodes, dtype=torch.float64) / nodes
        initial = ((size - 0.5) * torch.sin(2 * math.pi * (waves * x + phase))).sum(0)
        solved = kuramoto_sivashinsky(initial, period, time_step, before + frames, substeps)[before:]
        return solved.replace(times=solved.times - solved.times[0])

    return collect(make, n, folder, "kuramoto_sivashinsky", progress, SERIES)


def _check_places(n: int, length: float) -> None:
    """Raise ParameterError for places that are so few that no wave is damped, and the others grow without bound."""
    if 2 * math.pi * (math.ceil(n / 3) - 1) < DAMPED * length:
        least = 3 * (math.ceil(DAMPED * length / (2 * math.pi)) + 1)
        raise ParameterError(
            f"{n} places over a length of {length:g} are too few: waves of wave number below 1 grow, and their energy "
            f"is lost in shorter ones, up to {DAMPED} at least.\n  Take at least {least} places, or a shorter length."
        )


def _checked(initial: Any) -> Tensor:
    """(n,) float64; FieldError for values that are not, or are too few."""
    u = torch.as_tensor(initial).detach()
    if u.dim() != 1 or len(u) < 8 or u.is_complex():
        raise FieldError(f"initial has shape {tuple(u.shape)} and dtype {u.dtype}: at least 8 real values expected.")
    if not bool(torch.isfinite(u).all()):
        raise FieldError(f"{int((~torch.isfinite(u)).sum())} of the initial values are not finite.")
    return u.double().cpu()
