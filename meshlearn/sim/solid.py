"""What linear and nonlinear solids share: supports, loads, and stresses as fields."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.fem.constraint import AffineConstraint
from meshlearn.fem.operators import dot
from meshlearn.fem.space import FESpace
from meshlearn.mesh.mesh import Mesh
from meshlearn.sim.domain import boundaries, boundary, by_name, held, quadrature_order
from meshlearn.sim.values import Value, coefficient, evaluate

COMPONENTS = {2: ((0, 0), (1, 1), (0, 1)), 3: ((0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (0, 2))}
"""Order of the components of a symmetric tensor: xx, yy, xy in the plane, xx, yy, zz, xy, yz, xz in space."""


def check_solid(mesh: Mesh, young: Value, poisson: Any, fixed: Any) -> None:
    """Raises ParameterError for constants that no solid has, and for meshes that are neither in 2-D nor in 3-D."""
    number = young.item() if isinstance(young, Tensor) and young.dim() == 0 else young
    if isinstance(number, (int, float)) and not 0 < number < math.inf:
        raise ParameterError(f"young is Young's modulus, a positive number, not {number}.")
    shape = tuple(getattr(poisson, "shape", ()))
    if not isinstance(poisson, (int, float, np.integer, np.floating, Tensor, np.ndarray)) or math.prod(shape) != 1:
        what = f"of shape {shape}" if shape else f"a {type(poisson).__name__}"
        raise ParameterError(f"poisson is Poisson's ratio, one number for the whole body, this one is {what}.")
    ratio = float(poisson.detach() if isinstance(poisson, Tensor) else poisson)
    if not -1 < ratio < 0.5:
        raise ParameterError(f"poisson is Poisson's ratio, between -1 and 0.5, not {ratio}.")
    if mesh.dim not in (2, 3):
        raise ParameterError(f"elasticity needs a mesh in 2-D or 3-D, this one has {mesh.dim} coordinates per point.")
    for name, support in by_name("fixed", fixed).items():
        _parts(name, support, mesh.dim)


def _parts(name: str, support: Any, dim: int) -> Any:
    """The components of a support, or the function that gives all of them. Raises ParameterError for anything else."""
    if callable(support):
        return support
    if isinstance(support, (int, float)) and support == 0:
        return (0.0,) * dim
    count = len(support) if isinstance(support, (list, tuple)) or np.ndim(support) else None
    if isinstance(support, str) or count != dim:
        raise ParameterError(
            f"the support of {name!r} is {support!r:.60}{f', with {count} components' if count is not None else ''}; "
            f"the mesh has {dim} coordinates per point: give {dim} numbers or functions, None for what is free, or 0.0 "
            "for a clamped part."
        )
    return support


def supports(space: FESpace, fixed: Any) -> AffineConstraint:
    """Prescribed displacements. Raises ParameterError when the solid can still move as a rigid body."""
    dim = space.dim
    fixed = {name: _parts(name, support, dim) for name, support in by_name("fixed", fixed).items()}
    component = torch.empty(space.n_dofs, dtype=torch.int64, device=space.device)
    component[space.element_dofs] = torch.arange(space.element_dofs.shape[1], device=space.device) % dim
    places = space.dof_points
    full = torch.zeros(space.n_dofs, dtype=space.dtype, device=space.device)
    chosen = torch.zeros(space.n_dofs, dtype=torch.bool, device=space.device)
    for name, support in fixed.items():
        dofs = held(space, name)
        for axis in range(dim):
            mine = dofs[component.index_select(0, dofs) == axis]
            points = places.index_select(0, mine)
            if callable(support):
                part = evaluate(support, points, dim)[:, axis]
            elif support[axis] is None:
                continue
            else:
                part = evaluate(support[axis], points)
            full = full.index_copy(0, mine, part)
            chosen[mine] = True
    numbers = torch.nonzero(chosen)[:, 0]
    motions = _rigid_motions(places.detach(), component).index_select(0, numbers)
    if not len(numbers) or int(torch.linalg.matrix_rank(motions, atol=1e-9, rtol=0.0)) < motions.shape[1]:
        raise ParameterError(
            f"the supports {dict(fixed)} leave the body free to move or turn as a rigid body.\n"
            f"  Fix more: boundaries {boundaries(space)}, point sets {list(space.mesh.point_sets)}."
        )
    return AffineConstraint.dirichlet(space.n_dofs, numbers, full.index_select(0, numbers))


def _rigid_motions(places: Tensor, component: Tensor) -> Float[Tensor, "n_dofs k"]:
    """The linear rigid motions at the dofs: shifts, and one turn for every pair of axes."""
    dim = places.shape[1]
    arm = (places - places.mean(0)) / (float(places.max() - places.min()) or 1.0)
    motions = [(component == axis).to(places) for axis in range(dim)]
    for a in range(dim):
        for b in range(a + 1, dim):
            motions.append(arm[:, a] * motions[b] - arm[:, b] * motions[a])
    return torch.stack(motions, 1)


def load_vector(space: FESpace, body_force: Value, traction: Any, pressure: Any) -> Float[Tensor, " n_dofs"]:
    """Work of the loads on every function of the space."""
    dim, order = space.dim, quadrature_order(space)
    total: Any = torch.zeros(space.n_dofs, dtype=space.dtype, device=space.device)
    if not isinstance(body_force, (int, float)) or body_force != 0:
        total = space.assemble(lambda v, x: dot(x.f, v), order=order, f=coefficient(space, body_force, dim))
    for name, value in by_name("traction", traction).items():
        facets = boundary(space, name)
        total = total + space.assemble(
            lambda v, x: dot(x.t, v), on=facets, order=order, t=coefficient(space, value, dim)
        )
    for name, value in by_name("pressure", pressure).items():
        facets = boundary(space, name)
        total = total - space.assemble(
            lambda v, x: x.p * dot(x.normal, v), on=facets, order=order, p=coefficient(space, value)
        )
    return total


def von_mises(stress: Float[Tensor, "n components"]) -> Float[Tensor, " n"]:
    """Equivalent stress sqrt(3/2 s : s), s the stress without its mean, in the unit of the stress.

    stress  (n, 3): xx, yy, xy of plane stress, where zz is zero; (n, 4): xx, yy, zz, xy of plane strain; or (n, 6): xx,
            yy, zz, xy, yz, xz

    Where it is zero, so is its gradient. Raises ParameterError for another number of components.

    >>> ml.sim.von_mises(torch.tensor([[2.0, 0.0, 0.0], [0.0, 0.0, 1.0]]))
    tensor([2.0000, 1.7321])
    """
    if stress.shape[1] not in (3, 4, 6):
        raise ParameterError(f"a stress has 3, 4 or 6 components, not {stress.shape[1]}.")
    xx, yy = stress[:, 0], stress[:, 1]
    square = xx.square() - xx * yy + yy.square()
    if stress.shape[1] > 3:
        zz = stress[:, 2]
        square = square + zz.square() - zz * (xx + yy)
    shear = stress[:, 2 if stress.shape[1] == 3 else 3 :]
    square = square + 3 * shear.square().sum(1)
    return torch.where(square > 0, square, 1.0).sqrt() * (square > 0)
