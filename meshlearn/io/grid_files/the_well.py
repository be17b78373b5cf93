"""The Well (R. Ohana et al. 2024, arXiv:2412.00568): HDF5 files of simulations in 2-D and 3-D; needs h5py.

Of a file are read
- `dimensions`: `time` and the coordinates, named in the attribute `spatial_dims`;
- `t0_fields` (n, t, x, y[, z]), `t1_fields` (…, dim), `t2_fields` (…, dim, dim): scalars, vectors, tensors. Without
  the axis n where the attribute `sample_varying` is False, without t where `time_varying` is False, and with one entry
  along axes that `dim_varying` says a field does not depend on;
- `scalars`: numbers of the whole file, of each trajectory, or of each time, by the same attributes;
- `boundary_conditions`: of each its kind `bc_type` and the axes it belongs to, `associated_dims`. Its mask and values
  are not read: what a wall or an inflow prescribes is in the fields.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from meshlearn.errors import MeshReadError, require
from meshlearn.io.grid_files.lattice import Collection, check_stride, lattice, rows, thinned
from meshlearn.mesh.trajectory import Trajectory

ORDERS = ("t0_fields", "t1_fields", "t2_fields")


class TheWell(Collection):
    """The trajectories of a file of The Well, each read when it is asked for: lazy data for `fit`.

    path    a .hdf5 file of The Well, on a Cartesian grid
    every   takes every so manieth point along each axis
    frames  takes every so manieth frame

    Point fields have the names of the file; those that do not vary in time are point fields of the mesh. Scalars are
    global fields. What holds at the boundary is told by `boundaries` and `periodic`; the points of a periodic axis end
    one step before its period, so a grid model takes `periodic=flows.periodic, box=flows.box`. Raises MeshReadError
    for a file that is not laid out so, MissingDependencyError without h5py.

    >>> flows = TheWell("train/shear_flow_Reynolds_1e4_Schmidt_1.hdf5", every=4)  # doctest: +SKIP
    """

    def __init__(self, path: Any, every: Any = 1, frames: Any = 1) -> None:
        self.every, self.frames = check_stride("every", every), check_stride("frames", frames)
        super().__init__(path)

    @cached_property
    def boundaries(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        """{name: (kind, axes)} of the boundary conditions of the file, such as ("wall", ("y",)), in lower case."""
        return self._told(self._boundaries)

    @property
    def periodic(self) -> tuple[bool, ...]:
        """Whether each axis is periodic; all False where the file says nothing."""
        wraps = {axis for kind, axes in self.boundaries.values() if kind == "periodic" for axis in axes}
        return tuple(name in wraps for name in self._whole_axes)

    @property
    def box(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """(low, high): the corners of the domain; along a periodic axis one whole period."""
        axes, flags = list(self._whole_axes.values()), self.periodic
        high = [
            axis[-1] + axis[1] - axis[0] if wraps else axis[:: self.every][-1]
            for axis, wraps in zip(axes, flags, strict=True)
        ]
        return tuple(float(axis[0]) for axis in axes), tuple(float(end) for end in high)

    def _boundaries(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        with self._open() as file:
            groups = file.get("boundary_conditions", {})
            return {
                name: (
                    _text(group.attrs["bc_type"]).lower(),
                    tuple(_text(axis) for axis in group.attrs["associated_dims"]),
                )
                for name, group in groups.items()
            }

    @cached_property
    def _whole_axes(self) -> dict[str, np.ndarray]:
        """The coordinates of the first trajectory."""
        with self._open() as file:
            names = [_text(name) for name in _axes(file)]
            return {name: _of_sample(file["dimensions"][name], 0).astype(np.float64) for name in names}

    def _open(self) -> Any:
        return require("h5py", "formats", "reading The Well").File(self.path, "r")

    def _count(self) -> int:
        with self._open() as file:
            kind = file.attrs.get("grid_type", "cartesian")
            if kind != "cartesian":
                raise MeshReadError(f"its grid is {kind!r}: only Cartesian ones are read.")
            if "n_trajectories" in file.attrs:
                return int(file.attrs["n_trajectories"])
            lengths = [len(array) for _, _, array in _arrays(file) if array.attrs.get("sample_varying", True)]
            return lengths[0] if lengths else 1

    def _one(self, index: int) -> Trajectory:
        with self._open() as file:
            names = [_text(name) for name in _axes(file)]
            whole = [_of_sample(file["dimensions"][name], index) for name in names]
            axes = [thinned(axis, self.every, name) for axis, name in zip(whole, names, strict=True)]
            full = [len(axis) for axis in whole]
            times = _of_sample(file["dimensions"]["time"], index)[:: self.frames].astype(np.float64)
            series: dict[str, Any] = {}
            constant: dict[str, Any] = {}
            for order, name, array in _arrays(file):
                values, varies = self._values(array, index, full, order)
                (series if varies else constant)[name] = values
            scalars, numbers = {}, {}
            for name, array in file.get("scalars", {}).items():
                value = _of_sample(array, index, default=False)
                if array.attrs.get("time_varying", False):
                    scalars[name] = value[:: self.frames].astype(np.float32)
                else:
                    numbers[name] = np.float32(value)
            mesh = lattice(axes, **numbers)
            mesh = mesh.with_point_data(**{name: values[0] for name, values in constant.items()})
            return Trajectory(mesh, times, series, global_data=scalars)

    def _values(self, array: Any, index: int, shape: list[int], order: int) -> tuple[np.ndarray, bool]:
        """((t, n_points, ...), whether it varies in time)."""
        varies = bool(array.attrs.get("time_varying", True))
        values = _of_sample(array, index)
        values = values[:: self.frames] if varies else values[None]
        values = np.broadcast_to(values, (len(values), *shape, *[len(shape)] * order))
        cut = (slice(None), *[slice(None, None, self.every)] * len(shape))
        return rows(values[cut].astype(np.float32), len(shape)), varies


def _arrays(file: Any) -> list[tuple[int, str, Any]]:
    """(order of the tensor, name, array) of all fields."""
    found = [(order, name, file[group][name]) for order, group in enumerate(ORDERS) for name in file.get(group, {})]
    if not found:
        raise MeshReadError(f"it holds {sorted(file)}, and no fields in {', '.join(ORDERS)}.")
    return found


def _axes(file: Any) -> list[Any]:
    dimensions = file["dimensions"]
    if "spatial_dims" in dimensions.attrs:
        return list(dimensions.attrs["spatial_dims"])
    return [name for name in ("x", "y", "z") if name in dimensions]


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _of_sample(array: Any, index: int, default: bool | None = None) -> np.ndarray:
    """The values of one trajectory, of an array that has them for all or one for each."""
    varying = array.attrs.get("sample_varying", array.ndim > 1 if default is None else default)
    return np.asarray(array[index] if varying else array[()])
