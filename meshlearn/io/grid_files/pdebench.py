"""PDEBench (M. Takamoto et al. 2022, arXiv:2210.07182): HDF5 files of equations on grids in 1-D to 3-D; needs h5py.

Four layouts are read:
- `tensor` (n, t, x) or (n, t, x, y): advection, Burgers, reaction-diffusion in 1-D; Darcy flow as (n, 1, x, y) with its
  coefficient `nu` (n, x, y), which gives meshes instead of trajectories;
- one array (n, t, x[, y[, z]]) per field, `density`, `pressure`, `Vx`, `Vy`, `Vz`: compressible flow; the components of
  the velocity become one field, `velocity`;
- `velocity` (n, t, x, y, 2), `particles` (n, t, x, y, 1), `force` (n, x, y, 2) and times `t`, (n, t) or (t,):
  incompressible flow, on the unit square;
- one group "0000", "0001", … per trajectory with `data` (t, x, y, channels) and `grid/x`, `grid/y`, `grid/t`: shallow
  water, reaction-diffusion in 2-D.
Coordinates are `x-coordinate`, `y-coordinate`, `z-coordinate`; times `t-coordinate`, which has one more entry than
there are frames in some files. Values are averages of cells at their centres, which become the points of the mesh.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from meshlearn.errors import MeshReadError, require
from meshlearn.io.grid_files.lattice import Collection, centres, check_stride, lattice, rows, thinned
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.trajectory import Trajectory

AXES = ("x", "y", "z")


class PDEBench(Collection):
    """The trajectories of a PDEBench file, each read when it is asked for: lazy data for `fit`.

    path    a .h5 or .hdf5 file of PDEBench
    every   takes every so manieth point along each axis
    frames  takes every so manieth frame

    `tensor` becomes the point field u, `data` u too, with a component per channel if there are several. Raises
    MeshReadError for a file that is not laid out so, MissingDependencyError without h5py.

    >>> waves = PDEBench("1D_Burgers_Sols_Nu0.01.hdf5", every=4)  # doctest: +SKIP
    >>> ml.GridOperator(["u"], ["u"]).fit(waves[:100])  # doctest: +SKIP
    """

    def __init__(self, path: Any, every: Any = 1, frames: Any = 1) -> None:
        self.every, self.frames = check_stride("every", every), check_stride("frames", frames)
        super().__init__(path)

    def _open(self) -> Any:
        return require("h5py", "formats", "reading PDEBench").File(self.path, "r")

    def _count(self) -> int:
        with self._open() as file:
            name = _first_field(file)
            return len(_groups(file)) if name is None else len(file[name])

    def _one(self, index: int) -> Trajectory | Mesh:
        with self._open() as file:
            name = _first_field(file)
            if name is None:
                return self._from_group(file[_groups(file)[index]])
            if name == "velocity":
                return self._from_square(file, index)
            if name == "tensor":
                return self._from_tensor(file, index)
            return self._from_fields(file, index)

    def _from_tensor(self, file: Any, index: int) -> Trajectory | Mesh:
        values = file["tensor"][index]
        if "nu" in file and len(values) == 1:
            mesh = self._mesh(file, values.shape[1:])
            fields = {"u": self._rows(values)[0], "nu": self._rows(file["nu"][index][None])[0]}
            return mesh.with_point_data(**fields)
        return self._trajectory(file, {"u": values}, values.shape[1:])

    def _from_fields(self, file: Any, index: int) -> Trajectory:
        names = [name for name in file if not name.endswith("-coordinate") and file[name].ndim >= 3]
        fields = {name: file[name][index] for name in names}
        velocity = [fields.pop(f"V{axis}") for axis in AXES if f"V{axis}" in fields]
        shape = (velocity or list(fields.values()))[0].shape[1:]
        if velocity and len(velocity) != len(shape):
            parts = [name for name in names if name.startswith("V")]
            raise MeshReadError(f"it has {parts} of a velocity in {len(shape)}-D: one component per axis is expected.")
        if len(velocity) == 1:
            fields["velocity"] = velocity[0]
        elif velocity:
            fields["velocity"] = np.stack(velocity, axis=-1)
        return self._trajectory(file, fields, shape)

    def _from_square(self, file: Any, index: int) -> Trajectory:
        """Incompressible flow: cells of the unit square; coordinates are not part of the file."""
        fields = {name: file[name][index] for name in ("velocity", "particles") if name in file}
        fields = {name: values[..., 0] if values.shape[-1] == 1 else values for name, values in fields.items()}
        shape = fields["velocity"].shape[1:-1]
        if len(shape) != 2 or fields["velocity"].shape[-1] != 2:
            raise MeshReadError(f"velocity has shape {file['velocity'].shape}: (n, t, x, y, 2) expected.")
        middles = {f"{axis}-coordinate": (np.arange(n) + 0.5) / n for axis, n in zip(AXES, shape, strict=False)}
        times = file["t"][index] if file["t"].ndim > 1 else file["t"][()]
        made = self._trajectory({**middles, "t-coordinate": times}, fields, shape)
        if "force" not in file:
            return made
        force = self._rows(file["force"][index][None])[0]
        return made.replace(mesh=made.mesh.with_point_data(force=force))

    def _from_group(self, group: Any) -> Trajectory:
        values = group["data"][()]
        values = values[..., 0] if values.shape[-1] == 1 else values
        shape = group["data"].shape[1:-1]
        grid = {f"{name}-coordinate": group["grid"][name] for name in group["grid"]}
        return self._trajectory(grid, {"u": values}, shape)

    def _trajectory(self, source: Any, fields: dict[str, Any], shape: tuple[int, ...]) -> Trajectory:
        count = len(next(iter(fields.values())))
        times = np.asarray(source["t-coordinate"], dtype=np.float64).reshape(-1)
        if len(times) < count:
            raise MeshReadError(f"{len(times)} times for {count} frames.")
        mesh = self._mesh(source, shape)
        data = {name: self._rows(values[:: self.frames], len(shape)) for name, values in fields.items()}
        return Trajectory(mesh, times[: count : self.frames], data)

    def _mesh(self, source: Any, shape: tuple[int, ...]) -> Mesh:
        axes = [centres(source[f"{axis}-coordinate"], n) for axis, n in zip(AXES, shape, strict=False)]
        return lattice([thinned(axis, self.every, name) for axis, name in zip(axes, AXES, strict=False)])

    def _rows(self, values: np.ndarray, dim: int = 2) -> np.ndarray:
        cut = (slice(None), *[slice(None, None, self.every)] * dim)
        return rows(values[cut].astype(np.float32), dim)


def _first_field(file: Any) -> str | None:
    """The name of an array over all trajectories; None where each has a group."""
    names = ("tensor", "density", "pressure", "Vx", "velocity")
    found = next((name for name in names if name in file), None)
    if found is not None and not getattr(file[found], "ndim", 0):
        raise MeshReadError(f"{found} is not an array over trajectories.")
    if found is None and not _groups(file):
        raise MeshReadError(f"it holds {sorted(file)}: none of {', '.join(names)}, and no groups of trajectories.")
    return found


def _groups(file: Any) -> list[str]:
    return sorted(name for name in file if name.isdigit() and "data" in file[name])
