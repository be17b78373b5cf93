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

    @property
    def n_entries(self) -> int:
        return self.adjacency.n_edges

    def __matmul__(self, x: Tensor) -> Tensor:
        return ops.neighbor_sum(x, self.adjacency, self.values)


@dataclass(frozen=True)
class Repeated:
    """A block matrix whose equal blocks follow each other, for a pass without gradients: each block is kept once.

    Fields on equal meshes are the columns of one product: one small matrix that stays in the cache, instead of copies
    of it that are streamed through for a single column.

    blocks  matrices, one after the other;  copies  how often each comes
    """

    blocks: tuple[Matrix, ...]
    copies: tuple[int, ...]

    @property
    def n_entries(self) -> int:
        return sum(block.n_entries * copies for block, copies in zip(self.blocks, self.copies, strict=True))

    def __matmul__(self, x: Tensor) -> Tensor:
        """(rows, ...) of x (columns, ...)."""
        width = x[:1].numel()
        made, start = [], 0
        for block, copies in zip(self.blocks, self.copies, strict=True):
            stop = start + copies * block.adjacency.n_cols
            part = x[start:stop].reshape(copies, -1, width).transpose(0, 1).reshape(-1, copies * width)
            product = (block @ part).reshape(-1, copies, width).transpose(0, 1)
            made.append(product.reshape(copies * block.adjacency.n_rows, *x.shape[1:]))
            start = stop
        return made[0] if len(made) == 1 else torch.cat(made)
