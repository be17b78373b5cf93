"""Sums over compressed rows by MKL's sparse product, for float64 on CPU.

torch's embedding bag has SIMD kernels up to float32 only: in float64 a product with few columns is 2 to 8 times slower
there than in MKL, a sum without weights 10 to 30 times (measured on one core; wide rows are faster in the bag).
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from meshlearn.quiet import quiet

_NARROW = 24  # columns
_MOST = 2**31 - 1  # entries that its integers count


def takes(flat: Tensor) -> bool:
    """Whether rows (n, f) are summed faster here; not while torch.compile looks on, which knows no such matrices."""
    narrow = flat.dtype == torch.float64 and flat.device.type == "cpu" and flat.shape[1] <= _NARROW
    return narrow and flat.shape[0] <= _MOST and not torch.compiler.is_compiling() and _available()


def csr_sum(flat: Tensor, ptr: Tensor, order: Tensor | None, weight: Tensor | None) -> Tensor:
    """(n, f) -> (n_rows, f): sum_k weight[k] flat[order[k]] for k in ptr[r]:ptr[r + 1]."""
    if order is None:
        order = torch.arange(flat.shape[0])
    if weight is None:
        weight = flat.new_ones(order.shape[0])
    size = (ptr.shape[0] - 1, flat.shape[0])
    return torch.sparse_csr_tensor(ptr, order, weight, size, check_invariants=False) @ flat


@cache
def _available() -> bool:
    if not torch.backends.mkl.is_available():
        return False
    with quiet():  # the first such matrix of a process says that they are new
        one = torch.ones(1, dtype=torch.float64)
        at = torch.arange(2)
        return bool((torch.sparse_csr_tensor(at, at[:1], one, (1, 1), check_invariants=False) @ one[:, None]) == 1)
