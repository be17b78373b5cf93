"""Time series as training data: which frame is predicted from which, and predicted frames put together again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from meshlearn.errors import ParameterError
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.trajectory import Trajectory
from meshlearn.train.fields import FieldSet, describe
from meshlearn.train.items import Items, check_item

PLACES = ("point_data", "cell_data", "global_data")


@dataclass(frozen=True)
class Work:
    """One thing to predict: outputs of `target` from inputs of `source` (the same mesh, or two frames of `item`)."""

    item: Mesh | Trajectory
    source: Mesh
    target: Mesh
    frame: int
    last: bool
    where: str


def work_of(items: Items, fields: FieldSet) -> Iterator[Work]:
    """The meshes and pairs of frames of a sequence, in order; each item is loaded once."""
    for index in range(len(items)):
        item = check_item(items[index], index)
        where = describe(item, index if len(items) > 1 else None)
        if not isinstance(item, Trajectory):
            yield Work(item, item, item, 0, True, where)
            continue
        pairs = time_pairs(item, fields)
        for source, target in pairs:
            last = target == pairs[-1][1]
            yield Work(item, frame_of(item, source), frame_of(item, target), target, last, f"{where}, frame {target}")


def time_pairs(trajectory: Trajectory, fields: FieldSet) -> list[tuple[int, int]]:
    """(source frame, target frame) of every training sample of a trajectory.

    When an output is also an input, the model steps in time: every frame predicts the next, (0, 1), (1, 2), ….
    Otherwise each frame is a sample of its own: (0, 0), (1, 1), ….
    Raises ParameterError for a stepping model on a trajectory of fewer than two frames.
    """
    n = len(trajectory)
    if not steps_in_time(fields):
        return [(i, i) for i in range(n)]
    if n < 2:
        raise ParameterError(f"a trajectory of {n} frame(s) has no time step: give at least two frames.")
    return [(i, i + 1) for i in range(n - 1)]


def check_still(fields: FieldSet, where: str) -> None:
    """Raise ParameterError when the model steps in time: a single mesh has no next frame, and would show the truth."""
    if steps_in_time(fields):
        inputs = {spec.name for spec in fields.inputs}
        both = ", ".join(repr(spec.name) for spec in fields.outputs if spec.name in inputs)
        raise ParameterError(
            f"{both} is an input and an output: the model learns the step from one frame of a Trajectory to the next.\n"
            f"  But {where} is a single mesh, where the answer would be among the inputs. Take {both} out of the "
            "inputs, or give trajectories (ml.Trajectory.from_meshes makes them of meshes)."
        )


def steps_in_time(fields: FieldSet) -> bool:
    """True if an output is also an input, so that a model maps a frame to the next one."""
    return bool({spec.name for spec in fields.outputs} & {spec.name for spec in fields.inputs})


def frame_of(trajectory: Trajectory, index: int) -> Mesh:
    """One frame, which shares topology (and, on fixed points, measures) with all other frames of the trajectory."""
    _ = trajectory.mesh.topology
    if trajectory.moving_points is None and trajectory.mesh.domain_types:
        trajectory.mesh.point_measures()
    return trajectory.frame(index)


def frames_to_trajectory(trajectory: Trajectory, frames: dict[int, Mesh], fields: FieldSet) -> Trajectory:
    """The trajectory with the output fields of these frames put in; other frames keep the fields they have.

    An output that the trajectory lacks and that no frame predicts is filled with NaN at that frame.
    """
    names = {spec.name for spec in fields.outputs}
    names |= {f"{name}_std" for name in names if _has(next(iter(frames.values())), f"{name}_std")}
    complete = [frames[i] if i in frames else frame_of(trajectory, i) for i in range(len(trajectory))]
    series = field_series(complete, names)
    return trajectory.replace(**{place: {**getattr(trajectory, place), **series[place]} for place in PLACES})


def field_series(frames: list[Mesh], names: set[str]) -> dict[str, dict[str, Any]]:
    """{"point_data": {name: (n_times, ...)}, "cell_data": …, "global_data": …}: these fields of all frames in time.

    A field that a frame lacks is NaN there; a name that no frame has is left out. All frames have the same cells.
    """
    like: dict[str, dict[str, Any]] = {place: {} for place in PLACES}
    for place, known in like.items():
        for frame in frames:
            known |= {name: values for name, values in getattr(frame, place).items() if name in names - set(known)}
    complete = []
    for frame in frames:
        data = {
            place: {name: getattr(frame, place).get(name, _nan_like(values)) for name, values in known.items()}
            for place, known in like.items()
        }
        complete.append(frame.replace(**data))
    series = Trajectory.from_meshes(complete, times=range(len(frames)))
    return {place: dict(getattr(series, place)) for place in PLACES}


def _has(mesh: Mesh, name: str) -> bool:
    return any(name in getattr(mesh, place) for place in PLACES)


def _nan_like(values: Any) -> Any:
    if not isinstance(values, torch.Tensor):
        return {kind: _nan_like(part) for kind, part in values.items()}
    dtype = values.dtype if values.is_floating_point() else torch.get_default_dtype()
    return torch.full_like(values, torch.nan, dtype=dtype)
