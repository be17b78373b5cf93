"""Points, corners and facets of a mesh that a `where` stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import skfem
import torch
from torch import Tensor

from meshlearn.errors import FieldError, ParameterError
from meshlearn.fem.arrays import shown
from meshlearn.fem.domain import vertices
from meshlearn.fem.explain import explained
from meshlearn.fem.interpolation import reference_places
from meshlearn.fem.parts import subdomains

if TYPE_CHECKING:
    from meshlearn.fem.space import FESpace


class Entities(NamedTuple):
    """scikit-fem's numbers of corners (k,) and facets (m,), and of cells (n,) where a subdomain is meant."""

    corners: np.ndarray
    facets: np.ndarray
    cells: np.ndarray


def entities(space: FESpace, where: Any) -> Entities:
    """What a part of the mesh is made of: a boundary of its facets and their corners; points, or a function that
    selects some, of the corners there and the facets of the boundary between them."""
    if isinstance(where, (list, tuple)) and where and all(isinstance(name, str) for name in where):
        parts = [entities(space, name) for name in where]
        return Entities(*(np.unique(np.concatenate(found)) for found in zip(*parts, strict=True)))
    nothing = np.zeros(0, np.int64)
    skmesh = space.skmesh
    if isinstance(where, str):
        named = skmesh.boundaries or {}
        if where == "boundary" or where in named:
            facets = space.facets(where)
            return Entities(np.unique(skmesh.facets[:, facets]), facets, nothing)
        if where in subdomains(space) and where not in space.mesh.point_sets:
            cells = subdomains(space)[where].cpu().numpy()
            return Entities(np.unique(skmesh.t[:, cells]), nothing, cells)
    inside = np.zeros(skmesh.nvertices, bool)
    if callable(where):
        inside |= selected(space, where)
    else:
        found = vertices(space.mesh, skmesh)[point_numbers(space, where).cpu().numpy()]
        inside[found[found >= 0]] = True
    return Entities(np.flatnonzero(inside), facets_between(space, inside), nothing)


def selected(space: FESpace, where: Any) -> np.ndarray:
    """(n_corners,) bool: the corners that a function of the points (dim, n) selects."""
    corners = torch.from_numpy(np.ascontiguousarray(space.skmesh.p[:, : space.skmesh.nvertices])).to(space.like)
    return mask_of("points", where, corners).cpu().numpy()


def mask_of(what: str, where: Any, points: Tensor) -> Tensor:
    """(n,) bool of a function that selects among points (dim, n). Raises ParameterError for anything but a mask."""
    n = points.shape[1]
    mask = torch.as_tensor(explained(f"the function that selects {what}", where, points))
    if mask.shape != (n,) or mask.dtype != torch.bool:
        raise ParameterError(
            f"the function that selects {what} gave {tuple(mask.shape)} of {mask.dtype}, expected a mask ({n},) of "
            f"bool from points (dim, {n})."
        )
    return mask.to(points.device)


def facets_between(space: FESpace, inside: np.ndarray) -> np.ndarray:
    """Facets of the boundary whose corners are all among some, (n_corners,) bool."""
    facets = np.asarray(space.skmesh.boundary_facets(), np.int64)
    return facets[inside[space.skmesh.facets[:, facets]].all(0)]


def point_numbers(space: FESpace, where: Any) -> Tensor:
    """(k,) numbers of points of the mesh, of the name of a point set, a mask (n_points,) or numbers as they come.

    Raises FieldError for an unknown name, ParameterError for numbers out of range and for other things.
    """
    mesh, n = space.mesh, space.mesh.n_points
    if isinstance(where, str):
        if where not in mesh.point_sets:
            _refuse_name(space, where)
        return mesh.point_sets[where]
    try:
        numbers = torch.as_tensor(where, device=space.device)
    except (TypeError, ValueError, RuntimeError):
        numbers = torch.zeros((), device=space.device)
    wrong = numbers.is_floating_point() or numbers.is_complex() or numbers.dim() != 1
    if numbers.dtype == torch.bool and not wrong and len(numbers) == n:
        return torch.nonzero(numbers)[:, 0]
    dofs = "\n  Dofs are given as such: ml.fem.Dofs(numbers or mask), or space.dofs(where)."
    if wrong or numbers.dtype == torch.bool:
        raise ParameterError(
            f"where is {shown(where)}: expected the name of a boundary, a point set or a set of cells, a function of "
            f"the points, a mask of the points ({n},), or numbers of points.{dofs}"
        )
    if len(numbers) and (int(numbers.min()) < 0 or int(numbers.max()) >= n):
        raise ParameterError(
            f"point numbers lie in 0 … {n - 1}; got {int(numbers.min())} … {int(numbers.max())}.{dofs}"
        )
    return numbers.long()


def _refuse_name(space: FESpace, name: str) -> None:
    named, points, cells = space.skmesh.boundaries or {}, space.mesh.point_sets, subdomains(space)
    raise FieldError(
        f"the mesh has no boundary or point set named {name!r}, and no subdomain.\n  boundaries: "
        f"{', '.join(map(repr, named)) or 'none'}, and 'boundary' for all of it; point sets: "
        f"{', '.join(map(repr, points)) or 'none'}; subdomains: {', '.join(map(repr, cells)) or 'none'}"
        f"\n  mesh: {space.mesh.source or 'made in memory'}"
    )


def dofs_at_points(space: FESpace, numbers: Tensor) -> Tensor:
    """Sorted dofs that sit at points of the mesh, and on facets of the boundary whose corners are all among them."""
    chosen = torch.zeros(space.mesh.n_points, dtype=torch.bool, device=space.device)
    chosen[numbers] = True
    held = [torch.zeros(0, dtype=torch.int64, device=space.device)]
    corners = np.asarray(space.geometry.shape.element.doflocs)
    for k, block in enumerate(space.blocks):
        if block.family not in ("h1", "table") or _discontinuous(space.element, k):
            continue
        same = np.abs(corners[:, None] - reference_places(space, k)[None]).max(2) < 1e-9
        table = space.block_dofs(k).reshape(block.n_functions, block.components or 1, -1)
        for node, i in np.argwhere(same):
            held.append(table[i][:, chosen[space.geometry.nodes[:, node]]].reshape(-1))
    inside = np.zeros(space.skmesh.nvertices, bool)
    found = vertices(space.mesh, space.skmesh)[numbers.cpu().numpy()]
    inside[found[found >= 0]] = True
    facets = space.numbering.get_facet_dofs(facets_between(space, inside)).flatten()
    held.append(torch.from_numpy(np.asarray(facets, np.int64)).to(space.device))
    return torch.unique(torch.cat(held))


def _discontinuous(element: Any, k: int) -> bool:
    part = element.elems[k] if isinstance(element, skfem.ElementComposite) else element
    part = part.elem if isinstance(part, skfem.ElementVector) else part
    return isinstance(part, skfem.ElementDG)
