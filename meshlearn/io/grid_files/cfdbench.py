"""CFDBench (Y. Luo, Y. Chen, Z. Zhang 2023, arXiv:2310.05963): flows in a cavity, a tube, over a dam, past a cylinder.

A folder has one folder per case, `case0000`, `case0001`, …, here or further down (`cavity/bc`, `cavity/geo`,
`cavity/prop`), with
- `u.npy`, `v.npy`: velocity (frames, rows, columns), rows from the bottom to the top along y, columns along x;
- `case.json`: numbers by name, such as vel_top or vel_in, density, viscosity, height, width, radius.
The values are those of a commercial solver, interpolated to 64 x 64 evenly spaced places; that error is part of the
data. Times are not part of the files: the paper's frames are 0.1 apart in cavity, tube and dam, 0.001 past a cylinder.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from meshlearn.errors import MeshReadError, ParameterError
from meshlearn.io.grid_files.lattice import Collection, check_stride, lattice, rows
from meshlearn.mesh.trajectory import Trajectory

SIDES = {"x": ("x_min", "x_max", "width"), "y": ("y_min", "y_max", "height")}


class CFDBench(Collection):
    """The cases below a folder of CFDBench, in order of their paths, each read when it is asked for.

    path       the folder of one problem (`cavity`) or of a part of it (`cavity/geo`)
    time_step  from frame to frame
    frames     takes every so manieth frame

    Each is a Trajectory on quads with the point field velocity (2,) and the numbers of `case.json` as global fields of
    the mesh. The box goes from 0, or x_min and y_min, over width and height, or to x_max and y_max; it has side 1 where
    they are missing. Raises MeshReadError for folders that are not laid out so.

    >>> cases = CFDBench("data/cavity/prop")  # doctest: +SKIP
    >>> ml.GridOperator(["velocity", "viscosity"], ["velocity"]).fit(cases)  # doctest: +SKIP
    """

    def __init__(self, path: Any, time_step: Any = 0.1, frames: Any = 1) -> None:
        if isinstance(time_step, bool) or not isinstance(time_step, (int, float)) or not time_step > 0:
            raise ParameterError(f"time_step={time_step!r}: a positive number is expected.")
        self.time_step, self.frames = float(time_step), check_stride("frames", frames)
        super().__init__(path)

    def _count(self) -> int:
        self.folders: list[Path] = sorted(found.parent for found in self.path.rglob("case.json"))
        if not self.folders:
            raise MeshReadError(f"{self.path}: no case.json here or in the folders below.")
        return len(self.folders)

    def _one(self, index: int) -> Trajectory:
        folder = self.folders[index]
        case = json.loads((folder / "case.json").read_text())
        if not isinstance(case, dict):
            raise MeshReadError(f"{folder}: case.json holds a {type(case).__name__}; numbers by name are expected.")
        known = {name: float(value) for name, value in case.items() if isinstance(value, (int, float))}
        strange = {name: case[name] for name in (*SIDES["x"], *SIDES["y"]) if name in case and name not in known}
        if strange:
            raise MeshReadError(f"{folder}: the sides of the box in case.json are no numbers: {strange}.")
        parts = [np.load(folder / f"{name}.npy", allow_pickle=False)[:: self.frames] for name in ("u", "v")]
        if parts[0].shape != parts[1].shape or parts[0].ndim != 3:
            raise MeshReadError(f"{folder}: u has shape {parts[0].shape}, v {parts[1].shape}: (frames, y, x) expected.")
        if any(part.dtype.kind not in "fiu" for part in parts):
            raise MeshReadError(f"{folder}: u holds {parts[0].dtype}, v {parts[1].dtype}: real numbers expected.")
        velocity = np.stack(parts, axis=-1).swapaxes(1, 2).astype(np.float32)
        axes = [_axis(known, side, n) for side, n in zip("xy", velocity.shape[1:3], strict=True)]
        mesh = lattice(axes, **{name: np.float32(value) for name, value in known.items()})
        times = self.time_step * self.frames * np.arange(len(velocity))
        return Trajectory(mesh.replace(source=str(folder)), times, {"velocity": rows(velocity, 2)})


def _axis(known: dict[str, float], side: str, n: int) -> np.ndarray:
    low, high, length = SIDES[side]
    start = known.get(low, 0.0)
    end = known.get(high, start + known.get(length, 1.0))
    return np.linspace(start, end, n)
