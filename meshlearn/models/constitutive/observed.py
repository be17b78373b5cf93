"""What a film of a body shows: places, velocities, and the deformation and velocity gradients that follow from them."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn import ops
from meshlearn.errors import FieldError, ParameterError
from meshlearn.mesh.trajectory import Trajectory
from meshlearn.sim.dynamics.solver import ElasticDynamics
from meshlearn.sim.dynamics.state import ElasticState
from meshlearn.sim.motion.system import Motion
from meshlearn.sim.mpm.elastic import Elastic
from meshlearn.sim.mpm.solver import MPM
from meshlearn.sim.mpm.state import State
from meshlearn.sim.mpm.tensors import cofactor, determinant, identity, product

NEIGHBOURS = {2: 8, 3: 18}
SUBSTEPS = 4  # per frame, when laws with a memory of their own are led through the film
APART = 1e-3  # of the size of the body: what the first frame may differ from the scene


class Observed:
    """A film beside the scene that it shows.

    places      (n_times, n, dim), in the dtype and on the device of the scene
    velocities  (n_times, n, dim): the point field "velocity" of the film, or else second-order differences of places
    scale       root mean square displacement from the first frame: the unit of errors

    Raises ParameterError for anything but a film of moving points and a solver, FieldError unless both have the same
    points, at the same places at the start.
    """

    def __init__(self, film: Any, world: Any) -> None:
        if not isinstance(film, Trajectory) or film.moving_points is None:
            raise ParameterError(
                f"a Trajectory with moving_points is needed, such as mpm.simulate returns, not a "
                f"{type(film).__name__}{' of points that stay' if isinstance(film, Trajectory) else ''}."
            )
        if not isinstance(world, (MPM, ElasticDynamics)):
            raise ParameterError(
                "scene is a function that takes a law and returns an mpm.MPM or a dynamics.ElasticDynamics made with "
                f"it; this one returned a {type(world).__name__}."
            )
        start = world.start().points.detach()
        self.times = film.times.double().tolist()
        if len(self.times) < 2:
            raise ParameterError("the film has one frame; at least two are needed to see a motion.")
        self.places = film.moving_points.to(start)
        if self.places.shape[1:] != start.shape:
            raise FieldError(
                f"the film has {self.places.shape[1]} points in {self.places.shape[2]}-D, the scene {len(start)} in "
                f"{start.shape[1]}-D: the scene must be made with the points of the film, in their order."
            )
        if not bool(torch.isfinite(self.places).all()):
            frame = int((~torch.isfinite(self.places).flatten(1).all(1)).nonzero()[0])
            raise FieldError(f"the film has places that are not finite, first in frame {frame}.")
        size = float((start.amax(0) - start.amin(0)).max())
        apart = float((self.places[0] - start).abs().max())
        if apart > APART * size:
            raise FieldError(
                f"the first frame is up to {apart:.3g} away from the start of the scene, whose body is {size:.3g} "
                "large: a scene must start where its film does, undeformed, with the points in the same order."
            )
        given = film.point_data.get("velocity")
        if given is not None and given.shape == self.places.shape:
            self.velocities = given.to(start)
        else:
            self.velocities = _differences(self.places, self.times)
        self.scale = float((self.places - self.places[0]).square().sum(2).mean().sqrt())
        if not self.scale > 0:
            raise ParameterError("nothing moves in the film: there is nothing to learn from it.")
        self._gradient = _gradient(start, world.counts) if isinstance(world, MPM) else None

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return len(self.times)

    def deformation(self, frame: int, world: Motion) -> Float[Tensor, "dim dim n"]:
        """F of the elements of a mesh (exact), or of particles: by least squares over the neighbours at rest."""
        if isinstance(world, ElasticDynamics):
            return world.elements.deformation(self.places[frame].t())
        return self._slopes(self.places[frame])

    def _slopes(self, field: Tensor) -> Tensor:
        """d field_i / dX_j as (dim, dim, n)."""
        n, dim = field.shape
        assert self._gradient is not None  # of particles; meshes have elements
        return (self._gradient @ field).view(n, dim, dim).permute(2, 1, 0)

    @torch.no_grad()
    def state(self, frame: int, world: Motion) -> State | ElasticState:
        """The state of a scene at a frame: the start of the scene at frame 0, else made from what the film shows.

        Particles of the material point method get F and the velocity gradient by least squares over their neighbours
        at rest. A material that remembers more than F (flow) is led through the deformations of the frames before, so
        that its memory is what this law would remember.
        """
        if frame == 0:
            return world.start().detach()
        time = self.times[frame] - self.times[0]
        if not isinstance(world, MPM):
            assert isinstance(world, ElasticDynamics)
            return world.state(self.places[frame], self.velocities[frame], time)
        deformation = self._upright(frame)
        inverse = (cofactor(deformation) / determinant(deformation)).transpose(0, 1)
        return State(
            position=self.places[frame].t().contiguous(),
            velocity=self.velocities[frame].t().contiguous(),
            affine=product(self._slopes(self.velocities[frame]), inverse).contiguous(),
            memory=self._memory(frame, world, deformation),
            time=time,
        )

    def _upright(self, frame: int) -> Tensor:
        found = self._slopes(self.places[frame])
        bad = int((~(determinant(found) > 0)).sum())
        if bad:
            raise FieldError(
                f"the places of frame {frame} turn the neighbourhoods of {bad} particles inside out: the body is torn "
                "or mixed there, and no state follows from its places.\n  Take segment=None, which always begins at "
                "the start, or a shorter film."
            )
        return found

    def _memory(self, frame: int, world: MPM, deformation: Tensor) -> tuple[Tensor, ...]:
        parts, laws = deformation.split(world.counts, 2), [body.material for body in world.bodies]
        memory = [
            part.flatten(0, 1).contiguous() if isinstance(law, Elastic) else law.rest(len(part), body.volume)
            for part, law, body in zip(parts, laws, world.bodies, strict=True)
        ]
        if all(isinstance(law, Elastic) for law in laws):
            return tuple(memory)
        before = identity(deformation).expand_as(deformation)
        for number in range(1, frame + 1):
            after = self._upright(number)
            for step in range(SUBSTEPS):
                now = before + (after - before) * (step / SUBSTEPS)
                inverse = (cofactor(now) / determinant(now)).transpose(0, 1)
                growth = product((after - before) / SUBSTEPS, inverse).split(world.counts, 2)
                memory = [
                    old if isinstance(law, Elastic) else law.moved(old, part)
                    for law, old, part in zip(laws, memory, growth, strict=True)
                ]
            before = after
        return tuple(memory)


def _gradient(start: Tensor, counts: list[int]) -> ops.SparseOperator:
    """Gradients over the nearest particles of the same body, at rest."""
    dim = start.shape[1]
    few = min(counts)
    k = min(NEIGHBOURS[dim] + 1, few)
    if k <= dim:
        raise ParameterError(f"a body of {few} particles is too small: their deformation cannot be told from places.")
    ptr = torch.tensor([0, *counts], device=start.device).cumsum(0)
    _, nearest = ops.knn(start, start, k, ptr, ptr)
    own = torch.arange(len(start), device=start.device)[:, None].expand_as(nearest)
    adjacency = ops.Adjacency.from_edges(nearest.reshape(-1), own.reshape(-1), n_rows=len(start))
    return ops.graph_gradient(adjacency, start)


def _differences(places: Tensor, times: list[float]) -> Tensor:
    """Rates by differences of second order, one-sided ones of first order at the ends."""
    (rates,) = torch.gradient(places, spacing=(torch.tensor(times, dtype=places.dtype, device=places.device),), dim=0)
    return rates
