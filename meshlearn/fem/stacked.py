"""Several matrices on one pattern: what assembly gives for a batch of coefficients."""

from __future__ import annotations

from collections.abc import Iterator

from jaxtyping import Float
from torch import Tensor

from meshlearn.errors import MeshError
from meshlearn.ops import Adjacency, SparseOperator, neighbor_sum


class StackedOperator:
    """(n_batch) matrices (n_rows, n_cols) with one pattern; `A[b]` is a `SparseOperator`, `A @ x` maps the batch.

    adjacency  pattern of compressed rows
    values     (n_batch, n_entries) floats; may require a gradient
    """

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
        import torch

        return torch.stack([neighbor_sum(x[k], self.adjacency, self.values[k]) for k in range(len(self))])

    def __repr__(self) -> str:
        return f"StackedOperator(n_batch={len(self)}, {self.adjacency})"
