"""Galerkin products P^T A P on a fixed pattern: the coarse values are a sparse linear map of the fine ones.

The entry (I, J) is the sum over the entries e = (i, j) of A of P[i, I] A[e] P[j, J]: with P given, one sparse matrix G
takes the values of A to those of P^T A P. It is set up once per pattern; after that a product is one `G @ values`, with
gradients of any order, on any device. No entry is dropped where values cancel.
"""

from __future__ import annotations

import torch
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.ops import Adjacency, SparseOperator, counts_to_ptr, gather
from meshlearn.ops.entries import entries_of_rows, same_pattern

_MOST = 200_000_000  # products in B^T A B above which the result is taken to be dense by mistake


class GalerkinProduct:
    """A -> P^T A P for all matrices A (n, n) on one pattern.

    pattern  Adjacency (n, n) of A
    P        SparseOperator (n, n_coarse); gradients flow into its values too

    `product(A)` returns a SparseOperator (n_coarse, n_coarse) on `product.adjacency`. `product.values(v)` takes values
    (n_entries,) or (n_entries, k), one column per matrix. Costs a number per entry of A and pair of entries of P.
    Raises ParameterError when A is not square or does not fit P.

    >>> from meshlearn.fem.galerkin import GalerkinProduct
    >>> A = ml.ops.SparseOperator.from_dense(torch.tensor([[2.0, -1.0], [-1.0, 2.0]]))
    >>> P = ml.ops.SparseOperator.from_dense(torch.tensor([[1.0], [1.0]]))
    >>> GalerkinProduct(A.adjacency, P)(A).to_dense()
    tensor([[2.]])
    """

    def __init__(self, pattern: Adjacency, P: SparseOperator):
        if pattern.n_rows != pattern.n_cols or pattern.n_rows != P.n_rows:
            raise ParameterError(
                f"P^T A P needs a square A with as many rows as P; A has shape {pattern.shape}, P {P.shape}."
            )
        self.pattern = pattern
        entry, left = entries_of_rows(P.ptr, pattern.receivers)
        again, right = entries_of_rows(P.ptr, gather(pattern.index, entry))
        entry, left = entry.index_select(0, again), left.index_select(0, again)
        keys = gather(P.index, left) * P.n_cols + gather(P.index, right)
        keys, order = torch.sort(keys, stable=True)
        distinct, counts = torch.unique_consecutive(keys, return_counts=True)
        rows = distinct // max(P.n_cols, 1)
        ptr = counts_to_ptr(torch.bincount(rows, minlength=P.n_cols))
        self.adjacency = Adjacency(ptr, distinct - rows * P.n_cols, P.n_cols)
        entry, left, right = (t.index_select(0, order) for t in (entry, left, right))
        terms = Adjacency(counts_to_ptr(counts), entry, pattern.n_edges)
        self.map = SparseOperator.from_adjacency(terms, gather(P.values, left) * gather(P.values, right))

    def values(self, values: Tensor) -> Tensor:
        """Values (n_entries,) or (n_entries, k) of A to those of P^T A P."""
        return self.map @ values

    def __call__(self, A: SparseOperator) -> SparseOperator:
        """P^T A P, for A on the pattern of this product."""
        if not same_pattern(A.adjacency, self.pattern):
            raise ParameterError(f"this product was set up for another pattern: {self.pattern}; got {A.adjacency}.")
        return SparseOperator.from_adjacency(self.adjacency, self.values(A.values))


def galerkin(A: SparseOperator, P: SparseOperator) -> SparseOperator:
    """P^T A P (n_coarse, n_coarse), differentiable in the values of A and P; see `GalerkinProduct` to use it again."""
    return GalerkinProduct(A.adjacency, P)(A)


def check_size(pattern: Adjacency, rows: SparseOperator) -> None:
    """Refuse a constraint that would turn the matrix into a dense one. Raises ParameterError."""
    length = rows.adjacency.degree()
    total = int((length.index_select(0, pattern.receivers) * length.index_select(0, pattern.index)).sum())
    if total > _MOST:
        raise ParameterError(
            f"a constraint whose rows have up to {int(length.max())} entries turns a matrix of {pattern.n_edges} "
            f"entries into a sum of {total} products: it would be dense.\n"
            "  Use AffineConstraint.mean_zero alone with solve (it needs no elimination), or nullspace='constant'."
        )
