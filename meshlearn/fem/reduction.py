"""B^T A B on a fixed pattern: everything that depends on the pattern alone is worked out once."""

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

    def __call__(self, values: Tensor) -> SparseOperator:
        return SparseOperator.from_adjacency(self.adjacency, ops.gather(values, self.entries))


class TripleProduct:
    """For any B: the values of B^T A B are a sparse matrix, made of products of B, times the values of A."""

    def __init__(self, pattern: Adjacency, rows: SparseOperator):
        device, n_free = rows.device, rows.n_cols
        length = rows.adjacency.degree()
        left, right = length.index_select(0, pattern.receivers), length.index_select(0, pattern.index)
        count = left * right
        total = int(count.sum())
        if total > _MOST:
            raise ParameterError(
                f"a constraint whose rows have up to {int(length.max())} entries turns a matrix of {pattern.n_edges} "
                f"entries into a sum of {total} products: it would be dense.\n"
                "  Use AffineConstraint.mean_zero alone with solve (it needs no elimination), or nullspace='constant'."
            )
        entry = torch.repeat_interleave(torch.arange(pattern.n_edges, device=device), count, output_size=total)
        place = torch.arange(total, device=device) - (count.cumsum(0) - count).index_select(0, entry)
        width = right.index_select(0, entry)
        step = torch.div(place, width, rounding_mode="floor")
        i = rows.ptr.index_select(0, pattern.receivers.index_select(0, entry)) + step
        j = rows.ptr.index_select(0, pattern.index.index_select(0, entry)) + place - step * width
        key = rows.index.index_select(0, i) * n_free + rows.index.index_select(0, j)
        unique, slot = torch.unique(key, return_inverse=True)
        row = torch.div(unique, n_free, rounding_mode="floor") if n_free else unique
        ptr = ops.counts_to_ptr(torch.bincount(row, minlength=n_free))
        self.adjacency = Adjacency(ptr, unique - row * n_free, n_free)
        product = rows.values.index_select(0, i) * rows.values.index_select(0, j)
        self.products = SparseOperator.from_coo(slot, entry, product, (unique.shape[0], pattern.n_edges))

    def __call__(self, values: Tensor) -> SparseOperator:
        return SparseOperator.from_adjacency(self.adjacency, self.products.to(values.dtype) @ values)
