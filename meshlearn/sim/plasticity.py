"""Small-strain elastoplasticity: metals that yield, harden and keep a deformation; plane strain in 2-D."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.fem.space import FESpace
from meshlearn.mesh.mesh import Mesh
from meshlearn.sim.domain import lagrange
from meshlearn.sim.elastoplastic import Body
from meshlearn.sim.return_mapping import Material
from meshlearn.sim.solid import check_solid, load_vector, supports
from meshlearn.sim.values import as_tensor


def plasticity(
    mesh: Mesh,
    young: float | Tensor = 1.0,
    poisson: Any = 0.3,
    yield_stress: float | Tensor = 1.0,
    hardening: float | Tensor = 0.0,
    saturation: float | Tensor = 0.0,
    rate: float | Tensor = 0.0,
    fixed: Any = None,
    traction: Any = None,
    pressure: Any = None,
    body_force: Any = 0.0,
    order: int = 2,
    steps: int = 10,
    path: Sequence[float] = (1.0,),
    tolerance: float = 1e-10,
) -> Mesh:
    """Equilibrium of an elastoplastic solid (von Mises, isotropic hardening) after a history of proportional loads.

    mesh          one cell type: triangle, quad (plane strain), tetra or hexahedron
    young         Young's modulus E > 0: a number, or (n_cells,) values
    poisson       Poisson's ratio, between -1 and 0.5
    yield_stress  sigma_0 > 0 in uniaxial tension; then it is sigma_0 + H p + Q (1 - exp(-b p)) with the cumulated
                  plastic strain p and H = hardening, Q = saturation, b = rate, none negative: numbers, or (n_cells,)
    fixed, traction, pressure, body_force
                  as in `elasticity`; all of them grow and shrink together
    order         1 or 2, polynomial order of the displacement. Plastic flow keeps the volume, for which triangles and
                  tetrahedra of order 1 are too stiff
    steps         number of load steps to each entry of the path; to the first one, counted from where it yields first.
                  A step that fails is halved
    path          factors of the loads that are passed one after the other: (1.0, 0.0) loads and unloads
    tolerance     of the forces out of balance, against those of the elastic body under the full load

    Strains are small, and plastic flow is normal to von Mises' yield surface; `meshlearn.sim.return_mapping` has the
    law, each step is one of its implicit steps.
    Returns the mesh with the point fields
      displacement    (n_points, dim), in the unit of the points
      stress          (n_points, 4): xx, yy, zz, xy, or (n_points, 6): xx, yy, zz, xy, yz, xz, recovered by an L2
                      projection
      von_mises       (n_points,), from the recovered stress
      plastic_strain  (n_points,), cumulated p, averaged from the places of the quadrature around: never negative
    and the global values max_stress (), the largest von_mises, and max_plastic_strain (), both at points. Computed in
    float64. There are no gradients: arguments that require one are refused.
    Raises ConvergenceError beyond a limit load, ParameterError for wrong constants, and the errors of `elasticity`.

    >>> bar = ml.shapes.rectangle(2.0, 1.0, n=(4, 2)).double()
    >>> sliders = {"left": (0.0, None), "bottom": (None, 0.0), "right": (0.02, None)}  # 1 %, elastic up to 0.1 %
    >>> pulled = ml.sim.plasticity(bar, 1000.0, 0.3, 1.0, hardening=10.0, fixed=sliders)
    >>> round(pulled.global_data["max_stress"].item(), 3), round(pulled.global_data["max_plastic_strain"].item(), 4)
    (1.102, 0.0102)
    """
    check_solid(mesh, young, poisson, fixed)
    if steps < 1:
        raise ParameterError(f"steps is the number of load steps to each entry of the path, at least 1, not {steps}.")
    if not len(path) or not all(math.isfinite(factor) for factor in path):
        raise ParameterError(f"path is a sequence of finite factors of the loads, not {path}.")
    if not 0 < tolerance < 1:
        raise ParameterError(f"tolerance is a small number, between 0 and 1, not {tolerance}.")
    space = lagrange(mesh, order, mesh.dim)
    constants = {
        "young": young,
        "poisson": poisson,
        "yield_stress": yield_stress,
        "hardening": hardening,
        "saturation": saturation,
        "rate": rate,
    }
    given = {**constants, "mesh.points": mesh.points}
    moving = [name for name, value in given.items() if isinstance(value, Tensor) and value.requires_grad]
    support, load = supports(space, fixed), load_vector(space, body_force, traction, pressure)
    moving += ["fixed"] * support.g.requires_grad + ["a load"] * load.requires_grad
    if moving and torch.is_grad_enabled():
        raise ParameterError(
            f"{moving[0]} requires a gradient, and plasticity has none: its load steps are not differentiated.\n"
            "  Pass value.detach(), or call it under torch.no_grad(); elasticity and hyperelasticity have gradients."
        )
    with torch.no_grad():
        material = make_material(space, **constants)
        body = Body(space, material, support, load.detach(), tolerance)
        body.follow(path, steps)
        return body.described()


def make_material(
    space: FESpace,
    young: float | Tensor,
    poisson: float,
    yield_stress: float | Tensor,
    hardening: float | Tensor = 0.0,
    saturation: float | Tensor = 0.0,
    rate: float | Tensor = 0.0,
) -> Material:
    """Constants as tensors (n_cells, 1) or (1, 1). Raises ParameterError for those that no metal has."""
    given = {
        "young": young,
        "yield_stress": yield_stress,
        "hardening": hardening,
        "saturation": saturation,
        "rate": rate,
    }
    made = {}
    for name, value in given.items():
        values = as_tensor(value, space.like).detach()
        if values.dim() > 1 or (values.dim() == 1 and len(values) != len(space.element_dofs)):
            raise ParameterError(
                f"{name} has the shape {tuple(values.shape)}: a number is needed, or one for each of the "
                f"{len(space.element_dofs)} cells."
            )
        strict = name in ("young", "yield_stress")
        if not bool((torch.isfinite(values) & ((values > 0) if strict else (values >= 0))).all()):
            raise ParameterError(f"{name} must be {'positive' if strict else 'zero or more'} and finite, not {value}.")
        made[name] = values.reshape(-1, 1)
    modulus, poisson = made.pop("young"), float(poisson)
    return Material(modulus / (2 * (1 + poisson)), modulus / (3 * (1 - 2 * poisson)), **made)
