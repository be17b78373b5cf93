"""Null spaces of singular systems: an orthonormal basis, the projection on its complement, and dofs to pin."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from meshlearn.errors import ParameterError, SingularMatrixError
from meshlearn.ops import SparseOperator

_ONES = (
    " For spaces of several parts null vectors are given as dofs, nullspace=space.interpolate((0.0, 1.0)): there "
    "'constant' is the vector of ones."
)
_TOLERANCE = 1e-8  # of |A v| against |A| |v|: what still counts as a null vector (a null space may be given in float32)


def null_basis(nullspace: str | Tensor, matrix: SparseOperator) -> Float[Tensor, "n k"]:
    """Orthonormal null vectors (n, k) in float64 of a square matrix, checked from both sides.

    - nullspace: "constant", or (n,) or (n, k) independent vectors; k is small (6 rigid motions, say).

    Raises ParameterError for a wrong shape or dependent vectors, SingularMatrixError when A v or A^T v is not zero:
    the solution on the complement is the transpose-consistent one only if both are.

    >>> from meshlearn.fem.nullspace import null_basis
    >>> A = ml.ops.SparseOperator.from_dense(torch.tensor([[1.0, -1.0], [-1.0, 1.0]]))
    >>> null_basis("constant", A).T.abs()
    tensor([[0.7071, 0.7071]], dtype=torch.float64)
    """
    n = matrix.n_rows
    if isinstance(nullspace, str):
        if nullspace != "constant":
            raise ParameterError(
                f"nullspace is {nullspace!r}; expected 'constant', 'rigid' (of a matrix that was assembled on a "
                f"Lagrange vector space), or a tensor ({n},) or ({n}, k), such as space.rigid_motions()."
            )
        vectors = torch.ones(n, 1, dtype=torch.float64, device=matrix.device)
    else:
        vectors = nullspace.detach().to(matrix.device, torch.float64)
        vectors = vectors.unsqueeze(1) if vectors.dim() == 1 else vectors
        if vectors.dim() != 2 or vectors.shape[0] != n or not 0 < vectors.shape[1] < n:
            raise ParameterError(f"nullspace has shape {tuple(nullspace.shape)}; expected ({n},) or ({n}, k)")
    size = torch.linalg.vector_norm(vectors, dim=0)
    basis, triangle = torch.linalg.qr(vectors / size)
    if not bool((triangle.diagonal().abs() > 1e-10).all()):
        raise ParameterError("the null vectors given are not linearly independent (or not finite): leave some out")
    values = matrix.values.detach().double()
    double = matrix.with_values(values)
    scale = matrix.with_values(values.abs()) @ basis.abs()
    for side, image in (("A v", double @ basis), ("A^T v", double.T @ basis)):
        error = float(torch.linalg.vector_norm(image) / torch.linalg.vector_norm(scale).clamp_min(1e-300))
        if not error <= _TOLERANCE:
            raise SingularMatrixError(
                f"the null vectors given are not in the null space: |{side}| is {error:.1e} of |A| |v|, expected zero "
                "to rounding.\n  With Dirichlet data or a reaction term the matrix is regular: leave nullspace out."
                + (_ONES if isinstance(nullspace, str) else "")
            )
    return basis


def moving(nullspace: Tensor) -> Float[Tensor, "n k"]:
    """Null vectors in float64 with their gradient, orthonormal as they are now.

    Their span changes with the matrix; `part_in` follows it.
    """
    vectors = nullspace.double()
    vectors = vectors.unsqueeze(1) if vectors.dim() == 1 else vectors
    vectors = vectors / torch.linalg.vector_norm(vectors.detach(), dim=0)
    triangle = torch.linalg.qr(vectors.detach())[1]
    return torch.linalg.solve_triangular(triangle, vectors, upper=True, left=False)


def part_in(x: Float[Tensor, "n m"], vectors: Float[Tensor, "n k"]) -> Float[Tensor, "n m"]:
    """R (R^T R)^-1 R^T x: the part of x in the span of independent vectors, differentiable in both."""
    return vectors @ torch.linalg.solve(vectors.T @ vectors, vectors.T @ x)


def project_out(x: Float[Tensor, "n m"], basis: Float[Tensor, "n k"] | None) -> Float[Tensor, "n m"]:
    """x without its part in the span of an orthonormal basis (n, k); x itself for None."""
    return x if basis is None else x - basis @ (basis.T @ x)


def pinned_dofs(basis: Float[Tensor, "n k"]) -> Int64[Tensor, " k"]:
    """k dofs whose values determine a null vector: with them fixed, the matrix is regular.

    By Gaussian elimination with complete pivoting on the k columns.
    """
    work = basis.clone()
    chosen = []
    for _ in range(basis.shape[1]):
        place = int(work.abs().argmax())
        row, column = divmod(place, work.shape[1])
        chosen.append(row)
        work = work - torch.outer(work[:, column] / work[row, column], work[row])
        work[:, column] = 0
    return torch.tensor(chosen, device=basis.device)
