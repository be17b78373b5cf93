"""What the functions of this room are given: tensors and graphs, or an error that names what would be one."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from meshlearn.errors import MeshError
from meshlearn.ops.adjacency import Adjacency


def need_tensor(name: str, value: Any) -> None:
    """Raise MeshError unless `value` is a tensor.

    >>> need_tensor("x", [1.0, 2.0])
    Traceback (most recent call last):
        ...
    meshlearn.errors.MeshError: x must be a torch tensor, got list.
      make one of it: torch.as_tensor(x)
    """
    if not isinstance(value, Tensor):
        raise MeshError(
            f"{name} must be a torch tensor, got {type(value).__name__}.\n  make one of it: torch.as_tensor({name})"
        )


def need_offsets(name: str, value: Any) -> None:
    """Raise MeshError unless `value` is a tensor of int64 offsets."""
    need_tensor(name, value)
    if value.dtype != torch.int64:
        raise MeshError(f"{name} must be int64 offsets, got {value.dtype}: {name}.long()")


def need_adjacency(value: Any) -> None:
    """Raise MeshError unless `value` is an Adjacency."""
    if not isinstance(value, Adjacency):
        hint = ": take its mesh.point_adjacency" if hasattr(value, "point_adjacency") else ""
        raise MeshError(f"a graph must be an ops.Adjacency, got {type(value).__name__}{hint}.")


def need_finite(name: str, x: Tensor) -> None:
    """Raise MeshError naming the first row that is NaN or infinite (reads back to the host)."""
    finite = torch.isfinite(x).all(1)
    if not bool(finite.all()):
        bad = torch.nonzero(~finite)[:, 0]
        raise MeshError(f"{len(bad)} of {len(x)} {name} are NaN or infinite, the first is number {int(bad[0])}")
