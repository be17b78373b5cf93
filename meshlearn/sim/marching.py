"""Marching in time: backward differences of second order, and linear systems that change little from step to step.

u' at the new time is (3 u^(n+1) - 4 u^n + u^(n-1)) / (2 dt); what is not linear is taken at 2 u^n - u^(n-1). Both are
of second order; the first step is an implicit Euler step, whose error is of second order, too, since it is made once.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from meshlearn.errors import ConvergenceError, ParameterError
from meshlearn.fem.constraint import AffineConstraint
from meshlearn.fem.factor import Factorization
from meshlearn.fem.solve import solve
from meshlearn.fem.system import SolveInfo
from meshlearn.ops import SparseOperator

PRECISION = 1e-10
PATIENCE = 8  # iterations with old factors above which new ones are cheaper
SMALL = 3000  # unknowns up to which every matrix is factorised anew


class History:
    """The two latest states, and what backward differences make of them for the step that follows.

    leading  factor of the new state in dt u'
    known    sum of the old states in dt u', as a right-hand side: dt u' = leading * new - known
    ahead    the state extrapolated to the new time
    """

    def __init__(self, state: Tensor) -> None:
        self.now = state
        self._before: Tensor | None = None

    @property
    def leading(self) -> float:
        """1, then 3 / 2."""
        return 1.0 if self._before is None else 1.5

    @property
    def known(self) -> Tensor:
        """u^n, then 2 u^n - u^(n-1) / 2."""
        return self.now if self._before is None else 2.0 * self.now - 0.5 * self._before

    @property
    def ahead(self) -> Tensor:
        """u^n, then 2 u^n - u^(n-1)."""
        return self.now if self._before is None else 2.0 * self.now - self._before

    def advance(self, state: Tensor) -> None:
        """The new state becomes the latest."""
        self.now, self._before = state, self.now


class DriftingSystem:
    """Solves A u = b for matrices that drift: GMRES with the factors of an earlier one, renewed when they are too old.

    Small systems are factorised every time.

    >>> from meshlearn.sim.marching import DriftingSystem
    >>> system, b = DriftingSystem(), torch.ones(2, dtype=torch.float64)
    >>> first = ml.ops.SparseOperator.from_dense(torch.tensor([[2.0, 1.0], [0.0, 2.0]], dtype=torch.float64))
    >>> for A in (first, first * 1.01):
    ...     u = system.solve(A, b, ml.fem.AffineConstraint.none(2), b)
    >>> torch.allclose(A @ u, b)
    True
    """

    def __init__(self) -> None:
        self._factors: Factorization | None = None

    def solve(self, A: SparseOperator, b: Tensor, constraint: AffineConstraint, start: Tensor) -> Tensor:
        """u as by `fem.solve`, to 1e-10; `start` is a guess."""
        if A.n_rows <= SMALL:
            return solve(A, b, constraint, method="direct")
        if self._factors is not None:
            info = SolveInfo()
            try:
                found = self._iterate(A, b, constraint, start, info)
            except ConvergenceError:  # the matrix has become another one: new factors solve it at once
                self._factors = None
            else:
                if info.iterations > PATIENCE:
                    self._factors = None
                return found
        self._factors = Factorization(constraint.reduce(A))
        return self._iterate(A, b, constraint, start, SolveInfo())

    def _iterate(self, A: SparseOperator, b: Tensor, constraint: AffineConstraint, start: Tensor, info: Any) -> Tensor:
        factors = self._factors
        assert factors is not None
        return solve(
            A,
            b,
            constraint,
            method="gmres",
            preconditioner=lambda r: factors.solve(r.reshape(len(r), -1))[0].reshape(r.shape),
            tolerance=PRECISION,
            max_iterations=5 * PATIENCE,
            initial=start,
            info=info,
        )


def at_time(value: Any, time: float) -> Any:
    """What a value is at a time: functions of the place and the time become functions of the place.

    Raises ParameterError for functions of anything else.
    """
    if not callable(value):
        return value
    takes(value, "place and time", "g(x, t)", 2)
    return lambda x: value(x, time)


def takes(function: Callable[..., Any], what: str, written: str, count: int) -> None:
    """Raises ParameterError for a function that does not take so many arguments."""
    try:
        inspect.signature(function).bind(*range(count))
    except TypeError:
        name = getattr(function, "__name__", type(function).__name__)
        raise ParameterError(f"the values on a boundary are functions of {what}, {written}: {name} is not.") from None
    except ValueError:  # functions without a signature, such as some of numpy's
        return


def check_march(time_step: Any, frames: Any, substeps: Any) -> float:
    """The length of a step of the solver. Raises ParameterError for what is not one."""
    if isinstance(time_step, bool) or not isinstance(time_step, (int, float)) or not 0 < time_step < math.inf:
        raise ParameterError(f"time_step is the time between two frames, a positive number, not {time_step!r}.")
    for name, value, what in (
        ("frames", frames, "the number of frames after the first"),
        ("substeps", substeps, "the number of steps of the solver from frame to frame"),
    ):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ParameterError(f"{name} is {what}, a whole number of at least 1, not {value!r}.")
    return time_step / substeps


def check_viscosity(viscosity: Any) -> float:
    """The viscosity. Raises ParameterError unless it is a positive number."""
    number = viscosity.detach().item() if isinstance(viscosity, Tensor) and viscosity.numel() == 1 else viscosity
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not 0 < number < math.inf:
        raise ParameterError(f"viscosity is a positive number, in length^2 / time, not {viscosity!r:.60}.")
    return float(number)


def refuse_gradients(what: str, **values: Any) -> None:
    """Raises ParameterError for values that require a gradient: marching is not differentiated."""
    asked = [name for name, value in values.items() if isinstance(value, Tensor) and value.requires_grad]
    if asked and torch.is_grad_enabled():
        raise ParameterError(
            f"{asked[0]} requires a gradient, and {what} has none: its time steps are not differentiated.\n"
            "  Pass value.detach(), or call it under torch.no_grad()."
        )


def march(step: Callable[[float], None], time_step: float, frames: int, substeps: int, keep: Callable[[], Any]) -> list:
    """[keep(), …]: what `keep` says at the start and after each of so many frames; `step(t)` goes on to the time t."""
    kept = [keep()]
    for frame in range(frames):
        for part in range(1, substeps + 1):
            step(time_step * (frame + part / substeps))
        kept.append(keep())
    return kept


def check_bounded(states: Tensor, time_step: float, advice: str) -> None:
    """Raise ConvergenceError where one of the states (n_frames, ...) is not finite: a solution that has blown up."""
    lost = (~torch.isfinite(states.flatten(1)).all(1)).nonzero()
    if len(lost):
        raise ConvergenceError(
            f"the solution grew beyond all numbers before the time {time_step * int(lost[0]):g}.\n  {advice}"
        )
