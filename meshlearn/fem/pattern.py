"""Where the entries of the cells' matrices go: a fixed pattern of compressed rows, from the element dofs alone.

The pattern does not depend on values: a coefficient that vanishes somewhere leaves its zeros stored.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Int64
from torch import Tensor

from meshlearn import ops


@dataclass(frozen=True)
class Pattern:
    """adjacency: rows are test dofs, columns trial dofs; slots (n_test, n_trial, n_cells): entry of each pair."""

    adjacency: ops.Adjacency
    slots: Int64[Tensor, "n_test n_trial n_cells"]

    @classmethod
    def of(cls, test: Tensor, trial: Tensor, n_test: int, n_trial: int) -> Pattern:
        """From the dofs (n_local, n_cells) of the cells in the test and in the trial space."""
        key = test[:, None] * n_trial + trial[None]
        entries, slots = torch.unique(key, return_inverse=True)
        rows = torch.div(entries, n_trial, rounding_mode="floor")
        ptr = ops.counts_to_ptr(torch.bincount(rows, minlength=n_test))
        adjacency = ops.Adjacency.from_ptr(ptr, entries - rows * n_trial, n_trial, validate=False)
        return cls(adjacency, slots)


def scatter(values: Tensor, slots: Tensor, total: Tensor) -> None:
    """Add values (…, batch), whose leading axes are those of the slots, to the rows of total (n, batch).

    The additions happen in the order of the entries on a CPU; on a GPU they are sorted by slot first, so that the
    same bits come out of every run.
    """
    flat, place = values.reshape(slots.numel(), -1), slots.reshape(-1)
    if values.device.type != "cpu":
        order = torch.argsort(place, stable=True)
        ptr = ops.counts_to_ptr(torch.bincount(place, minlength=len(total)))
        total += ops.segment_sum(ops.gather(flat, order), ptr)
    elif flat.shape[1] == 1:
        total[:, 0].scatter_add_(0, place, flat[:, 0])
    else:
        total.index_add_(0, place, flat)
