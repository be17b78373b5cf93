"""Smoothing, floor and cap of nodal monitors."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn import fem
from meshlearn.errors import ParameterError
from meshlearn.mesh.mesh import Mesh
from meshlearn.models.movers.elements import Elements
from meshlearn.ops import SparseOperator


def limited(
    mesh: Mesh,
    monitor: Float[Tensor, " n"],
    smoothing: float = 0.0,
    floor: float | None = None,
    cap: float | None = None,
) -> Float[Tensor, " n"]:
    """A monitor (n,) without peaks or gaps: capped and floored, then smoothed; differentiable in its values.

    smoothing  length (unit of the points) over which values are spread: (1 - smoothing^2 Laplace) s = m, lumped mass,
               no flux through the boundary. What comes out stays between the smallest and the largest m
    floor      values below are raised to this
    cap        values above are lowered to this

    Raises ParameterError for a negative length, a floor that is not positive, a cap below the floor.
    """
    if not smoothing >= 0:
        raise ParameterError(f"smoothing={smoothing!r}: expected a length of 0 or more, in the unit of the points.")
    if floor is not None and not floor > 0:
        raise ParameterError(f"floor={floor!r}: expected a positive density.")
    if cap is not None and not cap > (floor or 0.0):
        raise ParameterError(f"cap={cap!r}: expected a density above the floor ({floor or 0.0:g}).")
    monitor = monitor.double().clamp(min=floor, max=cap) if (floor, cap) != (None, None) else monitor.double()
    if smoothing == 0:
        return monitor
    from scipy.sparse import diags_array

    elements = Elements(mesh)
    matrix = diags_array(elements.lumped) + smoothing**2 * elements.stiffness
    lumped = torch.from_numpy(elements.lumped).to(monitor.device)
    spread = fem.solve(SparseOperator.from_scipy(matrix), lumped * monitor)
    return spread.clamp(float(monitor.detach().min()), float(monitor.detach().max()))
