"""Exact comparison of two meshes, with a sentence about the first difference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from meshlearn.errors import MeshError
from meshlearn.mesh.mesh import Mesh

_COMPARED = ("points", "cells", "point_data", "cell_data", "global_data", "point_sets", "cell_sets")


def meshes_equal(first: Mesh, second: Mesh) -> bool:
    """True if points, cells, data and sets agree bit for bit, dtypes included (NaN equals NaN); source does not count.

    >>> square = ml.shapes.square(n=2)
    >>> ml.meshes_equal(square, square.replace(source="elsewhere"))
    True
    """
    return difference(first, second) is None


def difference(first: Mesh, second: Mesh) -> str | None:
    """The first difference of two meshes in words, or None."""
    for mesh in (first, second):
        if not isinstance(mesh, Mesh):
            raise MeshError(f"two meshes are compared, got {type(mesh).__name__}.")
    for name in _COMPARED:
        found = _difference(name, getattr(first, name), getattr(second, name))
        if found:
            return found
    return None


def _difference(where: str, a: Any, b: Any) -> str | None:
    if isinstance(a, Mapping):
        if set(a) != set(b):
            return f"{where} has {sorted(a)} on one side, {sorted(b)} on the other"
        return next((found for key in a if (found := _difference(f"{where}[{key!r}]", a[key], b[key]))), None)
    return _tensor_difference(where, a, b)


def _tensor_difference(where: str, a: Tensor, b: Tensor) -> str | None:
    if a.dtype != b.dtype or a.shape != b.shape:
        return f"{where} is {a.dtype} {tuple(a.shape)} on one side, {b.dtype} {tuple(b.shape)} on the other"
    b = b.to(a.device)
    same = (a == b) | ((a != a) & (b != b))
    if bool(torch.all(same)):
        return None
    return f"{where} differs in {int((~same).sum())} of {a.numel()} entries"
