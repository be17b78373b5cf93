"""Solve A u = b under affine constraints, differentiable to any order in matrix, right-hand side and boundary data.

The derivative of u = A^-1 b is du = A^-1 (db - dA u), so that backward solves one transposed system, A^T l = grad, and
returns l for b and -l[row] u[col] for every stored entry. Backward is made of the same function, so it can itself be
differentiated; the direct solver uses the factors of the forward solve for all of it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import Function

from meshlearn.errors import FieldError, ParameterError
from meshlearn.fem.arrays import as_tensor
from meshlearn.fem.average import follow_weights, solve_average
from meshlearn.fem.constraint import AffineConstraint
from meshlearn.fem.nullspace import moving, part_in
from meshlearn.fem.stacked import StackedOperator
from meshlearn.fem.system import SolveInfo, SolveOptions, System, make_system, null_vectors
from meshlearn.hints import did_you_mean
from meshlearn.ops import SparseOperator, sampled_product

METHODS = ("auto", "direct", "cg", "minres", "gmres")
INCOMPATIBLE = ("error", "project")


def solve(
    A: Any,
    b: Any,
    constraint: Any = None,
    method: Any = "auto",
    preconditioner: str | Callable[[Tensor], Tensor] | None = None,
    tolerance: float = 1e-10,
    adjoint_tolerance: float | None = None,
    nullspace: str | Float[Tensor, "*null"] | None = None,
    max_iterations: int | None = None,
    initial: Float[Tensor, "*start"] | None = None,
    info: SolveInfo | None = None,
    incompatible: str = "error",
    **unknown: Any,
) -> Float[Tensor, "*shape_out"]:
    """u with A u = b, or under a constraint u = B z + g the u with B^T (A u - b) = 0: (n,) or (n, k), as b is.

    - A: square `SparseOperator` (n, n), symmetric or not; or a `StackedOperator` of n_batch matrices.
    - b: (n,), or (n, k) for k right-hand sides; for a stack (n_batch, n), (n_batch, n, k), or (n,) for all. With one
      matrix right-hand sides are columns, also where k = n: a batch (k, n) from `assemble` is transposed, b.t().
    - constraint: `AffineConstraint` (Dirichlet, periodic, ...). Its prescribed values come back to the last bit.
    - method: "direct" (sparse LU on the host), "cg" (symmetric positive definite), "minres" (symmetric), "gmres" (any,
      such as convection), these three on the device of A; "auto" takes LU where it is cheap (CPU, small or planar),
      else CG, and LU where CG breaks down.
    - preconditioner: for the iterations: "jacobi", "amg" (pyamg's on a CPU that has it, else ours; of the symmetric
      part if A is not symmetric), "ilu", or a callable r -> z on the free unknowns, (n_free,) or (n_free, k), such as a
      V-cycle. No gradient flows to it: it does not change u. For the adjoint of a matrix that is not symmetric its
      attribute `T` is taken where it has one.
    - tolerance, adjoint_tolerance: relative residuals at which the iterations stop, forward and backward (the same
      unless given).
    - nullspace: what A (after the constraint) maps to zero: "constant" (the function 1) for a pure Neumann problem,
      "rigid" for free elasticity on a Lagrange vector space (the motions that the constraint leaves), or (n,), (n, k)
      vectors. The right-hand side is projected on its complement, and so is u (orthogonal in the Euclidean product of
      the coefficients), in the adjoint too; vectors that move with the matrix carry their gradient.
    - max_iterations, initial: of the iterations; the initial guess is that of the forward solve only.
    - info: a `SolveInfo` to fill in: method, iterations, residuals, seconds.
    - incompatible: with a null space, what to do if more than 0.001 of the right-hand side lies in it, so that no u
      solves the system: "error", or "project" (solve for what is left; `info.incompatibility` says how much went).

    Computed in float64, returned in the common dtype of A, b and g. Factors are kept for as long as `A.values` lives
    unchanged, so that solving again with the same A costs one substitution.

    Raises SingularMatrixError when the solution does not exist or, by the direct solver, is not unique (the iterations
    do not see a null space that b is orthogonal to, and return one of the solutions), ConvergenceError (with
    `.residuals`) when the tolerance is not reached, FieldError for values that are not finite, ParameterError for
    shapes, devices, options.

    >>> A = ml.ops.SparseOperator.from_dense(torch.tensor([[2.0, -1.0, 0.0], [-1.0, 2.0, -1.0], [0.0, -1.0, 1.0]]))
    >>> clamp = ml.fem.AffineConstraint.dirichlet(3, torch.tensor([0]), 5.0)
    >>> ml.fem.solve(A, torch.tensor([0.0, 0.0, 1.0]), clamp)
    tensor([5., 6., 7.])
    """
    if unknown:
        raise ParameterError(_unknown(next(iter(unknown))))
    if isinstance(method, AffineConstraint):
        raise ParameterError(
            "two constraints are given one after the other: join them, solve(A, b, left & right); options of the "
            "solver are given by name."
        )
    if method not in METHODS:
        raise ParameterError(f"method is {method!r}; expected one of {', '.join(METHODS)}")
    if incompatible not in INCOMPATIBLE:
        raise ParameterError(f"incompatible is {incompatible!r}; expected one of {', '.join(INCOMPATIBLE)}")
    if isinstance(constraint, (list, tuple)) and all(isinstance(one, AffineConstraint) for one in constraint):
        raise ParameterError(f"the constraint is a {type(constraint).__name__} of them: join them, left & right.")
    if constraint is not None and not isinstance(constraint, AffineConstraint):
        raise ParameterError(
            f"the constraint is a {type(constraint).__name__}, expected what space.dirichlet({constraint!r:.60}) and "
            "space.periodic(...) return; the options of the solver are given by name."
        )
    options = SolveOptions(
        method,
        preconditioner,
        tolerance,
        adjoint_tolerance or tolerance,
        nullspace,
        max_iterations,
        initial,
        incompatible,
    )
    info = SolveInfo() if info is None else info
    if not isinstance(A, (SparseOperator, StackedOperator)):
        raise ParameterError(
            f"the matrix is a {type(A).__name__}, expected a SparseOperator: "
            "ml.ops.SparseOperator.from_scipy(matrix), or from_dense(matrix)."
        )
    b = as_tensor("the right-hand side", b, A.values.device)
    if b.is_complex() or A.values.is_complex():
        raise ParameterError(
            "the system is complex, the solvers are real: write the real and the imaginary part as the two parts of a "
            "composite space, FESpace(mesh, ('P1', 'P1'))."
        )
    if isinstance(A, StackedOperator):
        return _solve_stack(A, b, constraint, options, info)
    return _solve_one(A, b, constraint, options, info)


def _unknown(name: str) -> str:
    """What to say of an argument that `solve` does not have."""
    known = [key for key in inspect.signature(solve).parameters if key != "unknown"]
    others = {"tol": "tolerance", "rtol": "tolerance", "maxiter": "max_iterations", "x0": "initial"}
    return f"solve has no argument {name!r}{did_you_mean(name, known, others)}\n  It takes {', '.join(known)}."


def _solve_stack(A: StackedOperator, b: Tensor, constraint: Any, options: SolveOptions, info: SolveInfo) -> Tensor:
    n_batch, n, _ = A.shape
    if b.dim() == 1:
        b = b.expand(n_batch, -1)
    if b.dim() not in (2, 3) or b.shape[:2] != (n_batch, n):
        raise ParameterError(
            f"{n_batch} matrices ({n}, {n}) need a right-hand side ({n},), ({n_batch}, {n}) or ({n_batch}, {n}, k); "
            f"got {tuple(b.shape)}"
        )
    # unbind, not select: one backward node for the whole batch, instead of a full-size zero tensor for each matrix
    values = A.values.unbind(0)
    parts = [SparseOperator.from_adjacency(A.adjacency, v) for v in values]
    sides = b.unbind(0)
    return torch.stack([_solve_one(*pair, constraint, options, info) for pair in zip(parts, sides, strict=True)])


def _solve_one(A: SparseOperator, b: Tensor, constraint: Any, options: SolveOptions, info: SolveInfo) -> Tensor:
    constraint = AffineConstraint.none(A.n_rows) if constraint is None else constraint
    _check(A, b, constraint, options)
    dtype = torch.promote_types(A.dtype, b.dtype)
    if not constraint.from_number:
        dtype = torch.promote_types(dtype, constraint.g.dtype)
    rhs = b.double()
    if constraint.average is not None:

        def again(side: Tensor, nullspace: Any) -> Tensor:
            free = SolveOptions(**{**vars(options), "nullspace": nullspace})
            return _solve_one(A, side, None, free, info).double()

        return solve_average(A, rhs, constraint.average, options.nullspace, again).to(dtype)
    if constraint.moving is not None and torch.is_grad_enabled():
        return follow_weights(
            A, rhs, constraint.moving, lambda side: _held(A, side, constraint, options, info).double()
        ).to(dtype)
    return _held(A, rhs, constraint, options, info).to(dtype)


def _held(A: SparseOperator, rhs: Tensor, constraint: Any, options: SolveOptions, info: SolveInfo) -> Tensor:
    """u under a constraint whose relations stand still; rhs in float64."""
    if not constraint.is_homogeneous:
        lifted = A.with_values(A.values.double()) @ constraint.g.double()
        # one right-hand side and many boundary values, or the other way round
        rhs = _column(rhs, lifted) - _column(lifted, rhs)
    rhs = constraint.restrict(rhs)
    columns = rhs.unsqueeze(1) if rhs.dim() == 1 else rhs
    if constraint.n_free == 0 or columns.shape[1] == 0:
        z = columns
    else:
        z = differentiable_solve(A, constraint, columns, options, info)
    return constraint.expand(z.reshape(rhs.shape))


def differentiable_solve(
    A: SparseOperator, constraint: AffineConstraint, rhs: Tensor, options: SolveOptions, info: SolveInfo
) -> Tensor:
    """z (n_free, k) with B^T A B z = rhs, in float64; the graph holds the factors, not the matrix of every step."""
    nullspace = null_vectors(A, constraint, options.nullspace)
    moves = isinstance(nullspace, Tensor) and nullspace.requires_grad and torch.is_grad_enabled()
    with torch.no_grad():
        system = make_system(A, constraint, rhs, options, info, nullspace)
    reduced = system.reduced_again(A) if A.values.requires_grad and torch.is_grad_enabled() else system.matrix
    if moves:
        # _Solve, S, keeps to the null space as it is now. For all points p nearby with A(p) R(p) = 0 the solution is
        # P S(A, P rhs), P = I - R (R^T R)^-1 R^T. What P takes off the right-hand side is reported: its value stays.
        vectors = moving(nullspace)
        part = part_in(rhs, vectors)
        made = _Solve.apply(reduced.values, rhs - (part - part.detach()), system, False, 0)
        return made - part_in(made, vectors)
    if not torch.is_grad_enabled() or not (reduced.values.requires_grad or rhs.requires_grad):
        return system.first(rhs)
    return _Solve.apply(reduced.values, rhs, system, False, 0)


class _Solve(Function):
    """x with A(values) x = rhs, or with the transpose; level counts how often this was differentiated."""

    @staticmethod
    def forward(ctx, values: Tensor, rhs: Tensor, system: System, transposed: bool, level: int) -> Tensor:
        x = system.first(rhs) if level == 0 else system.solve(rhs, transposed, adjoint=True)
        ctx.save_for_backward(values, x)
        ctx.rest = system, transposed, level
        return x

    @staticmethod
    def backward(ctx, grad: Tensor):
        values, x = ctx.saved_tensors
        system, transposed, level = ctx.rest
        adjoint = _Solve.apply(values, grad, system, not transposed, level + 1)
        of_values = None
        if ctx.needs_input_grad[0]:
            rows, cols = (x, adjoint) if transposed else (adjoint, x)
            of_values = -sampled_product(rows, cols, system.matrix.adjacency)
        return of_values, adjoint, None, None, None


def _column(x: Tensor, other: Tensor) -> Tensor:
    return x.unsqueeze(1) if x.dim() == 1 and other.dim() == 2 else x


def _check(A: SparseOperator, b: Tensor, constraint: AffineConstraint, options: SolveOptions) -> None:
    n = A.n_rows
    if A.n_cols != n:
        raise ParameterError(f"a linear solve needs a square matrix, got {A}")
    if b.dim() not in (1, 2) or b.shape[0] != n:
        batch = b.dim() == 2 and b.shape[1] == n
        hint = (
            "\n  These are rows, as assemble gives batches; right-hand sides are columns here: b.t()." if batch else ""
        )
        raise ParameterError(f"{A} needs a right-hand side ({n},) or ({n}, k), got {tuple(b.shape)}{hint}")
    if constraint.n != n:
        raise ParameterError(f"{constraint} is for {constraint.n} unknowns, {A} has {n}")
    g = constraint.g
    if g.dim() == 2 and b.dim() == 2 and g.shape[1] != b.shape[1]:
        raise ParameterError(f"the constraint has {g.shape[1]} sets of values, b has {b.shape[1]} columns")
    if len({A.device, b.device, A.device if constraint.is_identity else g.device}) > 1:
        raise ParameterError(f"A is on {A.device}, b on {b.device}, the constraint on {g.device}: use one device")
    start = options.initial
    if start is not None and (start.shape[0] != n or start.dim() > 2):
        raise ParameterError(f"initial has shape {tuple(start.shape)}, expected ({n},) or ({n}, k)")
    for name, tensor in (
        ("the matrix", A.values),
        ("the right-hand side", b),
        ("the constraint", g),
        ("initial", start),
    ):
        if tensor is not None and not bool(torch.isfinite(tensor.detach()).all()):
            bad = int((~torch.isfinite(tensor.detach())).sum())
            raise FieldError(f"{bad} of the {tensor.numel()} values of {name} are not finite (nan or inf)")
