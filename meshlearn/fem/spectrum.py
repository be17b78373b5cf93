"""Upper bounds of the spectrum of D^-1 A, which damped and polynomial smoothers are scaled by."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.ops import SparseOperator, segment_sum


def positive_diagonal(A: SparseOperator) -> Float[Tensor, " n"]:
    """(n,) the diagonal of A, differentiable. Raises ParameterError naming the first entry that is not positive."""
    diagonal = A.diagonal()
    if not bool((diagonal > 0).all()):
        row = int((~(diagonal > 0)).nonzero()[0])
        raise ParameterError(
            f"multigrid needs a symmetric positive definite matrix, but the diagonal entry of row {row} is "
            f"{float(diagonal[row].detach()):.3g} (matrix {A.shape})."
        )
    return diagonal


def row_sums(A: SparseOperator) -> Float[Tensor, " n"]:
    """(n,) sums of |a_ij| over each row: A <= diag(row sums) for symmetric A, with certainty (Gershgorin)."""
    return segment_sum(A.values.abs(), A.adjacency)


def largest_eigenvalue(A: SparseOperator, steps: int = 15, safety: float = 1.05) -> float:
    """An upper estimate of the largest eigenvalue of D^-1 A for symmetric positive A, D its diagonal.

    `steps` of the Lanczos method (C. Lanczos, J. Res. Nat. Bur. Standards 45, 1950) from a fixed start, times `safety`;
    never above the certain bound max_i sum_j |a_ij| / a_ii. Without a gradient.

    >>> from meshlearn.fem.spectrum import largest_eigenvalue
    >>> A = ml.ops.SparseOperator.from_dense(torch.tensor([[2.0, -1.0], [-1.0, 2.0]]))
    >>> round(largest_eigenvalue(A), 3)
    1.5
    """
    with torch.no_grad():
        scale = positive_diagonal(A).rsqrt()
        certain = float((row_sums(A) * scale * scale).max())
        start = torch.randn(A.n_rows, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        q = start.to(A.device, A.dtype)
        q = q / q.norm()
        alphas: list[float] = []
        betas: list[float] = []
        before = torch.zeros_like(q)
        for _ in range(min(steps, A.n_rows)):
            w = scale * (A @ (scale * q))
            alphas.append(float(w @ q))
            w = w - alphas[-1] * q - (betas[-1] if betas else 0.0) * before
            betas.append(float(w.norm()))
            if betas[-1] < 1e-6 * certain:
                break
            before, q = q, w / betas[-1]
        off = torch.tensor(betas[: len(alphas) - 1], dtype=torch.float64)
        small = torch.diag(torch.tensor(alphas, dtype=torch.float64)) + torch.diag(off, 1) + torch.diag(off, -1)
        return min(certain, safety * float(torch.linalg.eigvalsh(small)[-1]))
