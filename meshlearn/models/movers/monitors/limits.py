"""Smoothing, floor and cap of nodal monitors."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn import fem
from meshlearn.errors import FieldError
from meshlearn.mesh.mesh import Mesh
from meshlearn.models.movers.elements import Elements
from meshlearn.models.movers.preparation import check_simplices
from meshlearn.ops import SparseOperator
from meshlearn.train.option_checks import number


def limited(
    mesh: Mesh,
    monitor: Float[Tensor, " *n"],
    smoothing: Any = 0.0,
    floor: Any = None,
    cap: Any = None,
) -> Float[Tensor, " n"]:
    """A monitor (n,) without peaks or gaps: capped and floored, then smoothed; differentiable in its values.

    smoothing  length (unit of the points) over which values are spread: (1 - smoothing^2 Laplace) s = m, lumped mass,
               no flux through the boundary. What comes out stays between the smallest and the largest m
    floor      values below are raised to this
    cap        values above are lowered to this

    Raises ParameterError for a negative length, a floor that is not positive, a cap below the floor; FieldError for
    values of another length, TopologyError for other cells than lines, triangles or tetrahedra that fill space.
    """
    number("a length of 0 or more, in the unit of the points,", lambda x: x >= 0)("smoothing", smoothing)
    least = number("None or a positive density", lambda x: x > 0, optional=True)("floor", floor) or 0.0
    number(f"None or a density above the floor ({least:g})", lambda x: x > least, optional=True)("cap", cap)
    check_simplices(mesh, "monitors are limited on")
    if monitor.shape != (mesh.n_points,):
        raise FieldError(f"the monitor has shape {tuple(monitor.shape)}, expected ({mesh.n_points},): one per point.")
    monitor = monitor.double().clamp(min=floor, max=cap) if (floor, cap) != (None, None) else monitor.double()
    if smoothing == 0:
        return monitor
    from scipy.sparse import diags_array

    elements = Elements(mesh)
    matrix = diags_array(elements.lumped) + smoothing**2 * elements.stiffness
    lumped = torch.from_numpy(elements.lumped).to(monitor.device)
    spread = fem.solve(SparseOperator.from_scipy(matrix), lumped * monitor)
    return spread.clamp(float(monitor.detach().min()), float(monitor.detach().max()))
