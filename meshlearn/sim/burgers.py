"""Burgers' equation with viscosity, of a scalar or of a vector: steep fronts that move."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.errors import FieldError, ParameterError
from meshlearn.fem.constraint import AffineConstraint
from meshlearn.fem.explain import explained
from meshlearn.fem.operators import dot, grad
from meshlearn.fem.sampling import to_mesh
from meshlearn.fem.space import FESpace
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.trajectory import Trajectory
from meshlearn.ops import SparseOperator
from meshlearn.sim.convection import Convection
from meshlearn.sim.domain import by_name, held, lagrange
from meshlearn.sim.marching import (
    DriftingSystem,
    History,
    at_time,
    check_march,
    check_viscosity,
    march,
    refuse_gradients,
)
from meshlearn.sim.values import evaluate


def burgers(
    mesh: Mesh,
    initial: Any,
    viscosity: Any = 0.01,
    time_step: float = 0.05,
    frames: int = 20,
    substeps: Any = 1,
    dirichlet: Any = None,
    periodic: Sequence[tuple[str, str]] = (),
    direction: Any = None,
    order: int = 1,
    name: str = "u",
) -> Trajectory:
    """Solve u_t + (u . grad) u = nu Laplace u from given values on.

    mesh        one cell type: line, triangle, quad, tetra or hexahedron
    initial     u at time 0: the name of a point field or its values, (n_points,) for a scalar or (n_points, dim) for a
                vector; or a function of the place x that returns a scalar, or a tuple of dim components for a vector
    viscosity   nu > 0. There is no stabilisation: fronts of width nu / |u| that the mesh does not resolve oscillate
    time_step   time from frame to frame
    frames      their number after the first, which is the initial one
    substeps    steps of the solver from frame to frame
    dirichlet   {boundary or point set: value}: a number (a tuple for a vector), or a function of place and time g(x, t)
                that returns such; the later counts where they meet. Elsewhere du/dn = 0
    periodic    pairs of boundaries, (("left", "right"), …), that are one
    direction   of a scalar: u_t + u (direction . grad u) = nu Laplace u; (1, …, 1) unless given
    order       1 or 2, polynomial order of the elements

    Returns a Trajectory with the point field `name` in the dtype of the points, and the global value viscosity. Steps
    are linear: backward differences of second order, convection by u extrapolated to the new time. Errors fall as
    dt^2 + h^(order + 1) in L2 for smooth solutions. Computed in float64, without gradients: arguments that require one
    are refused. Raises ParameterError and FieldError for arguments that do not fit, and the errors of `lagrange`.

    >>> mesh = ml.shapes.square(n=8)
    >>> wave = ml.sim.burgers(mesh, lambda x: x[0] * (1 - x[0]), dirichlet={"left": 0.0, "right": 0.0}, frames=4)
    >>> wave.point_data["u"].shape, wave.times
    (torch.Size([5, 81]), tensor([0.0000, 0.0500, 0.1000, 0.1500, 0.2000], dtype=torch.float64))
    """
    nu, step = check_viscosity(viscosity), check_march(time_step, frames, substeps)
    refuse_gradients("burgers", initial=initial, viscosity=viscosity, **{"mesh.points": mesh.points})
    space = lagrange(mesh, order)
    with torch.no_grad():
        state = _initial(space, initial)
        flow = _Flow(space, state, nu, step, _along(space, direction, state), by_name("dirichlet", dirichlet), periodic)
        kept = march(flow.advance, time_step, frames, substeps, flow.values)
    fields = torch.stack(kept).to(mesh.points)
    times = time_step * torch.arange(frames + 1, dtype=torch.float64)
    base = mesh.replace(
        point_data={key: values for key, values in mesh.point_data.items() if key != name},
        global_data={**mesh.global_data, "viscosity": mesh.points.new_tensor(nu)},
    )
    return Trajectory(base, times, {name: fields[..., 0] if state.shape[1] == 1 else fields})


class _Flow:
    """The states (n_dofs, components) of the solution, one step after another."""

    def __init__(
        self,
        space: FESpace,
        state: Tensor,
        viscosity: float,
        step: float,
        direction: Tensor | None,
        dirichlet: dict[str, Any],
        periodic: Sequence[tuple[str, str]],
    ) -> None:
        self.space, self.step, self.direction, self.dirichlet = space, step, direction, dirichlet
        self.convection = Convection(space)
        mass: Any = space.assemble(lambda u, v, x: u * v)
        stiffness: Any = space.assemble(lambda u, v, x: dot(grad(u), grad(v)))
        self.mass: SparseOperator = mass
        self.diffusion: SparseOperator = stiffness * viscosity
        self.history, self.system = History(state), DriftingSystem()
        self.tied = AffineConstraint.none(space.n_dofs)
        for first, second in periodic:
            self.tied = self.tied & space.periodic(first, second)
        self.fixed = self._at(0.0)
        self.history.now = self.fixed.impose(state) if not self.fixed.is_identity else state

    def advance(self, time: float) -> None:
        """On to the time."""
        if any(callable(value) for value in self.dirichlet.values()):
            self.fixed = self._at(time)
        past, rate = self.history, 1.0 / self.step
        velocity = past.ahead if self.direction is None else past.ahead * self.direction
        convection = self.convection(velocity)
        values = past.leading * rate * self.mass.values + self.diffusion.values + convection.values
        right = rate * (self.mass @ past.known)
        past.advance(self.system.solve(self.mass.with_values(values), right, self.fixed, past.ahead))

    def values(self) -> Tensor:
        """(n_points, components) at the points."""
        columns = [to_mesh(self.space, u=column).point_data["u"] for column in self.history.now.unbind(1)]
        return torch.stack(columns, dim=1)

    def _at(self, time: float) -> AffineConstraint:
        """The values on the boundary at a time."""
        if not self.dirichlet:
            return self.tied
        width, places = self.history.now.shape[1], self.space.dof_points
        full = places.new_zeros(self.space.n_dofs, width)
        fixed = torch.zeros(self.space.n_dofs, dtype=torch.bool, device=places.device)
        for name, value in self.dirichlet.items():
            dofs = held(self.space, name)
            rows = evaluate(at_time(value, time), places.index_select(0, dofs), width if width > 1 else 0)
            full = full.index_copy(0, dofs, rows.reshape(-1, width))
            fixed[dofs] = True
        numbers = torch.nonzero(fixed)[:, 0]
        made = AffineConstraint.dirichlet(self.space.n_dofs, numbers, full.index_select(0, numbers))
        return made if self.tied.is_identity else made & self.tied


def _initial(space: FESpace, given: Any) -> Float[Tensor, "n_dofs components"]:
    """Dofs of the initial values, one column per component."""
    mesh, dim = space.mesh, space.dim
    if isinstance(given, str):
        if given not in mesh.point_data:
            raise FieldError(f"the mesh has no point field {given!r}; it has {', '.join(mesh.point_data) or 'none'}.")
        given = mesh.point_data[given]
    places = space.dof_points
    if callable(given):
        found = explained("the function of the place x that the initial values are", given, places.t())
        several = isinstance(found, (list, tuple)) or (isinstance(found, Tensor) and found.dim() == 2)
        return evaluate(given, places, dim if several and dim > 1 else 0).reshape(len(places), -1)
    values = torch.as_tensor(given).to(places)
    if values.dim() == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.shape not in ((mesh.n_points,), (mesh.n_points, dim)):
        raise FieldError(
            f"initial has shape {tuple(values.shape)}; expected ({mesh.n_points},) for a scalar, ({mesh.n_points}, "
            f"{dim}) for a vector, or a function of the place."
        )
    if not bool(torch.isfinite(values).all()):
        raise FieldError(f"{int((~torch.isfinite(values)).sum())} of the initial values are not finite.")
    nodal = space.with_element("P1")
    columns = [space.interpolate(nodal.function(c)) for c in values.reshape(mesh.n_points, -1).unbind(1)]
    return torch.stack(columns, dim=1)


def _along(space: FESpace, direction: Any, state: Tensor) -> Tensor | None:
    """The direction in which a scalar is carried, None for a vector. Raises ParameterError where it does not fit."""
    if state.shape[1] > 1:
        if direction is not None:
            raise ParameterError("direction is for a scalar: a vector carries itself.")
        return None
    made = torch.as_tensor([1.0] * space.dim if direction is None else direction, dtype=torch.float64)
    if made.shape != (space.dim,) or not bool(torch.isfinite(made).all()):
        raise ParameterError(f"direction={direction!r}: {space.dim} finite numbers are needed, one per coordinate.")
    return made.to(space.device)
