"""Rigid motions of vector-valued spaces: what elasticity maps to zero, and what multigrid for it must know.

Matrices that were assembled on a Lagrange space with one component per direction know where their dofs sit, so that
`solve(..., nullspace="rigid")` and `preconditioner="amg"` need not be told (Vanek, Mandel, Brezina, Computing 56, 1996:
aggregates must carry the rotations, too).
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.fem.affine import AffineMap
from meshlearn.fem.geometry import Geometry
from meshlearn.ops import Adjacency, SparseOperator

if TYPE_CHECKING:
    from meshlearn.fem.space import FESpace


class Places(NamedTuple):
    """Where the dofs of a vector-valued Lagrange space sit, without the space, which need not outlive its matrices.

    reference  (n_functions, dim) places on the reference cell
    first      (n_dofs,) flat place (function with component, cell) in the first cell that lists a dof
    component  (n_dofs,) which component a dof is
    """

    geometry: Geometry
    reference: np.ndarray
    first: Tensor
    component: Tensor

    @property
    def points(self) -> Tensor:
        """(n_dofs, dim) in units of the size of the mesh around its middle, with gradients to the points of the mesh;
        made anew, because a graph is good for one backward pass."""
        points = self.geometry.at(self.reference.T).points.permute(2, 1, 0).double()
        dim = points.shape[2]
        points = points.repeat_interleave(dim, 0).reshape(-1, dim).index_select(0, self.first)
        low, high = points.detach().amin(0), points.detach().amax(0)
        return (points - (low + high) / 2) / (high - low).max()


_PLACES: WeakKeyDictionary[Adjacency, Places] = WeakKeyDictionary()
_ROTATING = 0.1  # of a shear's energy: below, a rotation is nearly free


def rigid_motions(space: FESpace, component: int | None = None) -> Float[Tensor, "n_dofs k"]:
    """See `FESpace.rigid_motions`."""
    from meshlearn.fem.interpolation import interpolate_part

    fields = [k for k, block in enumerate(space.blocks) if block.family == "h1" and block.components == space.dim]
    if component is not None:
        fields = [k for k in fields if k == component]
    if len(fields) != 1 or (component is not None and len(space.blocks) == 1):
        raise ParameterError(
            f"rigid motions are those of one field with {space.dim} components, as in FESpace(mesh, 'P2^d'); {space} "
            f"has {len(fields)} of them{'' if component is None else f' at component={component}'}.\n"
            "  Name the part of a composite space: component=0."
        )
    points = space.mesh.points.detach()
    middle, size = (points.amax(0) + points.amin(0)) / 2, float((points.amax(0) - points.amin(0)).max())

    def shift(i: int):
        return lambda x: [float(i == axis) for axis in range(space.dim)]

    def turn(i: int, j: int):
        def motion(x):
            at = [(x[axis] - middle[axis]) / size for axis in range(space.dim)]
            return [at[j] if axis == i else -at[i] if axis == j else 0 * at[axis] for axis in range(space.dim)]

        return motion

    motions = [shift(i) for i in range(space.dim)] + [turn(i, j) for i, j in combinations(range(space.dim), 2)]
    return torch.stack([interpolate_part(space, fields[0], motion) for motion in motions], 1)


def remember(space: FESpace, A: object) -> None:
    """Note where the dofs of a matrix sit, for Lagrange vector spaces."""
    adjacency = getattr(A, "adjacency", None)
    if adjacency is None or adjacency in _PLACES or len(space.blocks) != 1 or space.dim == 1:
        return
    block = space.blocks[0]
    if block.family != "h1" or block.components != space.dim:
        return
    from meshlearn.fem.interpolation import owners, reference_places

    component = torch.empty(space.n_dofs, dtype=torch.int64, device=space.device)
    for axis in range(space.dim):
        component[space.block_dofs(0)[axis :: space.dim]] = axis
    _PLACES[adjacency] = Places(space.geometry, reference_places(space, 0), owners(space, 0)[1], component)


def _motions(places: Places, sign: float = -1.0) -> tuple[Tensor, Tensor]:
    """(n, dim) shifts and (n, k) rotations; with sign = 1 the shears that move every point as far."""
    points, component = places.points, places.component
    dim = points.shape[1]
    on = [(component == axis).double() for axis in range(dim)]
    turns = [on[i] * points[:, j] + sign * on[j] * points[:, i] for i, j in combinations(range(dim), 2)]
    return torch.stack(on, 1), torch.stack(turns, 1)


def near_nullspace(A: SparseOperator, constraint: AffineMap) -> tuple[Tensor | None, int]:
    """Shifts and rotations of the free dofs (n_free, k), and the dofs of a node (1 where constraints take some of
    them), for a matrix of elasticity that was assembled here; (None, 1) for others.

    A  (n, n), before the constraint
    """
    places = _PLACES.get(A.adjacency)
    if places is None:
        return None, 1
    shifts, turns = _motions(places)
    shears = _motions(places, 1.0)[1]
    matrix = A.with_values(A.values.detach().double())
    energies = [(v * (matrix @ v)).sum(0) for v in (turns, shears)]
    if not bool((energies[0] < _ROTATING * energies[1]).all()):
        return None, 1  # every component for itself: nothing turns
    free, dim = constraint.independent, shifts.shape[1]
    nodes = free.reshape(-1, dim) if len(free) % dim == 0 else None
    axes = torch.arange(dim, device=free.device)
    whole = nodes is not None and bool((nodes == nodes[:, :1] + axes).all()) and bool((nodes[:, 0] % dim == 0).all())
    return torch.cat([shifts, turns], 1).index_select(0, free), dim if whole else 1


def rigid_nullspace(A: SparseOperator, constraint: AffineMap) -> Float[Tensor, "n_free k"]:
    """The rigid motions that a constraint leaves, in its unknowns, with gradients to the points of the mesh.

    Raises ParameterError for matrices that do not know their space, and where none is left.
    """
    places = _PLACES.get(A.adjacency)
    if places is None:
        raise ParameterError(
            "nullspace='rigid' is for matrices that were assembled on a Lagrange space with one component per "
            "direction, FESpace(mesh, 'P2^d').\n  For others give the motions: nullspace=space.rigid_motions()."
        )
    motions = torch.cat(_motions(places), 1)
    held = motions.index_select(0, constraint.independent)
    left = motions - constraint.homogeneous().expand(held)
    _, size, rows = torch.linalg.svd(left.detach(), full_matrices=False)
    free = size <= 1e-8 * torch.linalg.vector_norm(motions.detach())
    kept, others = rows[free].T, rows[~free].T
    if not kept.shape[1]:
        raise ParameterError(f"{constraint} leaves no rigid motion free, so that the matrix is regular: no nullspace.")
    if left.requires_grad:  # which motions are left changes with the points: left @ kept stays zero
        image = left @ others
        kept = kept - others @ torch.linalg.solve(image.T @ image, image.T @ (left @ kept))
    return held @ kept
