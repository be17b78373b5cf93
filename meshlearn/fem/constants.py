"""Constant functions as null vectors, in spaces where they are not the vector of ones.

Dofs of Argyris, Hermite, Morley and BFS spaces are derivatives, too, those of MINI bubbles beside the values at points;
vectors have one constant for each component. Matrices that were assembled on such spaces know them, so that
`solve(..., nullspace="constant")` means constant functions in every space of one field.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from meshlearn.ops import Adjacency, SparseOperator

if TYPE_CHECKING:
    from meshlearn.fem.space import FESpace

_CONSTANTS: WeakKeyDictionary[Adjacency, Tensor] = WeakKeyDictionary()


def remember_constants(space: FESpace, A: object) -> None:
    """Note the dofs of the constants (n_dofs,) or (n_dofs, components) for a matrix on a space where they are not 1."""
    adjacency = getattr(A, "adjacency", None)
    if adjacency is None or adjacency in _CONSTANTS or len(space.blocks) != 1:
        return
    constants = _constants(space)
    if constants is not None:
        _CONSTANTS[adjacency] = constants


def constant_nullspace(A: SparseOperator) -> Tensor | str:
    """The dofs of the constants, or "constant", all ones, for matrices that know of nothing else."""
    return _CONSTANTS.get(A.adjacency, "constant")


def _constants(space: FESpace) -> Tensor | None:
    from meshlearn.fem.functionals import functionals

    block, n = space.blocks[0], space.blocks[0].components
    with torch.no_grad():
        if block.family == "table":
            return space.interpolate(1.0) if functionals(space, 0) is not None else None
        if block.family != "h1" or (n is None and _adds_up(space)):
            return None
        if n is None:
            return space.interpolate(1.0)
        axes = np.eye(n).tolist()
        return torch.stack([space.interpolate(axis) for axis in axes], 1)


def _adds_up(space: FESpace) -> bool:
    """Whether the functions add up to 1."""
    corners = np.asarray(space.element.refdom.p, np.float64)
    places = np.stack([corners.mean(1), corners @ np.linspace(1, 2, corners.shape[1]) / (1.5 * corners.shape[1])], 1)
    return bool((space.blocks[0].tables(places, torch.float64)["value"].sum(0) - 1).abs().max() < 1e-9)
