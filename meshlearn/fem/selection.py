"""Which dofs lie on a part of the mesh."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from meshlearn.errors import FieldError, ParameterError
from meshlearn.fem.domain import vertices
from meshlearn.fem.explain import explained
from meshlearn.fem.parts import dofs_of_cells, subdomains

if TYPE_CHECKING:
    from meshlearn.fem.space import FESpace


def select(space: FESpace, where: Any, component: int | None = None) -> Tensor:
    """Sorted dof numbers; see `FESpace.dofs`."""
    found = _numbers(space, where)
    if component is None:
        return found
    return found[torch.isin(found, _of_component(space, component))]


def _numbers(space: FESpace, where: Any) -> Tensor:
    if isinstance(where, (list, tuple)) and all(isinstance(name, str) for name in where) and where:
        return torch.unique(torch.cat([_numbers(space, name) for name in where]))
    if isinstance(where, str):
        return _named(space, where)
    if callable(where):
        mask = torch.as_tensor(explained("the function that selects dofs", where, space.dof_points.detach().t()))
        if mask.shape != (space.n_dofs,) or mask.dtype != torch.bool:
            raise ParameterError(
                f"the function that selects dofs gave {tuple(mask.shape)} of {mask.dtype}, expected a mask "
                f"({space.n_dofs},) of bool from points (dim, {space.n_dofs})."
            )
        where = mask
    if isinstance(where, (list, tuple)) and not where:
        return torch.zeros(0, dtype=torch.int64, device=space.device)
    numbers = torch.as_tensor(where, device=space.device)
    if numbers.dtype == torch.bool:
        if numbers.shape != (space.n_dofs,):
            raise ParameterError(f"a mask of dofs has shape {tuple(numbers.shape)}, expected ({space.n_dofs},).")
        return torch.nonzero(numbers)[:, 0]
    if numbers.is_floating_point() or numbers.dim() != 1:
        raise ParameterError(f"where={where!r} is no name, function, mask or list of dof numbers.")
    if len(numbers) and (int(numbers.min()) < 0 or int(numbers.max()) >= space.n_dofs):
        raise ParameterError(
            f"dof numbers lie in 0 … {space.n_dofs - 1}; got {int(numbers.min())} … {int(numbers.max())}."
        )
    return torch.unique(numbers.long())


def _named(space: FESpace, name: str) -> Tensor:
    named = space.skmesh.boundaries or {}
    points = space.mesh.point_sets
    if name != "boundary" and name not in named and name in points:
        found = _at_points(space, points[name].cpu().numpy())
    elif name == "boundary" or name in named:
        found = space.numbering.get_facet_dofs(space.facets(name)).flatten()
    elif name in subdomains(space):
        return dofs_of_cells(space, name)
    else:
        raise FieldError(
            f"the mesh has no boundary or point set named {name!r}, and no subdomain.\n  boundaries: "
            f"{', '.join(map(repr, named)) or 'none'}, and 'boundary' for all of it; point sets: "
            f"{', '.join(map(repr, points)) or 'none'}; subdomains: {', '.join(map(repr, subdomains(space))) or 'none'}"
            f"\n  mesh: {space.mesh.source or 'made in memory'}"
        )
    return torch.from_numpy(np.unique(np.asarray(found, np.int64))).to(space.device)


def _at_points(space: FESpace, numbers: np.ndarray) -> np.ndarray:
    """Dofs at points, and on the facets of the boundary whose corners are all among them."""
    skmesh = space.skmesh
    corners = vertices(space.mesh, skmesh)[numbers]
    inside = np.zeros(skmesh.nvertices, bool)
    inside[corners[corners >= 0]] = True
    facets = skmesh.boundary_facets()
    facets = facets[inside[skmesh.facets[:, facets]].all(0)]
    nodal = space.numbering.nodal_dofs
    return np.concatenate([nodal[:, inside.nonzero()[0]].reshape(-1), space.numbering.get_facet_dofs(facets).flatten()])


def _of_component(space: FESpace, component: int) -> Tensor:
    if len(space.blocks) > 1:
        if not 0 <= component < len(space.blocks):
            raise ParameterError(f"component={component}: this composite space has parts 0 … {len(space.blocks) - 1}.")
        return torch.unique(space.block_dofs(component))
    n = space.blocks[0].components
    if n is None or not 0 <= component < n:
        raise ParameterError(f"component={component}: this space has {n or 'no'} components.")
    return torch.unique(space.block_dofs(0)[component::n])
