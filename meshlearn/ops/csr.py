"""Sums over compressed rows, and the spreading back that is their adjoint, differentiable to any order.

Three raw sums (no autograd) compute `out[r] = sum_k weight[k] * x[order[k]]` for k in `ptr[r]:ptr[r + 1]`:

- "bag": torch's embedding-bag forward, which is exactly this sum. On CPU it is a generated SIMD kernel that reads
  every row once, in float16 and bfloat16 with float32 accumulation; on CUDA one thread per row and feature.
  Narrow float64 on CPU, which has no such kernel, goes through MKL (`mkl.py`).
- "torch_scatter": `segment_csr` after an explicit gather.
- "triton": the kernel of `triton_csr.py`.

torch's autograd of a sparse product or an embedding bag is far slower than its forward, so the sum is paired with
`index_select`: each is the other's backward.
"""

from __future__ import annotations

import torch
from torch import Tensor

from meshlearn.ops import mkl
from meshlearn.ops.functions import PositionalFunction
from meshlearn.ops.memory import pick_rows
from meshlearn.ops.pointers import ptr_to_rows


def flat_rows(x: Tensor) -> Tensor:
    """(n, ...) -> (n, f), also for n = 0 and for (n,)."""
    return x.unsqueeze(1) if x.dim() == 1 else x.flatten(1)


def raw_csr_sum(x: Tensor, ptr: Tensor, order: Tensor | None, weight: Tensor | None, backend: str) -> Tensor:
    """(n, ...) -> (n_rows, ...): the sum above, by the named raw back end; order None means 0, 1, 2, ..."""
    n_rows = ptr.shape[0] - 1
    flat = flat_rows(x)
    if flat.numel() == 0 or n_rows == 0 or (order is not None and order.numel() == 0):
        return x.new_zeros((n_rows, *x.shape[1:]))
    if backend == "torch_scatter":
        import torch_scatter

        rows = flat if order is None else flat.index_select(0, order)
        out = torch_scatter.segment_csr(rows if weight is None else rows * weight.unsqueeze(1), ptr)
    elif backend == "triton":
        from meshlearn.ops.triton_csr import csr_sum

        out = csr_sum(flat, ptr, order, weight)
    elif mkl.takes(flat):
        out = mkl.csr_sum(flat, ptr, order, weight)
    else:
        if order is None:
            order = torch.arange(flat.shape[0], device=flat.device)
        # arguments: scale_grad_by_freq, mode (0 = sum), sparse, weights, include_last_offset, padding_idx
        out = torch.ops.aten._embedding_bag_forward_only(
            flat.contiguous(), order, ptr, False, 0, False, weight, True, -1
        )[0]
    return out.reshape(n_rows, *x.shape[1:])


class RowSum(PositionalFunction):
    """out[r] = sum of x[order[k]] for k in row r; `rows[e]` is the row of element e of x (None: read from ptr)."""

    @staticmethod
    def forward(x, ptr, order, rows, backend):
        return raw_csr_sum(x, ptr, order, None, backend)

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, ctx.ptr, ctx.order, ctx.rows, ctx.backend = inputs
        ctx.n_elements = x.shape[0]

    @staticmethod
    def backward(ctx, grad):
        rows = ptr_to_rows(ctx.ptr, ctx.n_elements) if ctx.rows is None else ctx.rows
        return RowSpread.apply(grad, ctx.ptr, ctx.order, rows, ctx.backend), None, None, None, None


class RowSpread(PositionalFunction):
    """out[e] = y[rows[e]]: the adjoint of RowSum."""

    @staticmethod
    def forward(y, ptr, order, rows, backend):
        return pick_rows(y, rows)

    @staticmethod
    def setup_context(ctx, inputs, output):
        _, ctx.ptr, ctx.order, ctx.rows, ctx.backend = inputs

    @staticmethod
    def backward(ctx, grad):
        return RowSum.apply(grad, ctx.ptr, ctx.order, ctx.rows, ctx.backend), None, None, None, None
