"""Incompressible flow: the Navier-Stokes equations u_t + (u . grad) u - nu Laplace u + grad p = f, div u = 0.

Taylor-Hood elements (velocity of second, pressure of first order), one system for both: no splitting error. In time,
backward differences of second order with convection by the extrapolated velocity, so that every step is linear.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.fem.nonlinear import solve_nonlinear
from meshlearn.fem.operators import div, dot, grad, inner
from meshlearn.fem.solve import solve
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.trajectory import Trajectory
from meshlearn.sim.marching import (
    DriftingSystem,
    History,
    check_march,
    check_viscosity,
    march,
    refuse_gradients,
    takes,
)
from meshlearn.sim.taylor_hood import TaylorHood, by_boundary
from meshlearn.sim.values import coefficient


def navier_stokes(
    mesh: Mesh,
    viscosity: Any,
    velocity: Any,
    time_step: float = 0.05,
    frames: int = 20,
    substeps: int = 1,
    initial: Any = None,
    body_force: Any = None,
    forces: Sequence[str] = (),
) -> Trajectory:
    """Flow in time.

    mesh        one kind of cell: triangle, triangle6 (curved walls), quad, tetra or hexahedron
    viscosity   nu > 0, kinematic; the density is 1
    velocity    {boundary: (u_x, u_y[, u_z])}: numbers, or a function of place and time g(x, t) that returns such; the
                later counts where they meet. On other boundaries nothing acts: nu du/dn = p n
    time_step, frames, substeps
                as in `burgers`
    initial     velocity at time 0: a function of the place, or a field (n_points, dim); Stokes flow unless given
    body_force  f per volume: a vector, a function of the place, or a field
    forces      boundaries whose force is wanted

    Returns a Trajectory with the point fields velocity (n_points, dim) and pressure (n_points,), and the global values
    viscosity and, for every boundary in `forces`, force_<name> (dim,): what the fluid exerts on it, from the residual
    of the momentum (second order in the size of the cells and better). Where the velocity is prescribed on the whole
    boundary, the mean of the pressure is zero. At time 0 pressure and forces are those of Stokes flow, or, with
    `initial`, of the first step. Errors fall as dt^2 + h^3 (velocity) and dt^2 + h^2 (pressure). In float64, without
    gradients: arguments that require one are refused.

    >>> channel = ml.shapes.rectangle(2.0, 1.0, n=(4, 2)).double()
    >>> inflow = lambda x, t: (4 * x[1] * (1 - x[1]), 0 * x[1])
    >>> walls = {"bottom": (0.0, 0.0), "top": (0.0, 0.0)}
    >>> flow = ml.sim.navier_stokes(channel, 0.1, {"left": inflow, **walls}, frames=2)
    >>> round(flow.point_data["pressure"][-1].max().item(), 3)  # 8 nu per length
    1.6
    """
    nu, step = check_viscosity(viscosity), check_march(time_step, frames, substeps)
    refuse_gradients("navier_stokes", viscosity=viscosity, initial=initial, **{"mesh.points": mesh.points})
    with torch.no_grad():
        flow = _Flow(TaylorHood(mesh, nu), velocity, step, initial, body_force, forces)
        kept = march(flow.advance, time_step, frames, substeps, flow.values)
    if initial is not None:
        kept[0] = (kept[0][0], *flow.first)
    u, p, acting = (torch.stack(parts).to(mesh.points) for parts in zip(*kept, strict=True))
    times = time_step * torch.arange(frames + 1, dtype=torch.float64)
    base = mesh.with_global_data(viscosity=mesh.points.new_tensor(nu))
    found = {f"force_{name}": acting[:, k] for k, name in enumerate(forces)}
    return Trajectory(base, times, {"velocity": u, "pressure": p}, global_data=found)


def steady_navier_stokes(
    mesh: Mesh, viscosity: Any, velocity: Any, body_force: Any = None, forces: Sequence[str] = ()
) -> Mesh:
    """Flow that does not change, by Newton's method from Stokes flow; arguments and fields as in `navier_stokes`.

    `velocity` holds numbers and functions of the place. Raises ConvergenceError where Newton's method finds nothing:
    at high Reynolds numbers, where no flow is steady for long.

    >>> channel = ml.shapes.rectangle(2.0, 1.0, n=(4, 2)).double()
    >>> rest = (0.0, 0.0)
    >>> walls = {"left": lambda x: (4 * x[1] * (1 - x[1]), 0 * x[1]), "bottom": rest, "top": rest}
    >>> flow = ml.sim.steady_navier_stokes(channel, 0.1, walls, forces=["bottom"])
    >>> round(flow.global_data["force_bottom"][0].item(), 6)  # nu du/dy over the length
    0.8
    """
    nu = check_viscosity(viscosity)
    refuse_gradients("steady_navier_stokes", viscosity=viscosity, **{"mesh.points": mesh.points})
    with torch.no_grad():
        parts = TaylorHood(mesh, nu)
        given = by_boundary(parts.scalar, velocity)
        timed = {name: _still(value) for name, value in given.items()}
        closed = parts.is_closed(given)
        walls, load = parts.walls(timed, 0.0, closed), _load(parts, body_force)
        start = solve(parts.stokes, load, walls, method="direct")

        def momentum(v: Any, x: Any) -> Tensor:
            (u, p), (v, q) = x.u, v
            return nu * inner(grad(u), grad(v)) + dot(dot(grad(u), u), v) - p * div(v) - q * div(u)

        force = parts.space.assemble
        found = solve_nonlinear(
            parts.space,
            momentum if body_force is None else lambda v, x: momentum(v, x) - dot(x.f, v[0]),
            walls,
            start,
            **({} if body_force is None else {"f": coefficient(parts.velocity, body_force, mesh.dim)}),
        )
        found = parts.balanced(found, closed)
        residual: Any = force(momentum, u=parts.space.function(found))
        u, p = parts.fields(found)
        acting = {f"force_{name}": parts.force(residual - load, found, name, given).to(mesh.points) for name in forces}
    made = mesh.with_point_data(velocity=u.to(mesh.points), pressure=p.to(mesh.points))
    return made.with_global_data(viscosity=mesh.points.new_tensor(nu), **acting)


class _Flow:
    """The states of a flow, one step after another."""

    def __init__(
        self, parts: TaylorHood, velocity: Any, step: float, initial: Any, body_force: Any, forces: Sequence[str]
    ) -> None:
        self.parts, self.step = parts, step
        self.velocity = by_boundary(parts.scalar, velocity)
        self.closed = parts.is_closed(self.velocity)
        self.moving = any(callable(value) for value in self.velocity.values())
        self.walls = parts.walls(self.velocity, 0.0, self.closed)
        self.load, self.system = _load(parts, body_force), DriftingSystem()
        self.forces = list(forces)
        for name in self.forces:
            parts.wall_dofs(name)
        if initial is None:
            state = solve(parts.stokes, self.load, self.walls, method="direct")
            self.residual = parts.stokes @ state - self.load
        else:
            state = self.walls.impose(parts.interpolated(initial))
            self.residual = torch.zeros_like(state)
        self.history = History(state)
        self.first: tuple[Tensor, Tensor] = (state, state)

    def advance(self, time: float) -> None:
        """On to the time."""
        past, parts = self.history, self.parts
        if self.moving:
            self.walls = parts.walls(self.velocity, time, self.closed)
        rate = 1.0 / self.step
        A = parts.matrix(past.leading * rate, past.ahead)
        right = self.load + rate * (parts.mass @ past.known)
        begins = past.leading == 1.0
        state = self.system.solve(A, right, self.walls, past.ahead)
        self.residual = A @ state - right
        past.advance(state)
        if begins:
            self.first = self.values()[1:]

    def values(self) -> tuple[Tensor, Tensor, Tensor]:
        """Velocity, pressure, and forces (n_forces, dim)."""
        parts = self.parts
        u, p = parts.fields(parts.balanced(self.history.now, self.closed))
        state, given = self.history.now, self.velocity
        acting = [parts.force(self.residual, state, name, given) for name in self.forces]
        return u, p, torch.stack(acting) if acting else u.new_zeros(0, u.shape[1])


def _still(value: Any) -> Any:
    """A function of the place as one of place and time."""
    if not callable(value):
        return value
    takes(value, "the place", "g(x)", 1)
    return lambda x, t: value(x)


def _load(parts: TaylorHood, body_force: Any) -> Tensor:
    if body_force is None:
        return torch.zeros(parts.space.n_dofs, dtype=torch.float64)
    f = coefficient(parts.velocity, body_force, parts.mesh.dim)
    made: Any = parts.space.assemble(lambda v, x: dot(x.f, v[0]), f=f)
    if isinstance(made, Tensor):
        return made
    raise ParameterError("body_force is one vector field, not a batch of them.")
