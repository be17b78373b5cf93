"""`ml.write`: a mesh or trajectory to a file, whole or not at all."""

from __future__ import annotations

import os
import secrets
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from meshlearn.errors import MeshWriteError, MeshWriteWarning
from meshlearn.io import registry
from meshlearn.io.modes import claim, restore_mode
from meshlearn.io.naming import nameable
from meshlearn.io.paths import checked_path
from meshlearn.io.writable import reshaped, respaced, retyped, writable
from meshlearn.mesh.mesh import Mesh


def write(mesh: Any, path: str | os.PathLike, *, format: str | None = None, **options: Any) -> Path:
    """Write a Mesh or Trajectory to a file; the suffix chooses the format. Returns the path.

    The file is written under a temporary name and renamed when it is complete: a failure leaves nothing behind, and an
    older file of that name stays. Fields and tags that the format cannot hold are named in a `MeshWriteWarning`;
    cells that it cannot hold raise MeshWriteError. The native store `.mesh.safetensors` holds everything; `.vtu`,
    `.vtk` and `.msh` hold all that has a cell type there (VTK has none for pyramid14, Gmsh none for polyhedra).

    options  of the format, e.g. compression="zlib" for .vtu, binary=False for .msh, .vtk, .stl and .ply

    >>> import tempfile, pathlib
    >>> path = ml.write(ml.shapes.square(n=2), pathlib.Path(tempfile.mkdtemp()) / "square.mesh.safetensors")
    >>> path.name
    'square.mesh.safetensors'
    """
    path = checked_path(path, MeshWriteError)
    chosen = registry.by_name(format) if format else registry.for_writing(path)
    if not chosen.writes:
        raise MeshWriteError(f"{path}: {chosen.title} can be read, not written.")
    series = not isinstance(mesh, Mesh)
    if series:
        from meshlearn.mesh.trajectory import Trajectory

        if not isinstance(mesh, Trajectory):
            raise MeshWriteError(f"{path}: expected a Mesh or a Trajectory, got {type(mesh).__name__}.")
        if not chosen.series:
            able = sorted(
                suffix for f in registry.supported_formats() if f.series and f.writes for suffix in f.suffixes
            )
            raise MeshWriteError(
                f"{path}: {chosen.title} holds one time, this trajectory has {len(mesh)}.\n"
                f"  formats for time series: {' '.join(able)}; or write one step: ml.write(trajectory[-1], ...)"
            )
    if path.is_dir():
        raise MeshWriteError(f"{path}: this is a folder; give the name of a file in it.")
    if not path.parent.is_dir():
        raise MeshWriteError(f"{path}: the folder {path.parent} does not exist.")
    mesh, left_out = writable(mesh, chosen.name, path)
    mesh, renamed = nameable(mesh, chosen.name)
    try:
        module = chosen.load()
        if getattr(module, "SEVERAL_FILES", False):  # these rename their parts themselves, the leading file last
            losses = module.write(mesh, path, **options)
        else:
            with atomic(path) as temporary:
                losses = module.write(mesh, temporary, **options)
    except OSError as error:
        raise MeshWriteError(f"{path}: cannot be written ({error.strerror or error}).") from error
    except TypeError as error:
        if "unexpected keyword argument" in str(error) and options:
            raise MeshWriteError(f"{path}: {chosen.title} does not know one of the options {list(options)}.") from error
        raise
    losses = [*left_out, *renamed, *losses]
    losses += [text for check in (retyped, reshaped, respaced) for text in check(mesh, chosen.name)]
    if losses:
        warnings.warn(
            f"{path.name}: {chosen.title} cannot hold everything; not written: {'; '.join(losses)}",
            MeshWriteWarning,
            stacklevel=2,
        )
    return path


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary path in the same folder, renamed to `path` on success and removed on failure."""
    if path.parent.is_dir() and not os.access(path.parent, os.W_OK):
        raise MeshWriteError(f"{path}: the folder {path.parent} is not writable.")
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{path.suffix}")
    mode = claim(temporary)
    try:
        yield temporary
        restore_mode(temporary, mode)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
