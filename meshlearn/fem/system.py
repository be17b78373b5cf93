"""One reduced linear system behind `solve`: which method, its factors or preconditioner, forward and adjoint."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor

from meshlearn.errors import ConvergenceError, ParameterError, SingularMatrixError
from meshlearn.fem.constants import constant_nullspace
from meshlearn.fem.constraint import AffineConstraint
from meshlearn.fem.factor import Factorization, cache
from meshlearn.fem.gmres import gmres
from meshlearn.fem.krylov import KrylovReport, Map, cg, minres
from meshlearn.fem.nullspace import null_basis, pinned_dofs, project_out
from meshlearn.fem.preconditioner import make_preconditioner
from meshlearn.fem.rigid import near_nullspace, rigid_nullspace
from meshlearn.ops import SparseOperator
from meshlearn.quiet import quiet

COMPATIBLE = 1e-3  # part of a right-hand side in the null space that is put down to quadrature
_SMALL = 30_000  # unknowns up to which "auto" factorises any matrix on the CPU
_PLANAR = 12  # entries per row up to which it factorises large ones: two-dimensional meshes, whose fill is modest


@dataclass
class SolveInfo:
    """What a solve did; fill one by `solve(..., info=info)`. Counts and seconds add up over solves and their adjoints.

    - method: "direct", "cg", "minres" or "gmres"; preconditioner: its name or None.
    - iterations, residuals: of the last forward solve; relative residuals, the true one last. For the direct method
      residuals holds the backward error |b - A x| / (|A| |x| + |b|).
    - incompatibility: part of the right-hand side that lay in the null space and was projected away, relative to it, in
      the worst column.
    - factorizations: LU factorisations made (0 where kept factors were used); factor_seconds: their time, or that of
      setting up the preconditioner; solve_seconds: the rest of the forward solves.
    - adjoint_solves, adjoint_iterations, adjoint_seconds: of backward, added up.
    """

    method: str = ""
    preconditioner: str | None = None
    iterations: int = 0
    residuals: tuple[float, ...] = ()
    incompatibility: float = 0.0
    factorizations: int = 0
    factor_seconds: float = 0.0
    solve_seconds: float = 0.0
    adjoint_solves: int = 0
    adjoint_iterations: int = 0
    adjoint_seconds: float = 0.0


@dataclass
class SolveOptions:
    """The options of `solve`, as given."""

    method: str = "auto"
    preconditioner: str | Callable[[Tensor], Tensor] | None = None
    tolerance: float = 1e-10
    adjoint_tolerance: float = 1e-10
    nullspace: Any = None
    max_iterations: int | None = None
    initial: Tensor | None = None
    incompatible: str = "error"


def _nothing(transposed: bool) -> Map | None:
    return None


@dataclass(eq=False)
class System:
    """B^T A B on the free unknowns in float64, without gradients, and how it is solved."""

    matrix: SparseOperator
    constraint: AffineConstraint
    options: SolveOptions
    info: SolveInfo
    method: str
    basis: Tensor | None
    factors: Factorization | None = None
    precondition: Callable[[bool], Map | None] = _nothing
    initial: Tensor | None = None
    norm: float = 0.0
    _ready: Tensor | None = field(default=None, repr=False)

    def reduced_again(self, A: SparseOperator) -> SparseOperator:
        """The same matrix with gradients to A.values."""
        return self.constraint.reduce(A.with_values(A.values.double()))

    def first(self, rhs: Tensor) -> Tensor:
        """The forward solve; what "auto" has tried out already is not computed twice."""
        ready, self._ready = self._ready, None
        return self.solve(rhs.detach(), False, adjoint=False) if ready is None else ready

    def solve(self, rhs: Tensor, transposed: bool, adjoint: bool) -> Tensor:
        """x (n_free, k) for rhs (n_free, k), on the complement of the null space. No gradients.

        Under torch's autograd backward this may run with gradients enabled (double backward): they are not recorded.
        """
        start = time.perf_counter()
        with torch.no_grad():
            side = project_out(rhs, self.basis)
            if not adjoint and self.basis is not None:
                self.info.incompatibility = self._incompatibility(rhs, side)
            if self.method == "direct":
                assert self.factors is not None
                x, error = self.factors.solve(side, transposed)
                report = KrylovReport(1, (error,))
            else:
                x, report = self._iterate(side, transposed, adjoint)
            x = project_out(x, self.basis)
        self._note(report, time.perf_counter() - start, adjoint)
        return x

    def _incompatibility(self, rhs: Tensor, side: Tensor) -> float:
        """Part of the right-hand side in the null space, relative to it, of the worst column.

        Raises SingularMatrixError where it is more than quadrature leaves, unless a projection is asked for.
        """
        size = torch.linalg.vector_norm(rhs, dim=0)
        part = torch.linalg.vector_norm(rhs - side, dim=0)
        found = float(torch.where(size > 0, part / size, 0.0).amax())
        if found > COMPATIBLE and self.options.incompatible == "error":
            raise SingularMatrixError(
                f"A u = b has no solution: {found:.2g} of the right-hand side lies in the null space, where A has no "
                "values. For -div(k grad u) = f without Dirichlet data, sources and inflow over the boundary must add "
                "up to zero (forces and moments, for a free elastic body).\n"
                "  Balance the data (take their mean off), fix u somewhere instead of nullspace=..., or solve for the "
                "closest right-hand side that is balanced: incompatible='project'."
            )
        return found

    def _iterate(self, side: Tensor, transposed: bool, adjoint: bool) -> tuple[Tensor, KrylovReport]:
        # cg and minres: symmetric by check, the transposed system is this one
        iterate = {"cg": cg, "minres": minres, "gmres": gmres}[self.method]
        turned = transposed and self.method == "gmres"
        inner = self.precondition(turned)
        product, basis = compressed(self.matrix.T if turned else self.matrix), self.basis
        precondition = inner if basis is None or inner is None else lambda r: project_out(inner(r), basis)
        tolerance = self.options.adjoint_tolerance if adjoint else self.options.tolerance
        return iterate(
            lambda p: product @ p,
            side,
            precondition,
            None if adjoint else self.initial,
            tolerance,
            self.options.max_iterations,
            self.norm,
        )

    def _note(self, report: KrylovReport, seconds: float, adjoint: bool) -> None:
        info = self.info
        if adjoint:
            info.adjoint_solves += 1
            info.adjoint_iterations += report.iterations
            info.adjoint_seconds += seconds
            return
        info.method, info.iterations, info.residuals = self.method, report.iterations, report.residuals
        info.solve_seconds += seconds


def null_vectors(A: SparseOperator, constraint: AffineConstraint, given: Any) -> Any:
    """The null space that `solve` is given, as vectors on the free unknowns where it is no word of `null_basis`."""
    if isinstance(given, str) and given == "rigid":
        return rigid_nullspace(A, constraint)
    if isinstance(given, str) and given == "constant":
        given = constant_nullspace(A)
    if isinstance(given, Tensor) and not constraint.is_identity and given.shape[0] == constraint.n:
        return given.index_select(0, constraint.independent)
    return given


def make_system(
    A: SparseOperator,
    constraint: AffineConstraint,
    rhs: Tensor,
    options: SolveOptions,
    info: SolveInfo,
    nullspace: Any = None,
) -> System:
    """Reduce, choose the method, factorise or set up the preconditioner; "auto" also tries its choice out.

    nullspace  as `null_vectors` gives it
    """
    trivial = constraint.is_identity
    values, key = A.values, (A.adjacency,) if trivial else (A.adjacency, constraint)

    def kept(what: Any, make: Callable[[], Any]) -> Any:
        return cache.get(values, what, key, make)

    double = A.with_values(values.detach().double())
    matrix = double if trivial else kept("reduced", lambda: constraint.reduce(double))
    basis = None if nullspace is None else null_basis(nullspace, matrix)
    method = options.method if options.method != "auto" else _automatic(matrix, options)
    system = System(matrix, constraint, options, info, method, basis)
    if method == "direct":
        _factorize(system, kept)
        return system
    _prepare(system, kept, rhs, partial(near_nullspace, double, constraint))
    if options.method == "auto":
        try:
            system._ready = system.solve(rhs.detach(), False, adjoint=False)
        except ConvergenceError:  # not positive definite, or too hard for CG: "auto" promises LU then
            system.method = "direct"
            _factorize(system, kept)
    return system


def _automatic(matrix: SparseOperator, options: SolveOptions) -> str:
    n, entries = matrix.n_rows, matrix.adjacency.n_edges
    on_host = matrix.device.type == "cpu"
    if options.preconditioner is None and on_host and (n <= _SMALL or entries <= _PLANAR * n):
        return "direct"
    return "cg" if bool((matrix.diagonal() > 0).all()) and asymmetry(matrix) <= 1e-9 else "direct"


def _factorize(system: System, kept: Callable[[Any, Callable[[], Any]], Any]) -> None:
    basis, info = system.basis, system.info
    pinned = None if basis is None else pinned_dofs(basis)

    def make() -> Factorization:
        made = Factorization(system.matrix, pinned)
        info.factorizations += 1
        info.factor_seconds += made.seconds
        return made

    system.factors = kept(("lu", None if pinned is None else tuple(pinned.tolist())), make)


def _prepare(
    system: System,
    kept: Callable[[Any, Callable[[], Any]], Any],
    rhs: Tensor,
    motions: Callable[[], tuple[Tensor | None, int]],
) -> None:
    matrix, options, info = system.matrix, system.options, system.info
    skew = asymmetry(matrix)
    symmetric = skew <= 1e-9
    if not symmetric and system.method != "gmres":
        raise ParameterError(
            f"method={system.method!r} needs a symmetric matrix, this one differs from its transpose by {skew:.1e}.\n"
            "  Use method='gmres' (with preconditioner='ilu' or 'amg'), or method='direct'."
        )
    choice = options.preconditioner
    if choice is None and options.method == "auto":
        choice = "amg"
    one = rhs.shape[1] == 1
    near = motions if choice == "amg" else None  # it holds the matrix before the constraint

    made: dict[bool, Map | None] = {}

    def prepared(transposed: bool) -> Map | None:
        if transposed not in made:
            start = time.perf_counter()
            if isinstance(choice, str):
                key = (choice, transposed and choice == "ilu")
                found = kept(key, lambda: make_preconditioner(choice, matrix, one, symmetric, transposed, near))
            else:
                found = make_preconditioner(choice, matrix, one, symmetric, transposed)
            made[transposed] = found
            info.factor_seconds += time.perf_counter() - start
        return made[transposed]

    system.precondition = prepared
    prepared(False)
    info.preconditioner = choice if isinstance(choice, str) or choice is None else type(choice).__name__
    system.norm = float(matrix.with_values(matrix.values.abs()).apply(matrix.values.new_ones(matrix.n_rows)).amax())
    if options.initial is not None:
        start = options.initial.detach().double()
        start = start.unsqueeze(1) if start.dim() == 1 else start
        start = start if system.constraint.is_identity else start.index_select(0, system.constraint.independent)
        system.initial = start.expand(-1, rhs.shape[1])


def asymmetry(matrix: SparseOperator) -> float:
    """|x A y - y A x| against |x| |A| |y| for two fixed vectors: zero to rounding for a symmetric matrix."""
    place = torch.arange(matrix.n_rows, dtype=torch.float64, device=matrix.device)
    x, y = torch.cos(1.618 * place + 0.3), torch.cos(2.414 * place * place.remainder(7) + 1.1)
    size = matrix.with_values(matrix.values.abs()) @ y.abs()
    return float((x @ (matrix @ y) - y @ (matrix @ x)).abs() / (x.abs() @ size).clamp_min(1e-300))


def compressed(matrix: SparseOperator) -> Tensor:
    """torch's own compressed rows: the product that libraries tune most (no gradients are needed here)."""
    with quiet(UserWarning):  # of a beta state
        return torch.sparse_csr_tensor(matrix.ptr, matrix.index, matrix.values.detach(), matrix.shape)
