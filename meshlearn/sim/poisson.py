"""Poisson's equation -div(k grad u) = f, solved with scikit-fem on a tagged mesh."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import skfem
import torch
from skfem.helpers import dot, grad

from meshlearn.errors import ParameterError
from meshlearn.mesh.mesh import Mesh
from meshlearn.sim.space import Space, Value


def poisson(
    mesh: Mesh,
    source: Value = 0.0,
    conductivity: Value = 1.0,
    dirichlet: Mapping[str, Value] | None = None,
    neumann: Mapping[str, Value] | None = None,
    order: int = 1,
    name: str = "u",
) -> Mesh:
    """Solve -div(k grad u) = f with u = g on some boundaries and k du/dn = q on others; elsewhere the flux is zero.

    mesh          one cell type: line, triangle, quad, tetra or hexahedron; boundaries are cell sets of facets
    source        f: a number, a function of points (n, dim) float64, a point field (name or (n_points,) values)
    conductivity  k > 0, the same choices
    dirichlet     {boundary or point set: g}, g a number or a function; at least one
    neumann       {boundary: q}, inflow per unit area
    order         1 or 2, polynomial order of the elements

    Returns the mesh with point fields `name` (n_points,) and `<name>_flux` (n_points, dim) = -k grad u, recovered by
    an L2 projection, in the dtype of the points. The computation is in float64.
    Errors fall as h^(order + 1) in L2 and h^order in H1 for smooth solutions. Raises ParameterError without a
    Dirichlet value, for a conductivity that is not positive, and the errors of `Space` for unsuitable meshes.

    >>> mesh = ml.sim.poisson(ml.shapes.square(n=4), dirichlet={"left": 0.0, "right": 1.0})
    >>> bool((mesh.point_data["u"] - mesh.points[:, 0]).abs().max() < 1e-6)
    True
    """
    space = Space(mesh, order)
    solution = poisson_unknowns(space, source, conductivity, dirichlet, neumann)
    k = space.evaluate_on(space.basis, conductivity)
    flux = space.project([-k * slope for slope in np.asarray(space.basis.interpolate(solution).grad)])
    values = torch.from_numpy(space.at_points(solution))
    return mesh.with_point_data(
        **{name: values.to(mesh.points), f"{name}_flux": torch.from_numpy(flux).to(mesh.points)}
    )


def poisson_unknowns(
    space: Space,
    source: Value = 0.0,
    conductivity: Value = 1.0,
    dirichlet: Mapping[str, Value] | None = None,
    neumann: Mapping[str, Value] | None = None,
) -> np.ndarray:
    """The solution of `poisson` as the unknowns (n,) of the space, for norms and evaluation with scikit-fem."""
    if not dirichlet:
        raise ParameterError("without a Dirichlet value the solution is known up to a constant only: fix one boundary.")
    basis = space.basis
    k = space.evaluate_on(basis, conductivity)
    if not (k > 0).all():
        raise ParameterError(f"the conductivity must be positive everywhere; its smallest value is {k.min():g}.")
    stiffness = skfem.BilinearForm(lambda u, v, w: w.k * dot(grad(u), grad(v))).assemble(basis, k=k)
    load = skfem.LinearForm(lambda v, w: w.f * v)
    right = load.assemble(basis, f=space.evaluate_on(basis, source))
    for boundary, inflow in (neumann or {}).items():
        facets = space.facet_basis(space.facets(boundary))
        right += load.assemble(facets, f=space.evaluate_on(facets, inflow))
    fixed, values = [], np.zeros(basis.N)
    for boundary, value in dirichlet.items():
        dofs = space.dofs(boundary)
        fixed.append(dofs)
        values[dofs] = space.evaluate(value, basis.doflocs[:, dofs])
    used = basis.get_dofs(elements=True).flatten()
    return solve(stiffness, right, values, np.unique(np.concatenate(fixed)), used)


def solve(matrix, right: np.ndarray, values: np.ndarray, fixed: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Solve for the free unknowns among `used`, the others keep `values`; symmetric positive definite matrices."""
    from scipy.sparse.linalg import splu

    free = np.setdiff1d(used, fixed)
    solution = values.copy()
    if len(free):
        matrix = matrix.tocsr()
        rows = matrix[free]
        solution[free] = splu(rows[:, free].tocsc(), permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True}).solve(
            right[free] - rows[:, fixed] @ values[fixed]
        )
    return solution
