"""Incompressible flow in a periodic square, by its vorticity: decaying and forced turbulence in the plane."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.errors import FieldError
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.shapes import rectangle
from meshlearn.mesh.trajectory import Trajectory
from meshlearn.sim.collection import SERIES, bounds, collect, design, mesher_seed
from meshlearn.sim.exponential import ExponentialStepper
from meshlearn.sim.marching import check_bounded, check_march, check_viscosity
from meshlearn.sim.plate import Range
from meshlearn.train.option_checks import number, whole

_POSITIVE = number("a positive number", lambda value: value > 0)
FEWEST = 8


def vorticity_flow(
    initial: Any,
    viscosity: Any = 1e-3,
    forcing: Any = None,
    length: Any = 1.0,
    time_step: float = 0.5,
    frames: int = 20,
    substeps: Any = 20,
) -> Trajectory:
    """Solve w_t + u . grad w = nu Laplace w + f in a periodic square, u the velocity without mean whose curl is w.

    initial    (n, n) vorticity at the places (i, j) length / n, the first axis along x; at least 8 x 8
    viscosity  nu > 0, in length^2 / time
    forcing    f, (n, n) as `initial`, constant in time; None: none
    length     side of the square
    time_step, frames, substeps
               time from frame to frame; their number after the first; steps of the solver from frame to frame: a step
               takes a fluid particle less than the distance of two places

    Returns a Trajectory on n x n quads, whose last points along each axis are the first again, with the point fields
    vorticity () and velocity (2,), and the global value viscosity, in float64. Fourier collocation without aliasing
    (the upper third of the modes is left out), `ExponentialStepper` in time; the mean of the vorticity, which has no
    velocity, is that of the initial values and of the force. Raises FieldError and ParameterError for values and
    arguments that do not fit, ConvergenceError for steps that are too long.

    >>> x = 2 * torch.pi * torch.arange(16) / 16
    >>> flow = ml.sim.vorticity_flow(torch.cos(x)[:, None] + torch.cos(x), 0.01, length=2 * torch.pi, frames=2)
    >>> flow.point_data["velocity"].shape
    torch.Size([3, 289, 2])
    """
    nu, side = check_viscosity(viscosity), float(_POSITIVE("length", length))
    step = check_march(time_step, frames, substeps)
    w = _checked("initial", initial)
    force = torch.zeros_like(w) if forcing is None else _checked("forcing", forcing)
    if force.shape != w.shape:
        raise FieldError(f"forcing has shape {tuple(force.shape)}, initial {tuple(w.shape)}: the same is expected.")
    flow = _Spectral(len(w), side)
    pushed = torch.fft.rfft2(force)
    advance = ExponentialStepper(-nu * flow.squared, lambda v: pushed - flow.convection(v), step)
    modes, kept = torch.fft.rfft2(w), []
    for frame in range(frames + 1):
        if frame:
            for _ in range(substeps):
                modes = advance(modes)
        kept.append(torch.stack([flow.values(modes), *flow.velocity(modes)], dim=-1))
    mesh = rectangle(side, side, n=(len(w), len(w)), cells="quad", dtype=torch.float64)
    mesh = mesh.with_global_data(viscosity=torch.tensor(nu, dtype=torch.float64))
    check_bounded(torch.stack(kept), time_step, "Take more substeps.")
    fields = torch.stack(kept).flatten(1, 2).index_select(1, places(mesh, len(w), side))
    times = time_step * torch.arange(frames + 1, dtype=torch.float64)
    return Trajectory(mesh, times, {"vorticity": fields[..., 0], "velocity": fields[..., 1:]})


def make_vorticity(
    n: int,
    folder: str | Path | None = None,
    seed: int = 0,
    resolution: Any = 64,
    viscosity: Range = 1e-3,
    forced: bool = True,
    time_step: float = 0.5,
    frames: int = 20,
    substeps: Any = 25,
    progress: bool = False,
) -> list[Trajectory]:
    """Draw and solve `n` flows on the unit square; write them as `vorticity_0000.mesh.safetensors` … or not.

    The setting of Z. Li et al. 2021, "Fourier neural operator", arXiv:2010.08895, section 5.3: initial vorticity from a
    Gaussian field with covariance 7^(3/2) (-Laplace + 49)^(-5/2), force 0.1 (sin 2 pi (x + y) + cos 2 pi (x + y)).

    folder      to write to
    n, seed     flow i depends on the seed and on i only
    resolution  places along a side
    viscosity   nu: a number, or (smallest, largest), drawn evenly in its logarithm
    forced      with the force, or without
    time_step, frames, substeps
                as in `vorticity_flow`
    progress    show a progress bar (on a terminal)

    Every trajectory is planar, float32, of quads, with the fields of `vorticity_flow`; models of it are `periodic`.
    Raises ParameterError for impossible requests, and for a folder that holds other flows.

    >>> flow, = ml.sim.make_vorticity(1, resolution=16, frames=2)
    >>> flow.point_data["vorticity"].shape
    torch.Size([3, 289])
    """
    size = int(whole(FEWEST)("resolution", resolution))
    low, high = bounds("viscosity", viscosity, 1e-8)
    check_march(time_step, frames, substeps)
    drawn = design(n, seed, {"log_viscosity": (math.log(low), math.log(high))})
    x = torch.arange(size, dtype=torch.float64) / size
    angle = 2 * math.pi * (x[:, None] + x)
    force = 0.1 * (angle.sin() + angle.cos()) if forced else None

    def make(i: int) -> Trajectory:
        generator = torch.Generator().manual_seed(mesher_seed(seed, i))
        initial = random_field(size, generator)
        nu = math.exp(drawn[i]["log_viscosity"])
        return vorticity_flow(initial, nu, force, 1.0, time_step, frames, substeps)

    return collect(make, n, folder, "vorticity", progress, SERIES)


def random_field(n: int, generator: torch.Generator) -> Float[Tensor, "n n"]:
    """A periodic Gaussian field on the unit square, with covariance 7^(3/2) (-Laplace + 49)^(-5/2), without mean.

    >>> from meshlearn.sim.vorticity import random_field
    >>> random_field(16, torch.Generator().manual_seed(0)).shape
    torch.Size([16, 16])
    """
    noise = torch.fft.rfft2(torch.randn(n, n, generator=generator, dtype=torch.float64))
    squared = _Spectral(n, 1.0).squared
    scale = 7**0.75 * (squared + 49.0) ** -1.25 * n
    scale[0, 0] = 0.0
    return torch.fft.irfft2(noise * scale, s=(n, n))


def places(mesh: Mesh, n: int, length: float) -> Tensor:
    """(n_points,) the number i n + j of the place (i, j) length / n that every point of a periodic square is at."""
    at = (mesh.points * (n / length)).round().long() % n
    return at[:, 0] * n + at[:, 1]


class _Spectral:
    """Derivatives of (n, n) values on a periodic square, by their modes."""

    def __init__(self, n: int, length: float) -> None:
        self.n = n
        across = 2 * math.pi * n / length * torch.fft.fftfreq(n, dtype=torch.float64)[:, None]
        up = 2 * math.pi * n / length * torch.fft.rfftfreq(n, dtype=torch.float64)[None]
        self.squared = across**2 + up**2
        largest = 2 * math.pi / length * n / 3
        self.kept = (across.abs() < largest) & (up.abs() < largest)
        self.x, self.y = 1j * across * self.kept, 1j * up * self.kept
        self.inverse = torch.where(self.squared > 0, 1.0 / self.squared.clamp_min(1e-300), 0.0)

    def values(self, modes: Tensor) -> Tensor:
        """(n, n)."""
        return torch.fft.irfft2(modes, s=(self.n, self.n))

    def velocity(self, modes: Tensor) -> tuple[Tensor, Tensor]:
        """(psi_y, -psi_x) of the stream function -Laplace psi = w."""
        psi = modes * self.inverse
        return self.values(self.y * psi), self.values(-self.x * psi)

    def convection(self, modes: Tensor) -> Tensor:
        """The modes of u . grad w, in the form div(u w), which keeps the mean."""
        across, up = self.velocity(modes)
        w = self.values(modes * self.kept)
        return self.x * torch.fft.rfft2(across * w) + self.y * torch.fft.rfft2(up * w)


def _checked(name: str, values: Any) -> Tensor:
    """(n, n) float64; FieldError for values that are not."""
    w = torch.as_tensor(values).detach()
    if w.dim() != 2 or w.shape[0] != w.shape[1] or len(w) < FEWEST or w.is_complex():
        raise FieldError(f"{name} has shape {tuple(w.shape)} and dtype {w.dtype}: n x n real values, n >= 8, expected.")
    if not bool(torch.isfinite(w).all()):
        raise FieldError(f"{int((~torch.isfinite(w)).sum())} values of {name} are not finite.")
    return w.double().cpu()
