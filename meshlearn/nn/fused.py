"""One autograd function for a whole MLP over many rows, computed block by block.

A network on a mesh spends its time moving edge arrays: gathered end points, pre-activations, activations, normalised
messages, each as large as the edge latents and each mapped, written, kept for the backward and read again. Here the
rows are cut into blocks small enough for the cache; a block goes through all layers, and its result is written and
summed into the receivers, and nothing else is kept: the backward walks through the layers of every block again. That
is one more forward in flops, and on large meshes much less than what the intermediate arrays cost in page faults and
traffic. Arrays that stay in the cache anyway (`STORED_ELEMENTS`) are kept instead.

    z_1 = sum_k dense_k W_k^T + sum_k table_k[rows_k] + b_1,   z_{l+1} = act(z_l) W_{l+1}^T + b_{l+1}
    m   = LayerNorm(z_L)  (or z_L),      out = dense_1 + m  (or m),      sums_r = sum of m over the edges of row r

First derivatives only (the backward is not differentiable): `MLP(fused=False)` is the same in plain operations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from meshlearn.nn.activation import activation
from meshlearn.ops import Adjacency
from meshlearn.ops.csr import raw_csr_sum
from meshlearn.ops.linear import linear
from meshlearn.ops.memory import empty_rows

BLOCK_ELEMENTS = {"cpu": 2**19, "cuda": 2**27}
STORED_ELEMENTS = 2**22
NORM_EPS = 1e-5


@dataclass(frozen=True)
class Plan:
    """What the function computes, besides its tensors.

    sides     one (adjacency, "senders" | "receivers") per table: which row of the table every edge reads
    sum_over  adjacency whose rows the results are summed into, or None
    keep      whether the results themselves are returned (False: only their sums)
    store     keep the pre-activations z_l for the backward instead of computing them again
    dtype     of the matrix products (mixed precision); the result has the dtype of `out_dtype`
    """

    n_dense: int
    sides: tuple[tuple[Adjacency, str], ...]
    n_layers: int
    activation: str
    norm: bool
    residual: bool
    sum_over: Adjacency | None
    keep: bool
    store: bool
    dtype: torch.dtype
    out_dtype: torch.dtype

    def unpack(self, tensors: tuple[Any, ...]) -> tuple[list[Tensor], list[Tensor], list[Tensor], list[Any]]:
        """(dense, tables, first weights, [b_1, W_2, b_2, ..., gamma, beta])."""
        a, b = self.n_dense, self.n_dense + len(self.sides)
        return list(tensors[:a]), list(tensors[a:b]), list(tensors[b : b + a]), list(tensors[b + a :])


def block_rows(width: int, device: torch.device) -> int:
    """Rows per block: a block of one layer fits the second-level cache of a CPU core, or is large on a GPU."""
    return max(256, BLOCK_ELEMENTS.get(device.type, BLOCK_ELEMENTS["cuda"]) // max(width, 1))


class FusedMLP(torch.autograd.Function):
    """apply(plan, *dense, *tables, *first_weights, b_1, W_2, b_2, …, gamma, beta) -> (out or None, sums or None)."""

    @staticmethod
    def forward(ctx, plan: Plan, *tensors):
        ctx.plan, ctx.n_tensors = plan, len(tensors)
        ctx.set_materialize_grads(False)
        with torch.autocast(tensors[0].device.type, enabled=False):
            blocks = _Blocks(plan, tensors)
            out, sums, statistics = _forward(plan, blocks)
        ctx.save_for_backward(*tensors, *statistics, *(blocks.pre if plan.store else ()))
        return out, sums

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_out, grad_sums):
        n, saved = ctx.n_tensors, ctx.saved_tensors
        if grad_out is None and grad_sums is None:
            return (None,) * (1 + n)
        split = n + 2 * ctx.plan.norm
        with torch.autocast(saved[0].device.type, enabled=False):
            blocks = _Blocks(ctx.plan, saved[:n], list(saved[split:]) if ctx.plan.store else None)
            return None, *_backward(blocks, saved[:n], saved[n:split], ctx.needs_input_grad[1:], grad_out, grad_sums)


class _Blocks:
    """The layers of one call on one block of rows, with buffers that all blocks share."""

    def __init__(self, plan: Plan, tensors: tuple[Any, ...], pre: list[Tensor] | None = None):
        self.plan = plan
        dense, tables, first, rest = plan.unpack(tensors)
        cast = (
            (lambda t: t) if all(t is None or t.dtype == plan.dtype for t in tensors) else (lambda t: t.to(plan.dtype))
        )
        self.dense, self.tables = dense, [cast(table) for table in tables]
        self.first = [cast(weight).contiguous() for weight in first]
        self.bias: Any = None if rest[0] is None else cast(rest[0])
        self.layers = [(cast(rest[1 + 2 * i]), cast(rest[2 + 2 * i])) for i in range(plan.n_layers)]
        self.norm: Any = rest[1 + 2 * plan.n_layers :] if plan.norm else None
        self.index = [adj.index if side == "senders" else adj.receivers for adj, side in plan.sides]
        self.act = activation(plan.activation)
        self.n_rows = len(dense[0])
        widths = [len(self.first[0]), *(len(weight) for weight, _ in self.layers)]
        self.block = min(block_rows(max(widths), dense[0].device), max(self.n_rows, 1))
        empty = dense[0].new_empty
        self.done = pre is not None
        if pre is None:
            size = self.n_rows if plan.store else self.block
            pre = [empty_rows(size, empty(0, width, dtype=plan.dtype)) for width in widths]
        self.pre = pre
        self.post = [empty(self.block, width, dtype=plan.dtype) for width in widths[:-1]]
        self.spare = empty(self.block, widths[0], dtype=plan.dtype)

    def ranges(self):
        """(start, stop) of every block."""
        return ((start, min(start + self.block, self.n_rows)) for start in range(0, self.n_rows, self.block))

    def inputs(self, start: int, stop: int) -> list[Tensor]:
        """The dense inputs of the block in the dtype of the products."""
        return [x[start:stop].to(self.plan.dtype) for x in self.dense]

    def run(self, start: int, stop: int, dense: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """(pre-activations z_1 … z_L, activations of z_1 … z_{L-1}) of the block."""
        k = stop - start
        place = slice(start, stop) if self.plan.store else slice(k)
        pre, post = [z[place] for z in self.pre], [a[:k] for a in self.post]
        if self.done:
            for kept, a in zip(pre[:-1], post, strict=True):
                self.act.write(kept, a)
            return pre, post
        z: Tensor | None = None
        if self.tables:
            z = torch.index_select(self.tables[0], 0, self.index[0][start:stop], out=pre[0])
            for table, index in zip(self.tables[1:], self.index[1:], strict=True):
                z.add_(torch.index_select(table, 0, index[start:stop], out=self.spare[:k]))
        for j, (x, weight) in enumerate(zip(dense, self.first, strict=True)):
            z = linear(x, weight, self.bias if j == 0 else None, z, pre[0])
        for i, (weight, bias) in enumerate(self.layers):
            self.act.write(pre[i], post[i])
            linear(post[i], weight, bias, None, pre[i + 1])
        return pre, post

    def normalise(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(LayerNorm of z, mean, 1 / standard deviation), in the dtype of the norm's parameters."""
        assert self.norm is not None
        gamma, beta = self.norm
        return torch.native_layer_norm(z.to(gamma.dtype), gamma.shape, gamma, beta, NORM_EPS)


