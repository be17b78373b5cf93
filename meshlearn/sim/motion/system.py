"""Runs of a solver: checked, and differentiable with bounded memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Generic, NoReturn, TypeVar

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint as checkpointed

from meshlearn.errors import SimulationError
from meshlearn.mesh.mesh import Mesh
from meshlearn.sim.motion.arguments import positive
from meshlearn.sim.motion.snapshot import Snapshot
from meshlearn.train.option_checks import whole

S = TypeVar("S", bound=Snapshot)


class Motion(ABC, Generic[S]):
    """A solver that leads a state on, step by step."""

    @abstractmethod
    def start(self) -> S:
        """The state at the beginning."""

    @abstractmethod
    def step(self, state: S, time_step: float) -> S:
        """The state one step later, unchecked."""

    @abstractmethod
    def stable_step(self, state: S, faster: float = 0.0) -> float:
        """The largest stable time step from a state on; `faster` is what speeds may gain before the next call."""

    @abstractmethod
    def problem(self, state: S, time_step: float) -> str:
        """What is wrong with a state, in words; empty if nothing is."""

    @abstractmethod
    def advice(self, before: S, cause: str, time_step: float) -> str:
        """What to do about a problem that the step after this state led to."""

    @abstractmethod
    def acceleration_bound(self) -> float:
        """The largest component of what accelerates all points alike (gravity)."""

    @abstractmethod
    def cloud(self) -> Mesh:
        """The mesh, or point cloud, that moves, with what does not change in time."""

    @abstractmethod
    def measured(self, state: S) -> dict[str, dict[str, Any]]:
        """{"point_data", "cell_data", "global_data"} of a state, as a mesh has them."""

    def run(self, state: S, steps: Any, time_step: Any = None, checkpoint: Any = 0) -> S:
        """The state after some steps of one length (default: `stable_step` of the state given).

        checkpoint  keep only every so many states for the gradient, and compute those between again when it is taken:
                    with the root of the number of steps the memory grows with that root. 0 keeps all

        Raises SimulationError, which names the step and the cause, when the state at the end is none that can be: not
        finite, outside the box, turned inside out, or faster than the steps can follow.
        """
        dt = self.stable_step(state) if time_step is None else positive("time_step", time_step)
        steps, checkpoint = whole(0)("steps", steps), whole(0)("checkpoint", checkpoint)
        begin = state
        if not checkpoint or not torch.is_grad_enabled():
            for _ in range(steps):
                state = self.step(state, dt)
        else:
            for first in range(0, steps, checkpoint):
                count = min(checkpoint, steps - first)
                tensors = checkpointed(self._several, state, count, dt, *state.tensors(), use_reentrant=False)
                state = state.with_tensors(tensors, step=state.step + count, time=state.time + count * dt)
        self._check(begin, state, dt)
        return state

    def _several(self, state: S, count: int, dt: float, *tensors: Tensor) -> tuple[Tensor, ...]:
        state = state.with_tensors(tensors)
        for _ in range(count):
            state = self.step(state, dt)
        return state.tensors()

    @torch.no_grad()
    def _check(self, begin: S, end: S, dt: float) -> None:
        """A run that went wrong is made again, step by step, to find where: this costs nothing where all went well."""
        if not self.problem(end, dt):
            return
        state, last = begin.detach(), end.step
        while state.step < last:
            before, state = state, self.step(state, dt)
            cause = self.problem(state, dt)
            if cause:
                self._refuse(before, state, cause, dt)
        self._refuse(begin, end, self.problem(end, dt), dt)

    def _refuse(self, before: S, state: S, cause: str, dt: float) -> NoReturn:
        advice = self.advice(before, cause, dt) if before.is_finite() else "Begin with finite values."
        raise SimulationError(f"step {state.step} (time {state.time:.4g}): {cause}.\n  {advice}")
