"""Sparse matrices with values that carry gradients: y = A x, its transpose, and both derivatives to any order.

With rows r(e) and columns c(e) of the stored entries, spmm is `y[r] = sum_e v[e] x[c(e)]` and its derivative in the
values is the sampled product `s[e] = <a[r(e)], b[c(e)]>`; each of the two is differentiated by the other.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

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


class SparseOperator:
    """A linear map (n_cols, ...) -> (n_rows, ...) stored as compressed rows; `A @ x`, `A.T @ y`, gradients in both.

    - ptr: (n_rows + 1,) int64 offsets; index: (n_edges,) int64 column of every entry.
    - values: (n_edges,) floats, one per entry; may require a gradient. Repeated entries add up.
    - n_cols: number of columns; n_rows when left out.
    - validate: check offsets and columns (one pass, reads back to the host); MeshError says what is wrong.

    >>> A = ml.ops.SparseOperator.from_dense(torch.tensor([[2.0, 0.0], [1.0, 3.0]]))
    >>> A @ torch.tensor([1.0, 1.0]), A.T @ torch.tensor([1.0, 1.0])
    (tensor([2., 4.]), tensor([3., 3.]))
    """

    def __init__(
        self,
        ptr: Int64[Tensor, " n_offsets"],
        index: Int64[Tensor, " n_edges"],
        values: Float[Tensor, " n_values"],
        n_cols: int | None = None,
        validate: bool = True,
    ):
        self._set(Adjacency.from_ptr(ptr, index, n_cols, validate), values)

    def _set(self, adjacency: Adjacency, values: Tensor) -> None:
        if values.dim() != 1 or values.shape[0] != adjacency.n_edges:
            raise MeshError(f"values have shape {tuple(values.shape)}, expected ({adjacency.n_edges},) for {adjacency}")
        if values.device != adjacency.device:
            raise MeshError(f"values are on {values.device} and the pattern on {adjacency.device}: move one of them")
        self.adjacency = adjacency
        self.values = values

    @classmethod
    def from_adjacency(cls, adjacency: Adjacency, values: Float[Tensor, " n_values"]) -> SparseOperator:
        """On the pattern of an adjacency, entry e at (receivers[e], index[e]); shares its cached transpose."""
        operator = cls.__new__(cls)
        operator._set(adjacency, values)
        return operator

    @classmethod
    def from_coo(
        cls,
        rows: Int64[Tensor, " n_edges"],
        cols: Int64[Tensor, " n_edges"],
        values: Float[Tensor, " n_edges"],
        shape: tuple[int, int],
    ) -> SparseOperator:
        """From entries in any order; repeated entries are kept and add up in a product."""
        adjacency, order = Adjacency.from_edges_with_order(cols, rows, shape[0], shape[1])
        return cls.from_adjacency(adjacency, values.index_select(0, order))

    @classmethod
    def from_dense(cls, matrix: Float[Tensor, "n_rows n_cols"]) -> SparseOperator:
        """The non-zero entries of a dense matrix."""
        rows, cols = torch.nonzero(matrix, as_tuple=True)
        return cls.from_coo(rows, cols, matrix[rows, cols], (matrix.shape[0], matrix.shape[1]))

    @classmethod
    def from_scipy(cls, matrix: Any, dtype: torch.dtype | None = None) -> SparseOperator:
        """From any scipy sparse matrix or array; dtype of the matrix unless given."""
        import numpy as np

        csr = matrix.tocsr()
        ptr, index = (torch.from_numpy(np.asarray(a, dtype=np.int64)) for a in (csr.indptr, csr.indices))
        values = torch.from_numpy(np.ascontiguousarray(csr.data))
        dtype = dtype or (values.dtype if values.dtype.is_floating_point else torch.get_default_dtype())
        return cls(ptr, index, values.to(dtype), csr.shape[1])

    def to_scipy(self):
        """A scipy csr_array (on the CPU, without gradients)."""
        from scipy.sparse import csr_array

        pattern = self.adjacency
        parts = (t.detach().cpu().numpy() for t in (self.values, pattern.index, pattern.ptr))
        return csr_array(tuple(parts), shape=self.shape)

    def to_dense(self) -> Float[Tensor, "n_rows n_cols"]:
        """The dense matrix (n_rows, n_cols), differentiable in the values."""
        flat = self.adjacency.receivers * self.shape[1] + self.adjacency.index
        size = self.shape[0] * self.shape[1]
        return self.values.new_zeros(size).index_add(0, flat, self.values).reshape(self.shape)

    @property
    def ptr(self) -> Int64[Tensor, " n_offsets"]:
        """(n_rows + 1,) int64 offsets of the rows."""
        return self.adjacency.ptr

    @property
    def index(self) -> Int64[Tensor, " n_edges"]:
        """(n_edges,) int64 column of every entry."""
        return self.adjacency.index

    @property
    def shape(self) -> tuple[int, int]:
        """(n_rows, n_cols)."""
        return self.adjacency.shape

    @property
    def n_cols(self) -> int:
        """Number of columns."""
        return self.adjacency.n_cols

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.adjacency.n_rows

    @property
    def dtype(self) -> torch.dtype:
        """dtype of the values."""
        return self.values.dtype

    @property
    def device(self) -> torch.device:
        """Device of pattern and values."""
        return self.values.device

    def apply(self, x: Float[Tensor, "n_cols *features"]) -> Float[Tensor, "n_rows *features"]:
        """A x for x of shape (n_cols,) or (n_cols, ...); also spelled `A @ x`."""
        return neighbor_sum(x, self.adjacency, self.values)

    def __matmul__(self, x: Float[Tensor, "n_cols *features"]) -> Float[Tensor, "n_rows *features"]:
        return self.apply(x)

    def transpose(self) -> SparseOperator:
        """The transposed operator, on the cached transposed pattern; its values follow the gradient of these."""
        if self.values.requires_grad:
            return self._make_transpose()
        return self._transposed

    @property
    def T(self) -> SparseOperator:
        """The transpose."""
        return self.transpose()

    @cached_property
    def _transposed(self) -> SparseOperator:
        return self._make_transpose()

    def _make_transpose(self) -> SparseOperator:
        other, perm = self.adjacency.transpose()
        return SparseOperator.from_adjacency(other, self.values.index_select(0, perm))

    def with_values(self, values: Float[Tensor, " n_edges"]) -> SparseOperator:
        """The same pattern (and its cached transpose) with other values."""
        return SparseOperator.from_adjacency(self.adjacency, values)

    def diagonal(self) -> Float[Tensor, " n_diagonal"]:
        """(min(n_rows, n_cols),) the diagonal, differentiable in the values."""
        rows = self.adjacency.receivers
        on = (rows == self.adjacency.index).to(self.dtype)
        sums = self.values.new_zeros(self.n_rows).index_add(0, rows, self.values * on)
        return sums[: min(self.shape)]

    def to(self, target: torch.device | str | torch.dtype) -> SparseOperator:
        """On another device, or with values of another dtype."""
        if isinstance(target, torch.dtype):
            return SparseOperator.from_adjacency(self.adjacency, self.values.to(target))
        return SparseOperator.from_adjacency(self.adjacency.to(target), self.values.to(target))

    def __repr__(self) -> str:
        return f"SparseOperator(shape={self.shape}, n_entries={self.adjacency.n_edges}, dtype={self.dtype})"


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