def _forward(plan: Plan, blocks: _Blocks) -> tuple[Tensor | None, Tensor | None, tuple[Tensor, ...]]:
    """(out, sums, (mean, 1 / standard deviation) of every row before its LayerNorm)."""
    first, width = blocks.dense[0], len(blocks.layers[-1][0]) if blocks.layers else len(blocks.first[0])
    out = empty_rows(blocks.n_rows, first.new_empty(0, width, dtype=plan.out_dtype)) if plan.keep else None
    sums = None
    if plan.sum_over is not None:
        sums = first.new_zeros(plan.sum_over.n_rows, width, dtype=plan.out_dtype)
    statistics: tuple[Tensor, ...] = ()
    if plan.norm:
        like = blocks.norm[0]
        statistics = like.new_empty(blocks.n_rows, 1), like.new_empty(blocks.n_rows, 1)
    for start, stop in blocks.ranges():
        pre, _ = blocks.run(start, stop, blocks.inputs(start, stop))
        message = pre[-1]
        if statistics:
            message, mean, rstd = blocks.normalise(message)
            statistics[0][start:stop], statistics[1][start:stop] = mean, rstd
        if out is not None:
            if plan.residual:
                torch.add(first[start:stop], message, out=out[start:stop])
            else:
                out[start:stop] = message
        if sums is not None:
            _add_to_rows(sums, plan.sum_over, "receivers", message, start, stop)
    return out, sums, statistics


