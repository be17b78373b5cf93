"""Runs as trajectories: what moves, at equal times, with its conserved quantities."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from meshlearn.mesh.trajectory import Trajectory
from meshlearn.sim.motion.arguments import positive
from meshlearn.sim.motion.system import Motion
from meshlearn.train.option_checks import whole


@torch.no_grad()
def simulate(
    scene: Motion, duration: Any, frames: Any = 100, time_step: Any = None, progress: bool = False
) -> Trajectory:
    """Run a scene from its start and keep `frames` + 1 equally spaced times, the start and the end among them.

    scene      `mpm.MPM` or `dynamics.ElasticDynamics`
    duration   simulated time
    time_step  of the solver; by default a stable one, found anew for every frame from its fastest point. A frame is a
               whole number of steps, so the steps are somewhat shorter than asked for
    progress   show a progress bar (on a terminal)

    Returns the points that move (`moving_points`), in the dtype of the scene and on its device, without gradients
    (those flow through `scene.run`). With
      mesh.point_data  mass (); of particles body () int64, its number, and volume (): at rest
      point_data       velocity (dim,); of particles volume_ratio (): volume over that at rest
      cell_data        of meshes volume_ratio ()
      global_data      kinetic_energy, stored_energy (); momentum (dim,); angular_momentum (), (3,) in 3-D
    Memory: that of the frames, and that of one step.
    Raises ParameterError for arguments that do not fit, SimulationError naming step and cause when a run goes wrong.

    >>> from meshlearn.sim import mpm
    >>> drop = mpm.Body.fill(ml.shapes.disc(0.2), mpm.Water(1e4), spacing=0.05, shift=(0.5, 0.5))
    >>> falls = mpm.simulate(mpm.MPM(drop, 0.1, (0, 0), (1, 1), gravity=(0.0, -9.81)), duration=0.1, frames=5)
    >>> falls.moving_points.shape, list(falls.point_data)
    (torch.Size([6, 52, 2]), ['velocity', 'volume_ratio'])
    """
    from rich.console import Console
    from rich.progress import track

    duration, frames = positive("duration", duration), whole(1)("frames", frames)
    given = None if time_step is None else positive("time_step", time_step)
    length, state = duration / frames, scene.start()
    console = Console(stderr=True)
    numbers = track(
        range(frames), "simulating", console=console, disable=not (progress and console.is_terminal), transient=True
    )
    points, kept = [state.points.contiguous()], [scene.measured(state)]
    fall = scene.acceleration_bound() * length  # what is at rest when a frame begins moves at its end
    for _ in numbers:
        longest = scene.stable_step(state, fall) if given is None else given
        steps = max(1, math.ceil(length / longest - 1e-9))
        state = scene.run(state, steps, length / steps)
        points.append(state.points.contiguous())
        kept.append(scene.measured(state))
    series = {place: _stacked([frame[place] for frame in kept]) for place in kept[0]}
    times = [length * i for i in range(frames + 1)]
    return Trajectory(scene.cloud(), times, **series, moving_points=torch.stack(points))


def _stacked(frames: list[dict[str, Any]]) -> dict[str, Any]:
    """{name: values} of many times as {name: (n_times, ...)}, also where values are one tensor per cell type."""
    first = frames[0]
    return {
        name: torch.stack([frame[name] for frame in frames])
        if isinstance(first[name], Tensor)
        else _stacked([frame[name] for frame in frames])
        for name in first
    }
