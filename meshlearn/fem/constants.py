"""The constant function as a null vector, in spaces where it is not the vector of ones.

Of Argyris, Hermite, Morley and BFS spaces the dofs are derivatives, too, which are 0. Matrices that were assembled on
them know, so that `solve(..., nullspace="constant")` means the function in every space.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from torch import Tensor

from meshlearn.ops import Adjacency, SparseOperator

if TYPE_CHECKING:
    from meshlearn.fem.space import FESpace

_CONSTANTS: WeakKeyDictionary[Adjacency, Tensor] = WeakKeyDictionary()


def remember_constant(space: FESpace, A: object) -> None:
    """Note the dofs of the function 1 for a matrix on a space with derivatives among its dofs."""
    from meshlearn.fem.functionals import functionals

    adjacency = getattr(A, "adjacency", None)
    if adjacency is None or adjacency in _CONSTANTS or len(space.blocks) != 1 or space.blocks[0].family != "table":
        return
    if functionals(space, 0) is not None:
        _CONSTANTS[adjacency] = space.interpolate(1.0)


def constant_nullspace(A: SparseOperator) -> Tensor | str:
    """The dofs of the function 1, or "constant", all ones, for matrices that know of nothing else."""
    return _CONSTANTS.get(A.adjacency, "constant")
