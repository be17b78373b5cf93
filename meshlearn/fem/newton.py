"""Newton's method for F(u) = 0 under affine constraints, with derivatives by the implicit function theorem."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from meshlearn.errors import ConvergenceError, FieldError, ParameterError, SingularMatrixError
from meshlearn.fem.average import on_average
from meshlearn.fem.constraint import AffineConstraint
from meshlearn.fem.solve import solve
from meshlearn.hints import did_you_mean
from meshlearn.ops import SparseOperator

_ALIASES = {"tol": "tolerance", "rtol": "tolerance", "atol": "absolute_tolerance", "maxiter": "max_iterations"}
_SHORTEST = 2.0**-20  # of a Newton step, tried before the line search gives up


LINEAR = tuple(
    name
    for name in inspect.signature(solve).parameters
    if name not in ("A", "b", "constraint", "tolerance", "max_iterations", "initial", "info", "unknown")
)
"""Options of `solve` that Newton's method passes on; others of the same names are its own."""


@dataclass
class NewtonInfo:
    """What an iteration did: steps taken, |B^T F| before each and at the end, and the lengths of the steps."""

    iterations: int = 0
    residuals: tuple[float, ...] = ()
    step_lengths: tuple[float, ...] = ()


def newton(
    residual: Callable[[Tensor], Tensor],
    jacobian: Callable[[Tensor], SparseOperator],
    initial: Float[Tensor, " n"],
    constraint: AffineConstraint | None = None,
    tolerance: float = 1e-10,
    absolute_tolerance: float = 0.0,
    max_iterations: int = 30,
    line_search: bool = True,
    derivatives: int = 1,
    info: NewtonInfo | None = None,
    **linear: Any,
) -> Float[Tensor, " n"]:
    """u (n,) with B^T F(u) = 0 and u = B z + g, from `initial` (its constrained dofs are overwritten).

    - residual: u (n,) -> F(u) (n,), in torch operations; jacobian: u -> dF/du as a `SparseOperator` (n, n).
    - tolerance: of |B^T F| against its first value; absolute_tolerance: of |B^T F| itself, for warm starts. The
      iteration ends as well when the residual no longer falls and is rounding: of the size that errors of u in its
      last digits cause, eps |J| |u| entry by entry.
    - line_search: halve the step until the residual falls (a residual that is not finite does not count as falling).
    - derivatives: order up to which the result may be differentiated. Gradients reach every tensor that `residual`
      uses (parameters, loads, points) and the constraint's data; the iteration itself leaves no graph.
    - linear: options of `solve` for the steps: method, preconditioner, nullspace, adjoint_tolerance, incompatible.

    After convergence, `derivatives` chord steps u <- u - J^-1 F(u) with the converged J held fixed are recorded: each
    makes one more derivative exact, and all of them and their adjoints share one factorisation.
    Raises ConvergenceError with `.residuals`, SingularMatrixError for a singular tangent, FieldError for one that is
    not finite, ParameterError for unknown options.

    >>> a = torch.tensor([4.0, 9.0], dtype=torch.float64, requires_grad=True)
    >>> diagonal = lambda u: ml.ops.SparseOperator.from_coo(torch.arange(2), torch.arange(2), 2 * u, (2, 2))
    >>> root = ml.fem.newton(lambda u: u**2 - a, diagonal, torch.ones(2, dtype=torch.float64))
    >>> root.detach(), torch.autograd.grad(root.sum(), a)[0]
    (tensor([2., 3.], dtype=torch.float64), tensor([0.2500, 0.1667], dtype=torch.float64))
    """
    for key in linear:
        if key not in LINEAR:
            raise ParameterError(unknown_option(key))
    if max_iterations < 1 or derivatives < 1:
        raise ParameterError(f"max_iterations ({max_iterations}) and derivatives ({derivatives}) must be at least 1")
    constraint = AffineConstraint.none(initial.shape[0]) if constraint is None else constraint
    info = NewtonInfo() if info is None else info
    steps = constraint.homogeneous()
    with torch.no_grad():
        u = constraint.impose(initial.detach())
        u = _iterate(
            residual, jacobian, u, steps, tolerance, absolute_tolerance, max_iterations, line_search, info, linear
        )
    return _implicit(residual, jacobian, u, constraint, steps, derivatives, linear)


OPTIONS = (
    "tolerance",
    "absolute_tolerance",
    "max_iterations",
    "line_search",
    "derivatives",
    "info",
)
"""Options of Newton's method itself."""


def unknown_option(name: str) -> str:
    """What to say of an option that neither Newton's method nor `solve` has."""
    known = [*OPTIONS, *LINEAR]
    return (
        f"Newton's method has no option {name!r}{did_you_mean(name, known, _ALIASES)}\n  It takes {', '.join(known)}."
    )


