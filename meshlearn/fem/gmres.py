"""GMRES in torch, restarted and flexible, for matrices of any kind and many right-hand sides at once, on any device.

The small least-squares problems are solved on the host, by rotations of all columns together.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.errors import ConvergenceError
from meshlearn.fem.krylov import KrylovReport, Map, accepted, column_scale, failure, iteration_limit

RESTART = 60  # directions kept before the iteration starts again from what it has
_PATIENCE = 3  # restarts in a row that may gain next to nothing
_GAIN = 0.9  # of the residual, left by a restart: less is next to nothing


def gmres(
    apply: Map,
    b: Float[Tensor, "n k"],
    precondition: Map | None = None,
    initial: Float[Tensor, "n k"] | None = None,
    tolerance: float = 1e-10,
    max_iterations: int | None = None,
    matrix_norm: float = 0.0,
    restart: int = RESTART,
) -> tuple[Float[Tensor, "n k"], KrylovReport]:
    """Solve A x = b for a square A, symmetric or not, by GMRES with a preconditioner from the right, column by column.

    - apply, precondition: (n, k) -> (n, k). The preconditioned directions are kept, so that the preconditioner may be
      anything, even one that changes from step to step.
    - tolerance: of |b - A x| / |b|, checked on the true residual, in every column. With `matrix_norm` (an estimate of
      |A|) a residual that is all rounding, |r| <= 8 eps (|A| |x| + |b|), is accepted too: none is smaller. Not so
      above 0.001 |b|, where a singular matrix has made x huge.
    - max_iterations: products with A in all; 10 n + 100 unless given. restart: directions kept, each (n, k), twice as
      many with a preconditioner.

    Not differentiable: use `solve`. Raises ConvergenceError with the residual history when the tolerance is not reached
    or restarts gain nothing any more. Source: Saad & Schultz 1986; flexible: Saad 1993, SIAM J. Sci. Comput. 14.

    >>> from meshlearn.fem.gmres import gmres
    >>> A = torch.tensor([[1.0, 2.0], [-3.0, 1.0]], dtype=torch.float64)
    >>> x, report = gmres(lambda v: A @ v, torch.tensor([[3.0], [-2.0]], dtype=torch.float64))
    >>> bool((x - 1).abs().max() < 1e-12), report.iterations
    (True, 2)
    """
    limit = iteration_limit(b, tolerance, max_iterations)
    if b.numel() == 0:
        return b, KrylovReport(0, ())
    scale = column_scale(b)
    x = torch.zeros_like(b) if initial is None else initial.clone()
    residual = b if initial is None else b - apply(x)
    history = [_largest(residual, scale)]
    stale = 0
    while True:
        if accepted(torch.linalg.vector_norm(residual, dim=0), x, scale, tolerance, matrix_norm):
            return x, KrylovReport(len(history) - 1, tuple(history))
        left = limit - len(history) + 1
        if left < 1:
            raise _failure(f"did not reach the relative residual {tolerance:g} in {limit} iterations", history)
        before = history[-1]
        x, seen = _cycle(apply, precondition, residual, x, scale, 0.5 * tolerance, min(restart, left, len(b)))
        residual = b - apply(x)
        history += seen
        history[-1] = _largest(residual, scale)
        if not np.isfinite(history[-1]):
            raise _failure("met a residual that is not finite", history)
        stale = stale + 1 if history[-1] > _GAIN * before else 0
        if stale == _PATIENCE:
            raise _failure(f"stagnates at the relative residual {history[-1]:.2e}, above {tolerance:g}", history)


def _cycle(apply, precondition, residual: Tensor, x: Tensor, scale: Tensor, tolerance: float, steps: int):
    """x improved by up to `steps` directions, and the largest relative residual after each of them."""
    beta = torch.linalg.vector_norm(residual, dim=0)
    size, sizes = beta.cpu().numpy(), scale.cpu().numpy()
    goal = tolerance * sizes
    basis = residual.new_empty(steps + 1, *residual.shape)
    basis[0] = residual / torch.where(beta > 0, beta, 1.0)
    directions: list[Tensor] = []
    triangle = _Rotations(steps, size)
    seen: list[float] = []
    for n in range(steps):
        directions.append(basis[n] if precondition is None else precondition(basis[n]))
        image = apply(directions[n])
        w, column = _orthogonal(image, basis[: n + 1])
        length = torch.linalg.vector_norm(w, dim=0)
        # what is left of a vector that lies in the span is rounding, and no direction
        length = torch.where(length > 1e-14 * torch.linalg.vector_norm(image, dim=0), length, 0.0)
        left = triangle.add(torch.cat([column, length[None]]).cpu().numpy())
        seen.append(float((left / sizes).max()))
        if not np.isfinite(seen[-1]) or bool((left <= goal).all()):
            break
        basis[n + 1] = torch.where(length > 0, w / torch.where(length > 0, length, 1.0), 0.0)
    weights = torch.from_numpy(triangle.solve()).to(x)
    for direction, weight in zip(directions, weights, strict=True):
        x = torch.addcmul(x, direction, weight)
    return x, seen


def _orthogonal(w: Tensor, basis: Tensor) -> tuple[Tensor, Tensor]:
    """w (n, k) without its parts along the basis (j, n, k), and these (j, k); Gram-Schmidt twice, which is enough."""
    total = torch.zeros(len(basis), w.shape[1], dtype=w.dtype, device=w.device)
    for _ in range(2):
        parts = torch.einsum("jnk,nk->jk", basis, w)
        w = w - torch.einsum("jnk,jk->nk", basis, parts)
        total = total + parts
    return w, total


class _Rotations:
    """The least-squares problems |beta e_1 - H y| of k columns, kept triangular by Givens rotations."""

    def __init__(self, steps: int, beta: np.ndarray) -> None:
        k = len(beta)
        self.R = np.zeros((steps, steps, k))
        self.cosine, self.sine = np.ones((steps, k)), np.zeros((steps, k))
        self.side = np.zeros((steps + 1, k))
        self.side[0] = beta
        self.n = 0

    def add(self, column: np.ndarray) -> np.ndarray:
        """Another column of H (n + 2, k); the residuals (k,) that are left."""
        n = self.n
        h = column.astype(np.float64)
        for i in range(n):
            h[i], h[i + 1] = (
                self.cosine[i] * h[i] + self.sine[i] * h[i + 1],
                self.cosine[i] * h[i + 1] - self.sine[i] * h[i],
            )
        length = np.hypot(h[n], h[n + 1])
        safe = np.where(length > 0, length, 1.0)
        self.cosine[n] = np.where(length > 0, h[n] / safe, 1.0)
        self.sine[n] = np.where(length > 0, h[n + 1] / safe, 0.0)
        h[n] = length
        self.R[: n + 1, n] = h[: n + 1]
        self.side[n + 1] = -self.sine[n] * self.side[n]
        self.side[n] = self.cosine[n] * self.side[n]
        self.n = n + 1
        return np.abs(self.side[n + 1])

    def solve(self) -> np.ndarray:
        """Weights (n, k) of the directions; 0 for those that a column did not need, or that led nowhere."""
        n = self.n
        y = np.zeros((n, self.side.shape[1]))
        for i in reversed(range(n)):
            rest = self.side[i] - (self.R[i, i + 1 : n] * y[i + 1 :]).sum(0)
            diagonal = self.R[i, i]
            small = np.abs(diagonal) <= 1e-14 * np.abs(self.R[: i + 1, i]).max(0, initial=0.0)
            y[i] = np.where(small, 0.0, rest / np.where(small, 1.0, diagonal))
        return y


def _largest(residual: Tensor, scale: Tensor) -> float:
    return float((torch.linalg.vector_norm(residual, dim=0) / scale).amax())


def _failure(what: str, history: list[float]) -> ConvergenceError:
    return failure(
        f"GMRES {what}.\n  Give a (better) preconditioner, 'ilu' or 'amg', more max_iterations, a larger tolerance, or "
        "method='direct'; name the null space of a singular matrix.",
        history,
    )
