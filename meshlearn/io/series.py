"""Numbered files as one time series."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from meshlearn.errors import MeshReadError
from meshlearn.io.counts import counted
from meshlearn.io.dataset import find_files
from meshlearn.io.read import read
from meshlearn.mesh.mesh import Mesh


def read_series(files: Any, times: Sequence[float] | None = None, dim: str | int = "auto") -> Any:
    """Files of one mesh at several times (run_0001.vtu, run_0002.vtu, ...) as a `Trajectory`.

    files  a pattern, a folder or a list of paths, in order of time (patterns are sorted by number)
    times  (n_times,); default: each file's own `TimeValue` or `time`, else the numbers in the names, else 0, 1, 2, ...

    The cells must be the same in all files; points may move. Raises MeshReadError naming the first file that differs.
    """
    paths = find_files(files)
    meshes = [read(path, dim=dim) for path in paths]
    for path, mesh in zip(paths, meshes, strict=True):
        if not isinstance(mesh, Mesh):
            raise MeshReadError(f"{path}: this file holds {counted(len(mesh), 'time')} already; read it with ml.read")
    if times is not None and len(times) != len(paths):
        raise MeshReadError(
            f"times has {counted(len(times), 'entry', 'entries')} for {counted(len(paths), 'file')} ({paths[0]} ...)"
        )
    return stack(meshes, _times(paths, meshes) if times is None else np.asarray(times, np.float64), paths)


def _times(paths: list[Path], meshes: list[Mesh]) -> np.ndarray:
    for name in ("TimeValue", "time"):
        if all(name in mesh.global_data and mesh.global_data[name].numel() == 1 for mesh in meshes):
            own = np.array([float(mesh.global_data[name]) for mesh in meshes])
            if len(np.unique(own)) == len(own):
                return own
    numbers = [re.findall(r"\d+", path.stem) for path in paths]
    if all(numbers):
        last = np.array([float(found[-1]) for found in numbers])
        if len(np.unique(last)) == len(last):
            return last
    return np.arange(len(paths), dtype=np.float64)


def stack(meshes: list[Mesh], times: np.ndarray, paths: Sequence[str | os.PathLike]) -> Any:
    """Meshes with the same cells as a Trajectory; fields that some of the meshes lack are an error."""
    from meshlearn.mesh.trajectory import Trajectory

    first = meshes[0]
    for path, mesh in zip(paths, meshes, strict=True):
        _same(first, mesh, paths[0], path)
    moving = None
    if any(not torch.equal(mesh.points, first.points) for mesh in meshes):
        moving = torch.stack([mesh.points for mesh in meshes])
    constant = first.replace(point_data={}, cell_data={}, global_data={})
    return Trajectory(
        constant,
        torch.as_tensor(times, dtype=torch.float64),
        point_data={name: torch.stack([mesh.point_data[name] for mesh in meshes]) for name in first.point_data},
        cell_data={
            name: {kind: torch.stack([mesh.cell_data[name][kind] for mesh in meshes]) for kind in by_kind}
            for name, by_kind in first.cell_data.items()
        },
        global_data={
            name: torch.stack([mesh.global_data[name] for mesh in meshes])
            for name in first.global_data
            if name not in ("TimeValue", "time")
        },
        moving_points=moving,
    )


def _same(first: Mesh, mesh: Mesh, first_path: str | os.PathLike, path: str | os.PathLike) -> None:
    def refuse(what: str) -> MeshReadError:
        return MeshReadError(
            f"{path}: {what} differs from {first_path}; a Trajectory needs one mesh and one set of "
            "fields at all times.\n"
            "  read such files one by one: ml.read_many(...)"
        )

    if mesh.points.shape != first.points.shape:
        raise refuse(f"the number of points ({mesh.n_points} against {first.n_points})")
    if list(mesh.cells) != list(first.cells) or any(
        not torch.equal(mesh.cells[k], first.cells[k]) for k in first.cells
    ):
        raise refuse("the cells")
    for kind in ("point_data", "global_data"):
        ours = {n: tuple(v.shape) for n, v in getattr(first, kind).items()}
        theirs = {n: tuple(v.shape) for n, v in getattr(mesh, kind).items()}
        if ours != theirs:
            raise refuse(f"{kind} {sorted(set(ours) ^ set(theirs)) or sorted(ours)}")
    ours, theirs = (
        {(name, kind): tuple(v.shape) for name, by_kind in m.cell_data.items() for kind, v in by_kind.items()}
        for m in (first, mesh)
    )
    if ours != theirs:
        names = sorted({key[0] for key in {*ours, *theirs} if ours.get(key) != theirs.get(key)})
        raise refuse(f"cell_data {names}")
