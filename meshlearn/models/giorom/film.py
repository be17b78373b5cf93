"""Trajectories of bodies as a stepper needs them: checked, with what the model was told of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.errors import FieldError, MeshError, ParameterError
from meshlearn.mesh.boundary import tagged_points
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.trajectory import Trajectory
from meshlearn.models.giorom.body import Body, Nodes
from meshlearn.models.giorom.constants import settled
from meshlearn.models.giorom.sample import Window
from meshlearn.ops import gather
from meshlearn.train.fields import FieldSet, resolve_one


@dataclass
class Film:
    """A body and its places (n_times, n_points, dim), float64."""

    body: Body
    places: Float[Tensor, "n_times n_points dim"]

    def window(self, number: int, frame: int, nodes: Nodes, history: int, ahead: int, solid: bool) -> Window:
        """The nodes at a frame, `history` displacements back, with the truth for `ahead` frames.

        The target of frame k ahead is the constant acceleration, without gravity, that leads from the present to the
        true place there: (x_k - x_0 - k v_0) / (k (k + 1) / 2) - g.
        """
        known = self.places[frame - history : frame + ahead + 1].index_select(1, nodes.index)
        sample = window_of(self.body, nodes, known[: history + 1], solid, number, frame)
        k = torch.arange(1, ahead + 1, dtype=torch.float64)[:, None, None]
        now, last = known[history], known[history] - known[history - 1]
        mean = (known[history + 1 :] - now - k * last) / (k * (k + 1) / 2) - self.body.gravity
        coming = known[history:].diff(dim=0)
        weights = sample.share * sample.free
        return sample.replace(
            driven=coming.movedim(0, 1).flatten(1) * (1 - sample.free),
            targets={"point": mean.movedim(0, 1).flatten(1)},
            weights={"point": (weights / weights.sum().clamp(min=1e-12))[:, 0]},
        )


def window_of(
    body: Body, nodes: Nodes, known: Float[Tensor, "_ n dim"], solid: bool, number: int = 0, frame: int = 0
) -> Window:
    """The present of some nodes, the last of the `known` frames, as a sample in float64 without targets."""
    if nodes.constant is None:
        nodes.constant = _constants(body, nodes)
    centre = (nodes.share * known[-1]).sum(0)
    sample = nodes.constant.replace(
        window=torch.tensor([[number, frame]]),
        places=known[-1] - centre,
        velocities=known.diff(dim=0).movedim(0, 1).flatten(1),
    )
    if body.box is not None:
        sample = sample.replace(box=(body.box - centre).reshape(1, -1))
    return sample if solid else sample.reconnected()


def _constants(body: Body, nodes: Nodes) -> Window:
    """What does not change in time of some nodes."""
    share = nodes.share
    rest = gather(body.rest.points, nodes.index).double()
    return Window(
        counts={"point": torch.tensor([len(rest)]), "global": torch.tensor([1])},
        window=torch.tensor([[0, 0]]),
        rest=rest - (share * rest).sum(0),
        places=rest,
        velocities=torch.zeros_like(rest),
        driven=torch.zeros_like(rest),
        free=(~nodes.held).double()[:, None],
        share=share,
        kinds=gather(body.kinds, nodes.index),
        point_inputs=gather(body.point_inputs, nodes.index),
        global_inputs=body.global_inputs,
        gravity=body.gravity[None],
        box=rest.new_zeros(1, 0),
        radius=torch.tensor([[nodes.sparse.radius]], dtype=torch.float64),
        adjacency=nodes.sparse.graph,
    )


@dataclass(frozen=True)
class Reading:
    """What a model was told of its data; `film` and `body` read trajectories and meshes accordingly.

    gravity   name of global data (dim,), the vector itself, or None; per time squared
    box       name of global data (2, dim), the corners themselves, or None
    kinds     name of whole-numbered point data, or None; known_kinds are its values in training
    fixed     names of point or boundary sets whose motion is given
    """

    gravity: Any
    box: Any
    kinds: str | None
    fixed: tuple[str, ...]
    known_kinds: tuple[int, ...]

    def film(self, item: Any, where: str, least: int, fields: FieldSet | None, step: float | None = None) -> Film:
        """A trajectory with at least `least` frames; `step` is the length of one, by default that of the trajectory.

        Raises MeshError, FieldError or ParameterError, which name the trajectory and the frame.
        """
        if not isinstance(item, Trajectory):
            raise ParameterError(f"{where} is a {type(item).__name__}; a Trajectory whose points move is expected.")
        if item.moving_points is None:
            raise FieldError(
                f"the points of {where} do not move: there is no motion to learn.\n  GIOROM takes trajectories with "
                "moving_points, as ml.sim.make_bodies and ml.sim.make_mpm make them."
            )
        if len(item) < least:
            raise ParameterError(
                f"{where} has {len(item)} frames, but {least} are needed: the history of velocities, the present, and "
                "what follows.\n  Give longer trajectories, or take a shorter history (or fewer frames to unroll)."
            )
        bad = ~torch.isfinite(item.moving_points).flatten(1).all(1)
        if bool(bad.any()):
            frame = int(bad.nonzero()[0, 0])
            points = int((~torch.isfinite(item.moving_points[frame])).any(1).sum())
            raise MeshError(
                f"{where} has NaN or infinite places of {points} points in frame {frame} (and in {int(bad.sum())} "
                f"frames in all).\n  Cut it before (trajectory[:{frame}]), or leave it out."
            )
        dt = float(item.times[1] - item.times[0]) if step is None else step
        inputs = () if fields is None else tuple(spec.name for spec in fields.inputs)
        mesh = settled(item, (*inputs, *self.names), where).mesh
        return Film(self.body(mesh, where, dt, fields), item.moving_points.detach().cpu().double())

    @property
    def names(self) -> tuple[Any, ...]:
        """Of constants that are looked for in the data, beside inputs."""
        return self.gravity, self.box, self.kinds

    def body(self, mesh: Mesh, where: str, step: float, fields: FieldSet | None) -> Body:
        """The body that a mesh at rest is, with constants where the fields of the model are known."""
        mesh = mesh.cpu()
        if not bool(torch.isfinite(mesh.points).all()):
            raise MeshError(f"{where} has NaN or infinite coordinates at rest: repair or leave it out.")
        dim, n = mesh.dim, mesh.n_points
        if fields is not None and fields.dim != dim:
            raise MeshError(f"{where} is {dim}-dimensional, but the model was fitted in {fields.dim} dimensions.")
        held = torch.zeros(n, dtype=torch.bool)
        for name in self.fixed:
            held[tagged_points(mesh, name)] = True
        if bool(held.all()):
            raise MeshError(f"all points of {where} are in {', '.join(self.fixed)}: nothing is left to move by itself.")
        gravity = self._vector("gravity", self.gravity, mesh, (dim,), where)
        box = None if self.box is None else self._vector("box", self.box, mesh, (2, dim), where)
        if box is not None and not bool((box[0] < box[1]).all()):
            raise FieldError(f"the box of {where} is {box.tolist()}: its lower corner must be below its upper one.")
        point_inputs, global_inputs = torch.zeros(n, 0).double(), torch.zeros(1, 0).double()
        if fields is not None:
            for spec in fields.inputs:
                resolve_one(mesh, spec.name, where, spec.location)
            point_inputs = fields.table(mesh, "inputs", "point", where).double()
            global_inputs = fields.table(mesh, "inputs", "global", where).double()
        return Body(mesh, held, self._kinds(mesh, where), gravity * step**2, box, point_inputs, global_inputs, where)

    def _vector(self, role: str, value: Any, mesh: Mesh, shape: tuple[int, ...], where: str) -> Tensor:
        if value is None:
            return torch.zeros(shape, dtype=torch.float64)
        if isinstance(value, str):
            resolve_one(mesh, value, where, "global")
            value = mesh.global_data[value]
        table = torch.as_tensor(value, dtype=torch.float64).detach().cpu()
        if tuple(table.shape) != shape or not bool(torch.isfinite(table).all()):
            raise FieldError(f"{role} of {where} is {table.tolist()}: finite numbers of shape {shape} are expected.")
        return table

    def _kinds(self, mesh: Mesh, where: str) -> Tensor:
        if self.kinds is None:
            return torch.zeros(mesh.n_points, dtype=torch.int64)
        values = kind_values(mesh, self.kinds, where)
        known = torch.tensor(self.known_kinds, dtype=torch.int64)
        number = torch.searchsorted(known, values).clamp(max=max(len(known) - 1, 0))
        strange = values[known.index_select(0, number) != values] if len(known) else values
        if len(strange):
            raise FieldError(
                f"{where} has particles of kind {int(strange[0])} ({self.kinds!r}); the training had "
                f"{list(self.known_kinds)}, and nothing is known of others."
            )
        return number


def kind_values(mesh: Mesh, name: str, where: str) -> Tensor:
    """(n_points,) int64 kinds of particles, as the data have them."""
    resolve_one(mesh, name, where, "point")
    values = mesh.point_data[name].cpu()
    if values.is_floating_point() or values.dim() != 1:
        raise FieldError(
            f"kinds of particles are whole numbers, one per point; {name!r} of {where} is {values.dtype} "
            f"{tuple(values.shape)}."
        )
    return values.long()
