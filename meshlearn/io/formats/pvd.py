"""ParaView time series (.pvd): an XML list of files with their times."""

from __future__ import annotations

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
    from meshlearn.io.read import read as read_file
    from meshlearn.io.series import stack

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
    meshes = [read_file(file) for file in files]
    times = np.array([float(entry.get("timestep", "0")) for entry in entries])
    if len(meshes) == 1:
        return meshes[0].with_global_data(time=times[0]).replace(source=str(path))
    trajectory = stack(meshes, times, files)
    return trajectory.replace(mesh=trajectory.mesh.replace(source=str(path)))


def write(mesh: Any, path: Path, **options: Any) -> list[str]:
    """Write one .vtu per time into the folder NAME_steps, then the list; options as for .vtu."""
    from meshlearn.io.write import atomic
    from meshlearn.io.write import write as write_file

    folder = path.parent / f"{path.stem}_steps"
    folder.mkdir(exist_ok=True)
    if isinstance(mesh, Mesh):
        frames = [(float(mesh.global_data.get("time", 0.0)), mesh)]
    else:
        frames = [(float(time), mesh[k]) for k, time in enumerate(mesh.times.tolist())]
    lines = [
        '<?xml version="1.0"?>',
        '<VTKFile type="Collection" version="0.1" byte_order="LittleEndian">',
        "<Collection>",
    ]
    for k, (time, frame) in enumerate(frames):
        file = folder / f"{path.stem}_{k:05d}.vtu"
        write_file(frame, file, **options)
        lines.append(f'<DataSet timestep="{time!r}" part="0" file={quoteattr(f"{folder.name}/{file.name}")}/>')
    with atomic(path) as temporary:
        temporary.write_text("\n".join([*lines, "</Collection>", "</VTKFile>", ""]), "utf-8")
    return []
