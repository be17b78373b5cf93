"""From fields at points or cells to dofs (encoder) and back (decoder): interpolation and L2 projection, no weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.fem import FESpace
from meshlearn.models.spon.discretisation import Discretisation

HOW = ("auto", "interpolate", "project")
_CORNERS = ("P1", "P2", "P3", "P4", "S2")  # elements with a dof at every point of the mesh that is the value there


def encode(
    target: Discretisation, values: Float[Tensor, "rows size"], location: str, how: str = "auto"
) -> Float[Tensor, "n columns"]:
    """Dofs (n, columns), float64, of a field at "point"s (piecewise linear), on "cell"s (constant), or "global".

    how  "interpolate", "project" (L2), or "auto": interpolation, but projection of cell fields, which jump
    """
    values = values.detach().to(torch.float64)
    if location == "global":
        return _constant(target, values[0])
    how = ("project" if location == "cell" else "interpolate") if how == "auto" else how
    if location == "cell" and target.element == "P0":
        return values.index_select(0, _inverse(target.space.element_dofs[:, 0]))
    if location == "point" and target.element == "P1":
        return values.index_select(0, _inverse(corner_dofs(target.space)[0]))
    source = target.other(("P1" if location == "point" else "P0") + ("^d" if target.directed else ""))
    held = corner_dofs(source) if location == "point" else source.element_dofs.t()
    if target.directed:
        dofs = values.new_zeros(source.n_dofs).index_copy(0, held.reshape(-1), values.t().reshape(-1))[None]
    else:
        dofs = values.new_zeros(source.n_dofs, values.shape[1]).index_copy(0, held[0], values).t()
    if how == "project":
        found = target.space.project(source.function(dofs.contiguous()))
        return found.reshape(len(dofs), -1).t()
    return torch.stack([target.space.interpolate(source.function(column)) for column in dofs], dim=1)


def decode(source: Discretisation, dofs: Float[Tensor, "n columns"], location: str) -> Float[Tensor, "rows size"]:
    """The field of these dofs at the points or cells of the mesh, float64.

    At points: the values there of continuous elements, to the last bit; of others, which jump, the L2 projection onto
    P1. On cells: mean values.
    """
    space = source.space
    if location == "cell" and source.element == "P0":
        return dofs.index_select(0, space.element_dofs[:, 0])
    if location == "point" and source.element in _CORNERS:
        return dofs.index_select(0, corner_dofs(space)[0])
    target = source.other(("P1" if location == "point" else "P0") + ("^d" if source.directed else ""))
    columns: Any = dofs[:, 0] if source.directed else dofs.t().contiguous()
    found = target.project(space.function(columns))
    held = corner_dofs(target) if location == "point" else target.element_dofs.t()
    if source.directed:
        return found.index_select(0, held.reshape(-1)).reshape(space.dim, -1).t()
    return found.index_select(1, held[0]).t()


def corner_dofs(space: FESpace) -> Tensor:
    """(dofs per point, n_points): numbers of the dofs at the points of a first-order mesh."""
    return torch.from_numpy(np.ascontiguousarray(space.numbering.nodal_dofs, np.int64)).to(space.device)


def _constant(target: Discretisation, value: Tensor) -> Tensor:
    if target.directed:
        return target.space.interpolate(value.tolist())[:, None]
    return value.expand(target.n, -1).clone()


def _inverse(permutation: Tensor) -> Tensor:
    made = torch.empty_like(permutation)
    made[permutation] = torch.arange(len(permutation), device=permutation.device)
    return made
