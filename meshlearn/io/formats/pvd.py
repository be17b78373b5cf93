"""ParaView time series (.pvd): an XML list of files with their times."""

from __future__ import annotations

import contextlib
import glob
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

import numpy as np

from meshlearn.errors import MeshReadError
from meshlearn.mesh.mesh import Mesh

SEVERAL_FILES = True


def read(path: Path) -> Any:
    """A Trajectory, or a Mesh with `global_data["time"]` if the list names one file."""
    from meshlearn.io.series import read_all, stack

    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise MeshReadError(f"{path}: not valid XML, the file is cut off or damaged ({error})") from None
    entries = root.findall("Collection/DataSet")
    if not entries:
        raise MeshReadError(f"{path}: the collection names no files")
    if len({entry.get("part", "0") for entry in entries}) > 1:
        raise MeshReadError(
            f"{path}: the collection has several parts per time, which is not supported; read its files one by one"
        )
    entries = sorted(entries, key=lambda entry: float(entry.get("timestep", "0")))
    files = [path.parent / entry.get("file", "") for entry in entries]
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise MeshReadError(
            f"{path}: the collection names {missing[0].name!r}, which is missing from {missing[0].parent}"
        )
    meshes = read_all(files)
    times = np.array([float(entry.get("timestep", "0")) for entry in entries])
    if len(meshes) == 1:
        return meshes[0].with_global_data(time=times[0]).replace(source=str(path))
    trajectory = stack(meshes, times, files)
    return trajectory.replace(mesh=trajectory.mesh.replace(source=str(path)))


def write(mesh: Any, path: Path, **options: Any) -> list[str]:
    """Write one .vtu per time into the folder NAME_steps (NAME_steps_1 ... if that is taken), then the list; options
    as for .vtu. The folder of the version that is replaced is removed at the end."""
    if isinstance(mesh, Mesh):
        frames = [(float(mesh.global_data.get("time", 0.0)), mesh)]
        return write_frames(frames, path, **options)
    return write_frames(((float(time), mesh[k]) for k, time in enumerate(mesh.times.tolist())), path, **options)


def write_frames(frames: Iterable[tuple[float, Mesh]], path: Path, **options: Any) -> list[str]:
    """`write` of (time, Mesh) pairs as they come: only one is held at a time."""
    from meshlearn.io import beside

    old = beside.previous(path)
    with beside.claimed(path.with_name(f"{path.stem}_steps"), "", Path.mkdir, shutil.rmtree) as folder:
        _write_frames(frames, path, folder, options)
    if old is not None and old.is_dir() and old.name.startswith(f"{path.stem}_steps"):
        for frame in old.glob(f"{glob.escape(path.stem)}_{'[0-9]' * 5}*.vtu"):
            frame.unlink()
        with contextlib.suppress(OSError):  # somebody else's files are in it
            old.rmdir()
    return []


def _write_frames(frames: Iterable[tuple[float, Mesh]], path: Path, folder: Path, options: dict[str, Any]) -> None:
    from meshlearn.io.beside import mark
    from meshlearn.io.write import atomic
    from meshlearn.io.write import write as write_file

    lines = [
        '<?xml version="1.0"?>',
        mark(folder),
        '<VTKFile type="Collection" version="0.1" byte_order="LittleEndian">',
        "<Collection>",
    ]
    for k, (time, frame) in enumerate(frames):
        file = folder / f"{path.stem}_{k:05d}.vtu"
        write_file(frame, file, **options)
        lines.append(f'<DataSet timestep="{time!r}" part="0" file={quoteattr(f"{folder.name}/{file.name}")}/>')
    with atomic(path) as temporary:
        temporary.write_text("\n".join([*lines, "</Collection>", "</VTKFile>", ""]), "utf-8")
