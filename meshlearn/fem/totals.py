"""What the entries of matrices and vectors add up to over runs of cells."""

from __future__ import annotations

import torch
from torch import Tensor

from meshlearn.fem.batches import BatchSum


class Total:
    """n entries, of a batch or of one; memory for them is taken when it is needed.

    like  an empty tensor of the dtype and device
    sums  matrices of a batch that are added up at the end
    """

    def __init__(self, n: int, like: Tensor) -> None:
        self.n, self.sums, self._like = n, BatchSum(n), like
        self._dense: Tensor | None = None

    def rows(self, batch: int) -> Tensor:
        """(n, batch) to add to; what a batch has in common may have come before."""
        if self._dense is None:
            self._dense = self._like.new_zeros(self.n, batch)
        elif self._dense.shape[1] < batch:
            self._dense = self._dense.repeat(1, batch)
        return self._dense

    def add(self, values: Tensor) -> None:
        """Values (n, batch)."""
        self._dense = values if self._dense is None else self._dense + values

    def result(self) -> Tensor:
        """(n, batch) of everything."""
        made = self.sums.total()
        if made is None:
            return self.rows(max(self.sums.batch, 1))
        return made if self._dense is None else torch.add(made, self._dense)
