"""Sparse products y = A x, and their derivatives to any order in the vector and in the entries.

With rows r(e) and columns c(e) of the stored entries, spmm is `y[r] = sum_e v[e] x[c(e)]` and its derivative in the
values is the sampled product `s[e] = <a[r(e)], b[c(e)]>`; each of the two is differentiated by the other.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from meshlearn.errors import MeshError
from meshlearn.ops import kernel_inputs
from meshlearn.ops.adjacency import Adjacency
from meshlearn.ops.csr import flat_rows, raw_csr_sum
from meshlearn.ops.functions import PairFunction
from meshlearn.ops.registry import _FLOATS, Kernel

_spmm = Kernel("spmm", inputs=kernel_inputs.products)
_SAMPLED_BLOCK = 1 << 16  # entries of a sampled product formed at a time


def neighbor_sum(
    x: Float[Tensor, "n_cols *features"],
    adjacency: Adjacency,
    weights: Float[Tensor, " n_edges"] | None = None,
    backend: str | None = None,
) -> Float[Tensor, "n_rows *features"]:
    """Weighted sum of the senders' values at every receiver: (n_cols, ...) -> (n_rows, ...).

    Equals `segment_sum(weights * gather_senders(x))` without forming the (n_edges, ...) messages. Differentiable to any
    order in `x` and `weights`; mixed dtypes are promoted. The transposed graph is looked up once per `adjacency`.
    Raises MeshError when the shapes do not fit the adjacency.

    >>> path = ml.ops.Adjacency.from_edges(torch.tensor([0, 1]), torch.tensor([1, 2]), n_rows=3)
    >>> ml.ops.neighbor_sum(torch.tensor([1.0, 1.0, 1.0]), path, torch.tensor([2.0, 3.0]))
    tensor([0., 2., 3.])
    """
    fits = x.dim() > 0 and x.shape[0] == adjacency.n_cols
    if not fits or (weights is not None and weights.shape[0] != adjacency.n_edges):
        seen = None if weights is None else tuple(weights.shape)
        raise MeshError(
            f"a sparse product with {adjacency} needs x of shape ({adjacency.n_cols}, ...) and one weight per edge "
            f"({adjacency.n_edges},); got x {tuple(x.shape)} and weights {seen}"
        )
    if weights is not None and weights.dtype != x.dtype:
        common = torch.promote_types(weights.dtype, x.dtype)
        weights, x = weights.to(common), x.to(common)
    return _spmm(x, weights, adjacency, backend=backend)


def spmm(
    ptr: Int64[Tensor, " n_offsets"],
    index: Int64[Tensor, " n_edges"],
    values: Float[Tensor, " n_edges"] | None,
    x: Float[Tensor, "n_cols *features"],
    backend: str | None = None,
) -> Float[Tensor, "n_rows *features"]:
    """Sparse matrix times x: (n_cols, ...) -> (n_rows, ...), from compressed rows; values None means ones.

    For a matrix used more than once prefer `SparseOperator` or `neighbor_sum`: they keep the transposed pattern that
    the gradient in x needs.

    >>> ptr, index = torch.tensor([0, 1, 2]), torch.tensor([1, 0])
    >>> ml.ops.spmm(ptr, index, torch.tensor([2.0, 3.0]), torch.tensor([10.0, 1.0]))
    tensor([ 2., 30.])
    """
    checked = x.device.type == "cpu" and not torch.compiler.is_compiling()  # elsewhere it would wait for the device
    return neighbor_sum(x, Adjacency.from_ptr(ptr, index, x.shape[0], validate=checked), values, backend=backend)


def sampled_product(
    a: Float[Tensor, "n_rows *features"], b: Float[Tensor, "n_cols *features"], adjacency: Adjacency
) -> Float[Tensor, " n_edges"]:
    """<a[row], b[column]> for every stored entry of a pattern: a b^T where the pattern has entries, no more.

    The derivative of a sparse product in the values of the matrix. Differentiable to any order in a and b.
    Raises MeshError when the shapes do not fit the adjacency.

    >>> path = ml.ops.Adjacency.from_edges(torch.tensor([0, 1]), torch.tensor([1, 2]), n_rows=3)
    >>> ml.ops.sampled_product(torch.tensor([5.0, 2.0, 3.0]), torch.tensor([1.0, 10.0, 7.0]), path)
    tensor([ 2., 30.])
    """
    if len(a) != adjacency.n_rows or len(b) != adjacency.n_cols or a.shape[1:] != b.shape[1:]:
        raise MeshError(
            f"a sampled product on {adjacency} needs a ({adjacency.n_rows}, ...) and b ({adjacency.n_cols}, ...) with "
            f"equal features; got {tuple(a.shape)} and {tuple(b.shape)}"
        )
    return _Sampled.apply(a, b, adjacency, "bag")


class _Product(PairFunction):
    """y[r] = sum_e v[e] x[c(e)]; values None means ones."""

    with_features = (0,)

    @staticmethod
    def forward(x, values, adjacency, backend):
        return raw_csr_sum(x, adjacency.ptr, adjacency.index, values, backend)

    @staticmethod
    def backward(ctx, grad):
        (x, values), (adjacency, backend) = ctx.saved_tensors, ctx.rest
        grad_x = grad_values = None
        if ctx.needs_input_grad[0]:
            other, perm = adjacency.transpose()
            turned = None if values is None else values.index_select(0, perm)
            grad_x = _Product.apply(grad, turned, other, backend)
        if ctx.needs_input_grad[1]:
            grad_values = _Sampled.apply(grad, x, adjacency, backend)
        return grad_x, grad_values, None, None


class _Sampled(PairFunction):
    """s[e] = <a[r(e)], b[c(e)]>, formed block by block so that no (n_edges, f) array is made."""

    @staticmethod
    def forward(a, b, adjacency, backend):
        left, right = flat_rows(a), flat_rows(b)
        out = a.new_empty(adjacency.n_edges)
        for rows, cols, part in zip(
            *(t.split(_SAMPLED_BLOCK) for t in (adjacency.receivers, adjacency.index, out)), strict=True
        ):
            torch.sum(left.index_select(0, rows).mul_(right.index_select(0, cols)), dim=1, out=part)
        return out

    @staticmethod
    def backward(ctx, grad):
        (a, b), (adjacency, backend) = ctx.saved_tensors, ctx.rest
        grad_a = grad_b = None
        if ctx.needs_input_grad[0]:
            grad_a = _Product.apply(b, grad, adjacency, backend)
        if ctx.needs_input_grad[1]:
            other, perm = adjacency.transpose()
            grad_b = _Product.apply(a, grad.index_select(0, perm), other, backend)
        return grad_a, grad_b, None, None


@_spmm.register("baseline")
def _spmm_baseline(x, values, adjacency):
    rows = x.index_select(0, adjacency.index)
    if values is not None:
        rows = rows * values.reshape(-1, *[1] * (x.dim() - 1))
    return x.new_zeros((adjacency.n_rows, *x.shape[1:])).index_add(0, adjacency.receivers, rows)


@_spmm.register("bag", rank=10, devices=("cpu", "cuda"), dtypes=_FLOATS)
def _spmm_bag(x, values, adjacency):
    return _Product.apply(x, values, adjacency, "bag")


@_spmm.register("torch_scatter", rank=-1, devices=("cpu", "cuda"), requires="torch_scatter", extra="scatter")
def _spmm_torch_scatter(x, values, adjacency):
    return _Product.apply(x, values, adjacency, "torch_scatter")


@_spmm.register("triton", rank=-1, devices=("cuda",), dtypes=_FLOATS, requires="triton")
def _spmm_triton(x, values, adjacency):
    return _Product.apply(x, values, adjacency, "triton")
