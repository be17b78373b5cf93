"""A folder of native stores, one per file content, so that text formats are parsed once."""

from __future__ import annotations

import hashlib
import os
import warnings
from pathlib import Path
from typing import Any

from meshlearn.errors import MeshReadError, MeshReadWarning, MeshWriteError
from meshlearn.io.read import read

# Part of every key: raise it when a reader changes what it returns.
READER_VERSION = 1


def default_folder() -> Path:
    """Where `cache=True` keeps its stores: $MESHLEARN_CACHE, else the user's cache folder."""
    chosen = os.environ.get("MESHLEARN_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "meshlearn" / "meshes"


def content_key(path: Path, dim: str | int) -> str:
    """A hash of the file's bytes (and of the files it names), its suffix, the options, and the reader's version."""
    digest = hashlib.blake2b(f"{READER_VERSION}|{path.suffix.lower()}|{dim}".encode(), digest_size=20)
    for part in [path, *_companions(path)]:
        with open(part, "rb") as file:
            while chunk := file.read(1 << 22):
                digest.update(chunk)
    return digest.hexdigest()


def _companions(path: Path) -> list[Path]:
    """Files that a leading file refers to and that belong to its content."""
    if path.is_dir():
        return []
    suffix = path.suffix.lower()
    if suffix in (".xdmf", ".xmf"):
        return sorted({*path.parent.glob(f"{path.stem}*.h5"), *path.parent.glob(f"{path.stem}*.bin")})
    if suffix in (".pvd", ".pvtu"):
        import re

        names = re.findall(rb"(?:file|Source)\s*=\s*[\"']([^\"']+)", path.read_bytes())
        return [part for name in names if (part := path.parent / name.decode(errors="replace")).is_file()]
    return []


def read_cached(path: Path, folder: Path, dim: str | int = "auto") -> Any:
    """`read(path)` through the cache; a damaged entry is read anew, an unwritable cache only costs time."""
    if path.is_dir() or not path.is_file():
        return read(path, dim=dim)
    entry = folder / f"{content_key(path, dim)}.mesh.safetensors"
    if entry.is_file():
        try:
            return with_source(read(entry), path)
        except MeshReadError:
            entry.unlink(missing_ok=True)
    result = read(path, dim=dim)
    store(result, entry)
    return result


def store(mesh: Any, entry: Path) -> None:
    """Put a mesh into the cache; a full disk or an unwritable folder is a warning."""
    from meshlearn.io.write import write

    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        write(mesh, entry)
    except (OSError, MeshWriteError) as error:
        warnings.warn(f"the mesh cache {entry.parent} cannot be used: {error}", MeshReadWarning, stacklevel=3)


def with_source(mesh: Any, path: Path) -> Any:
    """The mesh with the original file as its source."""
    from meshlearn.mesh.mesh import Mesh

    if isinstance(mesh, Mesh):
        return mesh.replace(source=str(path))
    return mesh.replace(mesh=mesh.mesh.replace(source=str(path)))
