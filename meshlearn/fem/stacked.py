"""Several matrices on one pattern: what assembly gives for a batch of coefficients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.errors import MeshError
from meshlearn.ops import Adjacency, SparseOperator, entries, neighbor_sum
from meshlearn.ops.sparse import scalar


class StackedOperator:
    """(n_batch) matrices (n_rows, n_cols) with one pattern; `A[b]` is a `SparseOperator`, `A @ x` maps the batch.

    adjacency  pattern of compressed rows
    values     (n_batch, n_entries) floats; may require a gradient

    `A + B`, `A - B` with a stack of as many, or with one matrix that is added to all; `2.0 * A`, `A / 2`, or with one
    number per matrix (n_batch,); `-A`, `A.T`. Differentiable in all values.

    >>> space = ml.fem.FESpace(ml.shapes.square(n=2), "P1")
    >>> stack = space.assemble(lambda u, v, x: x.k * u * v, k=ml.fem.Batch(torch.tensor([1.0, 2.0])))
    >>> mass = space.assemble(lambda u, v, x: u * v)
    >>> total = torch.tensor([2.0, 1.0]) * stack - mass
    >>> torch.allclose(total.values, mass.values.expand(2, -1))
    True
    """

    __array_ufunc__ = None  # numpy's numbers leave products to us

    def __init__(self, adjacency: Adjacency, values: Float[Tensor, "n_batch n_entries"]) -> None:
        if values.dim() != 2 or values.shape[1] != adjacency.n_edges:
            raise MeshError(
                f"values have shape {tuple(values.shape)}, expected (n_batch, {adjacency.n_edges}) for {adjacency}."
            )
        self.adjacency, self.values = adjacency, values

    @property
    def shape(self) -> tuple[int, int, int]:
        """(n_batch, n_rows, n_cols)."""
        return len(self.values), self.adjacency.n_rows, self.adjacency.n_cols

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: int) -> SparseOperator:
        return SparseOperator.from_adjacency(self.adjacency, self.values[index])

    def __iter__(self) -> Iterator[SparseOperator]:
        return (self[k] for k in range(len(self)))

    def __matmul__(self, x: Float[Tensor, "n_batch n_cols *features"]) -> Float[Tensor, "n_batch n_rows *features"]:
        if x.shape[0] != len(self):
            raise MeshError(f"{len(self)} matrices need x of shape ({len(self)}, {self.adjacency.n_cols}, ...).")
        return torch.stack([neighbor_sum(x[k], self.adjacency, self.values[k]) for k in range(len(self))])

    def with_values(self, values: Float[Tensor, "n_batch n_entries"]) -> StackedOperator:
        """The same pattern with other values."""
        return StackedOperator(self.adjacency, values)

    @property
    def T(self) -> StackedOperator:
        """The transposed matrices."""
        other, perm = self.adjacency.transpose()
        return StackedOperator(other, self.values.index_select(1, perm))

    def __add__(self, other: Any) -> Any:
        if isinstance(other, int) and other == 0:  # sum([A, B]) starts from 0
            return self
        if not isinstance(other, (StackedOperator, SparseOperator)):
            return NotImplemented
        values = other.values if isinstance(other, StackedOperator) else other.values.expand(len(self), -1)
        if len(values) != len(self) or other.adjacency.shape != self.adjacency.shape:
            raise MeshError(f"a sum needs as many matrices of one shape, or one for all; got {self} and {other}.")
        pattern, total = entries.sum_of(self.adjacency, self.values.t(), other.adjacency, values.t())
        return StackedOperator(pattern, total.t().contiguous())

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return self + -other if isinstance(other, (StackedOperator, SparseOperator)) else NotImplemented

    def __rsub__(self, other: Any) -> Any:
        return -self + other

    def __neg__(self) -> StackedOperator:
        return self.with_values(-self.values)

    def __mul__(self, factor: Any) -> StackedOperator:
        return self.with_values(self.values * self._factor(factor))

    __rmul__ = __mul__

    def __truediv__(self, factor: Any) -> StackedOperator:
        return self.with_values(self.values / self._factor(factor))

    def _factor(self, factor: Any) -> float | Tensor:
        each = isinstance(factor, Tensor) and factor.shape == (len(self),)
        return factor[:, None] if each else scalar(factor, self)

    def __repr__(self) -> str:
        return f"StackedOperator(n_batch={len(self)}, {self.adjacency})"
