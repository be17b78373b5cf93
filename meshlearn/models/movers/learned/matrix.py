"""A sparse matrix inside a sample: batches of samples hold it block by block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn import ops
from meshlearn.ops import Adjacency


@dataclass(frozen=True)
class Matrix:
    """values (n_entries,) on the pattern of an adjacency; `matrix @ x`, differentiable in x."""

    adjacency: Adjacency
    values: Float[Tensor, " n_entries"]

    @classmethod
    def from_scipy(cls, matrix: Any) -> Matrix:
        """Of a scipy sparse matrix, in float64."""
        operator = ops.SparseOperator.from_scipy(matrix, dtype=torch.float64)
        operator.adjacency.transpose()  # made once here, and kept by every batch
        return cls(operator.adjacency, operator.values)

    def __matmul__(self, x: Tensor) -> Tensor:
        return ops.neighbor_sum(x, self.adjacency, self.values)
