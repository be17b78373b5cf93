"""ParaView time series (.pvd): an XML list of files with their times."""

from __future__ import annotations

import contextlib
import glob
import shutil
from collections.abc import Iterable
from pathlib import Path
from time import monotonic
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

import numpy as np

from meshlearn.errors import MeshReadError
from meshlearn.mesh.mesh import Mesh

SEVERAL_FILES = True
SECONDS = 2.0  # after which a list that grows is written again


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


def write_frames(frames: Iterable[tuple[float, Mesh]], path: Path, growing: bool = False, **options: Any) -> list[str]:
    """`write` of (time, Mesh) pairs as they come: only one is held at a time.

    growing  list the frames while they come, every few seconds, and keep those that there are when it ends early
    """
    from meshlearn.io import beside

    old = beside.previous(path)
    remove = _remove_if_empty if growing else shutil.rmtree
    with beside.claimed(path.with_name(f"{path.stem}_steps"), "", Path.mkdir, remove) as folder:
        _write_frames(frames, path, folder, growing, old, options)
    _remove_old(old, path)
    return []


def _remove_old(old: Path | None, path: Path) -> None:
    """Remove the frames of a version that no list names any more."""
    if old is not None and old.is_dir() and old.name.startswith(f"{path.stem}_steps"):
        for frame in old.glob(f"{glob.escape(path.stem)}_{'[0-9]' * 5}*.vtu"):
            frame.unlink()
        _remove_if_empty(old)


def _remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):  # something is in it
        folder.rmdir()


def _write_frames(
    frames: Iterable[tuple[float, Mesh]],
    path: Path,
    folder: Path,
    growing: bool,
    old: Path | None,
    options: dict[str, Any],
) -> None:
    from meshlearn.io import beside
    from meshlearn.io.write import atomic
    from meshlearn.io.write import write as write_file

    lines: list[str] = []

    def make_list() -> None:
        head = [
            '<?xml version="1.0"?>',
            beside.mark(folder),
            '<VTKFile type="Collection" version="0.1" byte_order="LittleEndian">',
            "<Collection>",
        ]
        with atomic(path) as temporary:
            temporary.write_text("\n".join([*head, *lines, "</Collection>", "</VTKFile>", ""]), "utf-8")

    listed, due = 0, 0.0
    try:
        for k, (time, frame) in enumerate(frames):
            file = folder / f"{path.stem}_{k:05d}.vtu"
            write_file(frame, file, **options)
            lines.append(f'<DataSet timestep="{time!r}" part="0" file={quoteattr(f"{folder.name}/{file.name}")}/>')
            if growing and monotonic() >= due:
                make_list()
                listed, due = len(lines), monotonic() + SECONDS
                _remove_old(old, path)
    except BaseException:  # Ctrl-C, too: what was written shall be found
        if growing and len(lines) > listed:
            make_list()
        raise
    make_list()
