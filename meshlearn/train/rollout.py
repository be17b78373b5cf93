"""Repeated prediction in time."""

from __future__ import annotations

import math
from typing import Any

import torch

from meshlearn.errors import ParameterError
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.trajectory import Trajectory
from meshlearn.train.steps import PLACES, field_series, steps_in_time
from meshlearn.train.time_steps import TOLERANCE, check_step, step_from


def roll_out(model: Any, start: Mesh | Trajectory, steps: int | None, time_step: float | None) -> Trajectory:
    """See `Estimator.rollout`."""
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
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise ParameterError(f"steps={steps!r}: a rollout has a whole number of steps, at least one.")
    step = _step(model, frames[0], time_step)
    if isinstance(start, Trajectory):
        check_step(model.time_step_, start, "the trajectory that the rollout starts from", used=steps)
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
    for number in range(steps):
        if number and number < given:
            state = _carry(state, frames[number], stepped)
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
    times = _times(start, steps, step, renew=time_step is not None and model.time_step_ is None)
    return Trajectory(clean, times, **series, moving_points=moving)


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


def _step(model: Any, frame: Mesh, given: float | None) -> float | None:
    """The length of a step: what the model knows, or what is given; None if neither."""
    known = step_from(frame, model.time_step_)
    if given is None:
        return known
    if isinstance(given, bool) or not isinstance(given, (int, float)) or not 0 < given < math.inf:
        raise ParameterError(f"time_step={given!r} must be a positive number.")
    if known is not None and abs(given - known) > TOLERANCE * known:
        raise ParameterError(
            f"time_step={given:g}: the model makes steps of {known:g}, the length of those that it was fitted to.\n"
            "  Leave time_step out, and take every n-th frame of a longer rollout; or fit a model to such steps."
        )
    return float(given)


def _times(start: Mesh | Trajectory, steps: int, step: float | None, renew: bool) -> torch.Tensor:
    """(steps + 1,) those of a Trajectory as far as it goes (unless to `renew`), then `step` apart."""
    if isinstance(start, Trajectory):
        known = start.times[: 1 if renew else steps + 1].double().cpu()
        if step is None:
            step = float(known[-1] - known[-2]) if len(known) > 1 else 1.0
    else:
        time = start.global_data.get("time")
        known = torch.tensor([0.0 if time is None else float(time)], dtype=torch.float64)
    more = (1.0 if step is None else step) * torch.arange(1, steps + 2 - len(known), dtype=torch.float64)
    return torch.cat([known, known[-1] + more])
