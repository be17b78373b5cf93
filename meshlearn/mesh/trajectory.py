"""`Trajectory`: a time series on one mesh, still or moving."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, overload

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from meshlearn.errors import FieldError, MeshError
from meshlearn.mesh import checks
from meshlearn.mesh.frozen import FrozenDict
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.owned import owned


class Trajectory:
    """Fields over time on one mesh. Immutable, like `Mesh`.

    mesh           the Mesh: cells, tags and what does not change in time
    times          (n_times,) float32 or float64, finite and ascending, in any one time unit; lists and whole numbers
                   become float64
    point_data     {name: (n_times, n_points, ...)}
    cell_data      {name: {type: (n_times, n_cells_of_type, ...)}}
    global_data    {name: (n_times, ...)}
    moving_points  (n_times, n_points, dim), or None where the points stay; these and the points of `mesh` get the
                   wider of their dtypes

    All tensors live on the device of `mesh`; arrays and lists are brought there. Arrays and tensors are copied, as by
    `Mesh`; frames and slices share them.
    `trajectory[i]` is the Mesh at time i, with `global_data["time"]`; a slice is a shorter Trajectory.
    Raises MeshError and FieldError for shapes and devices that do not fit and times that do not ascend.

    >>> heat = ml.Trajectory(ml.shapes.square(n=1), [0.0, 1.0], {"u": torch.zeros(2, 4)})
    >>> len(heat), heat[1].point_data["u"].shape
    (2, torch.Size([4]))
    """

    mesh: Mesh
    times: Float[Tensor, " n_times"]
    point_data: Mapping[str, Shaped[Tensor, "n_times n_points ..."]]
    cell_data: Mapping[str, Mapping[str, Shaped[Tensor, "n_times _n_cells ..."]]]
    global_data: Mapping[str, Shaped[Tensor, "n_times ..."]]
    moving_points: Float[Tensor, "n_times n_points dim"] | None

    def __init__(
        self,
        mesh: Mesh,
        times: Any,
        point_data: Any = None,
        cell_data: Any = None,
        global_data: Any = None,
        moving_points: Any = None,
    ) -> None:
        self._fill(mesh, owned(times), owned(point_data), owned(cell_data), owned(global_data), owned(moving_points))

    @classmethod
    def _adopting(cls, mesh: Mesh, times: Any, *series: Any, **named: Any) -> Trajectory:
        """As the constructor, of arrays and tensors that nobody else will change: they are not copied."""
        trajectory = object.__new__(cls)
        trajectory._fill(mesh, times, *series, **named)
        return trajectory

    def _fill(
        self,
        mesh: Mesh,
        times: Any,
        point_data: Any = None,
        cell_data: Any = None,
        global_data: Any = None,
        moving_points: Any = None,
    ) -> None:
        times = _checked_times(times, mesh.device)
        n = len(times)
        points = {
            k: _series(f"point_data[{k!r}]", v, mesh, n, "point")
            for k, v in checks.mapping(point_data, "point_data").items()
        }
        cells: dict[str, FrozenDict] = {}
        for name, per_type in checks.mapping(cell_data, "cell_data").items():
            unknown = set(per_type) - set(mesh.cells)
            if unknown:
                raise FieldError(
                    f"cell_data[{name!r}] names cell types {sorted(unknown)}, the mesh has {list(mesh.cells)}."
                )
            cells[name] = FrozenDict(
                {k: _series(f"cell_data[{name!r}][{k!r}]", v, mesh, n, k) for k, v in per_type.items()}
            )
        values = {
            k: _series(f"global_data[{k!r}]", v, mesh, n) for k, v in checks.mapping(global_data, "global_data").items()
        }
        if moving_points is not None:
            moving_points = _series("moving_points", moving_points, mesh, n, "point")
            if moving_points.ndim != 3 or moving_points.shape[2] != mesh.dim or not moving_points.is_floating_point():
                raise MeshError(
                    f"moving_points must be floating-point ({n}, {mesh.n_points}, {mesh.dim}), "
                    f"got {moving_points.dtype} {tuple(moving_points.shape)}."
                )
            wider = torch.promote_types(mesh.dtype, moving_points.dtype)
            moving_points = moving_points.to(wider)
            if mesh.dtype != wider:
                mesh = mesh._replaced(points=mesh.points.to(wider))
        for name, value in {
            "mesh": mesh,
            "times": times,
            "point_data": FrozenDict(points),
            "cell_data": FrozenDict(cells),
            "global_data": FrozenDict(values),
            "moving_points": moving_points,
        }.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        raise MeshError(f"a Trajectory is immutable: cannot set {name!r}. Make a changed copy with replace(...).")

    def replace(self, **changes: Any) -> Trajectory:
        """A copy with other attributes, copied and checked as in the constructor; what is not given is shared."""
        return self._replaced(**owned(changes))

    def _replaced(self, **changes: Any) -> Trajectory:
        """`replace` with values that nobody else will change: they are not copied."""
        names = ("mesh", "times", "point_data", "cell_data", "global_data", "moving_points")
        unknown = set(changes) - set(names)
        if unknown:
            raise MeshError(
                f"replace: a Trajectory has no attribute {sorted(unknown)[0]!r}; it has {', '.join(names)}."
            )
        return Trajectory._adopting(**{name: changes.get(name, getattr(self, name)) for name in names})

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
        return self.mesh._replaced(**changes)

    def _part(self, key: slice) -> Trajectory:
        return self._replaced(
            times=self.times[key],
            point_data={k: v[key] for k, v in self.point_data.items()},
            cell_data={n: {k: v[key] for k, v in per_type.items()} for n, per_type in self.cell_data.items()},
            global_data={k: v[key] for k, v in self.global_data.items()},
            moving_points=None if self.moving_points is None else self.moving_points[key],
        )

    @staticmethod
    def from_meshes(meshes: Iterable[Mesh], times: Any = None) -> Trajectory:
        """A Trajectory from meshes with the same cells and the same fields, one per time.

        All fields become series; points that differ between frames become `moving_points`. Tags are those of the first
        frame: where others differ, `report` says so, and it holds the reports of all frames.
        times: (n_times,), default `global_data["time"]` of the frames, or 0, 1, 2 …

        Raises MeshError for a frame with other points or cells, FieldError for one that has other fields, or a field of
        another shape, dtype or device; the message names the frame, where it came from, and the field.

        >>> square = ml.shapes.square(n=1)
        >>> frames = [square.with_point_data(u=torch.full((4,), float(i))) for i in range(3)]
        >>> ml.Trajectory.from_meshes(frames, times=[0.0, 0.5, 1.0]).point_data["u"].shape
        torch.Size([3, 4])
        """
        from meshlearn.mesh.frames import stack_frames

        return Trajectory._adopting(**stack_frames(list(meshes), times))

    def to(self, target: torch.device | str | torch.dtype) -> Trajectory:
        """A copy on another device, or with floating-point data of another dtype."""

        def move(tensor: Tensor) -> Tensor:
            return tensor if isinstance(target, torch.dtype) and not tensor.is_floating_point() else tensor.to(target)

        return Trajectory._adopting(
            self.mesh.to(target),
            self.times if isinstance(target, torch.dtype) else self.times.to(target),
            {k: move(v) for k, v in self.point_data.items()},
            {n: {k: move(v) for k, v in per_type.items()} for n, per_type in self.cell_data.items()},
            {k: move(v) for k, v in self.global_data.items()},
            None if self.moving_points is None else move(self.moving_points),
        )

    def plot(self, field: str | None = None, **options: Any) -> Any:
        """Draw a row of frames, or a film (`file="heat.gif"`), coloured by a field; see `meshlearn.viz.plot_series`."""
        from importlib import import_module

        return import_module("meshlearn.viz").plot_series(self, field, **options)

    def __repr__(self) -> str:
        lines = [f"Trajectory({self.n_times} times from {self.times[0].item():g} to {self.times[-1].item():g})"]
        if self.moving_points is not None:
            lines.append("  points move")
        for label in ("point_data", "cell_data", "global_data"):
            if getattr(self, label):
                lines.append(f"  {label:<12} {', '.join(getattr(self, label))}")
        return "\n".join(lines) + "\n  on " + repr(self.mesh).replace("\n", "\n  ")


def _checked_times(times: Any, device: torch.device) -> Tensor:
    if isinstance(times, (list, tuple, range)):  # seconds since an epoch have ten digits before the point
        array = np.asarray(times)
        times = array.astype(np.float64) if array.dtype.kind in "iuf" else times
    times = checks.tensor(times, "times").to(device)
    if times.ndim != 1 or not len(times):
        raise MeshError(f"times must be (n_times,) with at least one entry, got shape {tuple(times.shape)}.")
    if times.is_complex() or times.dtype in (torch.bool, torch.float16, torch.bfloat16):
        raise MeshError(f"times must be float32 or float64 numbers, got {times.dtype}.")
    times = times if times.is_floating_point() else times.double()
    if not bool(torch.isfinite(times).all()) or not bool((times.diff() > 0).all()):
        raise MeshError(
            f"times must be finite and ascend strictly, got {times.tolist()[:8]}{' …' if len(times) > 8 else ''}."
        )
    return times


def _series(what: str, values: Any, mesh: Mesh, n_times: int, row: str | None = None) -> Tensor:
    """Values (n_times, rows, ...) on the mesh's device; `row` is "point", a cell type, or None for global values."""
    values = checks.field_tensor(values, what, mesh.device)
    expected = [n_times] if row is None else [n_times, mesh.n_points if row == "point" else len(mesh.cells[row])]
    if list(values.shape[: len(expected)]) != expected:
        rows = "" if row is None else f" and one row per {row}"
        raise FieldError(
            f"{what} has shape {tuple(values.shape)}, expected ({', '.join(map(str, expected))}, ...): "
            f"one entry per time{rows}.\n  mesh: {mesh.source or 'made in memory'}"
        )
    return values
