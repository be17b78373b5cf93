"""Velocity of second and pressure of first order on one mesh, and what incompressible flows need on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.errors import ParameterError, TopologyError
from meshlearn.fem.constraint import AffineConstraint
from meshlearn.fem.operators import div, dot, grad, inner
from meshlearn.fem.sampling import to_mesh
from meshlearn.fem.space import FESpace
from meshlearn.mesh.mesh import Mesh
from meshlearn.ops import Adjacency, SparseOperator
from meshlearn.sim.convection import Convection
from meshlearn.sim.domain import boundaries, boundary
from meshlearn.sim.marching import at_time
from meshlearn.sim.values import evaluate

KINDS = ("triangle", "triangle6", "quad", "tetra", "hexahedron")


class TaylorHood:
    """The space P2-P1 (Q2-Q1) of a mesh, with matrices of a flow on one pattern without zeros.

    mass       of the velocity
    stokes     (grad u, grad v) times the viscosity, -(p, div v), -(q, div u)
    number     (dim, n) dofs of the components of the velocity, by dof of the scalar space
    """

    def __init__(self, mesh: Mesh, viscosity: float) -> None:
        kinds = mesh.domain_types
        if len(kinds) != 1 or kinds[0] not in KINDS or mesh.cell_dim != mesh.dim:
            raise TopologyError(
                f"flows are computed on meshes of one kind of cell ({', '.join(KINDS)}) that fills its space; this one "
                f"has {mesh.cell_counts} in {mesh.dim}-D.\n  mesh: {mesh.source or 'made in memory'}"
            )
        self.mesh, self.viscosity = mesh, viscosity
        self.space = FESpace(mesh, ("P2^d", "P1"))
        self.scalar, self.velocity = self.space.with_element("P2"), self.space.with_element("P2^d")
        self.pressure = self.space.with_element("P1")
        dim = mesh.dim
        self.number = torch.empty(dim, self.scalar.n_dofs, dtype=torch.int64)
        local = self.space.block_dofs(0)
        for c in range(dim):
            self.number[c][self.scalar.element_dofs.t()] = local[c::dim]
        self.pressure_dofs = torch.unique(self.space.block_dofs(1))
        self.convection = Convection(self.scalar)
        mass: Any = self.space.assemble(lambda u, v, x: dot(u[0], v[0]))
        stokes: Any = self.space.assemble(
            lambda u, v, x: viscosity * inner(grad(u[0]), grad(v[0])) - u[1] * div(v[0]) - div(u[0]) * v[1]
        )
        self._make_pattern(mass, stokes)

    def _make_pattern(self, mass: SparseOperator, stokes: SparseOperator) -> None:
        """Keep the entries that are used: factors of stored zeros are not sparse."""
        whole, n = mass.adjacency, self.space.n_dofs
        key = whole.receivers * n + whole.index
        scalar = self.scalar.pattern().adjacency
        placed = torch.stack([rows[scalar.receivers] * n + rows[scalar.index] for rows in self.number])
        slots = torch.searchsorted(key, placed)
        used = (mass.values != 0) | (stokes.values.abs() > 1e-14 * stokes.values.abs().max())
        used[slots.reshape(-1)] = True
        rows = torch.nonzero(used)[:, 0]
        ptr = torch.cat([whole.ptr.new_zeros(1), torch.bincount(whole.receivers[rows], minlength=n).cumsum(0)])
        self._adjacency = Adjacency(ptr, whole.index[rows], n)
        self._slots = (torch.cumsum(used, 0) - 1)[slots]
        self.mass = SparseOperator.from_adjacency(self._adjacency, mass.values[rows])
        self.stokes = SparseOperator.from_adjacency(self._adjacency, stokes.values[rows])

    def matrix(self, inertia: float, carried_by: Float[Tensor, " n_dofs"] | None) -> SparseOperator:
        """inertia * mass + stokes, and convection by the velocity of a state."""
        values = inertia * self.mass.values + self.stokes.values
        if carried_by is not None:
            moved = self.convection(carried_by[self.number.t()]).values
            values = values.index_add(0, self._slots.reshape(-1), moved.repeat(len(self.number)))
        return self.mass.with_values(values)

    def walls(self, velocity: dict[str, Any], time: float, pin: bool) -> AffineConstraint:
        """Prescribed velocities at a time; with `pin` one pressure is 0."""
        n, dim = self.space.n_dofs, self.mesh.dim
        places = self.scalar.dof_points
        full = torch.zeros(n, dtype=torch.float64)
        fixed = torch.zeros(n, dtype=torch.bool)
        for name, value in velocity.items():
            dofs = self.wall_dofs(name)
            rows = evaluate(at_time(value, time), places.index_select(0, dofs), dim)
            for c in range(dim):
                full[self.number[c][dofs]] = rows[:, c]
                fixed[self.number[c][dofs]] = True
        if pin:
            fixed[self.pressure_dofs[0]] = True
        numbers = torch.nonzero(fixed)[:, 0]
        return AffineConstraint.dirichlet(n, numbers, full.index_select(0, numbers))

    def wall_dofs(self, name: str) -> Tensor:
        """Dofs of the scalar space on a boundary."""
        return torch.as_tensor(self.scalar.dofs(boundary(self.scalar, name)))

    def is_closed(self, velocity: dict[str, Any]) -> bool:
        """Whether the velocity is prescribed on the whole boundary, so that the pressure is known up to a constant."""
        held = [self.scalar.facets(name) for name in velocity]
        return bool(np.isin(self.scalar.skmesh.boundary_facets(), np.concatenate(held)).all())

    def balanced(self, state: Tensor, closed: bool) -> Tensor:
        """The state with a pressure of mean zero, if the flow is closed."""
        if not closed:
            return state
        p = state[self.pressure_dofs]
        one = torch.ones_like(p)
        mean = self.pressure.integrate(p) / self.pressure.integrate(one)
        return state.index_copy(0, self.pressure_dofs, p - mean)

    def force(
        self, residual: Float[Tensor, " n_dofs"], state: Float[Tensor, " n_dofs"], name: str, velocity: dict[str, Any]
    ) -> Float[Tensor, " dim"]:
        """What the fluid exerts on a boundary, from the residual of the momentum without boundary terms.

        Functions of nodes that the boundary shares with others feel the stress there, too: that is taken off.
        """
        own = self.wall_dofs(name)
        mine = self.scalar.facets(name)
        for other in velocity:
            shared = bool(torch.isin(own, self.wall_dofs(other)).any())
            if shared and not bool(np.isin(self.scalar.facets(other), mine).any()):
                residual = residual - self._stress(state, other)
        return -residual[self.number[:, own]].sum(1)

    def _stress(self, state: Tensor, name: str) -> Tensor:
        """nu du/dn - p n on a boundary against every function."""
        nu = self.viscosity
        made: Any = self.space.assemble(
            lambda v, x: dot(nu * dot(grad(x.u[0]), x.normal) - x.u[1].value * x.normal, v[0]),
            on=name,
            u=self.space.function(state),
        )
        return made

    def fields(self, state: Tensor) -> tuple[Tensor, Tensor]:
        """Velocity (n_points, dim) and pressure (n_points,) at the points."""
        u, p = self.space.split(state)
        return (
            to_mesh(self.velocity, u=u).point_data["u"],
            to_mesh(self.pressure, p=p).point_data["p"],
        )

    def interpolated(self, given: Any) -> Tensor:
        """A state with the velocity that a function of the place, or a field (n_points, dim), says; pressure 0."""
        state = torch.zeros(self.space.n_dofs, dtype=torch.float64)
        if callable(given):
            rows = evaluate(given, self.scalar.dof_points, self.mesh.dim)
        else:
            values = torch.as_tensor(given).to(state)
            if values.shape != (self.mesh.n_points, self.mesh.dim):
                raise ParameterError(
                    f"initial has shape {tuple(values.shape)}; a velocity ({self.mesh.n_points}, {self.mesh.dim}), or "
                    "a function of the place that returns one, is needed."
                )
            nodal = self.space.with_element("P2" if self.mesh.domain_types[0] == "triangle6" else "P1")
            rows = torch.stack([self._from_points(nodal, c) for c in values.unbind(1)], dim=1)
        for c, numbers in enumerate(self.number):
            state[numbers] = rows[:, c]
        return state

    def _from_points(self, nodal: FESpace, values: Tensor) -> Tensor:
        return self.scalar.interpolate(nodal.function(nodal.interpolate(values)))


def by_boundary(space: FESpace, velocity: Any, what: Callable[[FESpace], list[str]] = boundaries) -> dict[str, Any]:
    """{boundary: velocity}. Raises ParameterError where nothing is prescribed, or a number for a vector."""
    if not isinstance(velocity, dict) or not velocity:
        raise ParameterError(
            f"velocity={velocity!r:.60}: expected the velocity on parts of the boundary by name, such as "
            f"{{'left': (1.0, 0.0), 'wall': (0.0, 0.0)}}.\n  boundaries: {', '.join(what(space)) or 'none'}"
        )
    zero = (0.0,) * space.dim
    return {name: zero if isinstance(value, (int, float)) and value == 0 else value for name, value in velocity.items()}