def _backward(
    blocks: _Blocks,
    tensors: tuple[Any, ...],
    statistics: tuple[Tensor, ...],
    needed: tuple[bool, ...],
    grad_out: Any,
    grad_sums: Any,
) -> list[Any]:
    """Gradients of all tensors, block by block."""
    plan = blocks.plan
    dense, tables, weights, rest = plan.unpack(tensors)
    grad_dense: list[Any] = [empty_rows(len(x), x) if need else None for x, need in zip(dense, needed, strict=False)]
    grad_tables = [torch.zeros_like(table, dtype=plan.out_dtype) for table in tables]
    grad_weights = [torch.zeros_like(weight) for weight in weights]
    grad_rest: list[Any] = [None if p is None else torch.zeros_like(p) for p in rest]
    for start, stop in blocks.ranges():
        inputs = blocks.inputs(start, stop)
        pre, post = blocks.run(start, stop, inputs)
        grad: Any = None if grad_out is None else grad_out[start:stop]
        if grad_sums is not None:
            assert plan.sum_over is not None
            received = torch.index_select(grad_sums, 0, plan.sum_over.receivers[start:stop])
            grad = received if grad is None else received.add_(grad)
        if plan.norm:
            gamma, beta = blocks.norm
            mean, rstd = (values[start:stop] for values in statistics)
            grad, grad_gamma, grad_beta = torch.ops.aten.native_layer_norm_backward(
                grad.to(gamma.dtype).contiguous(),
                pre[-1].to(gamma.dtype),
                gamma.shape,
                mean,
                rstd,
                gamma,
                beta,
                [True] * 3,
            )
            grad_rest[-2].add_(grad_gamma)
            grad_rest[-1].add_(grad_beta)
        grad = grad.to(plan.dtype)
        for i in range(plan.n_layers - 1, -1, -1):
            _accumulate(grad_rest[1 + 2 * i], grad.t(), post[i])
            grad_rest[2 + 2 * i].add_(grad.sum(0))
            grad = blocks.act.backward(linear(grad, blocks.layers[i][0].t()), pre[i])
        if grad_rest[0] is not None:
            grad_rest[0].add_(grad.sum(0))
        for (adjacency, side), table in zip(plan.sides, grad_tables, strict=True):
            _add_to_rows(table, adjacency, side, grad, start, stop)
        for j, x in enumerate(inputs):
            _accumulate(grad_weights[j], grad.t(), x)
            if grad_dense[j] is not None:
                skip = grad_out[start:stop] if plan.residual and j == 0 and grad_out is not None else None
                _product(grad, blocks.first[j], skip, grad_dense[j][start:stop])
    grad_tables = [grad.to(table.dtype) for grad, table in zip(grad_tables, tables, strict=True)]
    return [*grad_dense, *grad_tables, *grad_weights, *grad_rest]


def _accumulate(total: Tensor, left: Tensor, right: Tensor) -> None:
    """total += left @ right, also when the product is in a lower precision than the total."""
    if total.dtype == left.dtype:
        total.addmm_(left, right)
    else:
        total.add_(left @ right)


def _product(left: Tensor, right: Tensor, skip: Tensor | None, out: Tensor) -> None:
    """out = left @ right (+ skip)."""
    if left.dtype == out.dtype:
        linear(left, right.t(), None, skip, out)
        return
    out.copy_(left @ right)
    if skip is not None:
        out.add_(skip)


def _add_to_rows(total: Tensor, adjacency: Any, side: str, values: Tensor, start: int, stop: int) -> None:
    """total[row of edge e] += values[e] for the edges start … stop.

    On a CPU the block is in the cache and is added edge by edge, in a fixed order. Elsewhere blocks are so large that
    one compressed-row sum per block is the better choice: no atomic additions, the same bits in every run.
    """
    if total.device.type == "cpu":
        index = adjacency.index if side == "senders" else adjacency.receivers
        total.index_add_(0, index[start:stop], values.to(total.dtype))
    else:
        total.add_(block_sum(values.to(total.dtype), adjacency, side, start, stop))


def block_sum(values: Tensor, adjacency: Adjacency, side: str, start: int, stop: int) -> Tensor:
    """Sums of the values of the edges start … stop over every receiver or sender, by compressed rows."""
    if side == "receivers":
        return raw_csr_sum(values, (adjacency.ptr - start).clamp(0, stop - start), None, None, "bag")
    reverse, order = adjacency.transpose()
    if start == 0 and stop == adjacency.n_edges:
        return raw_csr_sum(values, reverse.ptr, order, None, "bag")
    inside = ((order >= start) & (order < stop)).to(values.dtype)
    return raw_csr_sum(values, reverse.ptr, (order - start).clamp(0, stop - start - 1), inside, "bag")
