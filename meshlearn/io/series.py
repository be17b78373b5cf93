"""Numbered files as one time series."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from meshlearn.errors import MeshlearnError, MeshReadError
from meshlearn.io.counts import counted
from meshlearn.io.finding import find_files
from meshlearn.io.read import read
from meshlearn.io.told import collected_warnings, tell_once
from meshlearn.mesh.mesh import Mesh


def read_series(files: Any, times: Sequence[float] | None = None, dim: str | int = "auto") -> Any:
    """Files of one mesh at several times (run_0001.vtu, run_0002.vtu, ...) as a `Trajectory`.

    files  a pattern, a folder or a list of paths, in order of time (patterns are sorted by number)
    times  (n_times,); default: each file's own `TimeValue` or `time`, else the numbers in the names, else 0, 1, 2, ...

    The cells must be the same in all files; points may move. Raises MeshReadError naming the first file that differs.
    """
    paths = find_files(files)
    meshes = read_all(paths, dim)
    for path, mesh in zip(paths, meshes, strict=True):
        if not isinstance(mesh, Mesh):
            raise MeshReadError(f"{path}: this file holds {counted(len(mesh), 'time')} already; read it with ml.read")
    if times is not None and len(times) != len(paths):
        raise MeshReadError(
            f"times has {counted(len(times), 'entry', 'entries')} for {counted(len(paths), 'file')} ({paths[0]} ...)"
        )
    return stack(meshes, _times(paths, meshes) if times is None else np.asarray(times, np.float64), paths)


def read_all(paths: Sequence[Path], dim: str | int = "auto") -> list[Any]:
    """The files one after the other; what readers could not keep is told once for all of them."""
    meshes, said = [], []
    for path in paths:
        with collected_warnings(quiet=True) as texts:
            meshes.append(read(path, dim=dim))
        said.append(texts)
    tell_once(said, stacklevel=4)
    return meshes


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
    """Meshes with the same cells and fields as a Trajectory; MeshReadError naming the first file that differs."""
    from meshlearn.mesh.trajectory import Trajectory

    frames = []
    for mesh in meshes:
        values = {name: value for name, value in mesh.global_data.items() if name not in ("TimeValue", "time")}
        frames.append(mesh.replace(global_data=values))
    try:
        return Trajectory.from_meshes(frames, torch.as_tensor(times, dtype=torch.float64))
    except MeshlearnError as error:
        for path, frame in zip(paths[1:], frames[1:], strict=True):
            try:
                Trajectory.from_meshes([frames[0], frame], [0.0, 1.0])
            except MeshlearnError as cause:
                raise MeshReadError(
                    f"{path} does not go with {paths[0]}: {cause}\n  read such files one by one: ml.read_many(...)"
                ) from None
        raise MeshReadError(f"{paths[0]} and the files behind it are no series: {error}") from None
