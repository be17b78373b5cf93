"""Linear elasticity: plane stress in 2-D, solids in 3-D."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from meshlearn.fem.operators import grad, identity, inner, sym, trace
from meshlearn.fem.sampling import to_mesh
from meshlearn.fem.solve import solve
from meshlearn.mesh.mesh import Mesh
from meshlearn.sim.domain import lagrange, quadrature_order, recover
from meshlearn.sim.solid import COMPONENTS, check_solid, load_vector, supports, von_mises
from meshlearn.sim.values import Value, as_tensor, coefficient, positive


def elasticity(
    mesh: Mesh,
    young: Value = 1.0,
    poisson: Any = 0.3,
    fixed: Any = None,
    traction: Any = None,
    pressure: Any = None,
    body_force: Any = 0.0,
    order: int = 2,
) -> Mesh:
    """Small displacements of a thin plate under loads in its plane (2-D, plane stress), or of a solid (3-D).

    mesh        one cell type: triangle, quad, tetra or hexahedron; boundaries are cell sets of facets ("boundary" is
                all of it), single points are point sets
    young       Young's modulus E > 0, in the unit of the tractions: a number, a function of the place (x[0], x[1] …
                are the coordinates, as in forms), or a field (name, or (n_points,) or (n_cells,) values)
    poisson     Poisson's ratio, between -1 and 0.5
    fixed       {boundary or point set: (u_x, u_y[, u_z])}: numbers or functions of the place; None leaves one free, so
                (0.0, None) is a roller; 0.0 clamps all of them; or one function of the place that returns all of them,
                (n,) each; the later one counts where they meet
    traction    {boundary: (t_x, t_y[, t_z])}: force per unit area (2-D: length and thickness); a vector, a function
                that returns its components, lambda x: (x[1], 0.0), or a field
    pressure    {boundary: p}: force along the inward normal; negative values pull
    body_force  force per unit volume (2-D: area and thickness): a vector, a function, or a field
    order       1 or 2, polynomial order of the displacement

    Returns the mesh with the point fields
      displacement (n_points, dim), in the unit of the points
      stress       (n_points, 3): xx, yy, xy, or (n_points, 6): xx, yy, zz, xy, yz, xz, recovered by an L2 projection
                   of the element stresses
      von_mises    (n_points,), from the recovered stress
    and the global value max_stress (), the largest von_mises at a point. Computed in float64. Gradients flow to values
    that require them (constants, loads, prescribed displacements), and to the points of the mesh.
    Raises ParameterError for wrong constants and for supports that leave the body free to move as a rigid body, and the
    errors of `lagrange` for unsuitable meshes.

    >>> bar = ml.sim.elasticity(ml.shapes.rectangle(2.0, 1.0, n=(4, 2)), young=10.0, poisson=0.0,
    ...     fixed={"left": (0.0, 0.0)}, traction={"right": (1.0, 0.0)})
    >>> round(bar.global_data["max_stress"].item(), 4), round(bar.point_data["displacement"][:, 0].max().item(), 4)
    (1.0, 0.2)
    """
    check_solid(mesh, young, poisson, fixed)
    space = lagrange(mesh, order, mesh.dim)
    quadrature, ratio = quadrature_order(space), as_tensor(poisson, space.like).reshape(())

    def stress(u: Any, x: Any) -> Tensor:
        modulus = positive("Young's modulus", x.young)
        shear = modulus / (2 * (1 + ratio))
        bulk = modulus * ratio / (1 - ratio**2 if mesh.dim == 2 else (1 + ratio) * (1 - 2 * ratio))
        strain = sym(grad(u))
        return 2 * shear * strain + bulk * trace(strain) * identity(strain)

    modulus = coefficient(space, young)
    stiffness = space.assemble(lambda u, v, x: inner(stress(u, x), sym(grad(v))), order=quadrature, young=modulus)
    right = load_vector(space, body_force, traction, pressure)
    dofs = solve(stiffness, right, supports(space, fixed))  # type: ignore[arg-type]
    axes = COMPONENTS[mesh.dim]

    def components(x: Any) -> list[Tensor]:
        tensor = stress(x.u, x)
        return [tensor[i, j] for i, j in axes]

    at_points = recover(space, components, quadrature, u=space.function(dofs), young=modulus)
    displacement = to_mesh(space, u=dofs).point_data["u"]
    equivalent = von_mises(at_points)
    return mesh.with_point_data(
        displacement=displacement.to(mesh.points),
        stress=at_points.to(mesh.points),
        von_mises=equivalent.to(mesh.points),
    ).with_global_data(max_stress=equivalent.max().to(mesh.points))
