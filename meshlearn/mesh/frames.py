"""Meshes of one connectivity stacked into the series of a `Trajectory`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from meshlearn.errors import FieldError, MeshError
from meshlearn.mesh.compare import difference
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.owned import owned


def stack_frames(meshes: Sequence[Mesh], times: Any = None) -> dict[str, Any]:
    """The arguments of `Trajectory` for frames that agree in cells and fields; see `Trajectory.from_meshes`."""
    if not meshes:
        raise MeshError("a trajectory needs at least one mesh.")
    first = meshes[0]
    for number, mesh in enumerate(meshes):
        _check_cells(number, mesh, first)
    if times is None:
        times = _own_times(meshes)
    elif len(times) != len(meshes):
        raise MeshError(f"{len(meshes)} frames need one time each, times has {len(times)} entries.")
    places = [f"frame {number}{f' ({m.source})' if m.source else ''}" for number, m in enumerate(meshes)]
    moving = any(not torch.equal(mesh.points, first.points) for mesh in meshes)
    names = dict.fromkeys(name for mesh in meshes for name in mesh.cell_data)
    return {
        "mesh": first.without_data().replace(report=_reports(meshes)),
        "times": owned(times),
        "point_data": _stack("point_data", [mesh.point_data for mesh in meshes], places),
        "cell_data": {
            name: _stack(f"cell_data[{name!r}]", [mesh.cell_data.get(name, {}) for mesh in meshes], places)
            for name in names
        },
        "global_data": _stack("global_data", [_without_time(mesh) for mesh in meshes], places),
        "moving_points": torch.stack([mesh.points for mesh in meshes]) if moving else None,
    }


def _check_cells(number: int, mesh: Mesh, first: Mesh) -> None:
    if mesh.points.shape != first.points.shape:
        what = f"points of shape {tuple(mesh.points.shape)}, frame 0 has {tuple(first.points.shape)}"
    elif (mesh.dtype, mesh.device) != (first.dtype, first.device):
        what = f"{mesh.dtype} points on {mesh.device}, frame 0 has {first.dtype} on {first.device}"
    elif mesh.cell_counts != first.cell_counts:
        what = f"cells {mesh.cell_counts}, frame 0 has {first.cell_counts}"
    else:
        odd = [kind for kind in first.cells if not torch.equal(mesh.cells[kind], first.cells[kind])]
        if not odd:
            return
        what = f"{odd[0]} cells with other point numbers than frame 0"
    raise MeshError(
        f"frame {number} ({mesh.source or 'made in memory'}) has {what}.\n"
        "  a Trajectory keeps one connectivity; treat such frames as separate meshes."
    )


def _own_times(meshes: Sequence[Mesh]) -> Any:
    times = [mesh.global_data.get("time") for mesh in meshes]
    if any(time is None or time.numel() != 1 for time in times):
        return list(range(len(meshes)))
    return torch.stack([time.detach().reshape(()) for time in times if time is not None])


def _without_time(mesh: Mesh) -> dict[str, Tensor]:
    return {name: values for name, values in mesh.global_data.items() if name != "time"}


def _reports(meshes: Sequence[Mesh]) -> list[str]:
    """All notes of the frames once, and a note where the tags change from frame to frame."""
    notes = dict.fromkeys(note for mesh in meshes for note in mesh.report)
    bare = meshes[0].without_data()
    for number, mesh in enumerate(meshes):
        other = difference(bare, mesh.without_data()._replaced(points=bare.points))
        if other:
            return [*notes, f"tags change with time, those of the first frame were kept: in frame {number} {other}"]
    return list(notes)


def _stack(where: str, frames: Sequence[Mapping[str, Tensor]], places: Sequence[str]) -> dict[str, Tensor]:
    first = frames[0]
    for frame, place in zip(frames, places, strict=True):
        for name in (*first, *frame):
            ours, theirs = (_kind(values.get(name)) for values in (first, frame))
            if ours != theirs:
                raise FieldError(
                    f"{where}[{name!r}] of {place} is {theirs}, in {places[0]} it is {ours}: a field of a Trajectory "
                    "is there at every time, with one shape and dtype.\n"
                    "  add, convert or remove it, so that all frames agree."
                )
    return {name: torch.stack([frame[name] for frame in frames]) for name in first}


def _kind(values: Tensor | None) -> str:
    return "missing" if values is None else f"{values.dtype} {tuple(values.shape)} on {values.device}"
