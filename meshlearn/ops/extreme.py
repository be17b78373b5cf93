"""Row-wise maximum and minimum whose backward stays in cache; gradients of any order.

With w[e] = 1 / (number of elements equal to their row's extreme) for those elements and 0 for all others, the
backward is `spread(g)[e] = w[e] * g[row of e]`, and its own backward is the adjoint `collect(h)[r] = sum w[e] * h[e]`.
"""

from __future__ import annotations

import warnings
from functools import cache

import torch
from torch import Tensor

from meshlearn.ops.blocks import fits_one_block, row_blocks
from meshlearn.ops.csr import flat_rows, raw_csr_sum
from meshlearn.ops.functions import PositionalFunction
from meshlearn.ops.library import library
from meshlearn.ops.memory import empty_rows
from meshlearn.ops.pointers import check_ptr, ptr_to_rows

library.define("row_extreme(Tensor x, Tensor ptr, bool largest) -> Tensor")
library.define("row_extreme_spread(Tensor grad, Tensor x, Tensor out, Tensor ptr, Tensor rows) -> Tensor")


@torch.library.impl(library, "row_extreme", "CPU")
def _extreme_cpu(x: Tensor, ptr: Tensor, largest: bool) -> Tensor:
    _silence_sparse_beta()
    n_edges = x.shape[0]
    if int(ptr[0]) != 0 or int(ptr[-1]) != n_edges or int(ptr.diff().amin()) < 0:
        check_ptr(ptr, n_edges)  # the sparse kernel reads wherever ptr points
    shape = (ptr.shape[0] - 1, n_edges)
    pattern = torch.sparse_csr_tensor(ptr, torch.arange(n_edges), x.new_ones(n_edges), shape, check_invariants=False)
    return torch.ops.aten._sparse_mm_reduce_impl(pattern, x.contiguous(), "amax" if largest else "amin")[0]


@torch.library.impl(library, "row_extreme", "CUDA")
def _extreme_cuda(x: Tensor, ptr: Tensor, largest: bool) -> Tensor:
    rows = ptr_to_rows(ptr, x.shape[0]).unsqueeze(1).expand_as(x)
    zeros = x.new_zeros((ptr.shape[0] - 1, x.shape[1]))
    return zeros.scatter_reduce_(0, rows, x, "amax" if largest else "amin", include_self=False)


@torch.library.register_fake("meshlearn::row_extreme", lib=library)
def _extreme_fake(x, ptr, largest):
    return x.new_empty((ptr.shape[0] - 1, x.shape[1]))


@torch.library.impl(library, "row_extreme_spread", "CUDA")
def _spread_whole(grad: Tensor, x: Tensor, out: Tensor, ptr: Tensor, rows: Tensor) -> Tensor:
    won = out.index_select(0, rows).eq_(x)
    share = grad / raw_csr_sum(won, ptr, None, None, "bag")
    return won.mul_(share.index_select(0, rows))


@torch.library.impl(library, "row_extreme_spread", "CPU")
def _spread_blocked(grad: Tensor, x: Tensor, out: Tensor, ptr: Tensor, rows: Tensor) -> Tensor:
    if fits_one_block(x):
        return _spread_whole(grad, x, out, ptr, rows)
    result = empty_rows(x.shape[0], x)
    for first, last, begin, end in row_blocks(x, ptr):
        here = rows[begin:end] - first
        won = result[begin:end]
        torch.eq(x[begin:end], out[first:last].index_select(0, here), out=won)
        share = grad[first:last] / raw_csr_sum(won, ptr[first : last + 1] - begin, None, None, "bag")
        won.mul_(share.index_select(0, here))
    return result


@torch.library.register_fake("meshlearn::row_extreme_spread", lib=library)
def _spread_fake(grad, x, out, ptr, rows):
    return torch.empty_like(x)


@cache
def _silence_sparse_beta() -> None:
    """torch warns once per process that compressed sparse tensors are in beta; spend that warning here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse (CSR tensor support|invariant checks)")
        torch.sparse_csr_tensor(torch.tensor([0, 1]), torch.tensor([0]), torch.ones(1), (1, 1), check_invariants=False)


class RowExtreme(PositionalFunction):
    """out[r] = largest (or smallest) x[e] of row r, 0 for an empty row."""

    @staticmethod
    def forward(x, ptr, rows, largest, backend):
        n_rows = ptr.shape[0] - 1
        if x.numel() == 0 or n_rows == 0:
            return x.new_zeros((n_rows, *x.shape[1:]))
        if backend == "torch_scatter":
            import torch_scatter

            out = torch_scatter.segment_csr(flat_rows(x), ptr, reduce="max" if largest else "min")
        else:
            out = torch.ops.meshlearn.row_extreme(flat_rows(x), ptr, largest)
        return out.reshape(n_rows, *x.shape[1:])

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, ctx.ptr, ctx.rows, *_ = inputs
        ctx.save_for_backward(x, output)

    @staticmethod
    def backward(ctx, grad):
        x, out = ctx.saved_tensors
        rows = ptr_to_rows(ctx.ptr, x.shape[0]) if ctx.rows is None else ctx.rows
        return _Spread.apply(grad, x.detach(), out.detach(), ctx.ptr, rows), None, None, None, None


class _Spread(PositionalFunction):
    @staticmethod
    def forward(grad, x, out, ptr, rows):
        if x.numel() == 0:
            return torch.zeros_like(x)
        flat = (flat_rows(t) for t in (grad, x, out))
        return torch.ops.meshlearn.row_extreme_spread(*flat, ptr, rows).reshape(x.shape)

    @staticmethod
    def setup_context(ctx, inputs, output):
        _, x, out, ctx.ptr, ctx.rows = inputs
        ctx.save_for_backward(x, out)

    @staticmethod
    def backward(ctx, grad):
        x, out = ctx.saved_tensors
        return _Collect.apply(grad, x, out, ctx.ptr, ctx.rows), None, None, None, None


class _Collect(PositionalFunction):
    @staticmethod
    def forward(grad, x, out, ptr, rows):
        won = out.index_select(0, rows).eq_(x)
        count = raw_csr_sum(won, ptr, None, None, "bag").clamp_(min=1)
        return raw_csr_sum(won.mul_(grad), ptr, None, None, "bag").div_(count)

    @staticmethod
    def setup_context(ctx, inputs, output):
        _, x, out, ctx.ptr, ctx.rows = inputs
        ctx.save_for_backward(x, out)

    @staticmethod
    def backward(ctx, grad):
        x, out = ctx.saved_tensors
        return _Spread.apply(grad, x, out, ctx.ptr, ctx.rows), None, None, None, None
