"""The sum over compressed rows as one Triton kernel, with or without order and weights; imported on CUDA only.

One program sums one row for a block of features: it reads each element once, writes each result once and needs no
atomics, so two runs agree to the last bit. Sums of float16 and bfloat16 are kept in float32.
"""

from __future__ import annotations

import torch
from torch import Tensor

try:  # a kernel is compiled from module scope; on machines without Triton this file still imports (doctests read it)
    import triton
    import triton.language as tl
except ImportError:
    triton = None

_WIDEST = 128  # features of one program

if triton is not None:

    @triton.jit
    def _csr_sum_kernel(
        x_at,
        ptr_at,
        order_at,
        weight_at,
        out_at,
        width,
        has_order: tl.constexpr,
        has_weight: tl.constexpr,
        accumulator: tl.constexpr,
        block: tl.constexpr,
    ):
        row = tl.program_id(0).to(tl.int64)
        column = tl.program_id(1) * block + tl.arange(0, block)
        inside = column < width
        total = tl.zeros((block,), dtype=accumulator)
        for k in range(tl.load(ptr_at + row), tl.load(ptr_at + row + 1)):
            source = tl.load(order_at + k) if has_order else k
            value = tl.load(x_at + source * width + column, mask=inside, other=0.0).to(accumulator)
            if has_weight:
                value *= tl.load(weight_at + k).to(accumulator)
            total += value
        tl.store(out_at + row * width + column, total.to(out_at.dtype.element_ty), mask=inside)


def csr_sum(x: Tensor, ptr: Tensor, order: Tensor | None, weight: Tensor | None) -> Tensor:
    """out[r] = sum of weight[k] * x[order[k]] for k in ptr[r]:ptr[r + 1]; x is (n, f), the result (n_rows, f)."""
    x = x.contiguous()
    n_rows, width = ptr.shape[0] - 1, x.shape[1]
    out = x.new_empty((n_rows, width))
    block = min(triton.next_power_of_2(width), _WIDEST)
    _csr_sum_kernel[(n_rows, triton.cdiv(width, block))](
        x,
        ptr.contiguous(),
        ptr if order is None else order.contiguous(),
        x if weight is None else weight.contiguous(),
        out,
        width,
        has_order=order is not None,
        has_weight=weight is not None,
        accumulator=tl.float64 if x.dtype == torch.float64 else tl.float32,
        block=block,
    )
    return out
