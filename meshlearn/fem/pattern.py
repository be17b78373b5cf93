"""Where the entries of the cells' matrices go: a fixed pattern of compressed rows, from the element dofs alone.

The pattern does not depend on values: a coefficient that vanishes somewhere leaves its zeros stored.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Int64
from torch import Tensor

from meshlearn import ops

BLOCK = 1 << 17  # numbers of cell matrices formed at a time


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


def scatter_batch(geometry: Tensor, c: Tensor, slots: Tensor, total: Tensor) -> None:
    """Add geometry times coefficients to total (n, batch), in blocks of cells that stay in the cache.

    geometry  (n_test, n_trial, n_cells, pairs) cell matrices of unit coefficients
    c         (trial, test, n_cells or 1, batch, 1) coefficients of a form, constant on cells; pairs = trial x test
    """
    pairs, n_cells, n_batch = geometry.shape[3], geometry.shape[2], c.shape[3]
    c = c[..., 0].reshape(pairs, -1, n_batch)
    if not c.requires_grad:  # what no cell uses costs nothing
        used = torch.nonzero(c.flatten(1).ne(0).any(1))[:, 0]
        c, geometry = c.index_select(0, used), geometry.index_select(3, used)
    left = geometry.flatten(0, 1).permute(1, 0, 2).contiguous()  # (cells, entries, pairs)
    right = c.expand(len(c), n_cells, n_batch).transpose(0, 1)
    place = slots.reshape(-1, n_cells).t().contiguous()
    if geometry.device.type != "cpu":
        scatter(torch.bmm(left, right), place, total)
        return
    step = max(BLOCK // (left.shape[1] * n_batch), 1)
    for start in range(0, n_cells, step):
        block = slice(start, start + step)
        made = torch.bmm(left[block], right[block])
        total.index_add_(0, place[block].reshape(-1), made.reshape(-1, n_batch))
