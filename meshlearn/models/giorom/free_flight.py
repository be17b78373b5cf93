"""Baselines without forces inside: every point flies on by itself."""

from __future__ import annotations

from typing import Any, TypeVar

import torch

from meshlearn.errors import ParameterError
from meshlearn.mesh.trajectory import Trajectory
from meshlearn.models.giorom.evaluation import averaged, summary, truth_of
from meshlearn.models.giorom.film import Reading
from meshlearn.models.giorom.rollout import start_of
from meshlearn.train.fields import FieldSet, FieldSpec
from meshlearn.train.fitted import Fitted
from meshlearn.train.items import as_items
from meshlearn.train.option_checks import whole

F = TypeVar("F", bound="Ballistic")


class Ballistic(Fitted):
    """Points on parabolas: x(t) = x + v t + g t^2 / 2, each by itself; to compare `GIOROM` with.

    gravity, fixed, history   as in `GIOROM`; points of `fixed` stay where they are

    >>> from meshlearn.models.giorom import Ballistic
    >>> throws = ml.sim.make_bodies(1, cells=4, duration=0.04, frames=4)
    >>> Ballistic(gravity="gravity").fit(throws).score(throws)["rollout"] < 0.01
    True
    """

    gravity: Any
    fixed: Any
    history: Any
    kind, box, types, velocity = "solid", None, None, "velocity"

    def __init__(self, gravity: Any = None, fixed: Any = (), history: Any = 2) -> None:
        self.gravity = gravity
        self.fixed = fixed
        self.history = history

    def fit(self: F, meshes: Any) -> F:
        """Take the time step of the trajectories; returns self."""
        whole(1)("history", self.history)
        first = as_items(meshes, "trajectories")[0]
        film = self._reading(()).film(first, "trajectory 0", 2, None)
        self.time_step_ = float(f"{float(first.times.diff().double().mean()):.6g}")
        output = FieldSpec("acceleration", "point", (film.body.rest.dim,))
        self.fields_, self.types_ = FieldSet((), (output,), film.body.rest.dim), ()
        return self

    def rollout(self, initial: Any, steps: Any = None) -> Trajectory:
        """As `GIOROM.rollout`, for all points of the body."""
        self.check_fitted("rollout")
        start = start_of(self, initial)
        if steps is None and not isinstance(initial, Trajectory):
            raise ParameterError("rollout from one mesh needs the number of steps: rollout(mesh, steps=…).")
        count = int(whole(1)("steps", len(initial) - len(start.known) if steps is None else steps))  # type: ignore[arg-type]
        k = torch.arange(count + 1, dtype=torch.float64)[:, None, None]
        velocity = (start.known[-1] - start.known[-2]) + 0.5 * start.body.gravity
        places = start.known[-1] + k * velocity + 0.5 * k.square() * start.body.gravity
        places = torch.where(start.body.held[:, None], start.known[-1], places)
        times = start.time + self.time_step_ * k[:, 0, 0]
        mesh = start.body.rest
        mesh = mesh.replace(global_data={name: value for name, value in mesh.global_data.items() if name != "time"})
        return Trajectory(mesh, times, moving_points=places.to(mesh.dtype))

    def score(self, trajectories: Any, steps: int | None = None) -> dict[str, float]:
        """{"rollout", "final"} as `GIOROM.score`."""
        self.check_fitted("score")

        def errors(trajectory: Trajectory, where: str) -> dict[str, float]:
            truth = truth_of(trajectory, self.history, steps, where)
            return summary(self.rollout(trajectory, len(truth) - 1).moving_points, truth)  # type: ignore[arg-type]

        return averaged(trajectories, errors)

    def _history(self) -> int:
        return self.history

    def _reading(self, known: tuple[int, ...]) -> Reading:
        return Reading(self.gravity, None, None, tuple(self.fixed), known)


class ConstantVelocity(Ballistic):
    """Points that go on as they go: `Ballistic` without gravity.

    fixed, history   as in `GIOROM`
    """

    def __init__(self, fixed: Any = (), history: Any = 2) -> None:
        super().__init__(None, fixed, history)
