"""The moving least squares material point method: particles carry the bodies, a grid carries the forces.

Hu, Fang, Ge, Qu, Zhu, Pradhana and Jiang, A moving least squares material point method with displacement discontinuity
and two-way rigid body coupling, ACM TOG 37 (2018), with the affine transfers of Jiang et al. 2015 and quadratic
B-splines. Time stepping is symplectic: momentum is moved with the stress at the start of a step, places with the
velocities at its end.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.mesh.mesh import Mesh
from meshlearn.sim.motion.arguments import acceleration, share
from meshlearn.sim.motion.momentum import SPINS, angular_momentum
from meshlearn.sim.motion.system import Motion
from meshlearn.sim.mpm.body import Body
from meshlearn.sim.mpm.grid import Grid
from meshlearn.sim.mpm.state import State
from meshlearn.sim.mpm.stencil import Stencil

BLOCK = {"cpu": 4096, "cuda": 2**19}  # particles that are transferred at once: they stay in cache, and bound the memory
FASTEST = 1.0  # cells that a particle may move in one step


class MPM(Motion[State]):
    """Bodies in a box, in 2-D (plane strain) or 3-D.

    bodies        one `Body` or several, of one dimension, dtype and device; they touch and push as soon as they are
                  less than two cells apart, and stick to each other as one body would (one velocity field)
    spacing       edge length of the grid's cells; bodies want 2 particles along each edge of a cell
    lower, upper  corners of the box; its sides are whole numbers of cells
    walls         one kind for all sides or {side: kind} (`meshlearn.sim.motion.walls`): "separate" (default), "slip",
                  "sticky", "open", or `Wall("separate", friction=0.4)`
    gravity       acceleration: 0, or a vector (dim,)
    cfl           time steps are at most this share of what sound and the particles need to cross a cell; below 1

    Units are the caller's: with metres, seconds and kilograms, moduli are Pa.
    Gradients flow through steps, to points and velocities at the start, volumes, and constants of materials.
    Raises ParameterError for values that do not fit and bodies that are not in the box.

    >>> from meshlearn.sim import mpm
    >>> ball = mpm.Body.fill(ml.shapes.disc(0.1), mpm.NeoHookean(1e5, 0.3), 0.02, shift=(0.5, 0.5))
    >>> scene = mpm.MPM(ball, spacing=0.04, lower=(0, 0), upper=(1, 1), gravity=(0.0, -10.0))
    >>> state = scene.run(scene.start(), steps=10, time_step=1e-3)
    >>> round(state.velocities[0, 1].item(), 5)  # falling
    -0.1
    """

    def __init__(
        self,
        bodies: Any,
        spacing: Any,
        lower: Any,
        upper: Any,
        walls: Any = "separate",
        gravity: Any = 0.0,
        cfl: Any = 0.4,
    ) -> None:
        self.bodies = _bodies(bodies)
        self.grid = Grid(spacing, lower, upper, walls)
        like = self.bodies[0].points
        if like.shape[1] != self.grid.dim:
            raise ParameterError(f"the bodies are in {like.shape[1]}-D, the box is in {self.grid.dim}-D.")
        self.cfl = share("cfl", cfl)
        self.gravity = acceleration(gravity, like)
        self.volume = torch.cat([body.volume for body in self.bodies])
        self.mass = torch.cat([body.volume * body.density for body in self.bodies])
        self.counts = [body.n for body in self.bodies]
        for number, body in enumerate(self.bodies):
            outside = self.grid.outside(body.points.detach().t(), leeway=1e-5)
            if bool(outside.any()):
                where = body.points.detach()[outside][0].tolist()
                raise ParameterError(
                    f"{int(outside.sum())} particles of body {number} are outside the box from {self.grid.lower} to "
                    f"{self.grid.upper}; the first is at {tuple(round(x, 6) for x in where)}."
                )

    @property
    def n(self) -> int:
        """Number of particles of all bodies, which are numbered body by body."""
        return len(self.mass)

    def start(self) -> State:
        """The bodies as they were given, at rest inside."""
        points = torch.cat([body.points for body in self.bodies])
        dim = self.grid.dim
        return State(
            position=points.t().contiguous(),
            velocity=torch.cat([body.velocity for body in self.bodies]).t().contiguous(),
            affine=points.new_zeros(dim, dim, self.n),
            memory=tuple(body.material.rest(dim, body.volume) for body in self.bodies),
        )

    def stable_step(self, state: State, faster: float = 0.0) -> float:
        """The largest time step that is stable: `cfl` times what the fastest wave, carried by the fastest particle,
        needs to cross a cell; and what viscosity allows.

        faster  how much the fastest particle may gain in speed before the next call
        """
        densities = [body.density for body in self.bodies]
        sound = max(math.sqrt(body.material.stiffness() / d) for body, d in zip(self.bodies, densities, strict=True))
        speed = float(state.velocity.detach().abs().max()) + faster
        h = self.grid.spacing
        step = self.cfl * h / (sound + speed)
        for body, density in zip(self.bodies, densities, strict=True):
            viscosity = body.material.viscosity_bound()
            if viscosity > 0:
                step = min(step, self.cfl * h * h * density / (2 * self.grid.dim * viscosity))
        return step

    def step(self, state: State, time_step: float) -> State:
        """The state one step later. Steps are not checked: `run` and `simulate` do."""
        h, dt = self.grid.spacing, float(time_step)
        position = (state.position - _column(self.grid.origin, state.position)) / h
        momentum, slopes = self._carried(state, dt)
        blocks = list(self._blocks(position))
        fields = [position.new_zeros(self.grid.n_nodes) for _ in range(self.grid.dim + 1)]
        for start, stencil in blocks:
            parts = stencil.spread(momentum.narrow(1, start, stencil.n), slopes.narrow(2, start, stencil.n))
            for field, part in zip(fields, parts, strict=True):
                field.scatter_add_(0, stencil.nodes, part)
        *total, mass = fields
        velocity = torch.stack(total) / mass.clamp(min=torch.finfo(mass.dtype).tiny)
        if self.gravity is not None:
            velocity = velocity + dt * self.gravity[:, None]
        nodal = self.grid.bounded(velocity).unbind(0)
        found = [stencil.collect(nodal) for _, stencil in blocks]
        speed = found[0][0] if len(found) == 1 else torch.cat([part for part, _ in found], 1)
        affine = found[0][1] if len(found) == 1 else torch.cat([part for _, part in found], 2)
        affine = affine * (4 / h)
        growth = (dt * affine).split(self.counts, 2)
        memory = tuple(
            body.material.moved(old, part) for body, old, part in zip(self.bodies, state.memory, growth, strict=True)
        )
        return State(
            position=state.position + dt * speed,
            velocity=speed,
            affine=affine,
            memory=memory,
            step=state.step + 1,
            time=state.time + dt,
        )

    def problem(self, state: State, time_step: float) -> str:
        """Particles without volume or outside the box, values that are not finite, or more than a cell in one step."""
        first = 0
        for number, (body, memory) in enumerate(zip(self.bodies, state.memory, strict=True)):
            ratio = body.material.volume_ratio(memory)
            bad = ~(ratio > 0)
            if bool(bad.any()):
                i = int(bad.nonzero()[0])
                return (
                    f"{int(bad.sum())} particles of body {number} are turned inside out or have no volume (particle "
                    f"{first + i}: volume ratio {float(ratio[i]):.3g})"
                )
            first += body.n
        if not state.is_finite():
            return "velocities or places are not finite"
        outside = self.grid.outside(state.position)
        if bool(outside.any()):
            i = int(outside.nonzero()[0])
            place = ", ".join(f"{x:.4g}" for x in state.position[:, i].tolist())
            return f"{int(outside.sum())} particles left the box (particle {i} is at ({place}))"
        moved = float(state.velocity.abs().max()) * time_step / self.grid.spacing
        return f"a particle moves {moved:.2g} cells in one step" if moved > FASTEST else ""

    def advice(self, before: State, cause: str, time_step: float) -> str:
        """A stable step, a larger box, or a hardier scene."""
        if "left the box" in cause:
            return "Make the box larger, or give it walls on that side; behind walls, take smaller time steps."
        stable = self.stable_step(before)
        remedy = "Take a smaller cfl, more particles per cell, a stiffer material or slower bodies."
        if time_step > stable * 1.001:
            remedy = "Take that."
        return (
            f"The time step is {time_step:.3g}, stable is {stable:.3g} for these materials at rest. {remedy} "
            "Corotated() bears stronger compression than NeoHookean()."
        )

    def acceleration_bound(self) -> float:
        """The largest component of gravity."""
        return 0.0 if self.gravity is None else float(self.gravity.detach().abs().max())

    def cloud(self) -> Mesh:
        """The particles at the start, with body () int64, mass () and volume () at rest."""
        device = self.mass.device
        numbers = torch.arange(len(self.bodies), device=device)
        body = torch.repeat_interleave(numbers, torch.tensor(self.counts, device=device))
        points = torch.cat([body.points for body in self.bodies]).detach()
        return Mesh(points, point_data={"body": body, "mass": self.mass.detach(), "volume": self.volume.detach()})

    def measured(self, state: State) -> dict[str, dict[str, Any]]:
        """Velocities, volumes, energies and momenta; the affine motion of particles takes part in these."""
        h, mass, x, v, affine = self.grid.spacing, self.mass, state.position, state.velocity, state.affine
        volumes = self.volume.split(self.counts)
        laws = [body.material for body in self.bodies]
        stored = [(law.energy(m) * part).sum() for law, m, part in zip(laws, state.memory, volumes, strict=True)]
        ratios = [law.volume_ratio(memory) for law, memory in zip(laws, state.memory, strict=True)]
        inertia = h * h / 4 * mass  # of a particle's affine velocity, along every axis
        turning = {(i, j): (inertia * (affine[j, i] - affine[i, j])).sum() for i, j in SPINS[len(x)]}
        kinetic = 0.5 * (mass * v.square().sum(0) + inertia * affine.square().sum((0, 1))).sum()
        return {
            "point_data": {"velocity": state.velocities.contiguous(), "volume_ratio": torch.cat(ratios)},
            "global_data": {
                "kinetic_energy": kinetic,
                "stored_energy": torch.stack(stored).sum(),
                "momentum": (mass * v).sum(1),
                "angular_momentum": angular_momentum(mass, x, v, turning),
            },
        }

    def _carried(self, state: State, dt: float) -> tuple[Float[Tensor, "rows n"], Float[Tensor, "rows dim n"]]:
        """Momentum and mass of the particles, and how both change from them to the nodes, per cell."""
        h = self.grid.spacing
        parts = [
            body.material.stress(memory, slope)
            for body, memory, slope in zip(self.bodies, state.memory, state.affine.split(self.counts, 2), strict=True)
        ]
        stress = parts[0] if len(parts) == 1 else torch.cat(parts, 2)
        slopes = (h * self.mass) * state.affine - (4 * dt / h * self.volume) * stress
        momentum = torch.cat([self.mass * state.velocity, self.mass[None]])
        return momentum, torch.cat([slopes, torch.zeros_like(slopes[:1])])

    def _blocks(self, position: Tensor) -> Iterator[tuple[int, Stencil]]:
        size = BLOCK["cpu" if position.device.type == "cpu" else "cuda"]
        for start in range(0, self.n, size):
            yield start, Stencil(position[:, start : start + size], self.grid.shape)

    def __repr__(self) -> str:
        cells = " x ".join(str(count - 5) for count in self.grid.shape)
        lines = [f"MPM({self.n} particles in {cells} cells of {self.grid.spacing:g})"]
        return "\n  ".join([*lines, *map(repr, self.bodies)])


def _bodies(bodies: Any) -> tuple[Body, ...]:
    found = (bodies,) if isinstance(bodies, Body) else tuple(bodies) if isinstance(bodies, Sequence) else ()
    if not found or not all(isinstance(body, Body) for body in found):
        raise ParameterError(f"bodies is a Body or a list of them, not {bodies!r:.80}.")
    kinds = {(body.points.shape[1], body.points.dtype, body.points.device) for body in found}
    if len(kinds) > 1:
        raise ParameterError(f"the bodies differ in dimension, dtype or device: {sorted(map(str, kinds))}.")
    return found


def _column(values: tuple[float, ...], like: Tensor) -> Tensor:
    return torch.tensor(values, dtype=like.dtype, device=like.device)[:, None]
