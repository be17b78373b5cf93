"""A Mesh keeps values of its own: what a caller may change later is copied once, at the door."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from meshlearn.mesh.frozen import FrozenDict


def owned(values: Any) -> Any:
    """Copies of the arrays and tensors in `values` (a mapping to any depth, or one of them).

    Kept as they are: tensors that require a gradient (their identity matters: an optimiser moves them), the read-only
    dictionaries of other meshes, and everything that has no memory to share (numbers, lists).

    >>> buffer = torch.zeros(2)
    >>> kept = owned({"u": buffer})
    >>> buffer += 1
    >>> kept
    {'u': tensor([0., 0.])}
    """
    if isinstance(values, FrozenDict):
        return values
    if isinstance(values, Mapping):
        return {key: owned(value) for key, value in values.items()}
    if isinstance(values, Tensor):
        return values if values.requires_grad else values.clone()
    return values.copy() if isinstance(values, np.ndarray) else values


def version(tensor: Tensor) -> int | None:
    """How often a tensor was changed in place; None where torch does not count (inference mode)."""
    return None if tensor.is_inference() else tensor._version
