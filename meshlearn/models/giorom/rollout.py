"""Motions led on, frame by frame: the nodes by the stepper, all points by the nodes."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from meshlearn.errors import FieldError, MeshWriteError, ParameterError
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.trajectory import Trajectory
from meshlearn.models.giorom.body import Body, Nodes
from meshlearn.models.giorom.carriers import carrier_of
from meshlearn.models.giorom.crowding import CrowdedGraphWarning
from meshlearn.models.giorom.diagnostics import Diagnostics
from meshlearn.models.giorom.film import window_of
from meshlearn.models.giorom.given import Given
from meshlearn.models.giorom.sample import Window
from meshlearn.train.option_checks import whole
from meshlearn.train.precision import narrowed
from meshlearn.train.time_steps import check_step


class RolloutWarning(UserWarning):
    """A rollout that ended before its time, or points that are asked for where no body is."""


@dataclass
class Start:
    """What is known at the beginning: the body, the places of all its points (history + 1, n_points, dim), the time."""

    body: Body
    known: Float[Tensor, "n_known n_points dim"]
    time: float


def roll_out(
    model: Any,
    initial: Any,
    steps: int | None,
    query: Any,
    forced: Any,
    n_nodes: Any,
    seed: int,
    out: Any,
    progress: bool,
) -> Trajectory:
    """See `GIOROM.rollout`."""
    start = start_of(model, initial)
    file = None if out is None else film_path(out)
    if steps is None:
        if isinstance(initial, Mesh):
            raise ParameterError("rollout from one mesh needs the number of steps: rollout(mesh, steps=…).")
        steps = len(initial) - len(start.known)
    count = int(whole(1)("steps", steps))  # type: ignore[arg-type]
    nodes = nodes_of(model, start.body, n_nodes, seed)
    if nodes.sparse.crowding:
        warnings.warn(f"of {start.body.where}, {nodes.sparse.crowding}", CrowdedGraphWarning, stacklevel=3)
    asked = start.body.rest if query is None else query_mesh(query, start.body)
    march = March(model, start, nodes, forced)
    cloud = Mesh(start.body.rest.points.index_select(0, nodes.index), source=start.body.rest.source)
    solid = model.kind == "solid"
    rest = start.body.rest.points.double()
    now = start.known[-1] if not solid and query is None else asked.points.double()
    origin = (rest if solid else start.known[-1]).index_select(0, nodes.index)
    carrier = carrier_of(model, origin, now, asked.dtype)
    given = Given(start.body, start.known[-1], asked, query is None, solid, model.fixed)
    if query is not None:
        warn_far(origin, nodes.sparse.radius, asked)
    diagnostics = Diagnostics(start.body, nodes, asked.n_points, solid, float(model.time_step_))
    times = [start.time + float(model.time_step_) * k for k in range(count + 1)]
    few: list[Tensor] = []

    def frames() -> Iterator[tuple[float, Mesh]]:
        for time, state in zip(times, _tracked(march.states(count), count + 1, progress), strict=False):
            if not bool(torch.isfinite(state.places).all()):
                diagnostics.first_nonfinite = len(few)
                warnings.warn(
                    f"the rollout of {start.body.where} ends after {len(few) - 1} of {count} steps: places are no "
                    "longer finite.\n  The motion has left what the model knows: start from states like those of the "
                    "training, or train longer, with noise or unroll.",
                    RolloutWarning,
                    stacklevel=5,
                )
                return
            points = given(carrier(state.places), march.aim_at(time) if few else None)
            diagnostics.see(state, points)
            few.append(state.places)
            yield time, asked.replace(points=points)

    if file is not None:
        from meshlearn.io.formats.pvd import write_frames

        told = ((time, frame.with_global_data(**diagnostics.rows[-1])) for time, frame in frames())
        write_frames(told, file, growing=True)
        moving, mesh = torch.stack(few).to(cloud.dtype), cloud
    else:
        moving, mesh = torch.stack([frame.points for _, frame in frames()]), asked
    mesh = mesh.with_global_data(first_nonfinite=torch.tensor(diagnostics.first_nonfinite))
    mesh = mesh.replace(global_data={name: value for name, value in mesh.global_data.items() if name != "time"})
    return Trajectory(mesh, times[: len(few)], global_data=diagnostics.series(), moving_points=moving)


SHARED = ("solid",)  # kinds of which all frames have one graph, and with it the coefficients of a stepper


@dataclass(frozen=True)
class State:
    """Places and last displacements of the nodes, float64, and the sample they were stepped from."""

    places: Float[Tensor, "n dim"]
    displacement: Float[Tensor, "n dim"]
    sample: Window | None


class March:
    """The nodes, led on by the stepper in float64."""

    def __init__(self, model: Any, start: Start, nodes: Nodes, forced: Any) -> None:
        self.model, self.start, self.nodes = model, start, nodes
        if forced is not None and not callable(forced):
            raise ParameterError(f"forced={forced!r:.60} must be a function (time, rest) -> places, or None.")
        if forced is not None and not bool(nodes.held.any()):
            raise ParameterError(
                "forced moves nodes whose motion is given, but there are none: name their sets when the model is made, "
                "GIOROM(fixed=['left'])."
            )
        self.forced = forced
        self.held = nodes.held.nonzero()[:, 0]
        rest = start.body.rest.points.index_select(0, nodes.index).double()
        self.rest_of_held = rest.index_select(0, self.held)

    def states(self, steps: int) -> Iterator[State]:
        """The present, and `steps` states that follow."""
        known = self.start.known.index_select(1, self.nodes.index)
        model, dt = self.model, float(self.model.time_step_)
        sample: Window | None = None
        coefficients: Any = None
        for step in range(steps + 1):
            places = known[-1]
            yield State(places, places - known[-2], sample)
            if step == steps:
                return
            sample = window_of(self.start.body, self.nodes, known, model.kind == "solid")
            moved = torch.zeros_like(places)
            if self.forced is not None:
                aim = self.aim(self.start.time + (step + 1) * dt, self.rest_of_held)
                moved[self.held] = aim - places.index_select(0, self.held)
            batch = model.normalizers_.normalise(narrowed(sample.replace(driven=moved), model.dtype, model.device))
            if coefficients is None or model.kind not in SHARED:
                coefficients = model.module_.coefficients(batch)
            acceleration = (
                model.module_(batch, coefficients).double().cpu() * model.scales_.acceleration + self.start.body.gravity
            )
            free = places - known[-2] + acceleration
            known = torch.cat([known[1:], (places + torch.where(sample.free > 0, free, moved))[None]])

    def aim_at(self, time: float) -> Callable[[Tensor], Tensor] | None:
        """What leads places at rest to those at a time; None where nothing is driven."""
        return None if self.forced is None else lambda rest: self.aim(time, rest)

    def aim(self, time: float, rest: Float[Tensor, "k dim"]) -> Float[Tensor, "k dim"]:
        """Where `forced` leads points whose motion is given."""
        aim = self.forced(time, rest.clone())
        try:
            aim = torch.as_tensor(aim).detach().cpu().double()
        except (TypeError, ValueError, RuntimeError):  # torch's own words for what is no table of numbers
            raise ParameterError(
                f"forced(time={time:g}, rest) gave a {type(aim).__name__}: places {tuple(rest.shape)} of the points "
                "whose motion is given are expected."
            ) from None
        if aim.shape != rest.shape or not bool(torch.isfinite(aim).all()):
            raise ParameterError(
                f"forced(time={time:g}, rest) gave {tuple(aim.shape)}: finite places {tuple(rest.shape)} of the points "
                "whose motion is given are expected.\n  It is asked for nodes and for points that follow, apart: as "
                "many places as rest has."
            )
        return aim


def start_of(model: Any, initial: Any) -> Start:
    """The body and its last frames; raises for what a rollout cannot start from."""
    reading, history = model._reading(model.types_), model._history()
    dt = float(model.time_step_)
    if isinstance(initial, Trajectory):
        where = "the trajectory that the rollout starts from"
        check_step(dt, initial, where, used=history)
        film = reading.film(initial[: history + 1], where, history + 1, model.fields_, dt)
        return Start(film.body, film.places, float(initial.times[history]))
    if not isinstance(initial, Mesh):
        raise ParameterError(f"a rollout starts from a Trajectory or a Mesh, not from {type(initial).__name__}.")
    body = reading.body(initial, "the mesh that the rollout starts from", dt, model.fields_)
    name = model.velocity
    if name not in initial.point_data:
        raise FieldError(
            f"the mesh that the rollout starts from has no velocities {name!r} at its points.\n  Add them, or start "
            f"from a Trajectory of {history + 1} frames."
        )
    speed = initial.point_data[name].detach().cpu().double()
    if speed.shape != initial.points.shape or not bool(torch.isfinite(speed).all()):
        wrong = f"got {tuple(speed.shape)}"
        if speed.shape == initial.points.shape:
            wrong = f"but those of {int((~torch.isfinite(speed)).any(1).sum())} points are NaN or infinite"
        raise FieldError(f"velocities {name!r} are finite {tuple(initial.points.shape)}, {wrong}.")
    back = torch.arange(history, -1, -1, dtype=torch.float64)[:, None, None]
    known = initial.points.detach().cpu().double() - back * dt * speed + 0.5 * back.square() * body.gravity
    known = torch.where(body.held[:, None], known[-1], known)
    time = initial.global_data.get("time")
    return Start(body, known, 0.0 if time is None else float(time))


def nodes_of(model: Any, body: Body, n_nodes: Any, seed: int) -> Nodes:
    """Nodes for a rollout; `n_nodes` None as in training."""
    count = model.n_nodes if n_nodes is None else n_nodes
    if count == "all":
        return body.nodes(None, model.sampling, 0, model.radius, model.neighbors)
    count = whole(body.rest.dim + 1)("n_nodes", count)
    return body.nodes(count, model.sampling, int(whole(0)("seed", seed)), model.radius, model.neighbors)  # type: ignore[arg-type]


def query_mesh(query: Any, body: Body) -> Mesh:
    """Points or a mesh as a mesh, of the dimension of the body."""
    if isinstance(query, Mesh):
        mesh = query.cpu()
    else:
        try:
            table = torch.as_tensor(query).detach().cpu()
        except (TypeError, ValueError, RuntimeError):  # torch's own words for what is no table of numbers
            raise ParameterError(f"query is points (m, dim) or a Mesh, not a {type(query).__name__}.") from None
        mesh = Mesh(table)
    if mesh.dim != body.rest.dim:
        raise ParameterError(f"query lies in {mesh.dim} dimensions, the body in {body.rest.dim}.")
    return mesh


def warn_far(origin: Float[Tensor, "n dim"], radius: float, asked: Mesh) -> None:
    """Warn of points that are asked for further around the nodes than these are connected: nothing is known there."""
    low, high = origin.amin(0) - radius, origin.amax(0) + radius
    far = ((asked.points.double() < low) | (asked.points.double() > high)).any(1)
    if bool(far.any()):
        warnings.warn(
            f"{int(far.sum())} of {len(far)} query points are outside of the body (the first is number "
            f"{int(far.nonzero()[0, 0])}, at {[round(x, 4) for x in asked.points[far][0].tolist()]}): where they go is "
            "extrapolated.\n  Query points are placed in the body at rest (fluids: at the present), in its units.",
            RolloutWarning,
            stacklevel=4,
        )


def film_path(out: Any) -> Path:
    """The path of a .pvd file in a folder that is there."""
    from meshlearn.io.paths import checked_path

    path = checked_path(out, MeshWriteError)
    if path.suffix != ".pvd":
        raise ParameterError(f"out={str(out)!r}: frames are written one by one to a .pvd file, which lists them.")
    if not path.parent.is_dir():
        raise MeshWriteError(f"{path}: the folder {path.parent} does not exist.")
    return path


def _tracked(states: Iterator[State], total: int, progress: bool) -> Iterator[State]:
    if not progress:
        return states
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return iter(track(states, "rollout", total=total, console=console, disable=not console.is_terminal, transient=True))
