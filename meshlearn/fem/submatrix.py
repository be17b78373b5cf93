"""Parts of sparse matrices: some rows and columns, such as those of the free dofs."""

from __future__ import annotations

import torch
from jaxtyping import Int64
from torch import Tensor

from meshlearn.ops import Adjacency, SparseOperator, counts_to_ptr, gather


class Submatrix:
    """A -> A[rows][:, cols] for all matrices A on one pattern: which entries are kept, and where they go.

    pattern     Adjacency (n_rows, n_cols) of A
    rows, cols  (n_kept_rows,), (n_kept_cols,) int64, distinct, in any order

    `adjacency` is the pattern of the part, `entries` the numbers of its entries among those of A.
    """

    def __init__(
        self, pattern: Adjacency, rows: Int64[Tensor, " n_kept_rows"], cols: Int64[Tensor, " n_kept_cols"]
    ) -> None:
        new_row, new_col = _renumbering(rows, pattern.n_rows), _renumbering(cols, pattern.n_cols)
        r, c = gather(new_row, pattern.receivers), gather(new_col, pattern.index)
        self.entries = torch.nonzero((r >= 0) & (c >= 0)).squeeze(1)
        r, c = r.index_select(0, self.entries), c.index_select(0, self.entries)
        if _ascending(rows) and _ascending(cols):  # the entries are in order already
            self.adjacency = Adjacency(counts_to_ptr(torch.bincount(r, minlength=len(rows))), c, len(cols))
            return
        self.adjacency, order = Adjacency.from_edges_with_order(c, r, len(rows), len(cols))
        self.entries = self.entries.index_select(0, order)

    def __call__(self, A: SparseOperator) -> SparseOperator:
        """The part of A, differentiable in its values."""
        return SparseOperator.from_adjacency(self.adjacency, gather(A.values, self.entries))


def submatrix(
    A: SparseOperator, rows: Int64[Tensor, " n_kept_rows"], cols: Int64[Tensor, " n_kept_cols"]
) -> SparseOperator:
    """A[rows][:, cols] (n_kept_rows, n_kept_cols), differentiable in the values; ids are distinct, in any order.

    >>> from meshlearn.fem.submatrix import submatrix
    >>> A = ml.ops.SparseOperator.from_dense(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    >>> submatrix(A, torch.tensor([1]), torch.tensor([0, 1])).to_dense()
    tensor([[3., 4.]])
    """
    return Submatrix(A.adjacency, rows, cols)(A)


def _renumbering(ids: Tensor, n: int) -> Tensor:
    number = torch.full((n,), -1, dtype=torch.int64, device=ids.device)
    number[ids] = torch.arange(len(ids), device=ids.device)
    return number


def _ascending(ids: Tensor) -> bool:
    return bool((ids.diff() > 0).all())
