"""Functions into finite-element spaces: by their dofs, or by L2 projection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from meshlearn import ops
from meshlearn.errors import FieldError, ParameterError
from meshlearn.fem.arrays import as_tensor, shown
from meshlearn.fem.dual import dual
from meshlearn.fem.fields import HIDDEN, Argument
from meshlearn.fem.functionals import functionals, local_dofs
from meshlearn.fem.operators import inner
from meshlearn.fem.places import Rule, place, region
from meshlearn.fem.solve import solve

if TYPE_CHECKING:
    from meshlearn.fem.space import FESpace


def owners(space: FESpace, k: int) -> tuple[Tensor, Tensor]:
    """(dofs of field k, ascending; flat place (function, cell) of each in the cell that lists it first)."""
    flat = space.block_dofs(k).reshape(-1)
    first = torch.full((space.n_dofs,), len(flat), dtype=torch.int64, device=flat.device)
    first.scatter_reduce_(0, flat, torch.arange(len(flat), device=flat.device), "amin")
    dofs = torch.nonzero(first < len(flat))[:, 0]
    return dofs, first[dofs]


def interpolate(space: FESpace, value: Any) -> Tensor:
    """Dofs (n_dofs,) of the interpolant: values at the nodes for Lagrange-like elements, moments on facets and edges
    for RT, BDM and Nédélec (`meshlearn.fem.dual`), values and derivatives for Argyris, Morley, Hermite and BFS
    (`meshlearn.fem.functionals`; of a function of the place by autograd), the L2 projection for N3, which has none.

    value  whatever a coefficient of a form may be: number, list of components, tensor (n_points, ...) or
           (n_cells, ...), name of a field of the mesh, `Function`, or a function of the place: lambda x: x[0] * x[1];
           a tensor (n_dofs,) is returned as it is; for a composite space a tuple with one value per part

    Where a function jumps, the cell with the lowest number decides. Raises FieldError for a wrong shape, and for values
    without the derivatives that are dofs.
    """
    value = as_tensor("value", value, space.device) if isinstance(value, np.ndarray) else value
    if isinstance(value, Tensor) and value.shape == (space.n_dofs,) and space.n_dofs != space.mesh.n_points:
        return value.to(space.like)
    if len(space.blocks) == 1:
        return interpolate_part(space, 0, value)
    if not isinstance(value, (tuple, list)) or len(value) != len(space.blocks):
        raise ParameterError(f"a composite space of {len(space.blocks)} parts is given a tuple of as many values.")
    return torch.stack([interpolate_part(space, k, part) for k, part in enumerate(value)]).sum(0)


def interpolate_part(space: FESpace, k: int, value: Any) -> Tensor:
    """Dofs (n_dofs,) of field k alone, 0 elsewhere."""
    block = space.blocks[k]
    known = functionals(space, k)
    if known is not None:
        return owned(space, k, local_dofs(space, k, value, known))
    moments = dual(block)
    if moments is None:
        if len(space.blocks) > 1:
            raise ParameterError(f"{type(block.element).__name__} has no interpolation as part of a composite space.")
        return project(space, value)
    rule = Rule(moments.places, np.ones(moments.places.shape[1]), ("dual", k))
    where = region(space, None, rule)
    values = _values(space, k, value, where)  # (n, width, cells, places)
    maps = where.maps
    if block.family == "hdiv":
        values = torch.einsum("kdcq,ndcq->nkcq", maps.inverse.expand(*maps.inverse.shape[:3], values.shape[3]), values)
        values = values * maps.det.abs()
    elif block.family == "hcurl":
        values = torch.einsum(
            "dkcq,ndcq->nkcq", maps.jacobian.expand(*maps.jacobian.shape[:3], values.shape[3]), values
        )
    weights = torch.from_numpy(moments.weights).to(values)
    local = _applied(weights, values)  # (functions, n, cells)
    signs = space.local_signs(k)
    local = local.reshape(-1, local.shape[-1])
    if signs is not None:
        local = local * signs
    return owned(space, k, local)


def owned(space: FESpace, k: int, local: Tensor) -> Tensor:
    """(n_dofs,) of dofs (n_functions, n_cells) that all cells agree on: of the cell that lists a dof first."""
    dofs, first = owners(space, k)
    made = local.new_zeros(space.n_dofs)
    return made.index_copy(0, dofs, ops.gather(local.reshape(-1), first))


def _applied(weights: Tensor, values: Tensor) -> Tensor:
    if weights.shape[2] == 1 and torch.equal(weights[..., 0], torch.eye(len(weights)).to(weights)):
        return values[:, 0].permute(2, 0, 1)  # nodal values, to the last bit
    return torch.einsum("ipa,nacp->inc", weights, values)


def _values(space: FESpace, k: int, value: Any, where: Any) -> Tensor:
    """(n_components, width, cells, places) of anything at places."""
    found: Any = place(space, where, {"value": value}).value
    if isinstance(found, Argument):
        found = found.value
    shape = space.blocks[k].shapes(space.dim)["value"]
    seen = tuple(found.shape[: found.dim() - HIDDEN])
    if seen == () and shape and not callable(value) and not bool(found.any()):
        found = found.expand(*shape, *found.shape[-HIDDEN:])  # the number 0 is any zero
        seen = shape
    if seen != shape:
        raise FieldError(_misfit(space, k, value, seen, shape))
    if found.shape[-2] != 1:
        raise FieldError(f"a batch of {found.shape[-2]} functions cannot be interpolated at once; use project.")
    cells, places = len(space.element_dofs), where.maps.points.shape[-1]
    found = found[..., 0, 0, :, 0, :].expand(*shape, cells, places)
    n = space.blocks[k].components or 1
    return found.reshape(n, -1, cells, places)


def _misfit(space: FESpace, k: int, value: Any, seen: tuple[int, ...], shape: tuple[int, ...]) -> str:
    part = f"part {k} of {space}" if len(space.blocks) > 1 else str(space)
    what = f"a function with components {seen}" if callable(value) else f"{shown(value)}, with components {seen},"
    hint = "Give one number, or a function with one value: lambda x: x[0]."
    if shape:
        hint = "Give one number for each component, or stack: lambda x: torch.stack([x[0], -x[1]])."
    if shape and space.blocks[k].family in ("hdiv", "hcurl"):
        across = "normal" if space.blocks[k].family == "hdiv" else "tangential"
        hint = f"Give vectors, [1.0, 0.0] or a function; on a boundary their {across} component counts."
    elif shape and len(space.blocks) == 1:
        hint += "\n  dirichlet(where, value, component=0) fixes one of them; [None, 0.0] leaves one free."
    return f"{what} does not fit {part}, whose values have components {shape}.\n  {hint}"


def project(space: FESpace, value: Any, order: int | None = None) -> Tensor:
    """Dofs of the L2 projection, (n_dofs,) or (n_batch, n_dofs); see `FESpace.project`."""
    if len(space.blocks) > 1:
        raise ParameterError("a composite space is projected on part by part: make a space of each.")
    order = 2 * space.degree + 1 if order is None else order
    mass = space.assemble(lambda u, v, x: inner(u, v), order=order)
    right: Any = space.assemble(lambda v, x: inner(x.f, v), order=order, f=value)
    if right.dim() == 1:
        return solve(mass, right)  # type: ignore[arg-type]
    return solve(mass, right.t().contiguous()).t()  # type: ignore[arg-type]


def dof_points(space: FESpace) -> Tensor:
    """(n_dofs, dim) where the dofs sit."""
    made = torch.zeros(space.n_dofs, space.dim, dtype=space.dtype, device=space.device)
    for k, block in enumerate(space.blocks):
        places = reference_places(space, k)
        points = space.geometry.at(places.T).points.permute(2, 1, 0)  # (functions, cells, dim)
        points = points.repeat_interleave(block.components or 1, dim=0).reshape(-1, space.dim)
        dofs, first = owners(space, k)
        made = made.index_copy(0, dofs, points.index_select(0, first))
    return made


def reference_places(space: FESpace, k: int) -> np.ndarray:
    """(n_functions, dim) where the dofs of field k sit on the reference cell."""
    block, refdom = space.blocks[k], space.element.refdom
    corners = np.asarray(refdom.p, np.float64)
    places = np.repeat(corners.mean(1)[None], block.n_functions, axis=0)
    if block.family in ("hdiv", "hcurl"):  # scikit-fem's own places are not all on the facets
        edges = block.family == "hcurl" and space.dim == 3
        count = int(block.element.edge_dofs if edges else block.element.facet_dofs)
        middles = [corners[:, np.asarray(entity)].mean(1) for entity in (refdom.edges if edges else refdom.facets)]
        places[: count * len(middles)] = np.repeat(middles, count, axis=0)
        return places
    known = np.asarray(getattr(block.element, "doflocs", np.zeros((0, 0))), np.float64)
    return np.where(np.isfinite(known), known, places) if len(known) == block.n_functions else places
