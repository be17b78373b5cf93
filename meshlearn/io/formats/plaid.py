"""PLAID samples: a folder with CGNS meshes (`meshes/mesh_*.cgns`), `scalars.csv` and time series.

Scalars become global data; several meshes are the steps of a Trajectory. A time series (two columns, time and value)
becomes global data (n, 2).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from meshlearn.errors import MeshReadError
from meshlearn.io.finding import natural
from meshlearn.mesh.mesh import Mesh


def is_sample(folder: Path) -> bool:
    """Whether a folder is a PLAID sample."""
    return any((folder / "meshes").glob("*.cgns"))


def read(folder: Path) -> Any:
    """Read a sample folder."""
    from meshlearn.io.read import read as read_file
    from meshlearn.io.series import stack

    files = sorted((folder / "meshes").glob("*.cgns"), key=natural)
    meshes = [read_file(file) for file in files]
    values = _scalars(folder) | _series(folder)
    if len(meshes) == 1:
        found = meshes[0]
        if isinstance(found, Mesh):
            return found.replace(global_data={**found.global_data, **values}, source=str(folder))
        return found.replace(mesh=found.mesh.replace(global_data=values, source=str(folder)))
    times = [
        float(mesh.global_data["time"]) if "time" in mesh.global_data else float(k) for k, mesh in enumerate(meshes)
    ]
    trajectory = stack(meshes, np.asarray(times), files)
    return trajectory.replace(mesh=trajectory.mesh.replace(global_data=values, source=str(folder)))


def _scalars(folder: Path) -> dict[str, np.ndarray]:
    file = folder / "scalars.csv"
    if not file.is_file():
        return {}
    rows = [line.split(",") for line in file.read_text("utf-8-sig").splitlines() if line.strip()]
    if len(rows) != 2 or len(rows[0]) != len(rows[1]):
        raise MeshReadError(f"{file}: expected a line of names and a line of as many values, got {len(rows)} lines")
    try:
        return {name.strip(): np.array(float(value)) for name, value in zip(*rows, strict=True)}
    except ValueError as error:
        raise MeshReadError(f"{file}: a scalar is not a number ({error})") from None


def _series(folder: Path) -> dict[str, np.ndarray]:
    found = {}
    for file in sorted((folder / "time_series").glob("*.csv")) if (folder / "time_series").is_dir() else []:
        try:
            found[file.stem] = np.loadtxt(file, delimiter=",", skiprows=1, ndmin=2)
        except ValueError as error:
            raise MeshReadError(f"{file}: the time series does not hold plain numbers ({error})") from None
    return found
