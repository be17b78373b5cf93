"""Relaxation of the Monge-Ampère equation in artificial time: one fixed matrix, many cheap steps.

Forward Euler on -d/dt Laplace(phi) = m det(I + H) - theta (McRae, Cotter and Budd 2018):
    int grad(psi) . grad(phi_new - phi) = step * int psi (m det(I + H) - theta).
The step is halved where cells would become invalid, and grows back afterwards.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from meshlearn.fem.factor import Factorization
from meshlearn.models.movers.potential import Potential
from meshlearn.models.movers.progress import Progress
from meshlearn.models.movers.search import Validity
from meshlearn.models.movers.walls import Walls

_GROWTH = 1.2
_LEAST = 1e-6


def solve_relaxation(
    problem: Potential,
    walls: Walls,
    validity: Validity,
    monitor: Any,
    phi: np.ndarray,
    rtol: float,
    dtol: float,
    max_iterations: int,
    time_step: float,
) -> Progress:
    """Iterate from the potential phi until the residual is below rtol; it need not fall in every step."""
    identity = np.broadcast_to(np.eye(problem.dim), (len(problem.cells), problem.dim, problem.dim))
    laplace = Factorization(problem.stiffness(identity), torch.zeros(1, dtype=torch.int64))
    points = problem.moved(walls, phi)
    state = problem.state(monitor, points, phi)
    progress = Progress(points, phi, [state.size])
    step = time_step
    while not progress.ended(rtol, dtol, max_iterations):
        move = laplace.solve(torch.from_numpy(state.residual / state.theta)[:, None])[0].numpy()[:, 0]
        move -= move @ problem.lumped / problem.total
        step = min(time_step, _GROWTH * step)
        limit = _LEAST * time_step
        while step > limit:
            trial = phi + step * move
            moved = problem.moved(walls, trial)
            if validity.holds(moved):
                break
            step /= 2
        else:
            progress.stuck("every step would make a cell invalid")
            break
        phi, points = trial, moved
        state = problem.state(monitor, points, phi)
        progress.steps.append(step)
        progress.residuals.append(state.size)
        progress.points, progress.potential = points, phi
    return progress
