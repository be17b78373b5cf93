"""Explicit dynamics of elastic solids: total-Lagrangian linear elements with lumped masses.

Belytschko, Liu, Moran and Elkhodary, Nonlinear Finite Elements for Continua and Structures, 2nd ed. 2014, sections 4.9
and 6.2. Time is marched by the velocity form of Störmer and Verlet (symplectic, of second order); damping is split off
and exact.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.mesh.mesh import Mesh
from meshlearn.sim.dynamics.contact import Contact
from meshlearn.sim.dynamics.elements import Elements
from meshlearn.sim.dynamics.held import Held
from meshlearn.sim.dynamics.state import ElasticState
from meshlearn.sim.motion.arguments import acceleration, check_constants, floats, not_negative, positive, share
from meshlearn.sim.motion.momentum import angular_momentum
from meshlearn.sim.motion.system import Motion
from meshlearn.sim.motion.walls import box, side_walls
from meshlearn.sim.mpm.elastic import Elastic, NeoHookean
from meshlearn.sim.mpm.tensors import determinant

CONTACT = 1.0  # how fast springs of walls are against the fastest elements


class ElasticDynamics(Motion[ElasticState]):
    """An elastic solid, or several in one mesh, that moves.

    mesh          triangles in 2-D (plane strain, unit thickness) or tetrahedra in 3-D, undeformed, at its place
    material      `NeoHookean` or `Corotated`, with constants that are numbers or tensors () or (n_cells,); or another
                  elastic law, such as that of `ml.ConstitutiveNet`
    density       mass per undeformed volume
    velocity      at the start: 0, (dim,), (n_points, dim), or a function of the points (n_points, dim)
    gravity       acceleration: 0, or a vector (dim,)
    force         on every node: 0, or (n_points, dim); constant in time
    fixed         {boundary or point set: 0.0, components of velocity, or a function of time}, see `held.Held`
    lower, upper  corners of a box whose sides push back, or None for no box
    walls         of that box: "separate" (default), "open", or `Wall("separate", friction=0.4)`, for all or by side
    damping       rate at which velocities fall, per time
    safety        time steps are at most this share of the proven bound at rest; below 1. Elements that are compressed
                  vibrate faster

    Bodies feel walls, not each other. Gradients flow through steps, to velocities, forces, constants of the material
    and points of the mesh. Linear elements lock near a Poisson's ratio of 0.5: stay below 0.4.
    Raises ParameterError and MeshError for what does not fit.

    >>> from meshlearn.sim import dynamics
    >>> block = ml.shapes.rectangle(2.0, 1.0)
    >>> block = dynamics.ElasticDynamics(block, dynamics.NeoHookean(1e5, 0.3), gravity=(0.0, -10.0))
    >>> state = block.run(block.start(), steps=10, time_step=1e-3)
    >>> round(state.velocities[0, 1].item(), 5)
    -0.1
    """

    def __init__(
        self,
        mesh: Any,
        material: Any = None,
        density: Any = 1000.0,
        velocity: Any = 0.0,
        gravity: Any = 0.0,
        force: Any = 0.0,
        fixed: Any = None,
        lower: Any = None,
        upper: Any = None,
        walls: Any = "separate",
        damping: Any = 0.0,
        safety: Any = 0.7,
    ) -> None:
        self.mesh, self.elements = mesh, Elements(mesh)
        self.material = NeoHookean() if material is None else material
        if not isinstance(self.material, Elastic):
            raise ParameterError(
                "the material is elastic: NeoHookean(young, poisson), Corotated or another that remembers only F, not "
                f"{material!r:.60}."
            )
        check_constants(self.material, len(self.elements.volume), "cells")
        self.density, self.damping = positive("density", density), not_negative("damping", damping)
        self.safety = share("safety", safety)
        self.gravity = acceleration(gravity, mesh.points)
        given = velocity(mesh.points) if callable(velocity) else velocity
        self.velocity = _per_point("velocity", given, mesh)
        self.force = _per_point("force", force, mesh)
        self.held = Held(mesh, fixed)
        self.mass: Float[Tensor, " n_points"] = self.density * self.elements.share
        moduli = self.material.modulus_bound(mesh.dim)
        self.fastest = math.sqrt(moduli / self.density * self.elements.slope_bound())
        if (lower is None) != (upper is None):
            raise ParameterError("a box has two corners: give both lower and upper, or none of them.")
        self.contact = None
        if lower is not None:
            low, high = box(lower, upper)
            if len(low) != mesh.dim:
                raise ParameterError(f"the box is in {len(low)}-D, the mesh in {mesh.dim}-D.")
            self.contact = Contact(low, high, side_walls(walls, mesh.dim), CONTACT * self.fastest / 2)

    def start(self) -> ElasticState:
        """The mesh as it was given, with its velocities."""
        return self.state(self.mesh.points, self.velocity)

    def state(
        self, points: Float[Tensor, "n_points dim"], velocities: Float[Tensor, "n_points dim"], time: float = 0.0
    ) -> ElasticState:
        """The state of the mesh at some places with some velocities; prescribed velocities stand in their places."""
        position = points.t().contiguous()
        velocity = self.held.applied(velocities.t().contiguous(), time)
        return ElasticState(position=position, velocity=velocity, acceleration=self._acceleration(position), time=time)

    def stable_step(self, state: ElasticState, faster: float = 0.0) -> float:
        """`safety` times two over the highest frequency, walls included; it does not depend on the state."""
        highest = self.fastest if self.contact is None else math.hypot(self.fastest, self.contact.rate)
        return self.safety * 2 / highest

    def step(self, state: ElasticState, time_step: float) -> ElasticState:
        """The state one step later. Steps are not checked: `run` and `simulate` do."""
        dt = float(time_step)
        velocity = self._kicked(state.velocity, state.position, state.acceleration, dt / 2)
        velocity = self.held.applied(velocity, state.time + dt / 2)
        position = state.position + dt * velocity
        new = self._acceleration(position)
        velocity = self._kicked(velocity, position, new, dt / 2)
        return ElasticState(
            position=position,
            velocity=self.held.applied(velocity, state.time + dt),
            acceleration=new,
            step=state.step + 1,
            time=state.time + dt,
        )

    def _kicked(self, velocity: Tensor, position: Tensor, rate: Tensor, duration: float) -> Tensor:
        velocity = velocity + duration * rate
        if self.damping:
            velocity = velocity * math.exp(-self.damping * duration)
        if self.contact is not None:
            velocity = self.contact.rubbed(velocity, position, duration)
        return velocity

    def _acceleration(self, position: Tensor) -> Tensor:
        deformation = self.elements.deformation(position)
        stress = self.material.stress(deformation.flatten(0, 1), deformation)
        total = (self.elements.forces(stress, deformation) + self.force.t()) / self.mass
        if self.gravity is not None:
            total = total + self.gravity[:, None]
        if self.contact is not None:
            total = total + self.contact.acceleration(position)
        return total

    def problem(self, state: ElasticState, time_step: float) -> str:
        """Elements without volume, and values that are not finite."""
        if not bool(torch.isfinite(state.position.detach()).all()):
            return "places are not finite"
        ratio = self._volume_ratio(state)
        bad = ~(ratio > 0)
        if bool(bad.any()):
            i = int(bad.nonzero()[0])
            kind = self.elements.kind
            return f"{int(bad.sum())} elements are turned inside out ({kind} {i}: volume ratio {float(ratio[i]):.3g})"
        return "" if state.is_finite() else "velocities are not finite"

    def advice(self, before: ElasticState, cause: str, time_step: float) -> str:
        """A stable step, or a milder scene."""
        stable = self.stable_step(before)
        if time_step > stable * 1.001:
            return f"The time step is {time_step:.3g}, stable is {stable:.3g}. Take that."
        return (
            f"The time step is {time_step:.3g}. Compressed elements need shorter steps (safety={self.safety / 2:.2g}); "
            "or take a finer mesh, a stiffer material or slower bodies."
        )

    def acceleration_bound(self) -> float:
        """0: the stable step does not depend on speeds."""
        return 0.0

    def cloud(self) -> Mesh:
        """The mesh at the start, with mass ()."""
        return self.mesh.replace(points=self.mesh.points.detach()).with_point_data(mass=self.mass.detach())

    def measured(self, state: ElasticState) -> dict[str, dict[str, Any]]:
        """Velocities, volumes of elements, energies (those of walls are stored energy, too) and momenta."""
        deformation = self.elements.deformation(state.position)
        stored = (self.material.energy(deformation.flatten(0, 1)) * self.elements.volume).sum()
        if self.contact is not None:
            stored = stored + self.contact.energy(state.position, self.mass)
        return {
            "point_data": {"velocity": state.velocities.contiguous()},
            "cell_data": {"volume_ratio": {self.elements.kind: determinant(deformation)}},
            "global_data": {
                "kinetic_energy": 0.5 * (self.mass * state.velocity.square()).sum(),
                "stored_energy": stored,
                "momentum": (self.mass * state.velocity).sum(1),
                "angular_momentum": angular_momentum(self.mass, state.position, state.velocity),
            },
        }

    def _volume_ratio(self, state: ElasticState) -> Tensor:
        return determinant(self.elements.deformation(state.position.detach()))

    def __repr__(self) -> str:
        n = len(self.elements.volume)
        return f"ElasticDynamics({n} {self.elements.kind} elements, {self.material!r}, density={self.density:g})"


def _per_point(name: str, value: Any, mesh: Mesh) -> Tensor:
    values = floats(name, value, mesh.points)
    if values.dim() == 0 and float(values.detach()) != 0:
        raise ParameterError(f"{name} is a vector of {mesh.dim} components, or 0, not the number {float(values):g}.")
    if not bool(torch.isfinite(values.detach()).all()):
        raise ParameterError(f"{name} holds values that are not finite.")
    try:
        return values.expand(mesh.n_points, mesh.dim)
    except RuntimeError:
        raise ParameterError(
            f"{name} has shape {tuple(values.shape)}; ({mesh.dim},) or ({mesh.n_points}, {mesh.dim}) is expected."
        ) from None
