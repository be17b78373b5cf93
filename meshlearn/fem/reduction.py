"""What B^T A B takes for Dirichlet data, where B only picks free dofs, and when other constraints are too dense."""

from __future__ import annotations

import torch
from torch import Tensor

from meshlearn import ops
from meshlearn.errors import ParameterError
from meshlearn.ops import Adjacency, SparseOperator

_MOST = 200_000_000  # products in B^T A B above which the result is taken to be dense by mistake


class Selection:
    """For an injection: the entries of A between free dofs, picked out."""

    def __init__(self, pattern: Adjacency, independent: Tensor):
        n, n_free = pattern.n_rows, independent.shape[0]
        number = torch.full((n,), -1, dtype=torch.int64, device=independent.device)
        number[independent] = torch.arange(n_free, device=independent.device)
        row, column = number.index_select(0, pattern.receivers), number.index_select(0, pattern.index)
        self.entries = torch.nonzero((row >= 0) & (column >= 0)).squeeze(1)
        ptr = ops.counts_to_ptr(torch.bincount(row.index_select(0, self.entries), minlength=n_free))
        self.adjacency = Adjacency(ptr, column.index_select(0, self.entries), n_free)

    def __call__(self, A: SparseOperator) -> SparseOperator:
        return SparseOperator.from_adjacency(self.adjacency, ops.gather(A.values, self.entries))


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
