"""Conjugate gradients and MINRES in torch, for many right-hand sides at once, on any device.

Scalars of the recurrences stay on the device. On CUDA the host looks at the residuals only every few iterations;
columns that have converged are frozen on the device, so the result does not depend on how often it looks.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.errors import ConvergenceError, ParameterError

Map = Callable[[Tensor], Tensor]
_RESTARTS = 3  # times that the residual of the recurrence is replaced by the true one
_UNSOLVED = 1e-3  # relative residual from which on a system counts as not solved, even where rounding hides the rest
_SINGULAR = (
    "the matrix is singular or nearly so, and no solution was found: what is left of the right-hand side is rounding "
    "of a huge u.\n  Fix the solution on part of the boundary, on every body of the mesh, or name the null space "
    "(nullspace='constant' or 'rigid'); method='direct' says which it is."
)
_BREAKDOWN = {
    "CG": "met a direction p with p^T A p <= 0: the matrix (or the preconditioner) is not positive definite.\n"
    "  Use method='minres' for a symmetric indefinite matrix, method='direct' for any other.",
    "MINRES": "ran out of new directions before it converged: the matrix is singular and the right-hand side is not in "
    "its range,\n  or the preconditioner is not positive definite. Name the null space: nullspace='constant'.",
}


@dataclass
class KrylovReport:
    """What an iteration did: iterations of the slowest column, and its relative residuals (the true one last)."""

    iterations: int
    residuals: tuple[float, ...]


def cg(
    apply: Map,
    b: Float[Tensor, "n k"],
    precondition: Map | None = None,
    initial: Float[Tensor, "n k"] | None = None,
    tolerance: float = 1e-10,
    max_iterations: int | None = None,
    matrix_norm: float = 0.0,
) -> tuple[Float[Tensor, "n k"], KrylovReport]:
    """Solve A x = b for a symmetric positive definite A by preconditioned conjugate gradients, column by column.

    - apply, precondition: (n, k) -> (n, k); the preconditioner should be symmetric positive definite, but one that is
      only nearly so (an incomplete LU, a learned cycle) is put up with: beta is that of the flexible method, which
      needs no further vector (Notay 2000, SIAM J. Sci. Comput. 22).
    - tolerance: of |b - A x| / |b|, checked on the true residual, in every column. With `matrix_norm` (an estimate of
      |A|) a residual that is all rounding, |r| <= 8 eps (|A| |x| + |b|), is accepted too: none is smaller. Not so
      above 0.001 |b|, where a singular matrix has made x huge.
    - max_iterations: 10 n + 100 unless given.

    Not differentiable: use `solve`. Raises ConvergenceError with the residual history when the tolerance is not
    reached, when a direction shows that A is not positive definite, or when something is not finite.
    Source: Hestenes & Stiefel 1952.

    >>> from meshlearn.fem.krylov import cg
    >>> A = torch.tensor([[2.0, -1.0], [-1.0, 2.0]], dtype=torch.float64)
    >>> x, report = cg(lambda v: A @ v, torch.ones(2, 1, dtype=torch.float64))
    >>> bool((x - 1).abs().max() < 1e-12), report.iterations
    (True, 1)
    """
    return _restarted(_cg, apply, b, precondition, initial, tolerance, max_iterations, matrix_norm)


def minres(
    apply: Map,
    b: Float[Tensor, "n k"],
    precondition: Map | None = None,
    initial: Float[Tensor, "n k"] | None = None,
    tolerance: float = 1e-10,
    max_iterations: int | None = None,
    matrix_norm: float = 0.0,
) -> tuple[Float[Tensor, "n k"], KrylovReport]:
    """Solve A x = b for a symmetric A, indefinite or singular with b in its range, by preconditioned MINRES.

    Arguments, errors and acceptance as in `cg`; the preconditioner must be symmetric positive definite.
    Source: Paige & Saunders 1975, SIAM J. Numer. Anal. 12.
    """
    return _restarted(_minres, apply, b, precondition, initial, tolerance, max_iterations, matrix_norm)


class _Watch:
    """Residuals of all columns, kept on the device; the host looks every few iterations and stops or raises."""

    def __init__(self, name: str, b: Tensor, tolerance: float, limit: int):
        self.name, self.limit, self.tolerance, self.breakdown = name, limit, tolerance, _BREAKDOWN[name]
        self.scale = column_scale(b)
        self.every = 1 if b.device.type == "cpu" else 16
        self.broken = torch.zeros((), dtype=torch.bool, device=b.device)
        self.waiting: list[Tensor] = []
        self.history: list[float] = []

    def active(self, residual: Tensor) -> Tensor:
        """Which columns still have to be improved; notes the largest relative residual."""
        relative = residual / self.scale
        self.waiting.append(relative.amax())
        return ~(relative <= self.tolerance)  # not a number counts as active

    def done(self) -> bool:
        """Whether to stop; raises when the iteration broke down or ran out. Reads from the device now and then."""
        iteration = len(self.history) + len(self.waiting) - 1
        if len(self.waiting) < self.every and iteration < self.limit:
            return False
        self.history += torch.stack(self.waiting).tolist()
        self.waiting.clear()
        self.history = self.history[: self._first_converged()]
        last = self.history[-1]
        if last <= self.tolerance:
            return True
        if bool(self.broken):
            raise failure(
                f"{self.name} {self.breakdown}",
                self.history,
            )
        if not math.isfinite(last):
            raise failure(f"{self.name} met a residual that is not finite.", self.history)
        if iteration >= self.limit:
            raise failure(
                f"{self.name} did not reach the relative residual {self.tolerance:g} in {self.limit} iterations.\n"
                "  Give a preconditioner ('jacobi', 'amg'), more max_iterations, or method='direct'.",
                self.history,
            )
        return False

    def _first_converged(self) -> int:
        for i, value in enumerate(self.history):
            if value <= self.tolerance:
                return i + 1
        return len(self.history)


def iteration_limit(b: Tensor, tolerance: float, max_iterations: int | None) -> int:
    """Iterations that a solve may take. Raises ParameterError for a tolerance or limit that makes no sense."""
    if max_iterations is not None and max_iterations < 1:
        raise ParameterError(f"max_iterations is {max_iterations}; expected at least 1")
    if not 0 < tolerance < 1:
        raise ParameterError(f"tolerance is {tolerance}; expected a number between 0 and 1, such as 1e-10")
    return 10 * b.shape[0] + 100 if max_iterations is None else max_iterations


def column_scale(b: Tensor) -> Tensor:
    """(k,) norms of the columns, 1 for those of zeros: what residuals are relative to."""
    scale = torch.linalg.vector_norm(b, dim=0)
    return torch.where(scale == 0, torch.ones_like(scale), scale)


def accepted(norm: Tensor, x: Tensor, scale: Tensor, tolerance: float, matrix_norm: float) -> bool:
    """Whether residuals of these norms (k,) are small enough in every column, or are rounding, as in `cg`."""
    floor = 8 * torch.finfo(x.dtype).eps * (matrix_norm * torch.linalg.vector_norm(x, dim=0) + scale)
    floor = torch.minimum(floor, _UNSOLVED * scale)
    return bool(((norm <= tolerance * scale) | (norm <= floor)).all())


def _restarted(step, apply, b, precondition, initial, tolerance, max_iterations, matrix_norm):
    limit = iteration_limit(b, tolerance, max_iterations)
    precondition = precondition or (lambda r: r)
    x = torch.zeros_like(b) if initial is None else initial.clone()
    residual = b if initial is None else b - apply(x)
    watch = _Watch(step.__name__[1:].upper(), b, tolerance, limit)
    if b.numel() == 0:
        return x, KrylovReport(0, ())
    history: list[float] = []
    for attempt in range(_RESTARTS + 1):
        # the recurrence is driven a little further than asked, so that its drift from the true residual fits in
        watch.tolerance, watch.history = tolerance * (0.9 if attempt == 0 else 0.5), []
        x = step(apply, residual, precondition, x, watch)
        history += watch.history
        residual = b - apply(x)
        norm = torch.linalg.vector_norm(residual, dim=0)
        history[-1] = float((norm / watch.scale).amax())
        if accepted(norm, x, watch.scale, tolerance, matrix_norm):
            return x, KrylovReport(len(history) - 1, tuple(history))
        watch.limit = limit - len(history)
        if watch.limit < 1:
            break
    what = "rounding hides the rest.\n  Ask for a larger tolerance, or use method='direct'."
    raise failure(
        f"{watch.name} stagnates at the relative residual {history[-1]:.2e}, above the tolerance {tolerance:g}: "
        + (_SINGULAR if history[-1] > _UNSOLVED else what),
        history,
    )


def _cg(apply: Map, r: Tensor, precondition: Map, x: Tensor, watch: _Watch) -> Tensor:
    """Improve x until its residual r is small; r is that of x on entry."""
    active = watch.active(torch.linalg.vector_norm(r, dim=0))
    if watch.done():
        return x
    z = precondition(r)
    p, rz = z, (r * z).sum(0)
    while True:
        ap = apply(p)
        curvature = (p * ap).sum(0)
        watch.broken |= (active & (curvature <= 0)).any()
        alpha = torch.where(active & (curvature != 0), rz / curvature, torch.zeros_like(rz))
        x = torch.addcmul(x, p, alpha)
        r = torch.addcmul(r, ap, alpha, value=-1)
        active = active & watch.active(torch.linalg.vector_norm(r, dim=0))
        if watch.done():
            return x
        z = precondition(r)
        beta = torch.where(active, -alpha * (z * ap).sum(0) / rz, torch.zeros_like(rz))
        rz = torch.where(active, (r * z).sum(0), torch.ones_like(rz))
        p = torch.addcmul(z, p, beta)


def _minres(apply: Map, r: Tensor, precondition: Map, x: Tensor, watch: _Watch) -> Tensor:
    """Improve x by the Lanczos recurrence in the inner product of the preconditioner, rotated to triangular form."""
    active = watch.active(torch.linalg.vector_norm(r, dim=0))
    if watch.done():
        return x
    one, zero = torch.ones_like(watch.scale), torch.zeros_like(watch.scale)
    v_old, v, z = torch.zeros_like(r), r, precondition(r)
    square = (v * z).sum(0)
    watch.broken |= (active & (square <= 0)).any()
    gamma_old, gamma = one, torch.where(active, square, one).sqrt()
    eta = gamma
    s_old = s = zero
    c_old = c = one
    w_old = w = torch.zeros_like(r)
    aw_old = aw = torch.zeros_like(r)  # A times the directions, so that the true residual can be followed
    while True:
        z = z / gamma
        az = apply(z)
        delta = (az * z).sum(0)
        v_new = az - v * (delta / gamma) - v_old * (gamma / gamma_old)
        z_new = precondition(v_new)
        square = (v_new * z_new).sum(0)
        gamma_new = square.clamp_min(0).sqrt()
        a0 = c * delta - c_old * s * gamma
        a1 = (a0.square() + gamma_new.square()).sqrt()
        a2 = s * delta + c_old * c * gamma
        a3 = s_old * gamma
        safe = torch.where(a1 > 0, a1, one)
        w_new = (z - w_old * a3 - w * a2) / safe
        aw_new = (az - aw_old * a3 - aw * a2) / safe
        c_old, c = c, a0 / safe
        s_old, s = s, gamma_new / safe
        step = torch.where(active & (a1 > 0), c * eta, zero)
        x = torch.addcmul(x, w_new, step)
        r = torch.addcmul(r, aw_new, step, value=-1)
        eta = -s * eta
        active = active & watch.active(torch.linalg.vector_norm(r, dim=0))
        # a vanishing Lanczos vector ends the Krylov space: nothing more can be gained in that column
        ended = active & (gamma_new == 0)
        watch.broken |= ended.any()
        if watch.done():
            return x
        # converged columns stand still: the recurrence has no meaning past their last direction
        v_old, v, z = v, torch.where(active, v_new, zero), torch.where(active, z_new, zero)
        gamma_old, gamma = torch.where(active, gamma, one), torch.where(active & ~ended, gamma_new, one)
        w_old, w, aw_old, aw = w, w_new, aw, aw_new


def failure(what: str, history: list[float]) -> ConvergenceError:
    """The error of a solve that ended too early, with its last residuals."""
    tail = ", ".join(f"{value:.2e}" for value in history[-5:])
    return ConvergenceError(f"{what}\n  last relative residuals: {tail}", history)
