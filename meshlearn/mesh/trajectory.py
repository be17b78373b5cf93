"""`Trajectory`: a time series on one mesh, still or moving."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

import torch
from torch import Tensor

from meshlearn.errors import FieldError, MeshError
from meshlearn.mesh import checks
from meshlearn.mesh.frozen import FrozenDict
from meshlearn.mesh.mesh import Mesh


class Trajectory:
    """Fields over time on one mesh. Immutable, like `Mesh`.

    mesh           the Mesh: cells, tags and what does not change in time
    times          (n_times,) float, ascending, in any one time unit
    point_data     {name: (n_times, n_points, ...)}
    cell_data      {name: {type: (n_times, n_cells_of_type, ...)}}
    global_data    {name: (n_times, ...)}
    moving_points  (n_times, n_points, dim), or None where the points stay

    `trajectory[i]` is the Mesh at time i, with `global_data["time"]`; a slice is a shorter Trajectory.
    Raises MeshError and FieldError for shapes that do not fit and times that do not ascend.

    >>> heat = ml.Trajectory(ml.shapes.square(n=1), [0.0, 1.0], {"u": torch.zeros(2, 4)})
    >>> len(heat), heat[1].point_data["u"].shape
    (2, torch.Size([4]))
    """

    mesh: Mesh
    times: Tensor
    point_data: Mapping[str, Tensor]
    cell_data: Mapping[str, Mapping[str, Tensor]]
    global_data: Mapping[str, Tensor]
    moving_points: Tensor | None

    def __init__(
        self,
        mesh: Mesh,
        times: Any,
        point_data: Mapping[str, Any] | None = None,
        cell_data: Mapping[str, Mapping[str, Any]] | None = None,
        global_data: Mapping[str, Any] | None = None,
        moving_points: Any = None,
    ) -> None:
        times = checks.tensor(times, "times")
        if times.ndim != 1 or not len(times):
            raise MeshError(f"times must be (n_times,) with at least one entry, got shape {tuple(times.shape)}.")
        times = times if times.is_floating_point() else times.to(torch.get_default_dtype())
        if not bool(torch.isfinite(times).all()) or not bool((times.diff() > 0).all()):
            raise MeshError(
                f"times must be finite and ascend strictly, got {times.tolist()[:8]}{' …' if len(times) > 8 else ''}."
            )
        n = len(times)
        points = {k: self._series(f"point_data[{k!r}]", v, n, mesh.n_points) for k, v in (point_data or {}).items()}
        cells: dict[str, FrozenDict] = {}
        for name, per_type in (cell_data or {}).items():
            counts = mesh.cell_counts
            unknown = set(per_type) - set(counts)
            if unknown:
                raise FieldError(
                    f"cell_data[{name!r}] names cell types {sorted(unknown)}, the mesh has {list(counts)}."
                )
            cells[name] = FrozenDict(
                {k: self._series(f"cell_data[{name!r}][{k!r}]", v, n, counts[k]) for k, v in per_type.items()}
            )
        values = {k: self._series(f"global_data[{k!r}]", v, n, None) for k, v in (global_data or {}).items()}
        if moving_points is not None:
            moving_points = self._series("moving_points", moving_points, n, mesh.n_points)
            if moving_points.ndim != 3 or moving_points.shape[2] != mesh.dim or not moving_points.is_floating_point():
                raise MeshError(
                    f"moving_points must be floating-point ({n}, {mesh.n_points}, {mesh.dim}), "
                    f"got {moving_points.dtype} {tuple(moving_points.shape)}."
                )
        for name, value in {
            "mesh": mesh,
            "times": times.to(mesh.device),
            "point_data": FrozenDict(points),
            "cell_data": FrozenDict(cells),
            "global_data": FrozenDict(values),
            "moving_points": moving_points,
        }.items():
            object.__setattr__(self, name, value)

    @staticmethod
    def _series(what: str, values: Any, n_times: int, rows: int | None) -> Tensor:
        values = checks.tensor(values, what)
        expected = (n_times,) if rows is None else (n_times, rows)
        if tuple(values.shape[: len(expected)]) != expected:
            raise FieldError(
                f"{what} has shape {tuple(values.shape)}, expected {(*expected, '...')}: one entry per time"
                + ("." if rows is None else f" and one row per {'point' if 'point' in what else 'cell'}.")
            )
        return values

    def __setattr__(self, name: str, value: Any) -> None:
        raise MeshError(f"a Trajectory is immutable: cannot set {name!r}. Make a changed copy with replace(...).")

    def replace(self, **changes: Any) -> Trajectory:
        """A copy with other attributes, checked as in the constructor."""
        names = ("mesh", "times", "point_data", "cell_data", "global_data", "moving_points")
        unknown = set(changes) - set(names)
        if unknown:
            raise MeshError(
                f"replace: a Trajectory has no attribute {sorted(unknown)[0]!r}; it has {', '.join(names)}."
            )
        return Trajectory(**{name: changes.get(name, getattr(self, name)) for name in names})

    @property
    def n_times(self) -> int:
        """Number of times."""
        return len(self.times)

    @property
    def n_points(self) -> int:
        """Number of points of the mesh."""
        return self.mesh.n_points

    @property
    def source(self) -> str | None:
        """Where the series came from."""
        return self.mesh.source

    @property
    def report(self) -> tuple[str, ...]:
        """What a reader changed or could not keep."""
        return self.mesh.report

    def __len__(self) -> int:
        return self.n_times

    @overload
    def __getitem__(self, key: int) -> Mesh: ...

    @overload
    def __getitem__(self, key: slice) -> Trajectory: ...

    def __getitem__(self, key: int | slice) -> Mesh | Trajectory:
        return self._part(key) if isinstance(key, slice) else self.frame(key)

    def __iter__(self) -> Iterator[Mesh]:
        return (self.frame(i) for i in range(self.n_times))

    def frame(self, i: int) -> Mesh:
        """The Mesh at time number i (negative counts from the end), with `global_data["time"]`."""
        if not -self.n_times <= i < self.n_times:
            raise IndexError(f"time {i} of a trajectory with {self.n_times} times.")
        changes: dict[str, Any] = {
            "point_data": {**self.mesh.point_data, **{k: v[i] for k, v in self.point_data.items()}},
            "cell_data": {
                **self.mesh.cell_data,
                **{name: {k: v[i] for k, v in per_type.items()} for name, per_type in self.cell_data.items()},
            },
            "global_data": {
                **self.mesh.global_data,
                **{k: v[i] for k, v in self.global_data.items()},
                "time": self.times[i],
            },
        }
        if self.moving_points is not None:
            changes["points"] = self.moving_points[i]
        return self.mesh.replace(**changes)

    def _part(self, key: slice) -> Trajectory:
        return self.replace(
            times=self.times[key],
            point_data={k: v[key] for k, v in self.point_data.items()},
            cell_data={n: {k: v[key] for k, v in per_type.items()} for n, per_type in self.cell_data.items()},
            global_data={k: v[key] for k, v in self.global_data.items()},
            moving_points=None if self.moving_points is None else self.moving_points[key],
        )

    @staticmethod
    def from_meshes(meshes: list[Mesh], times: Any = None) -> Trajectory:
        """A Trajectory from meshes with the same cells and the same fields, one per time.

        All fields become series. Points that differ between frames become `moving_points`. times: (n_times,), default
        `global_data["time"]` of the frames, or 0, 1, 2 … Raises MeshError if cells differ, FieldError if fields do.
        """
        if not meshes:
            raise MeshError("a trajectory needs at least one mesh.")
        first = meshes[0]
        for number, mesh in enumerate(meshes):
            same = mesh.points.shape == first.points.shape and mesh.cells.keys() == first.cells.keys()
            if not same or not all(torch.equal(mesh.cells[kind], first.cells[kind]) for kind in first.cells):
                raise MeshError(
                    f"frame {number} ({mesh.source}) has {mesh.n_points} points and cells {mesh.cell_counts}, which "
                    f"differ from frame 0 ({first.n_points} points, {first.cell_counts}).\n"
                    "  a Trajectory keeps one connectivity; treat such frames as separate meshes."
                )
        if times is None:
            has_times = all("time" in mesh.global_data and mesh.global_data["time"].numel() == 1 for mesh in meshes)
            times = [m.global_data["time"].item() for m in meshes] if has_times else list(range(len(meshes)))
        global_data = [{k: v for k, v in mesh.global_data.items() if k != "time"} for mesh in meshes]
        moving = any(not torch.equal(mesh.points, first.points) for mesh in meshes)
        cell_data = {
            name: _stack(f"cell_data[{name!r}]", [mesh.cell_data.get(name, {}) for mesh in meshes])
            for name in dict.fromkeys(name for mesh in meshes for name in mesh.cell_data)
        }
        return Trajectory(
            first.without_data(),
            times,
            point_data=_stack("point_data", [mesh.point_data for mesh in meshes]),
            cell_data=cell_data,
            global_data=_stack("global_data", global_data),
            moving_points=torch.stack([mesh.points for mesh in meshes]) if moving else None,
        )

    def to(self, target: torch.device | str | torch.dtype) -> Trajectory:
        """A copy on another device, or with floating-point data of another dtype."""

        def move(tensor: Tensor) -> Tensor:
            return tensor if isinstance(target, torch.dtype) and not tensor.is_floating_point() else tensor.to(target)

        return Trajectory(
            self.mesh.to(target),
            self.times if isinstance(target, torch.dtype) else self.times.to(target),
            {k: move(v) for k, v in self.point_data.items()},
            {n: {k: move(v) for k, v in per_type.items()} for n, per_type in self.cell_data.items()},
            {k: move(v) for k, v in self.global_data.items()},
            None if self.moving_points is None else move(self.moving_points),
        )

    def __repr__(self) -> str:
        lines = [f"Trajectory({self.n_times} times from {self.times[0].item():g} to {self.times[-1].item():g})"]
        if self.moving_points is not None:
            lines.append("  points move")
        for label in ("point_data", "cell_data", "global_data"):
            if getattr(self, label):
                lines.append(f"  {label:<12} {', '.join(getattr(self, label))}")
        return "\n".join(lines) + "\n  on " + repr(self.mesh).replace("\n", "\n  ")


def _stack(where: str, frames: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    first = {name: values.shape for name, values in frames[0].items()}
    for number, frame in enumerate(frames):
        other = {name: values.shape for name, values in frame.items()}
        if other != first:
            odd = sorted(name for name in {*first, *other} if first.get(name) != other.get(name))
            raise FieldError(
                f"{where} of frame {number} differs from frame 0 in {', '.join(odd)}: a field of a Trajectory has one "
                "shape and is there at every time.\n  add or remove it, so that all frames agree."
            )
    return {name: torch.stack([frame[name] for frame in frames]) for name in first}
