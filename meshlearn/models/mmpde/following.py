"""States that live on the moving mesh: series sampled on a mesh that follows them, and rollouts from mesh to mesh.

Frame i of such a series has its fields at points x_i and, as the point field `next_points`, the x_(i + 1) that the mesh
moves on to, which is where its fields ask for them; `rest_points` are the points that the mover starts from. Labels
stay. What a network learns is u_(i + 1) less u_i, both at x_(i + 1), where u_i is brought by interpolation on its
own mesh: otherwise changes would mostly be those that points see as they cross a front.
"""

from __future__ import annotations

from typing import Any

import torch

from meshlearn.errors import FieldError, ParameterError
from meshlearn.mesh.interpolation import interpolate, interpolation_operator
from meshlearn.mesh.location import PointLocator
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.trajectory import Trajectory
from meshlearn.models.mmpde.motion import Motion
from meshlearn.models.mmpde.sample import MovingSample
from meshlearn.ops import SparseOperator
from meshlearn.train.rollout import roll_out

NEXT, REST = "next_points", "rest_points"
_OUTSIDE = 0.05  # of the size of the domain: how far points may be outside, as along curved walls
_SWEEPS = 3  # moves of the first frame, which is sampled where the mesh was before


def follow(motion: Motion, truth: Trajectory, mesh: Mesh) -> Trajectory:
    """See `MMPDE.follow`."""
    if not isinstance(truth, Trajectory) or truth.moving_points is not None:
        raise ParameterError("follow(trajectory, mesh) needs a Trajectory on a mesh whose points do not move yet.")
    if not isinstance(mesh, Mesh) or mesh.dim != truth.mesh.dim:
        raise ParameterError(f"follow(trajectory, mesh): mesh={mesh!r:.80} must be a Mesh in {truth.mesh.dim}-D.")
    low, high = (getattr(truth.mesh.points, side)(0).values for side in ("min", "max"))
    reach = _OUTSIDE * float((high - low).max())
    outside = int(((mesh.points.to(low) < low - reach) | (mesh.points.to(low) > high + reach)).any(1).sum())
    if outside:
        raise ParameterError(
            f"{outside} of the {mesh.n_points} points of the mesh are far outside that of the trajectory: both have to "
            "be of the same domain."
        )
    series = {name: values for name, values in truth.point_data.items() if values.is_floating_point()}
    if motion.field not in series:
        raise FieldError(
            f"field={motion.field!r} moves the mesh, but the trajectory has no such series of point values; it has "
            f"{', '.join(map(repr, series)) or 'none'}."
        )
    locator = PointLocator(truth.mesh.without_data())
    rest = mesh.without_data()
    _ = rest.topology

    def sampled(i: int, points: torch.Tensor) -> dict[str, torch.Tensor]:
        operator, _ = interpolation_operator(locator, points.to(truth.mesh.points))
        return {name: (operator @ values[i].flatten(1 if values.ndim > 2 else 0)).reshape(-1, *values.shape[2:])
                for name, values in series.items()}  # fmt: skip

    motion.begin(warm=True)
    try:
        here = rest
        for _ in range(_SWEEPS):
            here = motion.moved(here.with_point_data(**sampled(0, here.points)), rest)
        places, fields, onward = [], [], []
        for i in range(len(truth)):
            values = sampled(i, here.points)
            then = motion.moved(here.with_point_data(**values), rest)
            places.append(here.points)
            fields.append(values)
            onward.append(then.points)
            here = then
    finally:
        motion.begin(warm=False)
    data = {name: torch.stack([frame[name] for frame in fields]).to(rest.points) for name in series}
    data[NEXT] = torch.stack(onward)
    known = rest.with_point_data(**{REST: rest.points}).replace(global_data=truth.mesh.global_data)
    return Trajectory(known, truth.times, data, {}, truth.global_data, torch.stack(places))


def next_points(mesh: Mesh) -> torch.Tensor:
    """(n, dim) where the points of a frame move on to. Raises FieldError for a frame that does not say."""
    points = mesh.point_data.get(NEXT)
    if points is None:
        raise FieldError(
            f"MMPDE(state='moved') steps from mesh to mesh, but there is no point field {NEXT!r} that says where the "
            "points move on to.\n  model.follow(trajectory, mesh) makes series that have it; rollout needs none."
        )
    if points.shape != mesh.points.shape or not bool(torch.isfinite(points).all()):
        raise FieldError(f"{NEXT!r} must be finite points {tuple(mesh.points.shape)}; it is {tuple(points.shape)}.")
    return points.to(mesh.points)


def brought(mesh: Mesh, names: list[str]) -> Mesh:
    """The frame with these fields at the points that it moves on to."""
    onward = mesh.without_data().replace(points=next_points(mesh))
    return mesh.replace(points=onward.points, point_data=interpolate(mesh, onward, names).point_data)


def with_noise(before: MovingSample, noisy: MovingSample) -> MovingSample:
    """Targets that lead back from disturbed states, where these are brought to the next points: less I eps, not eps."""
    targets = dict(noisy.targets)
    where = before.to_moved
    bring = SparseOperator.from_adjacency(where.cells, where.shares.to(targets["point"].dtype))
    targets["point"] = before.targets["point"] - bring @ (before.targets["point"] - targets["point"])
    return noisy.replace(targets=targets)


def roll_on(model: Any, motion: Motion, start: Any, steps: int | None, time_step: float | None) -> Trajectory:
    """`rollout` of a model whose state lives at the moved points: a Trajectory with `moving_points`."""
    first = start[0] if isinstance(start, Trajectory) else start
    rest = first.point_data.get(REST, first.points)
    labelled = _at_rest(start, rest)
    steppers = _Stepper(model, motion, first.points)
    rolled = roll_out(steppers, labelled, steps, time_step)
    return rolled.replace(moving_points=torch.stack(steppers.places))


def _at_rest(start: Mesh | Trajectory, rest: torch.Tensor) -> Mesh | Trajectory:
    """The start by labels: points at rest, and no field that says where the truth moves on to."""

    def without(data: Any) -> dict[str, Any]:
        return {name: values for name, values in data.items() if name not in (NEXT, REST)}

    if isinstance(start, Mesh):
        return start.replace(points=rest, point_data=without(start.point_data))
    mesh = start.mesh.replace(points=rest, point_data=without(start.mesh.point_data))
    return start.replace(mesh=mesh, point_data=without(start.point_data), moving_points=None)


class _Stepper:
    """The model as one that steps by labels: it keeps where the points are."""

    def __init__(self, model: Any, motion: Motion, points: torch.Tensor) -> None:
        self.model, self.motion, self.places = model, motion, [points]
        self.fields_, self.time_step_ = model.fields_, model.time_step_

    def predict(self, state: Mesh) -> Mesh:
        here = state.replace(points=self.places[-1])
        onward = self.motion.moved(here, state).points
        made = self.model.predict(here.with_point_data(**{NEXT: onward}))
        self.places.append(onward)
        data = {name: values for name, values in made.point_data.items() if name != NEXT}
        return made.replace(points=state.points, point_data=data)
