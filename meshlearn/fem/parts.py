"""Parts of a mesh to integrate over: its named boundaries, and its subdomains, which are named sets of cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from meshlearn.errors import FieldError, ParameterError
from meshlearn.fem.arrays import shown

if TYPE_CHECKING:
    from meshlearn.fem.space import FESpace


def cells_of(space: FESpace, on: Any) -> Tensor | None:
    """Sorted numbers of the cells that `on` stands for: the name of a set of cells, a list of such names, a mask
    (n_cells,) or cell numbers; None where it names facets, and for functions, which select facets.

    Raises FieldError for unknown names and for names of both, ParameterError for other things and for no cells.
    """
    if callable(on):
        return None
    if isinstance(on, (Tensor, np.ndarray)):
        found = _numbers(torch.as_tensor(on, device=space.device), len(space.element_dofs))
    else:
        names = list(on) if isinstance(on, (list, tuple)) else [on]
        if not names:
            raise ParameterError("on=[] names no part of the mesh; leave it out for all cells.")
        parts = [_named(space, name) for name in names]
        if all(part is None for part in parts):
            return None
        facets = [name for name, part in zip(names, parts, strict=True) if part is None]
        if facets:
            raise ParameterError(
                f"on={shown(on)} mixes boundaries ({facets}) and subdomains: integrate one after the other."
            )
        found = torch.unique(torch.cat([part for part in parts if part is not None]))
    if not len(found):
        raise ParameterError(f"on={shown(on)} names no cells.")
    return found


def dofs_of_cells(space: FESpace, name: str) -> Tensor:
    """Sorted dofs of a named set of cells."""
    return torch.unique(space.element_dofs.index_select(0, subdomains(space)[name]))


def subdomains(space: FESpace) -> dict[str, Tensor]:
    """{name: cell numbers} of the mesh's sets of cells."""
    return {name: rows[space.kind] for name, rows in space.mesh.cell_sets.items() if space.kind in rows}


def _named(space: FESpace, name: Any) -> Tensor | None:
    boundaries, cells = space.skmesh.boundaries or {}, subdomains(space)
    if not isinstance(name, str):
        raise ParameterError(
            f"on has {shown(name)}: expected names of boundaries or subdomains, a function of the points, a mask of "
            "the cells or a tensor of cell numbers."
        )
    facets = name == "boundary" or name in boundaries
    if facets and name in cells and name != "boundary":
        raise FieldError(
            f"{name!r} is both a boundary and a subdomain of the mesh, so that on={name!r} is open.\n"
            "  Give the cells by number, on=mesh.cell_sets[name][kind], or rename one: mesh.replace(cell_sets=...)."
        )
    if not facets and name not in cells:
        raise FieldError(
            f"the mesh has no boundary named {shown(name)}, and no subdomain.\n  boundaries: "
            f"{', '.join(map(repr, boundaries)) or 'none'}, and 'boundary' for all of it; subdomains: "
            f"{', '.join(map(repr, cells)) or 'none'}\n  mesh: {space.mesh.source or 'made in memory'}"
        )
    return None if facets else cells[name]


def _numbers(values: Tensor, n_cells: int) -> Tensor:
    if values.dtype == torch.bool and values.shape == (n_cells,):
        return torch.nonzero(values)[:, 0]
    if values.dim() != 1 or values.dtype == torch.bool or values.is_floating_point() or values.is_complex():
        raise ParameterError(
            f"on is a tensor {tuple(values.shape)} of {values.dtype}: expected a mask of the cells ({n_cells},), or "
            "cell numbers."
        )
    if len(values) and (int(values.min()) < 0 or int(values.max()) >= n_cells):
        raise ParameterError(
            f"cell numbers lie in 0 … {n_cells - 1}; on has {int(values.min())} … {int(values.max())}."
        )
    return torch.unique(values.long())
