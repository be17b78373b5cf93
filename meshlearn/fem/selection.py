"""Which dofs lie on a part of the mesh."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.fem.dofs import Dofs, Numbering
from meshlearn.fem.entities import dofs_at_points, mask_of, point_numbers
from meshlearn.fem.parts import dofs_of_cells, subdomains

if TYPE_CHECKING:
    from meshlearn.fem.space import FESpace


def select(space: FESpace, where: Any, component: int | None = None) -> Tensor:
    """Sorted dof numbers; see `FESpace.dofs`."""
    found = _numbers(space, where).as_subclass(Tensor)
    if component is None:
        return found
    return found[torch.isin(found, of_component(space, component))]


def _numbers(space: FESpace, where: Any) -> Tensor:
    if isinstance(where, (list, tuple)):
        if not where:
            return torch.zeros(0, dtype=torch.int64, device=space.device)
        if all(isinstance(name, str) for name in where):
            return torch.unique(torch.cat([_numbers(space, name) for name in where]))
    if isinstance(where, Dofs):
        return _checked(space, where)
    if isinstance(where, str):
        named = space.skmesh.boundaries or {}
        if where == "boundary" or where in named:
            found = space.numbering.get_facet_dofs(space.facets(where)).flatten()
            return torch.from_numpy(np.unique(np.asarray(found, np.int64))).to(space.device)
        if where in subdomains(space) and where not in space.mesh.point_sets:
            return dofs_of_cells(space, where)
    if callable(where):
        return torch.nonzero(mask_of("dofs", where, space.dof_points.detach().t()))[:, 0]
    return dofs_at_points(space, point_numbers(space, where))


def _checked(space: FESpace, dofs: Dofs) -> Tensor:
    known = dofs.numbering
    if known is not None and not known.same(Numbering(repr(space), type(space.element), space.element_dofs)):
        raise ParameterError(
            f"these are dofs of {known.text}, for {space}: take space.dofs(where) of this one, or say that the numbers "
            "are right, ml.fem.Dofs(dofs.tolist())."
        )
    if len(dofs) and (int(dofs.min()) < 0 or int(dofs.max()) >= space.n_dofs):
        raise ParameterError(f"dof numbers lie in 0 … {space.n_dofs - 1}; got {int(dofs.min())} … {int(dofs.max())}.")
    return torch.unique(dofs.to(space.device))


def of_component(space: FESpace, component: int) -> Tensor:
    """Sorted dofs of a component of a vector-valued space, or of a part of a composite one."""
    if len(space.blocks) > 1:
        if not 0 <= component < len(space.blocks):
            raise ParameterError(f"component={component}: this composite space has parts 0 … {len(space.blocks) - 1}.")
        return torch.unique(space.block_dofs(component))
    n = space.blocks[0].components
    if n is None or not 0 <= component < n:
        raise ParameterError(f"component={component}: this space has {n or 'no'} components.")
    return torch.unique(space.block_dofs(0)[component::n])
