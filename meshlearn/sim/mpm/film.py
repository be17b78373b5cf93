"""Runs as trajectories: the particles at equal times, with their conserved quantities."""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.trajectory import Trajectory
from meshlearn.sim.mpm.solver import MPM
from meshlearn.sim.mpm.state import State


@torch.no_grad()
def simulate(
    scene: MPM, duration: float, frames: int = 100, time_step: float | None = None, progress: bool = False
) -> Trajectory:
    """Run a scene from its start and keep `frames` + 1 equally spaced times, the start and the end among them.

    duration   simulated time
    time_step  of the solver; by default a stable one, found anew for every frame from its fastest particle. A frame is
               a whole number of steps, so the steps are somewhat shorter than asked for
    progress   show a progress bar (on a terminal)

    Returns a point cloud that moves (`moving_points`), in the dtype of the bodies and on their device, without
    gradients (those flow through `MPM.run`). With
      mesh.point_data  body () int64: number of the body; mass (); volume (): at rest
      point_data       velocity (dim,); volume_ratio (): volume over that at rest
      global_data      kinetic_energy, stored_energy (); momentum (dim,); angular_momentum (), (3,) in 3-D
    Memory: that of the frames, and that of one step (some 600 bytes a particle in 3-D, float32).
    Raises ParameterError for arguments that do not fit, SimulationError naming step and cause when a run goes wrong.

    >>> from meshlearn.sim import mpm
    >>> drop = mpm.Body.fill(ml.shapes.disc(0.2), mpm.Water(1e4), spacing=0.05, shift=(0.5, 0.5))
    >>> falls = mpm.simulate(mpm.MPM(drop, 0.1, (0, 0), (1, 1), gravity=(0.0, -9.81)), duration=0.1, frames=5)
    >>> falls.moving_points.shape, list(falls.point_data)
    (torch.Size([6, 52, 2]), ['velocity', 'volume_ratio'])
    """
    from rich.console import Console
    from rich.progress import track

    if isinstance(duration, bool) or not isinstance(duration, (int, float)) or not 0 < duration < math.inf:
        raise ParameterError(f"duration is a positive time, not {duration!r}.")
    if isinstance(frames, bool) or not isinstance(frames, int) or frames < 1:
        raise ParameterError(f"frames is the number of times after the start, at least 1, not {frames!r}.")
    if time_step is not None and not 0 < time_step < math.inf:
        raise ParameterError(f"time_step is a positive time, not {time_step!r}.")
    length, state, kept = duration / frames, scene.start(), []
    console = Console(stderr=True)
    numbers = track(
        range(frames), "simulating", console=console, disable=not (progress and console.is_terminal), transient=True
    )
    kept.append(measured(scene, state))
    for _ in numbers:
        # One more speed of free fall: particles that are at rest when a frame begins move at its end.
        fall = 0.0 if scene.gravity is None else float(scene.gravity.abs().max()) * length
        longest = scene.stable_step(state, fall) if time_step is None else time_step
        steps = max(1, math.ceil(length / longest - 1e-9))
        state = scene.run(state, steps, length / steps)
        kept.append(measured(scene, state))
    return _trajectory(scene, [length * i for i in range(frames + 1)], kept)


def measured(scene: MPM, state: State) -> dict[str, Tensor]:
    """Fields and conserved quantities of a state; the names of `simulate`, with "points" (n, dim)."""
    h, mass = scene.grid.spacing, scene.mass
    x, v, affine = state.position, state.velocity, state.affine
    stored = [
        (body.material.energy(memory) * volume).sum()
        for body, memory, volume in zip(scene.bodies, state.memory, scene.volume.split(scene.counts), strict=True)
    ]
    ratio = [body.material.volume_ratio(memory) for body, memory in zip(scene.bodies, state.memory, strict=True)]
    inertia = h * h / 4  # of a particle's affine velocity, per mass and axis
    pairs = ((0, 1),) if len(x) == 2 else ((1, 2), (2, 0), (0, 1))
    spin = torch.stack(
        [(mass * (x[i] * v[j] - x[j] * v[i] + inertia * (affine[j, i] - affine[i, j]))).sum() for i, j in pairs]
    )
    return {
        "points": state.points.contiguous(),
        "velocity": state.velocities.contiguous(),
        "volume_ratio": torch.cat(ratio),
        "kinetic_energy": 0.5 * (mass * (v.square().sum(0) + inertia * affine.square().sum((0, 1)))).sum(),
        "stored_energy": torch.stack(stored).sum(),
        "momentum": (mass * v).sum(1),
        "angular_momentum": spin[0] if len(pairs) == 1 else spin,
    }


def _trajectory(scene: MPM, times: list[float], kept: list[dict[str, Tensor]]) -> Trajectory:
    series: dict[str, Any] = {name: torch.stack([frame[name] for frame in kept]) for name in kept[0]}
    points: Float[Tensor, "n_times n dim"] = series.pop("points")
    body = torch.repeat_interleave(
        torch.arange(len(scene.bodies), device=points.device), torch.tensor(scene.counts, device=points.device)
    )
    mesh = Mesh(points[0], point_data={"body": body, "mass": scene.mass, "volume": scene.volume})
    fields = {name: series.pop(name) for name in ("velocity", "volume_ratio")}
    return Trajectory(mesh, times, fields, global_data=series, moving_points=points)
