"""Sparse matrices as linear maps with an algebra of their own; gradients flow to the values of their entries."""

from __future__ import annotations

from functools import cached_property
from numbers import Real
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from meshlearn.errors import MeshError, ParameterError
from meshlearn.ops import entries
from meshlearn.ops.adjacency import Adjacency
from meshlearn.ops.spmm import neighbor_sum


class SparseOperator:
    """A linear map (n_cols, ...) -> (n_rows, ...) stored as compressed rows; `A @ x`, `A.T @ y`, gradients in both.

    - ptr: (n_rows + 1,) int64 offsets; index: (n_edges,) int64 column of every entry.
    - values: (n_edges,) floats, one per entry; may require a gradient. Repeated entries add up.
    - n_cols: number of columns; n_rows when left out.
    - validate: check offsets and columns (one pass, reads back to the host); MeshError says what is wrong.

    >>> A = ml.ops.SparseOperator.from_dense(torch.tensor([[2.0, 0.0], [1.0, 3.0]]))
    >>> A @ torch.tensor([1.0, 1.0]), A.T @ torch.tensor([1.0, 1.0])
    (tensor([2., 4.]), tensor([3., 3.]))

    Operators are added, scaled and multiplied: `A + B`, `A - B`, `2.0 * A`, `A / 2`, `-A`, `A @ B`, differentiable in
    the values. Sums on one pattern (matrices of one space) keep it; others are on the union.

    >>> (A + 0.5 * A.T).to_dense(), (A @ A).to_dense()
    (tensor([[3.0000, 0.5000],
            [1.0000, 4.5000]]), tensor([[4., 0.],
            [5., 9.]]))
    """

    __array_ufunc__ = None  # numpy's numbers leave products to us

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

    def __matmul__(self, x: Any) -> Any:
        if not isinstance(x, SparseOperator):
            return self.apply(x) if isinstance(x, Tensor) else NotImplemented
        if self.n_cols != x.n_rows or self.device != x.device:
            raise MeshError(f"A @ B needs as many columns of A as rows of B, on one device; got {self} and {x}")
        return SparseOperator.from_adjacency(*entries.product_of(self.adjacency, self.values, x.adjacency, x.values))

    def __add__(self, other: Any) -> Any:
        if not isinstance(other, SparseOperator):
            return _no_sum(self, other)
        if self.shape != other.shape or self.device != other.device:
            raise MeshError(f"a sum needs matrices of one shape on one device; got {self} and {other}")
        total = entries.sum_of(self.adjacency, self.values, other.adjacency, other.values)
        return SparseOperator.from_adjacency(*total)

    def __radd__(self, other: Any) -> Any:
        return self if isinstance(other, int) and other == 0 else _no_sum(self, other)  # sum([A, B]) starts from 0

    def __sub__(self, other: Any) -> Any:
        return self + -other if isinstance(other, SparseOperator) else _no_sum(self, other)

    def __rsub__(self, other: Any) -> Any:
        return _no_sum(self, other)

    def __neg__(self) -> SparseOperator:
        return self.with_values(-self.values)

    def __mul__(self, factor: Any) -> SparseOperator:
        return self.with_values(self.values * scalar(factor, self))

    def __rmul__(self, factor: Any) -> SparseOperator:
        return self * factor

    def __truediv__(self, factor: Any) -> SparseOperator:
        return self.with_values(self.values / scalar(factor, self))

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


def scalar(factor: Any, operator: Any) -> float | Tensor:
    """The factor of a scaled matrix, a number or a tensor with one. Raises ParameterError for anything else."""
    if isinstance(factor, Tensor) and factor.numel() == 1 and not factor.is_complex():
        return factor.reshape(())
    if isinstance(factor, Real) and not isinstance(factor, Tensor):
        return float(factor)
    seen = f"a tensor of shape {tuple(factor.shape)}" if isinstance(factor, Tensor) else type(factor).__name__
    raise ParameterError(
        f"{operator} is scaled by a number or a tensor with one, got {seen}.\n"
        "  A product with a vector or a matrix is A @ x; rows are scaled by\n"
        "  A.with_values(A.values * ml.ops.gather_receivers(d, A.adjacency)), columns with gather_senders."
    )


def _no_sum(operator: SparseOperator, other: Any) -> Any:
    if isinstance(other, (Tensor, Real)):
        raise ParameterError(
            f"{operator} and a {type(other).__name__} cannot be added: it would fill the matrix.\n"
            "  Add matrices to each other; A.to_dense() is the dense one."
        )
    return NotImplemented