def _iterate(residual, jacobian, u, steps, tolerance, absolute, max_iterations, line_search, info, linear) -> Tensor:
    force = _force(residual, u)
    history = [float(torch.linalg.vector_norm(steps.restrict(force)))]
    lengths: list[float] = []
    if not math.isfinite(history[0]):
        raise _failure("the residual at the initial guess is not finite", history)
    goal = max(tolerance * history[0], absolute)
    eps = torch.finfo(u.dtype).eps
    while history[-1] > goal:
        if len(lengths) == max_iterations:
            raise _failure(
                f"Newton's method did not reach the residual {goal:.2e} in {max_iterations} steps: start closer, load "
                "in steps, or allow more max_iterations",
                history,
            )
        tangent = jacobian(u)
        step = _step(tangent, force, u, steps, linear, first=not lengths)
        small = float(torch.linalg.vector_norm(step)) <= 8 * eps * float(torch.linalg.vector_norm(u))
        small = small or history[-1] <= 8 * eps * _products(tangent, u, steps)
        length, new_u, new_force, size = _search(residual, u, step, steps, history[-1], line_search and not small)
        if small and not size < history[-1]:
            break  # u is right to rounding; the step that shows it is not taken
        if not math.isfinite(size) or (line_search and length < _SHORTEST):
            raise _failure(
                f"no step along Newton's direction makes the residual {history[-1]:.2e} smaller: the jacobian may not "
                "be that of the residual, or a solution is not near; load in smaller steps",
                history,
            )
        u, force = new_u, new_force
        history.append(size)
        lengths.append(length)
    info.iterations, info.residuals, info.step_lengths = len(lengths), tuple(history), tuple(lengths)
    return u


def _step(tangent: SparseOperator, force: Tensor, u: Tensor, steps: AffineConstraint, linear, first: bool) -> Tensor:
    """Newton's step. Raises the errors of `solve`, with words on the guess where the tangent is of no use there."""
    where = "at the initial guess" if first else "on the way"
    bad = int((~torch.isfinite(tangent.values)).sum())
    if bad:
        raise FieldError(
            f"{bad} of the {tangent.values.numel()} values of the tangent are not finite {where}: the derivative of "
            "the law is infinite or undefined there, as that of sqrt, norm or a power below 1 is at 0.\n"
            "  Keep it away from 0, torch.sqrt(dot(g, g) + 1e-12), or start elsewhere: initial=..."
        )
    if not first and linear.get("nullspace") is not None:
        linear = {**linear, "incompatible": "project"}  # judged at the first step; then rounding is all there is
    try:
        return solve(tangent, -force, steps, **linear)
    except SingularMatrixError as error:
        sizes = steps.restrict(tangent.with_values(tangent.values.abs()) @ torch.ones_like(u))
        zeros = int((sizes <= 1e-14 * sizes.abs().amax()).sum())
        if not zeros:
            raise
        raise SingularMatrixError(
            f"the tangent is singular {where}: {zeros} of its {len(sizes)} rows are zero, because the derivative of "
            "the law vanishes there, as that of a power of the gradient does where the gradient is 0.\n"
            "  Start from a guess where it does not: initial=space.interpolate(lambda x: ...), or the solution of a "
            "linear problem; or add a small multiple of dot(grad(x.u), grad(v)) to the law.",
            error.residuals,
        ) from error


def _products(tangent: SparseOperator, u: Tensor, steps: AffineConstraint) -> float:
    """Norm of |J| |u|, the terms that cancel in J u; an error of u in its last digit moves F by eps times as much."""
    sizes = tangent.with_values(tangent.values.abs()) @ u.abs()
    return float(torch.linalg.vector_norm(steps.restrict(sizes)))


def _search(residual, u, step, steps, size: float, search: bool) -> tuple[float, Tensor, Tensor, float]:
    """Step length, new u, its residual and that one's norm; the length falls below `_SHORTEST` when none is good."""
    length = 1.0
    while True:
        new = u + length * step
        force = _force(residual, new)
        found = float(torch.linalg.vector_norm(steps.restrict(force)))
        if not search or found <= (1 - 1e-4 * length) * size or length < _SHORTEST:
            return length, new, force, found
        length /= 2


def _force(residual, u: Tensor) -> Tensor:
    force = residual(u)
    if force.shape != u.shape:
        raise ParameterError(f"the residual has shape {tuple(force.shape)}, u has {tuple(u.shape)}: expected the same")
    return force


def _implicit(residual, jacobian, u, constraint, steps, derivatives, linear) -> Tensor:
    """u again, with the derivatives of the exact solution."""
    if not torch.is_grad_enabled():
        return u
    exact = u
    u = constraint.impose(exact)
    u = u if constraint.moving is None else on_average(u, constraint.moving)
    force = _force(residual, u)
    if not force.requires_grad and not u.requires_grad:
        return exact
    with torch.no_grad():
        tangent = jacobian(exact)
    tangent = tangent.with_values(tangent.values.detach())
    if linear.get("nullspace") is not None:
        linear = {**linear, "incompatible": "project"}
    for order in range(derivatives):
        if order:
            force = _force(residual, u)
        u = u - solve(tangent, force, steps, **linear)
    # the chord steps move u within the tolerance only; what is returned is the point that was checked
    u = _ValueOf.apply(exact, u)
    return _Once.apply(u) if derivatives == 1 else u


class _ValueOf(Function):
    """The values of one tensor with the derivatives of another."""

    @staticmethod
    def forward(ctx, values: Tensor, source: Tensor) -> Tensor:
        return values.clone()

    @staticmethod
    def backward(ctx, grad: Tensor):
        return None, grad


class _Once(Function):
    """The identity, which refuses a second derivative: that of one chord step would be wrong, not merely missing."""

    @staticmethod
    def forward(ctx, u: Tensor) -> Tensor:
        return u.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):
        return grad


def _failure(what: str, history: list[float]) -> ConvergenceError:
    tail = ", ".join(f"{value:.2e}" for value in history[-5:])
    return ConvergenceError(f"{what}.\n  last residuals: {tail}", history)
