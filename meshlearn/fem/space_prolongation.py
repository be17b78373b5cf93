"""Prolongation between two nodal spaces: other degrees, other meshes, scalar or vector-valued."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from meshlearn.errors import MeshError, ParameterError
from meshlearn.fem.evaluation import reference_coordinates
from meshlearn.mesh.location import INSIDE
from meshlearn.ops import SparseOperator, gather

if TYPE_CHECKING:
    from meshlearn.fem.space import FESpace


def space_prolongation(coarse: FESpace, fine: FESpace) -> SparseOperator:
    """P (fine.n_dofs, coarse.n_dofs): the dofs in `fine` of every function of `coarse`, its values at fine's nodes.

    Both are Lagrange spaces (P1, P2, Q1, Q2, ...; P0 as `coarse`), scalar or with the same number of components. Exact
    where coarse is contained in fine: P1 in P2 on one mesh, a space on a mesh in the same space on its refinement.
    Raises ParameterError for elements without nodal values or unequal components, MeshError for a node of `fine`
    farther from the coarse mesh than the longest edge of its cell.

    >>> from meshlearn.fem.space_prolongation import space_prolongation
    >>> mesh = ml.shapes.interval(n=1)
    >>> space_prolongation(ml.fem.FESpace(mesh, "P1"), ml.fem.FESpace(mesh, "P2")).to_dense()
    tensor([[1.0000, 0.0000],
            [0.0000, 1.0000],
            [0.5000, 0.5000]], dtype=torch.float64)
    """
    components = _components(coarse, fine)
    block = coarse.blocks[0]
    points = fine.dof_points.detach().to(coarse.like)
    where = coarse.locator.locate(points)
    if bool((where.status != INSIDE).any()):
        _check_near(coarse, where.cell, where.distance)
    local = reference_coordinates(coarse, where.cell, points)
    weights = block.tables(local.t().cpu().numpy(), coarse.dtype)["value"][..., 0].to(coarse.device)  # (functions, n)
    dofs = coarse.block_dofs(0, where.cell).reshape(block.n_functions, components, -1)
    component = _component_of_dofs(fine, components)
    cols = dofs.gather(1, component.expand(block.n_functions, 1, -1)).squeeze(1)
    rows = torch.arange(fine.n_dofs, device=coarse.device).expand_as(cols)
    kept = (weights.abs() > 1e-12).reshape(-1).nonzero().squeeze(1)
    rows, cols, weights = (t.reshape(-1).index_select(0, kept) for t in (rows, cols, weights))
    return SparseOperator.from_coo(rows, cols, weights, (fine.n_dofs, coarse.n_dofs))


def _components(coarse: FESpace, fine: FESpace) -> int:
    """Number of components of both. Raises ParameterError where the values at nodes do not make the dofs."""
    for space, name in ((coarse, "coarse"), (fine, "fine")):
        if len(space.blocks) > 1 or space.blocks[0].family != "h1":
            raise ParameterError(
                f"the {name} space {space} has no values at nodes: use Lagrange elements (P1, P2, ...)."
            )
    block = fine.blocks[0]
    places = np.asarray(getattr(block.element, "doflocs", np.zeros((0, 0))), np.float64)
    nodal = len(places) == block.n_functions and bool(np.isfinite(places).all())
    if nodal:
        values = block.tables(places.T, torch.float64)["value"][..., 0]
        nodal = torch.allclose(values, torch.eye(len(values), dtype=values.dtype), atol=1e-9)
    if not nodal:
        raise ParameterError(f"the fine space {fine} has dofs that are no values at nodes: use Lagrange elements.")
    found, wanted = coarse.blocks[0].components or 1, block.components or 1
    if found != wanted:
        raise ParameterError(f"the spaces have {found} and {wanted} components: {coarse}, {fine}.")
    return wanted


def _component_of_dofs(space: FESpace, components: int) -> Tensor:
    """(n_dofs,) component of every dof: local function j has component j % components."""
    component = torch.zeros(space.n_dofs, dtype=torch.int64, device=space.device)
    for j, dofs in enumerate(space.element_dofs.unbind(1)):
        component[dofs] = j % components
    return component


def _check_near(coarse: FESpace, cells: Tensor, distance: Tensor) -> None:
    mesh = coarse.mesh
    corners = gather(mesh.points.detach(), mesh.cells[coarse.kind].index_select(0, cells))
    size = (corners[:, :, None] - corners[:, None]).norm(dim=-1).amax((1, 2))
    if bool((distance > size).any()):
        k = int((distance / size).argmax())
        raise MeshError(
            f"node {k} of the fine space is {float(distance[k]):.3g} away from the coarse mesh, whose nearest cell has "
            f"size {float(size[k]):.3g}: do the meshes cover the same domain?"
        )
