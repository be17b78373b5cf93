"""Plane elasticity (plane stress), solved with scikit-fem on a tagged mesh."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import skfem
import torch
from jaxtyping import Float
from skfem.helpers import ddot, dot, eye, sym_grad, trace
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.mesh.mesh import Mesh
from meshlearn.sim.poisson import solve
from meshlearn.sim.space import Space, Value


def elasticity(
    mesh: Mesh,
    young: float = 1.0,
    poisson: float = 0.3,
    fixed: Mapping[str, Sequence[Any] | Any] | None = None,
    traction: Mapping[str, Any] | None = None,
    pressure: Mapping[str, Value] | None = None,
    body_force: Any = (0.0, 0.0),
    order: int = 2,
) -> Mesh:
    """Small displacements of a thin plate under loads in its plane.

    mesh        triangles or quads in 2-D; boundaries are cell sets of lines, single points are point sets
    young       Young's modulus E > 0, in the unit of the tractions
    poisson     Poisson's ratio, between -1 and 0.5
    fixed       {boundary or point set: (u_x, u_y)}: numbers or functions of points (n, 2); None leaves one free,
                so (0.0, None) is a roller; or one function of points that returns (n, 2)
    traction    {boundary: (t_x, t_y)}: force per unit length and thickness; a vector or a function returning (n, 2)
    pressure    {boundary: p}: force along the inward normal; negative values pull
    body_force  force per unit area and thickness: a vector, a function, or a point field
    order       1 or 2, polynomial order of the displacement

    Returns the mesh with the point fields
      displacement (n_points, 2), in the unit of the points
      stress       (n_points, 3): xx, yy, xy, recovered by an L2 projection of the element stresses
      von_mises    (n_points,), from the recovered stress
    and the global value max_stress (), the largest von_mises at a point. Computed in float64.
    Raises ParameterError for wrong constants and for supports that leave the plate free to move as a rigid body.

    >>> bar = ml.sim.elasticity(ml.shapes.rectangle(2.0, 1.0, n=(4, 2)), young=10.0, poisson=0.0,
    ...     fixed={"left": (0.0, 0.0)}, traction={"right": (1.0, 0.0)})
    >>> round(bar.global_data["max_stress"].item(), 4), round(bar.point_data["displacement"][:, 0].max().item(), 4)
    (1.0, 0.2)
    """
    _check_constants(mesh, young, poisson)
    space = Space(mesh, order)
    basis = space.basis.with_element(skfem.ElementVector(space.basis.elem))
    shear, bulk = young / (2 * (1 + poisson)), young * poisson / (1 - poisson**2)

    def stress(strain):
        return 2 * shear * strain + bulk * eye(trace(strain), 2)

    stiffness = skfem.BilinearForm(lambda u, v, _: ddot(stress(sym_grad(u)), sym_grad(v))).assemble(basis)
    load = skfem.LinearForm(lambda v, w: dot(w.f, v))
    right = load.assemble(basis, f=space.evaluate_on(basis, body_force, 2))
    for loads, is_pressure in ((traction or {}, False), (pressure or {}, True)):
        for boundary, value in loads.items():
            facets = space.facet_basis(space.facets(boundary))
            facets = facets.with_element(skfem.ElementVector(space.basis.elem))
            if is_pressure:
                force = -space.evaluate_on(facets, value) * np.asarray(facets.normals)
            else:
                force = space.evaluate_on(facets, value, 2)
            right += load.assemble(facets, f=force)
    dofs, values = _supports(space, basis, fixed or {})
    used = np.unique(basis.element_dofs)
    solution = solve(stiffness, right, values, dofs, used)
    strain = sym_grad(basis.interpolate(solution))
    tensor = np.asarray(stress(strain))
    components = space.project([tensor[0, 0], tensor[1, 1], tensor[0, 1]])
    displacement = solution[basis.nodal_dofs].T.copy()
    at_points = torch.from_numpy(components)
    equivalent = von_mises(at_points)
    return mesh.with_point_data(
        displacement=torch.from_numpy(displacement).to(mesh.points),
        stress=at_points.to(mesh.points),
        von_mises=equivalent.to(mesh.points),
    ).with_global_data(max_stress=equivalent.max().to(mesh.points))


def von_mises(stress: Float[Tensor, "n 3"]) -> Float[Tensor, " n"]:
    """Equivalent stress in plane stress: sqrt(xx^2 - xx yy + yy^2 + 3 xy^2), in the unit of the stress.

    >>> ml.sim.von_mises(torch.tensor([[2.0, 0.0, 0.0], [0.0, 0.0, 1.0]]))
    tensor([2.0000, 1.7321])
    """
    xx, yy, xy = stress.unbind(1)
    return (xx.square() - xx * yy + yy.square() + 3 * xy.square()).sqrt()


def _check_constants(mesh: Mesh, young: float, poisson: float) -> None:
    if not 0 < young < np.inf:
        raise ParameterError(f"young is Young's modulus, a positive number, not {young}.")
    if not -1 < poisson < 0.5:
        raise ParameterError(f"poisson is Poisson's ratio, between -1 and 0.5, not {poisson}.")
    if mesh.dim != 2:
        raise ParameterError(f"plane elasticity needs a mesh in 2-D, this one has {mesh.dim} coordinates per point.")


def _supports(space: Space, basis: skfem.CellBasis, fixed: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Fixed unknowns and a full vector with their values; raises ParameterError when rigid motions are left."""
    values, chosen = np.zeros(basis.N), []
    vector_dof = _component_dofs(space, basis)
    for boundary, support in fixed.items():
        scalar = space.dofs(boundary)
        x = space.basis.doflocs[:, scalar]
        for axis in range(2):
            if callable(support):
                part = space.evaluate(support, x, 2)[axis]
            elif support[axis] is None:
                continue
            else:
                part = space.evaluate(support[axis], x)
            dofs = vector_dof[axis, scalar]
            values[dofs] = part
            chosen.append(dofs)
    dofs = np.unique(np.concatenate(chosen)) if chosen else np.zeros(0, dtype=np.int64)
    x, y = space.basis.doflocs
    rigid = np.zeros((basis.N, 3))
    rigid[vector_dof[0], 0] = 1.0
    rigid[vector_dof[1], 1] = 1.0
    scale = float(np.ptp(space.skmesh.p)) or 1.0
    rigid[vector_dof[0], 2], rigid[vector_dof[1], 2] = -(y - y.mean()) / scale, (x - x.mean()) / scale
    if not len(dofs) or np.linalg.matrix_rank(rigid[dofs], tol=1e-9) < 3:
        raise ParameterError(
            f"the supports {dict(fixed)} leave the plate free to move or turn as a rigid body.\n"
            f"  Fix more: boundaries {space.boundaries}, point sets {list(space.mesh.point_sets)}."
        )
    return dofs, values


def _component_dofs(space: Space, basis: skfem.CellBasis) -> np.ndarray:
    """(2, n scalar unknowns): number of the vector unknown of each component of each scalar one."""
    table = np.zeros((2, space.basis.N), dtype=np.int64)
    for axis in range(2):
        table[axis, space.basis.element_dofs] = basis.element_dofs[axis::2]
    return table
