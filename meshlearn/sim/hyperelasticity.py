"""Large deformations of a compressible neo-Hookean solid: plane strain in 2-D, solids in 3-D."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from meshlearn.errors import ConvergenceError, ParameterError
from meshlearn.fem.constraint import AffineConstraint
from meshlearn.fem.newton import newton
from meshlearn.fem.nonlinear import tangent
from meshlearn.fem.operators import grad, inner
from meshlearn.fem.sampling import to_mesh
from meshlearn.fem.solve import solve
from meshlearn.fem.space import FESpace
from meshlearn.mesh.mesh import Mesh
from meshlearn.sim.domain import lagrange, quadrature_order, recover
from meshlearn.sim.neohooke import cauchy, energy_density, first_piola
from meshlearn.sim.solid import check_solid, load_vector, supports, von_mises
from meshlearn.sim.values import Value, as_tensor, coefficient

SMALLEST_STEP = 2.0**-10
GROWTH = 1.5  # of the load step after one that converged
PRECISION = 1e-10  # of Newton's residual, against its first value
ROUNDING = 1e-13  # of Newton's residual, against the products of stiffness and displacement that cancel in it


def hyperelasticity(
    mesh: Mesh,
    young: Value = 1.0,
    poisson: Any = 0.3,
    fixed: Any = None,
    traction: Any = None,
    body_force: Any = 0.0,
    order: int = 2,
    steps: int = 1,
) -> Mesh:
    """Equilibrium of a rubber-like solid under dead loads and prescribed displacements, however large.

    mesh        the undeformed body; one cell type: triangle, quad (plane strain), tetra or hexahedron
    young       Young's modulus E > 0 at small strains: a number, a function of the place, or a field
    poisson     Poisson's ratio at small strains, between -1 and 0.5; near 0.5 the elements lock
    fixed       {boundary or point set: (u_x, u_y[, u_z])} as in `elasticity`
    traction    {boundary: (t_x, t_y[, t_z])}: force per undeformed area; its direction stays
    body_force  force per undeformed volume: a vector, a function, or a field
    order       1 or 2, polynomial order of the displacement
    steps       load steps to begin with. Loads and prescribed displacements grow together; a step that fails is halved

    The material is that of `meshlearn.sim.neohooke`. Returns the mesh, undeformed, with the point fields
      displacement (n_points, dim), in the unit of the points
      stress       true (Cauchy) stress, (n_points, 4): xx, yy, zz, xy, or (n_points, 6): xx, yy, zz, xy, yz, xz,
                   recovered by an L2 projection
      von_mises    (n_points,), from the recovered stress
      energy       (n_points,), stored energy per undeformed volume, recovered in the same way
    and the global values max_stress (), the largest von_mises at a point, and stored_energy (), the integral of the
    energy. Computed in float64. Gradients flow to values that require them and to the points of the mesh, once.
    Raises ConvergenceError when no equilibrium is found (a limit load, or elements that turn inside out), and the
    errors of `elasticity`.

    >>> bar = ml.shapes.rectangle(2.0, 1.0, n=(4, 2)).double()
    >>> sliders = {"left": (0.0, None), "bottom": (None, 0.0), "right": (2.0, None)}
    >>> pulled = ml.sim.hyperelasticity(bar, young=10.0, poisson=0.0, fixed=sliders)  # to twice its length
    >>> round(pulled.global_data["max_stress"].item(), 6)  # mu (2^2 - 1) / 2, along the bar only
    7.5
    """
    check_solid(mesh, young, poisson, fixed)
    if steps < 1:
        raise ParameterError(f"steps is the number of load steps to begin with, at least 1, not {steps}.")
    space = lagrange(mesh, order, mesh.dim)
    quadrature, ratio, modulus = (
        quadrature_order(space),
        as_tensor(poisson, space.like).reshape(()),
        coefficient(space, young),
    )
    equilibrium = Equilibrium(
        space, supports(space, fixed), load_vector(space, body_force, traction, None), modulus, ratio
    )
    dofs = equilibrium.reach(1.0 / steps)
    known: dict[str, Any] = {"u": space.function(dofs), "young": modulus}
    fields = recover(
        space,
        lambda x: [*cauchy(x.u, x.young, ratio), energy_density(x.u, x.young, ratio)],
        quadrature,
        **known,
    )
    stored: Any = space.assemble(lambda x: energy_density(x.u, x.young, ratio), order=quadrature, **known)
    equivalent = von_mises(fields[:, :-1])
    return mesh.with_point_data(
        displacement=to_mesh(space, u=dofs).point_data["u"].to(mesh.points),
        stress=fields[:, :-1].to(mesh.points),
        von_mises=equivalent.to(mesh.points),
        energy=fields[:, -1].to(mesh.points),
    ).with_global_data(max_stress=equivalent.max().to(mesh.points), stored_energy=stored.to(mesh.points))


class Equilibrium:
    """Internal forces against a share of the loads, under the same share of the prescribed displacements."""

    def __init__(self, space: FESpace, support: AffineConstraint, load: Tensor, modulus: Any, ratio: Tensor) -> None:
        self.space, self.support, self.load = space, support, load
        self.given = {"order": quadrature_order(space), "young": modulus}
        self.form = lambda v, x: inner(first_piola(x.u, x.young, ratio), grad(v))
        self.derived = tangent(self.form)

    def force(self, u: Tensor) -> Tensor:
        """(n_dofs,) internal forces."""
        return self.space.assemble(self.form, u=self.space.function(u), **self.given)  # type: ignore[return-value]

    def stiffness(self, u: Tensor) -> Any:
        """Their derivative."""
        return self.space.assemble(self.derived, u=self.space.function(u), **self.given)

    def reach(self, step: float) -> Tensor:
        """Dofs under the full load, in steps of at most this share of it; gradients belong to the last step."""
        u = torch.zeros(self.space.n_dofs, dtype=self.space.dtype, device=self.space.device)
        done, size = 0.0, step
        while True:
            share = done + size if done + size < 1 - 1e-9 else 1.0
            try:
                with torch.set_grad_enabled(share == 1.0 and torch.is_grad_enabled()):
                    found = self.advance(u, share)
            except ConvergenceError as error:
                size = (share - done) / 2
                if size < SMALLEST_STEP:
                    raise ConvergenceError(
                        f"no equilibrium was found beyond {done:.4g} of the load, in steps down to "
                        f"{2 * size:.1e} of it: a limit load, or elements that turn inside out.\n"
                        "  Load less, refine or improve the mesh where it deforms most, or take order=1.",
                        error.residuals,
                    ) from error
                continue
            if share == 1.0:
                return found
            u, done, size = found, share, min(GROWTH * size, step)

    def advance(self, u: Tensor, share: float) -> Tensor:
        """Dofs under a share of the load, from those under a smaller one: the tangent's prediction, then Newton."""
        fixed = self.support.constrained
        target = AffineConstraint.dirichlet(self.space.n_dofs, fixed, share * self.support.g.index_select(0, fixed))
        load = share * self.load
        with torch.no_grad():
            matrix = self.stiffness(u)
            guess = solve(matrix, matrix @ u + load - self.force(u), target)
            products = matrix.with_values(matrix.values.abs()) @ guess.abs()
        return newton(
            lambda u: self.force(u) - load,
            self.stiffness,
            guess,
            target,
            tolerance=PRECISION,
            absolute_tolerance=ROUNDING * float(torch.linalg.vector_norm(products)),
        )
