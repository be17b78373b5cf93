"""The length of the time step that a model learns: one in all its training data, or one of its inputs."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from meshlearn.errors import FieldError, ParameterError
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.trajectory import Trajectory
from meshlearn.train.fields import FieldSet, describe
from meshlearn.train.steps import steps_in_time

TOLERANCE = 1e-2  # files round their times


class TimeSteps:
    """Gathers the time steps of the trajectories of a fit; `see` them all, then take `value`.

    known  the step of an earlier fit that this one goes on with

    A model that is given a state only cannot know how far the next one is away. So all steps must be of one length (to
    1 %), unless a global input is the length of the step, on every frame that a step begins from.
    """

    def __init__(self, fields: FieldSet, known: float | str | None = None) -> None:
        self.stepping = steps_in_time(fields)
        outputs = {spec.name for spec in fields.outputs}
        self._names = [
            spec.name for spec in fields.at("inputs", "global") if spec.size == 1 and spec.name not in outputs
        ]
        self._known = known
        self._first: tuple[float, str] | None = (known, "the fit before") if isinstance(known, float) else None
        self._other: tuple[float, str] | None = None

    def see(self, item: Mesh | Trajectory, where: str) -> None:
        """Add a trajectory. Raises ParameterError when its steps are of another length, and no input tells it."""
        if not self.stepping or not isinstance(item, Trajectory) or len(item) < 2:
            return
        steps, rounding = _lengths(item)
        self._names = [name for name in self._names if _is_step(item, name, steps, rounding)]
        if self._first is None:
            self._first = _typical(steps, rounding), where
        different = _apart(steps, self._first[0], rounding)
        if self._other is None and bool(different.any()):
            self._other = float(steps[different][0]), where
        if self._other is not None and not self._names:
            (first, here), (other, there) = self._first, self._other
            raise ParameterError(
                f"the time steps of the training differ: {first:g} in {here}, {other:g} in {there}.\n"
                "  From a state alone a model cannot know how far the next one is away. Give trajectories of one step "
                "(slices such as trajectory[::2], or interpolated ones), or make the step of every frame a global "
                "input: global_data={'dt': (n_times,)}, inputs=[…, 'dt']."
            )

    @property
    def value(self) -> float | str | None:
        """The one step of all trajectories, the name of the global input that holds it, or None: no steps in time."""
        if self._other is not None:
            return self._names[0]
        return self._known if self._first is None else self._first[0]


def check_step(step: float | str | None, trajectory: Trajectory, where: str, used: int | None = None) -> None:
    """Raise ParameterError when the first `used` steps of a trajectory have another length than the model has learned.

    step  `time_step_` of the model
    """
    if not isinstance(step, float) or len(trajectory) < 2:
        return
    steps, rounding = _lengths(trajectory)
    wrong = _apart(steps[:used], step, rounding)
    if bool(wrong.any()):
        raise ParameterError(
            f"{where} has a time step of {float(steps[:used][wrong][0]):g}, but the model has learned steps of "
            f"{step:g}, and no others.\n  Give frames {step:g} apart, or fit a model to these steps."
        )


def known_step(value: Any, fields: FieldSet) -> float | str | None:
    """What `time_step_` was, from a file; raises ParameterError for anything else."""
    if value is None or value in [spec.name for spec in fields.at("inputs", "global")]:
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
        raise ParameterError(f"time_step={value!r}: a positive number, or the name of a global input, is expected.")
    return float(value)


def step_from(mesh: Mesh, step: float | str | None) -> float | None:
    """The length of the step that a model makes from this mesh; None if it is not known.

    Raises FieldError where the global field that holds it is missing, or holds anything but one positive number.
    """
    if not isinstance(step, str):
        return step
    value = mesh.global_data.get(step)
    if value is None:
        raise FieldError(
            f"{describe(mesh)} does not say how far the next frame is away: {step!r} is missing.\n"
            f"  Give it: mesh.with_global_data({step}=torch.tensor(…))."
        )
    if value.numel() != 1 or not 0 < float(value) < math.inf:
        raise FieldError(
            f"{step}={value.tolist()!r:.60} on {describe(mesh)}: one positive number is expected, how far the next "
            "frame is away."
        )
    return float(value)


def advanced(prediction: Mesh, source: Mesh, step: float | str | None) -> Mesh:
    """The prediction, with the time of the source plus the step as its `global_data["time"]`, if both are known."""
    length = step_from(source, step)
    time = source.global_data.get("time")
    if length is None or not isinstance(time, Tensor) or time.numel() != 1 or time.is_complex():
        return prediction
    time = time if time.is_floating_point() else time.double()
    return prediction.with_global_data(time=time + length)


def _lengths(trajectory: Trajectory) -> tuple[Tensor, float]:
    """The steps (n_times - 1,) float64 on the CPU, and how exact their times are."""
    times = trajectory.times.detach().cpu()
    return times.double().diff(), 4 * torch.finfo(times.dtype).eps * float(times.abs().max())


def _is_step(trajectory: Trajectory, name: str, steps: Tensor, rounding: float) -> bool:
    series: Any = trajectory.global_data.get(name)
    if series is None:
        constant = trajectory.mesh.global_data.get(name)
        if constant is None:
            return False
        series = constant.reshape(1).expand(len(steps))
    values = series.detach().cpu().double().reshape(len(series))[: len(steps)]
    return not bool(_apart(values, steps, rounding).any())


def _apart(steps: Tensor, step: Any, rounding: float) -> Tensor:
    return (steps - step).abs() > TOLERANCE * step + rounding


def _typical(steps: Tensor, rounding: float) -> float:
    """The mean, or the first where they differ, to the digits that the times have."""
    mean = steps.mean()
    step = float(steps[0] if bool(_apart(steps, mean, rounding).any()) else mean)
    digits = max(3, 1 + math.floor(math.log10(step / rounding)))
    return float(f"{step:.{min(digits, 15)}g}")
