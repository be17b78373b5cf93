"""Newton's method for the discrete Monge-Ampère problem, preconditioned by the cofactor stiffness.

Far from the solution each step solves int m C grad(psi) . grad(dphi) = residual with C = cof(I + H), its eigenvalues
bounded from below. In the continuum this is the full linearisation, the slope of the monitor included, since cofactors
are free of divergence: div(m C grad w) = m C : D^2 w + det(I + H) grad_x m . grad w. On a mesh it differs by the wide
stencil of the recovered Hessian, which slows the end of the iteration. There the discrete linearisation is solved by
GMRES, preconditioned by the same stiffness.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from meshlearn.fem.factor import Factorization
from meshlearn.models.movers.potential import Potential, State
from meshlearn.models.movers.progress import Progress
from meshlearn.models.movers.search import Validity, backtrack
from meshlearn.models.movers.walls import Walls

FLOOR = 0.05
_SLOW = 0.2  # ratio of residuals of a full cofactor step above which GMRES takes over
_FORCING = 1e-2
_KRYLOV = 60
_LEAST = 1e-4
_MILD = 1e-2  # residual at which a milder monitor counts as reached
_FINEST = 1 / 64


class Linearised:
    """The derivative of the residual in the potential at one state, its transpose, and its preconditioner."""

    def __init__(self, problem: Potential, state: State, slope: np.ndarray | None) -> None:
        self.problem, self.state, self.slope = problem, state, slope
        self._factor = Factorization(problem.stiffness(state.tensor(FLOOR)), torch.zeros(1, dtype=torch.int64))

    def precondition(self, side: np.ndarray) -> np.ndarray:
        """The step of mean zero that the cofactor stiffness gives for a residual."""
        balanced = side - side.sum() / self.problem.total * self.problem.lumped
        step = self._factor.solve(torch.from_numpy(balanced)[:, None])[0].numpy()[:, 0]
        return step - step.mean()

    def apply(self, phi: np.ndarray) -> np.ndarray:
        """(n,): minus the change of the residual, so that it is close to the stiffness."""
        assert self.slope is not None
        dm = (self.slope * self.problem.displacement(phi)).sum(1)
        return -self.state.derivative(dm, self.problem.hessian(phi))

    def apply_transposed(self, test: np.ndarray) -> np.ndarray:
        assert self.slope is not None
        of_m, of_H = self.state.transposed(test)
        moved = self.problem.displacement_transposed(self.slope * of_m[:, None])
        return -(self.problem.hessian_transposed(of_H) + moved)

    def solve(self, side: np.ndarray, rtol: float, transposed: bool = False, restarts: int = 1) -> tuple[Any, float]:
        """(x, relative residual) of the discrete linearisation, or of its transpose, by GMRES."""
        from scipy.sparse.linalg import LinearOperator, gmres

        n = self.problem.n

        def product(y: np.ndarray) -> np.ndarray:
            y = y.reshape(-1)
            return self.apply_transposed(self._fixed(y)) if transposed else self.apply(self.precondition(y))

        operator = LinearOperator((n, n), matvec=product, dtype=np.float64)
        y, _ = gmres(operator, side, rtol=rtol, restart=min(_KRYLOV, n), maxiter=restarts)
        error = float(np.linalg.norm(product(y) - side) / (np.linalg.norm(side) or 1.0))
        return (self._fixed(y) if transposed else self.precondition(y)), error

    def _fixed(self, side: np.ndarray) -> np.ndarray:
        step = self._factor.solve(torch.from_numpy(side - side.mean())[:, None])[0].numpy()[:, 0]
        return step - step @ self.problem.lumped / self.problem.total


class Milder:
    """The power of a monitor: the same places, less contrast."""

    def __init__(self, monitor: Any, power: float) -> None:
        self.monitor, self.power = monitor, power

    def values(self, points: np.ndarray) -> np.ndarray:
        return self.monitor.values(points) ** self.power

    def slopes(self, points: np.ndarray) -> np.ndarray:
        factor = self.power * self.monitor.values(points) ** (self.power - 1)
        return factor[:, None] * self.monitor.slopes(points)


def solve_newton(
    problem: Potential,
    walls: Walls,
    validity: Validity,
    monitor: Any,
    phi: np.ndarray,
    rtol: float,
    dtol: float,
    max_iterations: int,
) -> Progress:
    """Iterate from the potential phi; where that gets stuck, reach the monitor through powers of it, from 0 to 1."""
    fixed = (problem, walls, validity)
    direct = iterate(*fixed, monitor, phi, rtol, dtol, max_iterations)
    if not direct.is_stuck:
        return direct
    steps, residuals = list(direct.steps), list(direct.residuals)
    power, increment, last = 0.0, 0.5, phi
    while power < 1 and increment > _FINEST:
        trial = min(power + increment, 1.0)
        part = iterate(
            *fixed,
            Milder(monitor, trial) if trial < 1 else monitor,
            last,
            rtol if trial == 1 else max(rtol, _MILD),
            dtol,
            max_iterations - len(steps),
        )
        steps, residuals = steps + part.steps, residuals + part.residuals[1:]
        if part.converged:
            assert part.potential is not None
            power, increment, last = trial, 1.5 * increment, part.potential
            if power == 1:
                return replace(part, steps=steps, residuals=residuals)
        elif part.is_stuck:
            increment /= 2
        else:
            break
    further = len(steps) - len(direct.steps)
    reason = f"{direct.reason}; {further} more iterations reached no more than the power {power:.2g} of the monitor"
    points = problem.moved(walls, last)
    size = problem.state(monitor, points, last).size
    if size < direct.residuals[-1]:  # the milder monitor's mesh is closer to what was asked for
        direct = Progress(points, last, [*residuals[:-1], size], steps)
        reason += ", whose mesh this is"
    return replace(direct, reason=reason)


def iterate(
    problem: Potential,
    walls: Walls,
    validity: Validity,
    monitor: Any,
    phi: np.ndarray,
    rtol: float,
    dtol: float,
    max_iterations: int,
) -> Progress:
    """Newton's method from the potential phi until the residual is below rtol, or no step helps."""
    points = problem.moved(walls, phi)
    state = problem.state(monitor, points, phi)
    progress = Progress(points, phi, [state.size])
    exact = False
    while not progress.ended(rtol, dtol, max_iterations):
        found, was_exact = None, exact

        def attempt(step: float, move: np.ndarray, phi: np.ndarray = phi) -> tuple[float, Any] | None:
            trial = phi + step * move
            moved = problem.moved(walls, trial)
            if not validity.holds(moved):
                return None
            made = problem.state(monitor, moved, trial)
            return made.size, (trial, moved, made)

        if exact:
            linear = Linearised(problem, state, monitor.slopes(points))
            move, _ = linear.solve(state.residual, _FORCING)
            found = backtrack(attempt, move, 0.7 * state.size, 1.0, 0.4)
        else:
            linear = Linearised(problem, state, None)
        if found is None:
            exact = False
            move = linear.precondition(state.residual)
            start = validity.largest(points, problem.displacement(move))
            found = backtrack(attempt, move, state.size, start, _LEAST)
        if found is None:
            progress.stuck()
            break
        step, (phi, points, made) = found
        if not exact:  # a rejected Newton step is not tried again at once
            exact = not was_exact and step == 1.0 and made.size > _SLOW * state.size
        state = made
        progress.steps.append(step)
        progress.residuals.append(state.size)
        progress.points, progress.potential = points, phi - phi @ problem.lumped / problem.total
    return progress
