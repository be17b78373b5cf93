"""Sums and products of sparse matrices, as patterns and the values on them.

Values are (n_edges,), or (n_edges, k) for k matrices on one pattern, and carry gradients of any order. No entry is
dropped where values cancel: the pattern of a result depends on the patterns alone.
"""

from __future__ import annotations

import torch
from torch import Tensor

from meshlearn.ops.adjacency import Adjacency
from meshlearn.ops.gather import gather
from meshlearn.ops.pointers import counts_to_ptr
from meshlearn.ops.segment import segment_sum


def same_pattern(a: Adjacency, b: Adjacency) -> bool:
    """Whether two patterns have the same entries in the same order."""
    if a is b:
        return True
    same = a.shape == b.shape and a.device == b.device and a.n_edges == b.n_edges
    return same and torch.equal(a.ptr, b.ptr) and torch.equal(a.index, b.index)


def sum_of(a: Adjacency, x: Tensor, b: Adjacency, y: Tensor) -> tuple[Adjacency, Tensor]:
    """Pattern and values of A + B; entries that both have are added, as are repeated ones unless the patterns agree."""
    if same_pattern(a, b):
        return a, x + y
    keys = torch.cat([a.receivers * a.n_cols + a.index, b.receivers * b.n_cols + b.index])
    return _collected(keys, torch.cat(_alike(x, y)), a.n_rows, a.n_cols)


def product_of(a: Adjacency, x: Tensor, b: Adjacency, y: Tensor) -> tuple[Adjacency, Tensor]:
    """Pattern and values of A B: an entry for every (i, j) with some k such that A has (i, k) and B has (k, j)."""
    left, right = entries_of_rows(b.ptr, a.index)
    keys = gather(a.receivers, left) * b.n_cols + gather(b.index, right)
    return _collected(keys, gather(x, left) * gather(y, right), a.n_rows, b.n_cols)


def entries_of_rows(ptr: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """For every element of `rows` all entries of that row: (which element, entry)."""
    counts = gather(ptr.diff(), rows)
    start = counts_to_ptr(counts)
    which = torch.repeat_interleave(counts)
    entry = torch.arange(len(which), device=ptr.device) - gather(start, which) + gather(gather(ptr, rows), which)
    return which, entry


def _collected(keys: Tensor, values: Tensor, n_rows: int, n_cols: int) -> tuple[Adjacency, Tensor]:
    """Compressed rows of entries at row * n_cols + column, equal ones added up in the order given."""
    keys, order = torch.sort(keys, stable=True)
    distinct, counts = torch.unique_consecutive(keys, return_counts=True)
    rows = distinct // max(n_cols, 1)
    ptr = counts_to_ptr(torch.bincount(rows, minlength=n_rows))
    pattern = Adjacency(ptr, distinct - rows * max(n_cols, 1), n_cols)
    return pattern, segment_sum(gather(values, order), counts_to_ptr(counts))


def _alike(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    dtype = torch.promote_types(x.dtype, y.dtype)
    return x.to(dtype), y.to(dtype)
