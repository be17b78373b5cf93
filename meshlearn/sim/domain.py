"""The finite-element spaces of the simulators, their named boundaries, and fields recovered at the points."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from meshlearn.errors import FieldError, ParameterError, TopologyError
from meshlearn.fem.solve import solve
from meshlearn.fem.space import FESpace
from meshlearn.mesh.mesh import Mesh

BATCH = -2  # axis of a form's arrays that runs over a batch
KINDS = ("line", "triangle", "quad", "tetra", "hexahedron")


def lagrange(mesh: Mesh, order: int = 1, components: int | None = None) -> FESpace:
    """Lagrange elements of order 1 or 2 on a mesh of one first-order cell type, in float64.

    components  for vectors; scalars if not given

    Raises TopologyError for other or several cell types and for surfaces in space, ParameterError for another order,
    and the errors of `FESpace` for meshes on which no integral makes sense.
    """
    kinds = mesh.domain_types
    if len(kinds) != 1 or kinds[0] not in KINDS:
        raise TopologyError(
            f"the simulators work on meshes of one first-order cell type ({', '.join(KINDS)}), "
            f"this one has {mesh.cell_counts}.\n  mesh: {mesh.source or 'made in memory'}\n"
            "  Split quads into triangles, or drop the mid-side nodes, before solving."
        )
    if mesh.cell_dim != mesh.dim:
        raise TopologyError(
            f"the simulators need as many coordinates as the cells have dimensions: {kinds[0]} cells in "
            f"{mesh.dim}-D were given.\n  Drop the constant coordinate of a planar mesh: points[:, :2]."
        )
    if order not in (1, 2):
        raise ParameterError(f"order is the polynomial order of the elements, 1 or 2, not {order}.")
    return FESpace(mesh, f"P{order}", components)


def by_name(what: str, given: Any) -> dict[str, Any]:
    """{name: value}. Raises ParameterError for anything else."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise ParameterError(
            f"{what} is a {type(given).__name__} ({given!r:.60}); expected the value for each part of the boundary by "
            f"name, {what}={{'left': ...}}."
        )
    return dict(given)


def boundaries(space: FESpace) -> list[str]:
    """Names of the boundaries of the mesh."""
    return list(space.skmesh.boundaries or {})


def boundary(space: FESpace, name: str) -> str:
    """The name of a boundary, or "boundary" for all of it, to integrate over.

    Raises FieldError when there is no such boundary, or when some of its facets lie inside of the domain.
    """
    facets = space.facets(name)
    inner = np.isin(facets, space.skmesh.boundary_facets(), invert=True)
    if inner.any():
        raise FieldError(f"{int(inner.sum())} of the {len(facets)} facets of {name!r} are not on the boundary.")
    return name


def held(space: FESpace, name: str) -> Int64[Tensor, " k"]:
    """Dofs on a named boundary, or at the points of a named point set. Raises FieldError as `boundary` does."""
    known = name in boundaries(space) or name not in space.mesh.point_sets
    return space.dofs(boundary(space, name) if known else name)


def recover(
    space: FESpace, form: Callable[[Any], Sequence[Tensor]], order: int, **coefficients: Any
) -> Float[Tensor, "n_points k"]:
    """Values at the points of what is known in the cells: the L2 projection on first-order elements.

    form          function of the place x that returns k scalars, made of coefficients such as x.u
    order         of the quadrature
    coefficients  as in `FESpace.assemble`; gradients flow to them
    """
    nodal = space.with_element("P1")
    mass = nodal.assemble(lambda u, v, x: u * v, order=order)
    right = nodal.assemble(lambda v, x: _side_by_side(form(x)) * v, order=order, **coefficients)
    return solve(mass, right.reshape(-1, space.mesh.n_points).t())  # type: ignore[arg-type, union-attr]


def _side_by_side(parts: Sequence[Tensor]) -> Tensor:
    """Scalars of a form along its batch axis: one right-hand side each."""
    return torch.cat(torch.broadcast_tensors(*parts), dim=BATCH)


def quadrature_order(space: FESpace) -> int:
    """Twice the polynomial order of the elements."""
    per_direction = space.dim if space.kind in ("quad", "hexahedron") else 1
    return 2 * space.degree // per_direction
