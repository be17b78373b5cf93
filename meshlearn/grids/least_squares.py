"""The change of a grid that brings its samples closest to values on a mesh, in the inner product of the mesh."""

from __future__ import annotations

from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import Function

from meshlearn.fem.krylov import cg
from meshlearn.fem.solve import solve
from meshlearn.ops import SparseOperator

_TOLERANCE = 1e-12


class LeastSquares:
    """(B^T M B + regularization W) c = B^T M r, balanced so that the integral of the samples is that of r.

    sampling        B (n, n_nodes), the grid at the values' places; constant
    mass            M (n, n)
    weights         (n_nodes,) W = B^T M 1; nodes where it is 0 stay as they are
    dim             2 and less: the matrix is formed and factorised. 3: factors would fill up, and conjugate gradients
                    apply B, M and B^T in turn. Scaled by W, eigenvalues lie between `regularization` and 1 more
    """

    def __init__(
        self, sampling: SparseOperator, mass: SparseOperator, weights: Tensor, regularization: float, dim: int
    ) -> None:
        self.sampling, self.mass, self.weights = sampling, mass, weights
        self.regularization, self.dim = regularization, dim
        self.seen = (weights > 0).nonzero().squeeze(1)

    def change(self, rest: Float[Tensor, "n f"]) -> Float[Tensor, "n_nodes f"]:
        """c for r = `rest`; float64, linear, and differentiable in r to any order."""
        loads = self.sampling.T @ (self.mass @ rest)
        shift = loads.sum(0) / self.weights.sum()  # the constant that balances the integral
        loads = (loads - self.weights[:, None] * shift).index_select(0, self.seen)
        own = _Iterated.apply(loads, self) if self.dim > 2 else solve(self._matrix, loads, tolerance=_TOLERANCE)
        return shift + own.new_zeros(len(self.weights), own.shape[1]).index_add(0, self.seen, own)

    @cached_property
    def scale(self) -> Float[Tensor, " n_seen"]:
        """W where it is not 0."""
        return self.weights.index_select(0, self.seen)

    @cached_property
    def seeing(self) -> SparseOperator:
        """B (n, n_seen) of the nodes that samples look at."""
        full, n = self.sampling, len(self.seen)
        number = self.seen.new_full((full.n_cols,), -1).index_copy(0, self.seen, torch.arange(n, device=full.device))
        columns = number.index_select(0, full.index)
        kept = ((full.values != 0) & (columns >= 0)).nonzero().squeeze(1)
        rows = full.adjacency.receivers.index_select(0, kept)
        entries = full.values.index_select(0, kept)
        return SparseOperator.from_coo(rows, columns.index_select(0, kept), entries, (full.n_rows, n))

    def times(self, x: Float[Tensor, "n_seen f"]) -> Float[Tensor, "n_seen f"]:
        """The matrix times x."""
        own = self.seeing.T @ (self.mass @ (self.seeing @ x))
        return own + self.regularization * self.scale[:, None] * x

    @cached_property
    def _matrix(self) -> SparseOperator:
        at = torch.arange(len(self.seen) + 1, device=self.seen.device)
        own = SparseOperator(at, at[:-1], self.regularization * self.scale, len(self.seen), validate=False)
        return self.seeing.T @ self.mass @ self.seeing + own


class _Iterated(Function):
    """x with A x = b for the symmetric matrix of a `LeastSquares`; backward is the same for the gradient."""

    @staticmethod
    def forward(ctx, loads: Tensor, fit: LeastSquares) -> Tensor:
        ctx.fit = fit
        norm = float(fit.scale.max()) * (1 + fit.regularization)
        return cg(fit.times, loads, lambda r: r / fit.scale[:, None], tolerance=_TOLERANCE, matrix_norm=norm)[0]

    @staticmethod
    def backward(ctx, grad: Tensor):
        return _Iterated.apply(grad, ctx.fit), None
