"""Gauss-Seidel and SOR sweeps as smoothers, by sparse triangular solves on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import Function

from meshlearn.errors import ParameterError
from meshlearn.fem.smoothers import Smoother
from meshlearn.fem.spectrum import positive_diagonal
from meshlearn.ops import SparseOperator


class GaussSeidel(Smoother):
    """S = (D / omega + L)^-1, a forward sweep; S^T is the backward sweep, so a cycle does one of each.

    omega  over-relaxation (SOR), 0 < omega < 2
    sweep  "forward", or "symmetric": a forward and a backward sweep each time, S is symmetric

    Sequential by nature: CPU only. Gradients flow through r, not into A: matrices that require gradients are refused.
    Raises ParameterError for omega outside (0, 2), an unknown sweep, a matrix on another device or one that requires
    a gradient.
    """

    def __init__(self, omega: float = 1.0, sweep: str = "forward"):
        super().__init__()
        if not 0 < omega < 2:
            raise ParameterError(f"omega={omega}: successive over-relaxation converges for 0 < omega < 2.")
        if sweep not in ("forward", "symmetric"):
            raise ParameterError(f"sweep={sweep!r}: expected 'forward' or 'symmetric'.")
        self.omega, self.sweep = omega, sweep

    def setup(self, A: SparseOperator) -> Any:
        """The triangular factor of A, ready for solves."""
        if A.device.type != "cpu":
            raise ParameterError(
                f"gauss-seidel runs on the CPU only, the matrix is on {A.device}: use smoother='chebyshev' there."
            )
        if A.values.requires_grad:
            raise ParameterError(
                "gauss-seidel gives no gradients to the matrix, whose values require them.\n"
                "  use smoother='jacobi' or 'chebyshev', or detach the values."
            )
        import scipy.sparse as sp
        from scipy.sparse.linalg import splu

        positive_diagonal(A)
        matrix = A.to_scipy().astype(np.float64)
        lower = sp.tril(matrix, -1) + sp.diags_array(matrix.diagonal() / self.omega)
        # natural order and no pivoting: the factors of a triangular matrix are the matrix itself
        return splu(sp.csc_matrix(lower), permc_spec="NATURAL", diag_pivot_thresh=0.0)

    def forward(self, A: SparseOperator, constants: Any, r: Float[Tensor, "n *k"]) -> Float[Tensor, "n *k"]:
        """S r: the forward sweep from zero, followed by the backward one where S is symmetric."""
        x = _Sweep.apply(r, constants, "N")
        return x + _Sweep.apply(r - A @ x, constants, "T") if self.sweep == "symmetric" else x

    def adjoint(self, A: SparseOperator, constants: Any, r: Float[Tensor, "n *k"]) -> Float[Tensor, "n *k"]:
        """S^T r: the backward sweep from zero, or S r where S is symmetric."""
        return self(A, constants, r) if self.sweep == "symmetric" else _Sweep.apply(r, constants, "T")


class _Sweep(Function):
    """r -> M^-1 r ("N") or M^-T r ("T"); the gradient is the sweep the other way."""

    @staticmethod
    def forward(ctx, r, factor, turn):
        ctx.factor, ctx.turn = factor, turn
        flat = r.detach().reshape(len(r), -1).double().numpy()
        return torch.from_numpy(np.ascontiguousarray(factor.solve(flat, trans=turn))).to(r.dtype).reshape(r.shape)

    @staticmethod
    def backward(ctx, grad):
        return _Sweep.apply(grad, ctx.factor, "T" if ctx.turn == "N" else "N"), None, None
