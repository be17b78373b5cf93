"""Poisson's equation -div(k grad u) = f on a mesh with named boundaries."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.fem.constraint import AffineConstraint
from meshlearn.fem.operators import dot, grad
from meshlearn.fem.sampling import to_mesh
from meshlearn.fem.solve import solve
from meshlearn.fem.space import FESpace
from meshlearn.mesh.mesh import Mesh
from meshlearn.sim.domain import boundary, by_name, held, lagrange, quadrature_order, recover
from meshlearn.sim.values import Value, coefficient, evaluate, positive


def poisson(
    mesh: Mesh,
    source: Value = 0.0,
    conductivity: Value = 1.0,
    dirichlet: Any = None,
    neumann: Any = None,
    order: int = 1,
    name: str = "u",
) -> Mesh:
    """Solve -div(k grad u) = f with u = g on some boundaries and k du/dn = q on others; elsewhere the flux is zero.

    mesh          one cell type: line, triangle, quad, tetra or hexahedron; boundaries are cell sets of facets, and
                  "boundary" is all of it
    source        f: a number, a function of the place (x[0], x[1] … are the coordinates, as in forms), or a field: its
                  name, (n_points,) or (n_cells,)
    conductivity  k > 0, the same choices
    dirichlet     {boundary or point set: g}, g a number or a function of the place; at least one; the later counts
                  where they meet
    neumann       {boundary: q}, inflow per unit area
    order         1 or 2, polynomial order of the elements

    Returns the mesh with point fields `name` (n_points,) and `<name>_flux` (n_points, dim) = -k grad u, recovered by
    an L2 projection, in the dtype of the points. The computation is in float64. Gradients flow to values that require
    them (tensors, or what functions return), and to the points of the mesh.
    Errors fall as h^(order + 1) in L2 and h^order in H1 for smooth solutions. Raises ParameterError without a
    Dirichlet value, for a conductivity that is not positive, and the errors of `lagrange` for unsuitable meshes.

    >>> mesh = ml.sim.poisson(ml.shapes.square(n=4), dirichlet={"left": 0.0, "right": 1.0})
    >>> bool((mesh.point_data["u"] - mesh.points[:, 0]).abs().max() < 1e-6)
    True
    >>> mesh = ml.sim.poisson(mesh, source=lambda x: 2 * x[0], dirichlet={"boundary": lambda x: x[1]})
    >>> k = torch.tensor(2.0, requires_grad=True)
    >>> mesh = ml.sim.poisson(ml.shapes.square(n=4), 1.0, k, dirichlet={"left": 0.0}, order=2)
    >>> peak = mesh.point_data["u"].max()  # f / 2 k at the right side
    >>> round(peak.item(), 6), round(torch.autograd.grad(peak, k)[0].item(), 6)
    (0.25, -0.125)
    """
    space = lagrange(mesh, order)
    dofs = poisson_unknowns(space, source, conductivity, dirichlet, neumann)
    flux = recover(
        space,
        lambda x: list(-x.k * grad(x.u)),
        quadrature_order(space),
        u=space.function(dofs),
        k=coefficient(space, conductivity),
    )
    values = to_mesh(space, values=dofs).point_data["values"]
    return mesh.with_point_data(**{name: values.to(mesh.points), f"{name}_flux": flux.to(mesh.points)})


def poisson_unknowns(
    space: FESpace,
    source: Value = 0.0,
    conductivity: Value = 1.0,
    dirichlet: Any = None,
    neumann: Any = None,
) -> Float[Tensor, " n_dofs"]:
    """The solution of `poisson` as dofs of a space, for norms and evaluation."""
    dirichlet, neumann = by_name("dirichlet", dirichlet), by_name("neumann", neumann)
    if not dirichlet:
        raise ParameterError("without a Dirichlet value the solution is known up to a constant only: fix one boundary.")
    order = quadrature_order(space)
    stiffness = space.assemble(
        lambda u, v, x: positive("the conductivity", x.k) * dot(grad(u), grad(v)),
        order=order,
        k=coefficient(space, conductivity),
    )
    right = space.assemble(lambda v, x: x.f * v, order=order, f=coefficient(space, source))
    for name, inflow in neumann.items():
        facets = boundary(space, name)
        right = right + space.assemble(lambda v, x: x.q * v, on=facets, order=order, q=coefficient(space, inflow))  # type: ignore[operator]
    return solve(stiffness, right, _prescribed(space, dirichlet))  # type: ignore[arg-type]


def _prescribed(space: FESpace, dirichlet: dict[str, Any]) -> AffineConstraint:
    full = torch.zeros(space.n_dofs, dtype=space.dtype, device=space.device)
    fixed = torch.zeros(space.n_dofs, dtype=torch.bool, device=space.device)
    places = space.dof_points
    for name, value in dirichlet.items():
        dofs = held(space, name)
        full = full.index_copy(0, dofs, evaluate(value, places.index_select(0, dofs)))
        fixed[dofs] = True
    numbers = torch.nonzero(fixed)[:, 0]
    return AffineConstraint.dirichlet(space.n_dofs, numbers, full.index_select(0, numbers))
