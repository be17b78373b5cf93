"""Offsets of rows in a flat array (`ptr`): making, reading and checking them."""

from __future__ import annotations

import torch
from jaxtyping import Int64, Integer
from torch import Tensor

from meshlearn.errors import MeshError


def counts_to_ptr(counts: Int64[Tensor, " n_rows"]) -> Int64[Tensor, " n_offsets"]:
    """(n_rows,) row lengths -> (n_rows + 1,) offsets.

    >>> ml.ops.counts_to_ptr(torch.tensor([2, 0, 1]))
    tensor([0, 2, 2, 3])
    """
    return torch.cat([counts.new_zeros(1), counts.cumsum(0)])


def ptr_to_rows(ptr: Int64[Tensor, " n_offsets"], n_edges: int) -> Int64[Tensor, " n_edges"]:
    """(n_rows + 1,) offsets -> (n_edges,) row of every element. `n_edges` saves reading ptr[-1] back to the host.

    >>> ml.ops.ptr_to_rows(torch.tensor([0, 2, 2, 3]), 3)
    tensor([0, 0, 2])
    """
    return torch.repeat_interleave(ptr.diff(), output_size=n_edges)


def integer_range(values: Integer[Tensor, "..."]) -> tuple[int, int]:
    """Smallest and largest of a non-empty tensor of integers; on CPU by numpy, whose reductions are vectorised.

    >>> from meshlearn.ops.pointers import integer_range
    >>> integer_range(torch.tensor([3, -1, 2]))
    (-1, 3)
    """
    if values.device.type == "cpu":
        array = values.numpy()
        return int(array.min()), int(array.max())
    low, high = torch.aminmax(values)
    return int(low), int(high)


def check_ptr(ptr: Int64[Tensor, " n_offsets"], n_edges: int) -> None:
    """Raise MeshError unless ptr starts at 0, never falls and ends at n_edges (reads back to the host)."""
    if ptr.numel() == 0:
        raise MeshError("ptr is empty; expected n_rows + 1 offsets, [0] for no rows")
    first, last = int(ptr[0]), int(ptr[-1])
    if first == 0 and last == n_edges and (ptr.numel() == 1 or int(ptr.diff().amin()) >= 0):
        return
    if first != 0:
        raise MeshError(f"ptr starts at {first}, but offsets start at 0: ptr = [0, length of row 0, ...]")
    falls = torch.nonzero(ptr.diff() < 0)
    if len(falls):
        row = int(falls[0, 0])
        raise MeshError(
            f"ptr falls from {int(ptr[row])} to {int(ptr[row + 1])} at row {row}, but offsets never fall.\n"
            f"  If these are row lengths, use ops.counts_to_ptr."
        )
    if last != n_edges:
        raise MeshError(f"ptr ends at {last}, but there are {n_edges} elements: the last offset is their number")
