"""Softmax over the rows of a compressed array, in blocks that stay in cache on CPU."""

from __future__ import annotations

import torch
from torch import Tensor

from meshlearn.ops.blocks import fits_one_block, row_blocks
from meshlearn.ops.csr import RowSpread, RowSum, flat_rows, raw_csr_sum
from meshlearn.ops.functions import PairFunction, PositionalFunction
from meshlearn.ops.library import library
from meshlearn.ops.memory import empty_rows

library.define("row_softmax(Tensor x, Tensor ptr, Tensor rows) -> Tensor")
library.define("row_softmax_backward(Tensor grad, Tensor out, Tensor ptr, Tensor rows) -> Tensor")


@torch.library.impl(library, "row_softmax", "CUDA")
def _softmax_whole(x: Tensor, ptr: Tensor, rows: Tensor) -> Tensor:
    top = torch.ops.meshlearn.row_extreme(x, ptr, True).index_select(0, rows)
    weight = torch.sub(x, top, out=top).exp_()
    return weight.div_(raw_csr_sum(weight, ptr, None, None, "bag").index_select(0, rows))


@torch.library.impl(library, "row_softmax", "CPU")
def _softmax_blocked(x: Tensor, ptr: Tensor, rows: Tensor) -> Tensor:
    if fits_one_block(x):
        return _softmax_whole(x, ptr, rows)
    out = empty_rows(x.shape[0], x)
    highest = torch.ops.meshlearn.row_extreme(x, ptr, True)
    for first, last, begin, end in row_blocks(x, ptr):
        here = rows[begin:end] - first
        weight = out[begin:end]
        torch.sub(x[begin:end], highest[first:last].index_select(0, here), out=weight)
        weight.exp_()
        total = raw_csr_sum(weight, ptr[first : last + 1] - begin, None, None, "bag")
        weight.mul_(total.reciprocal_().index_select(0, here))
    return out


@torch.library.register_fake("meshlearn::row_softmax", lib=library)
def _softmax_fake(x, ptr, rows):
    return torch.empty_like(x)


@torch.library.impl(library, "row_softmax_backward", "CUDA")
def _backward_whole(grad: Tensor, out: Tensor, ptr: Tensor, rows: Tensor) -> Tensor:
    part = out * grad
    total = raw_csr_sum(part, ptr, None, None, "bag").index_select(0, rows)
    return part.sub_(total.mul_(out))


@torch.library.impl(library, "row_softmax_backward", "CPU")
def _backward_blocked(grad: Tensor, out: Tensor, ptr: Tensor, rows: Tensor) -> Tensor:
    if fits_one_block(out):
        return _backward_whole(grad, out, ptr, rows)
    result = empty_rows(out.shape[0], out)
    for first, last, begin, end in row_blocks(out, ptr):
        part, weight = result[begin:end], out[begin:end]
        torch.mul(grad[begin:end], weight, out=part)
        total = raw_csr_sum(part, ptr[first : last + 1] - begin, None, None, "bag")
        part.sub_(total.index_select(0, rows[begin:end] - first).mul_(weight))
    return result


@torch.library.register_fake("meshlearn::row_softmax_backward", lib=library)
def _backward_fake(grad, out, ptr, rows):
    return torch.empty_like(out)


class RowSoftmax(PositionalFunction):
    """out[e] = exp(x[e]) / sum of exp(x) over the row of e."""

    with_features = (0,)

    @staticmethod
    def forward(x, ptr, rows):
        if x.numel() == 0:
            return torch.zeros_like(x)
        return torch.ops.meshlearn.row_softmax(flat_rows(x).contiguous(), ptr, rows).reshape(x.shape)

    @staticmethod
    def setup_context(ctx, inputs, output):
        _, ctx.ptr, ctx.rows = inputs
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx, grad):
        (out,) = ctx.saved_tensors
        return _Backward.apply(grad, out, ctx.ptr, ctx.rows), None, None


class _Backward(PairFunction):
    """(g, y) -> y (g - s[row]) with s the row sums of y g; bilinear, so its own derivative is plain arithmetic."""

    with_features = (0, 1)

    @staticmethod
    def forward(grad, out, ptr, rows):
        if out.numel() == 0:
            return torch.zeros_like(out)
        flat = flat_rows(grad), flat_rows(out)
        return torch.ops.meshlearn.row_softmax_backward(*flat, ptr, rows).reshape(out.shape)

    @staticmethod
    def backward(ctx, upper):
        grad, out = ctx.saved_tensors
        ptr, rows = ctx.rest

        def row_total(a: Tensor) -> Tensor:
            return RowSpread.apply(RowSum.apply(a, ptr, None, rows, "bag"), ptr, None, rows, "bag")

        upper_total = row_total(out * upper)
        grad_grad = out * (upper - upper_total)
        grad_out = upper * (grad - row_total(out * grad)) - upper_total * grad
        return grad_grad, grad_out, None, None
