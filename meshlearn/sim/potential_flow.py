"""Potential flow around bodies with sharp trailing edges, by its stream function."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.fem.constraint import AffineConstraint
from meshlearn.fem.operators import dot, grad
from meshlearn.fem.sampling import to_mesh
from meshlearn.fem.solve import solve
from meshlearn.mesh.mesh import Mesh
from meshlearn.sim.domain import held, lagrange, quadrature_order, recover
from meshlearn.sim.values import Value, evaluate


def potential_flow(
    mesh: Mesh,
    bodies: Mapping[str, Any],
    angle: float = 0.0,
    far: Any = "outline",
    stream: Value | None = None,
    order: int = 2,
) -> Mesh:
    """Steady, irrotational, incompressible flow of speed 1 in the plane, with circulation by the condition of Kutta.

    mesh    the fluid: triangles or quads, in any unit of length
    bodies  {boundary: (2, 2) array}: for every body a point of its trailing edge, and a point in the fluid close behind
            it, on the bisector of the edge. The streamline that leaves the body passes through the latter, by which the
            leading singular term of the flow at the edge vanishes
    angle   of attack in radians: the direction of the flow far away
    far     name of the outer boundary
    stream  values of the stream function there, a function of the place; None: those of the undisturbed flow, as
            between walls along its streamlines
    order   1 or 2, polynomial order of the elements

    Solves laplace(psi) = 0 with psi constant on every body; the constants follow from Kutta's conditions, which are
    linear in them (one solve for each body, and one without). Returns the mesh with the point fields
      stream    (n_points,) psi
      velocity  (n_points, 2) = (d psi / dy, -d psi / dx), recovered by an L2 projection, over the speed far away
      pressure  (n_points,) coefficient 1 - |velocity|^2 (Bernoulli)
    and the global value circulation (n_bodies,), clockwise positive: the lift coefficient of a body of chord c is
    2 circulation / c (Kutta, Joukowski). Computed in float64. Raises ParameterError without bodies, and the errors of
    `lagrange`.
    """
    if not bodies:
        raise ParameterError("bodies is empty: name the boundary of at least one body, with its trailing edge.")
    space = lagrange(mesh, order)
    places = space.dof_points
    undisturbed = lambda x: x[1] * math.cos(angle) - x[0] * math.sin(angle)  # noqa: E731
    outer = held(space, far)
    rows = {name: held(space, name) for name in bodies}
    stiffness: Any = space.assemble(lambda u, v, x: dot(grad(u), grad(v)))
    right = torch.zeros(space.n_dofs, dtype=space.dtype)
    numbers = torch.cat([outer, *rows.values()])

    def solved(values: list[Tensor]) -> Tensor:
        fixed = AffineConstraint.dirichlet(space.n_dofs, numbers, torch.cat(values))
        return solve(stiffness, right, fixed)  # type: ignore[return-value]

    zeros = [right.new_zeros(len(dofs)) for dofs in rows.values()]
    given = evaluate(undisturbed if stream is None else stream, places.index_select(0, outer))
    flows = [solved([given, *zeros])]
    for i in range(len(rows)):
        ones = [torch.ones_like(zero) if i == j else zero for j, zero in enumerate(zeros)]
        flows.append(solved([torch.zeros_like(given), *ones]))
    behind = torch.stack([torch.as_tensor(body, dtype=space.dtype)[1] for body in bodies.values()])
    table = torch.stack([space.evaluate(flow, behind) for flow in flows], 1)
    # psi(behind body i) = c_i: (E - I) c = -psi_0, where column j of E is flow j behind every body.
    constants = torch.linalg.solve(table[:, 1:] - torch.eye(len(rows), dtype=space.dtype), -table[:, 0])
    psi = flows[0] + torch.stack(flows[1:], 1) @ constants
    reaction = stiffness @ psi
    circulation = -torch.stack([reaction.index_select(0, dofs).sum() for dofs in rows.values()])
    velocity = recover(
        space, lambda x: [grad(x.psi)[1], -grad(x.psi)[0]], quadrature_order(space), psi=space.function(psi)
    )
    values = to_mesh(space, values=psi).point_data["values"]
    mesh = mesh.with_point_data(
        stream=values.to(mesh.points),
        velocity=velocity.to(mesh.points),
        pressure=(1 - velocity.square().sum(1)).to(mesh.points),
    )
    return mesh.with_global_data(circulation=circulation.to(mesh.points))
