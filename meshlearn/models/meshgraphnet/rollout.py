"""Repeated prediction in time."""

from __future__ import annotations

from typing import Any

import torch

from meshlearn.errors import ParameterError
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.trajectory import Trajectory
from meshlearn.train.steps import PLACES, field_series, steps_in_time


def roll_out(model: Any, start: Mesh | Trajectory, steps: int | None, time_step: float | None) -> Trajectory:
    """See `MeshGraphNet.rollout`."""
    fields = model.fields_
    if not steps_in_time(fields):
        raise ParameterError(
            "this model does not step in time: none of its outputs is also an input, so there is no state.\n"
            f"  inputs {[spec.name for spec in fields.inputs]}, outputs {[spec.name for spec in fields.outputs]}"
        )
    frames = [start] if isinstance(start, Mesh) else start
    given = len(frames)
    if steps is None:
        if isinstance(start, Mesh):
            raise ParameterError("rollout from one mesh needs the number of steps: rollout(mesh, steps=...).")
        steps = given - 1
    if steps < 1:
        raise ParameterError(f"steps={steps}: a rollout has at least one step.")
    stepped = {spec.name for spec in fields.outputs}
    driven = [spec.name for spec in fields.inputs if spec.name not in stepped]
    needed = list(driven)
    if isinstance(start, Trajectory) and start.moving_points is not None:
        needed.append("moving_points")
    if isinstance(start, Trajectory) and needed and steps >= given + 1:
        raise ParameterError(
            f"a rollout of {steps} steps needs the inputs {needed} at {steps} times, the trajectory has {given}.\n"
            "  give fewer steps, a longer trajectory, or one frame of it (its inputs then stay as they are)."
        )
    state = frames[0]
    result = [state]
    for step in range(steps):
        if step and step < given:
            state = _carry(state, frames[step], stepped)
        state = model.predict(state)
        result.append(state)
    series = field_series(result, stepped)
    base = start if isinstance(start, Mesh) else start.mesh
    clean = base.replace(**{p: {k: v for k, v in getattr(base, p).items() if k not in stepped} for p in PLACES})
    clean = clean.replace(global_data={k: v for k, v in clean.global_data.items() if k != "time"})
    moving = None
    if isinstance(start, Trajectory):
        for place in PLACES:
            for name in driven:
                if name in getattr(start, place):
                    series[place][name] = _lengthened(getattr(start, place)[name], steps + 1)
        moving = None if start.moving_points is None else _lengthened(start.moving_points, steps + 1)
    return Trajectory(clean, _times(start, steps, time_step), **series, moving_points=moving)


def _lengthened(values: Any, n: int) -> Any:
    """The first n entries of a series; the last is repeated at the one time, at the end, that no step begins from."""
    if not isinstance(values, torch.Tensor):
        return {kind: _lengthened(part, n) for kind, part in values.items()}
    return torch.cat([values[:n], values[-1:].expand(max(n - len(values), 0), *values.shape[1:])])


def _carry(state: Mesh, frame: Mesh, stepped: set[str]) -> Mesh:
    """The frame with the predicted fields of the state."""
    changes = {}
    for place in PLACES:
        predicted = {name: values for name, values in getattr(state, place).items() if name in stepped}
        changes[place] = {**getattr(frame, place), **predicted}
    return frame.replace(**changes)


def _times(start: Mesh | Trajectory, steps: int, time_step: float | None) -> torch.Tensor:
    if isinstance(start, Trajectory):
        known = start.times[: steps + 1].double()
        last = float(known[-1] - known[-2]) if len(known) > 1 else 1.0
        step = last if time_step is None else time_step
        if time_step is not None:
            return float(known[0]) + step * torch.arange(steps + 1, dtype=torch.float64)
        more = known[-1] + step * torch.arange(1, steps + 2 - len(known), dtype=torch.float64)
        return torch.cat([known.cpu(), more.cpu()])
    first = float(start.global_data["time"]) if "time" in start.global_data else 0.0
    return first + (1.0 if time_step is None else time_step) * torch.arange(steps + 1, dtype=torch.float64)
