"""Smoothers: cheap approximations S of A^-1 whose error I - S A damps what a coarse level cannot see.

Used from zero, z = S r. In a V-cycle the step after the coarse correction uses S^T, so that the cycle is symmetric; it
is positive definite when the eigenvalues of S A lie in (0, 2), which the learned smoothers keep for all parameters.
"""

from __future__ import annotations

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from meshlearn.errors import ParameterError
from meshlearn.fem.spectrum import largest_eigenvalue, positive_diagonal
from meshlearn.ops import SparseOperator


class Smoother(nn.Module):
    """z = S r for a matrix A: `setup(A)` once per matrix, then `forward(A, constants, r)`.

    setup(A)                  whatever the smoother needs to know of A (n, n)
    forward(A, constants, r)  S r, for r (n,) or (n, k), linear in r
    adjoint(A, constants, r)  S^T r; the same as forward for a symmetric S
    """

    def setup(self, A: SparseOperator) -> Any:
        """Constants of A."""
        raise NotImplementedError(f"{type(self).__name__} has no setup(A): every smoother defines one.")

    def forward(self, A: SparseOperator, constants: Any, r: Float[Tensor, "n *k"]) -> Float[Tensor, "n *k"]:
        """S r."""
        raise NotImplementedError(f"{type(self).__name__} has no forward(A, constants, r): every smoother defines one.")

    def adjoint(self, A: SparseOperator, constants: Any, r: Float[Tensor, "n *k"]) -> Float[Tensor, "n *k"]:
        """S^T r."""
        return self(A, constants, r)


class Jacobi(Smoother):
    """S = weight / rho D^-1 with D the diagonal of A and rho the largest eigenvalue of D^-1 A; 0 < weight < 2.

    The common factor 2/3 for P1 on triangles is weight 4/3, the default.
    Raises ParameterError for another weight.
    """

    def __init__(self, weight: float = 4 / 3):
        super().__init__()
        if not 0 < weight < 2:
            raise ParameterError(f"weight={weight}: damped Jacobi converges for 0 < weight < 2.")
        self.weight = weight

    def setup(self, A: SparseOperator) -> Tensor:
        """(n,) the diagonal of S; rho is held constant in gradients."""
        return self.weight / largest_eigenvalue(A) / positive_diagonal(A)

    def forward(self, A: SparseOperator, constants: Tensor, r: Float[Tensor, "n *k"]) -> Float[Tensor, "n *k"]:
        """S r."""
        return times(constants, r)


class Chebyshev(Smoother):
    """The polynomial of D^-1 A that is best for a V-cycle without knowledge of the lower spectrum.

    Residual polynomial W_k(1 - 2 t / rho) / (2 k + 1), W_k of the 4th kind, t in (0, rho]: J. Lottes, "Optimal
    polynomial smoothers for multigrid V-cycles", Numerical Linear Algebra with Applications 30, 2023, equation of the
    4th-kind recurrence. `degree` k costs k - 1 products with A.
    Raises ParameterError for degree < 1.
    """

    def __init__(self, degree: int = 3):
        super().__init__()
        if degree < 1:
            raise ParameterError(f"degree={degree}: expected 1 or more.")
        self.degree = degree

    def setup(self, A: SparseOperator) -> Tensor:
        """(n,) 1 / (rho D); rho is held constant in gradients."""
        return 1 / (largest_eigenvalue(A) * positive_diagonal(A))

    def forward(self, A: SparseOperator, constants: Tensor, r: Float[Tensor, "n *k"]) -> Float[Tensor, "n *k"]:
        """S r."""
        step = times(constants, r) * (4 / 3)
        x, residual = step, r
        for i in range(2, self.degree + 1):
            residual = residual - A @ step
            step = (2 * i - 3) / (2 * i + 1) * step + (8 * i - 4) / (2 * i + 1) * times(constants, residual)
            x = x + step
        return x


def times(scale: Tensor, r: Tensor) -> Tensor:
    """scale (n,) times r (n,) or (n, k), row by row."""
    return scale.reshape(-1, *[1] * (r.dim() - 1)) * r
