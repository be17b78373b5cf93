"""The solve on the coarsest level: dense Cholesky, on the complement of the null space where there is one."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.ops import SparseOperator

LARGEST = 4000


class CoarseSolve:
    """r -> A^+ r for a small symmetric positive semidefinite A (n, n): the exact solve, or the pseudo-inverse.

    Differentiable in r and in the values of A (the null space, if any, is held constant).
    Raises ParameterError for more than 4000 unknowns, or a matrix that is not symmetric or has a negative eigenvalue.
    """

    def __init__(self, A: SparseOperator):
        n = A.n_rows
        if n > LARGEST:
            raise ParameterError(
                f"the coarsest level has {n} unknowns, more than {LARGEST} for a dense solve: coarsen further "
                "(max_coarse, max_levels, or a coarser first mesh)."
            )
        dense = A.to_dense()
        skew = float((dense - dense.T).detach().abs().max())
        if skew > torch.finfo(A.dtype).eps ** 0.5 * float(dense.detach().abs().max()):
            raise ParameterError(
                f"multigrid needs a symmetric matrix; the coarsest one ({n} unknowns) differs from its transpose by "
                f"{skew:.3g}: solve non-symmetric systems with method='direct'."
            )
        dense = (dense + dense.T) / 2
        size, vectors = torch.linalg.eigh(dense.detach().double())
        floor = 100 * max(n, 10) * torch.finfo(A.dtype).eps * float(size[-1])
        if float(size[0]) < -floor or float(size[-1]) <= 0:
            raise ParameterError(
                f"multigrid needs a symmetric positive (semi)definite matrix; the coarsest one ({n} unknowns) has "
                f"eigenvalues from {float(size[0]):.3g} to {float(size[-1]):.3g}."
            )
        null = vectors[:, size < floor].to(A.dtype)
        self.null = null if null.shape[1] else None
        self.level = float(size[-1])  # A + level N N^T has no null space; its inverse is A^+ + N N^T / level
        if self.null is not None:
            dense = dense + self.level * null @ null.T
        self.factor = torch.linalg.cholesky(dense)

    def __call__(self, r: Float[Tensor, "n *k"]) -> Float[Tensor, "n *k"]:
        """A^+ r for r (n,) or (n, k)."""
        flat = r.reshape(len(r), -1)
        z = torch.cholesky_solve(flat, self.factor)
        if self.null is not None:
            z = z - self.null @ (self.null.T @ z)
        return z.reshape(r.shape)
