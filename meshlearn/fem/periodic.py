"""Periodic sides: which dof of one boundary is which dof of another, a translation away."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from meshlearn.errors import MeshError, ParameterError
from meshlearn.fem.arrays import shown
from meshlearn.fem.constraint import AffineConstraint
from meshlearn.fem.dof_graph import dof_directions

if TYPE_CHECKING:
    from meshlearn.fem.space import FESpace

_CLOSE = 1e-6  # of the size of the mesh: what counts as the same place, where the sides are further apart


def periodic(
    space: FESpace,
    first: Any,
    second: Any,
    translation: Any = None,
    component: int | None = None,
    factor: float = 1.0,
    tolerance: float | None = None,
) -> AffineConstraint:
    """u on the side `second` equals u on the side `first`; see `FESpace.periodic`."""
    if any(block.family == "table" for block in space.blocks):
        raise ParameterError(
            f"periodic sides need dofs that are values at places, or of facets or edges; {space} has derivatives among "
            "its dofs. Give the pairs yourself: AffineConstraint.periodic(n, slaves, masters, weights)."
        )
    names = f"{shown(first)} and {shown(second)}"
    sides = [space.dofs(where, component) for where in (first, second)]
    if not all(len(side) for side in sides):
        raise MeshError(f"the sides {names} have {len(sides[0])} and {len(sides[1])} dofs: one has none to match.")
    points = space.dof_points.detach().double()
    size = float((points.amax(0) - points.amin(0)).max())
    here, there = (points.index_select(0, side) for side in sides)
    shift = _translation(here, there, translation, _CLOSE * size if tolerance is None else tolerance, names)
    length, rounding = float(shift.abs().max()), 100 * torch.finfo(space.mesh.dtype).eps * size
    if length <= rounding:
        raise ParameterError(f"the sides {names} lie in the same place: name two different ones.")
    if tolerance is None:  # the sides of a thin strip are close, too
        tolerance = max(min(_CLOSE * size, 1e-3 * length), rounding)
    pairs = []
    for field in _fields(space):
        a, b = (side[torch.isin(side, field)] for side in sides)
        pairs.append(_matched(a, b, points, shift, tolerance, names, space))
    masters, slaves = torch.cat([a for a, _ in pairs]), torch.cat([b for _, b in pairs])
    weights = torch.full((len(slaves),), float(factor), dtype=torch.float64, device=space.device)
    directions = dof_directions(space)
    if directions is not None:
        turned = (directions.index_select(0, masters) * directions.index_select(0, slaves)).sum(1).double()
        weights = torch.where(turned < 0, -weights, weights)
    return AffineConstraint.periodic(space.n_dofs, slaves, masters, weights)


def _fields(space: FESpace) -> Iterator[Tensor]:
    """Dofs of every scalar field: of each component of each part."""
    for k, block in enumerate(space.blocks):
        n = block.components or 1
        for c in range(n):
            yield torch.unique(space.block_dofs(k)[c::n])


def _translation(here: Tensor, there: Tensor, given: Any, tolerance: float, names: str) -> Tensor:
    """The vector from one side to the other, from their bounding boxes unless given."""
    if given is not None:
        shift = torch.as_tensor(given, dtype=here.dtype, device=here.device)
        if shift.shape != here.shape[1:]:
            raise ParameterError(
                f"translation={given!r}: expected {here.shape[1]} numbers, the vector between {names}."
            )
    else:
        low, high = there.amin(0) - here.amin(0), there.amax(0) - here.amax(0)
        if float((low - high).abs().max()) > tolerance:
            raise MeshError(
                f"no translation carries one of the sides {names} to the other: their extents are "
                f"{_text(here.amax(0) - here.amin(0))} and {_text(there.amax(0) - there.amin(0))}."
            )
        shift = (low + high) / 2
    return shift


def _matched(
    a: Tensor, b: Tensor, points: Tensor, shift: Tensor, tolerance: float, names: str, space: FESpace
) -> tuple[Tensor, Tensor]:
    """Dofs of the first side and their partners on the second, one to one."""
    from scipy.spatial import KDTree

    if len(a) != len(b):
        raise MeshError(
            f"the sides {names} have {len(a)} and {len(b)} dofs, which cannot be matched one to one: periodic sides "
            "need the same facets. Mesh one side as a copy of the other."
        )
    if not len(a):
        return a, b
    moved = (points.index_select(0, a) + shift).cpu().numpy()
    distance, found = KDTree(points.index_select(0, b).cpu().numpy()).query(moved)
    worst = int(distance.argmax())
    if distance[worst] > tolerance:
        place = points[a[worst]]
        raise MeshError(
            f"the sides {names} do not match: dof {int(a[worst])} at {_text(place)} has no partner at "
            f"{_text(place + shift)}, the nearest is {distance[worst]:.3g} away (tolerance {tolerance:.3g}; "
            f"{int((distance > tolerance).sum())} of {len(a)} dofs).\n"
            "  Mesh one side as a copy of the other, or give the translation, or a larger tolerance."
        )
    if len(np.unique(found)) < len(found):
        raise ParameterError(
            f"several dofs of {space} share a place on the sides {names}, so that places do not tell them apart. "
            "Give the pairs yourself: AffineConstraint.periodic(n, slaves, masters, weights)."
        )
    return a, b.index_select(0, torch.from_numpy(np.asarray(found, np.int64)).to(b.device))


def _text(vector: Tensor) -> str:
    return "(" + ", ".join(f"{value:.4g}" for value in vector.tolist()) + ")"
