"""Time series as training data: which frame is predicted from which, and predicted frames put together again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from meshlearn.errors import ParameterError
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.trajectory import Trajectory
from meshlearn.train.fields import FieldSet, describe
from meshlearn.train.items import Items, check_item


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
    changes: dict[str, dict] = {"point_data": {}, "cell_data": {}, "global_data": {}}
    frame = next(iter(frames.values()))
    for place, data in changes.items():
        specs = [name for name in getattr(frame, place) if _is_output(name, fields)]
        for name in specs:
            series = [_frame_value(trajectory, frames, i, place, name) for i in range(len(trajectory))]
            filler = next(value for value in series if value is not None)
            data[name] = _stack([value if value is not None else _nan_like(filler) for value in series])
    return trajectory.replace(
        **{place: {**getattr(trajectory, place), **data} for place, data in changes.items() if data}
    )


def _is_output(name: str, fields: FieldSet) -> bool:
    names = {spec.name for spec in fields.outputs}
    return name in names or name.removesuffix("_std") in names


def _frame_value(trajectory: Trajectory, frames: dict[int, Mesh], i: int, place: str, name: str):
    mesh = frames[i] if i in frames else frame_of(trajectory, i)
    return getattr(mesh, place).get(name)


def _nan_like(value):
    if isinstance(value, dict):
        return {kind: torch.full_like(part, torch.nan) for kind, part in value.items()}
    return torch.full_like(value, torch.nan)


def _stack(series):
    if isinstance(series[0], dict):
        return {kind: torch.stack([values[kind] for values in series]) for kind in series[0]}
    return torch.stack(series)
