"""The variational mover: balance of Huang and Kamenski's functional on any domain, with holes or corners or both.

The unknown is where the points go, x; the equation is that the computational points are stationary for the functional
of the physical mesh, F(x) = dI/dxi at xi = the start. Each iteration solves one sparse system for the change of xi with
the functional's convex stiffness, carries it over with dx = -(dx/dxi) dxi, and backtracks until every cell is valid and
|F| falls; where that is slow, it preconditions GMRES on the derivative of F. What is solved for is F(x) = 0, with the
monitor at the moved points: nothing is frozen at convergence.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from meshlearn.models.movers.balance import Balance
from meshlearn.models.movers.progress import Progress
from meshlearn.models.movers.search import Validity, backtrack
from meshlearn.models.movers.walls import Walls

_LEAST = 1e-5
_SHORT = 0.02  # steps of the convex stiffness shorter than this give way to Newton's
_SLOW, _POOR = 0.5, 0.9  # ratios of residuals above which Newton's steps begin, or go on


def solve_variational(
    balance: Balance,
    walls: Walls,
    validity: Validity,
    monitor: Any,
    points: np.ndarray,
    rtol: float,
    dtol: float,
    max_iterations: int,
) -> Progress:
    """Iterate from moved points (n, dim) until the forces balance to rtol, or no step helps."""
    density = monitor.values(points)
    parts = balance.functional.parts(points, density)
    progress = Progress(points, None, [balance.residual(parts)])
    slow = False
    while not progress.ended(rtol, dtol, max_iterations):
        size = progress.residuals[-1]
        relief = balance.relief(parts, points)

        def attempt(step: float, move: np.ndarray, points: np.ndarray = points) -> tuple[float, Any] | None:
            moved = walls.snap(points + step * move)
            if not validity.holds(moved):
                return None
            density = monitor.values(moved)
            made = balance.functional.parts(moved, density)
            return balance.residual(made), (moved, density, made)

        found = None
        if not slow:
            move = relief.move(balance.force(parts))
            found = backtrack(attempt, move, size, validity.largest(points, move), _SHORT)
        if found is None:
            move = relief.newton(density, monitor.slopes(points))
            found = backtrack(attempt, move, size, validity.largest(points, move), _LEAST)
            if found is None and slow:
                slow = False
                move = relief.move(balance.force(parts))
                found = backtrack(attempt, move, size, validity.largest(points, move), _LEAST)
        if found is None:
            progress.stuck()
            break
        step, (points, density, parts) = found
        progress.steps.append(step)
        progress.residuals.append(balance.residual(parts))
        progress.points = points
        slow = progress.residuals[-1] > (_SLOW if not slow else _POOR) * size
    return progress
