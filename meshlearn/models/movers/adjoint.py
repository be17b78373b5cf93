"""Moved points as a differentiable function of the monitor's values, by the implicit function theorem.

At a solution F(phi; m) = 0. With J = -dF/dphi, the change of the monitor with the points included, and x = xi + D phi,
    dx = D J^-1 (dF/dm) dm:
backward solves one transposed system, J^T lambda = D^T grad, and returns (dF/dm)^T lambda.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from meshlearn.errors import ConvergenceError
from meshlearn.models.movers.newton import Linearised

_TOLERANCE = 1e-11
_RESTARTS = 20

Adjoint = Callable[[np.ndarray], np.ndarray]


class MovedPoints(torch.autograd.Function):
    """The points (n, dim), with a gradient to the monitor's values at them (n,)."""

    @staticmethod
    def forward(ctx: Any, monitor: Tensor, points: Tensor, adjoint: Adjoint, failure: str) -> Tensor:
        ctx.adjoint, ctx.failure = adjoint, failure
        return points.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        if ctx.failure:
            raise ConvergenceError(
                f"the moved points have no derivative: the mover did not converge ({ctx.failure}).\n"
                "  The implicit function theorem needs a solution: raise max_iterations, or smooth the monitor."
            )
        return torch.from_numpy(ctx.adjoint(grad.double().numpy())), None, None, None


def potential_adjoint(linear: Linearised) -> Adjoint:
    """gradient of the points (n, dim) -> gradient of the monitor's values (n,)."""

    def adjoint(grad: np.ndarray) -> np.ndarray:
        side = linear.problem.displacement_transposed(np.ascontiguousarray(grad))
        test, error = linear.solve(side, _TOLERANCE, transposed=True, restarts=_RESTARTS)
        if not error <= 1e3 * _TOLERANCE:
            raise ConvergenceError(f"the adjoint of the mover reached a residual of {error:.1e} only.", [error])
        return linear.state.transposed(test)[0]

    return adjoint
