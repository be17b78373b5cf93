"""A folder of native stores, one per file content, so that text formats are parsed once."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from pathlib import Path
from typing import Any

from meshlearn.errors import MeshReadError, MeshReadWarning, MeshWriteError
from meshlearn.io.read import read
from meshlearn.io.referred import referred_files
from meshlearn.io.told import collected_warnings, tell

# Part of every key: raise it when a reader changes what it returns.
READER_VERSION = 5


def default_folder() -> Path:
    """Where `cache=True` keeps its stores: $MESHLEARN_CACHE, else the user's cache folder."""
    chosen = os.environ.get("MESHLEARN_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "meshlearn" / "meshes"


def content_key(path: Path, dim: str | int) -> str:
    """A hash of the file's bytes and of the files it names, its suffix, the options, and the reader's version."""
    from meshlearn import __version__

    head = f"{__version__}|{READER_VERSION}|{path.suffix.lower()}|{dim}"
    digest = hashlib.blake2b(head.encode(), digest_size=20)
    for part in referred_files(path):
        digest.update(f"|{part.stat().st_size}|".encode())
        with open(part, "rb") as file:
            while chunk := file.read(1 << 22):
                digest.update(chunk)
    return digest.hexdigest()


def read_cached(path: Path, folder: Path, dim: str | int = "auto") -> Any:
    """`read(path)` through the cache, with the warnings of the first reading; a damaged entry is read anew, an
    unwritable cache only costs time."""
    if path.is_dir() or not path.is_file():
        return read(path, dim=dim)
    try:
        entry = folder / f"{content_key(path, dim)}.mesh.safetensors"
    except (OSError, MeshReadError):  # unreadable or unknown: `read` says it best
        return read(path, dim=dim)
    if entry.is_file():
        try:
            found, said = read(entry), _said(entry)
        except MeshReadError:
            entry.unlink(missing_ok=True)
        else:
            for text in said:
                tell(f"{path.name}{text}" if text.startswith(": ") else text, stacklevel=3)
            return with_source(found, path)
    with collected_warnings() as said:
        result = read(path, dim=dim)
    own = f"{path.name}: "  # the next file of this content may have another name
    store(result, entry, [text.removeprefix(path.name) if text.startswith(own) else text for text in said])
    return result


def _warnings_of(entry: Path) -> Path:
    return entry.with_name(entry.name.partition(".")[0] + ".warnings.json")


def _said(entry: Path) -> list[str]:
    try:
        said = json.loads(_warnings_of(entry).read_text("utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise MeshReadError(f"{entry}: the warnings kept beside it cannot be read ({error})") from error
    return [str(text) for text in said]


def store(mesh: Any, entry: Path, said: list[str]) -> None:
    """Put a mesh, and the warnings of its reading, into the cache; a full disk or an unwritable folder is a warning."""
    from meshlearn.io.write import atomic, write

    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        if said:  # first, so that an entry is never there without its warnings
            with atomic(_warnings_of(entry)) as temporary:
                temporary.write_text(json.dumps(said), "utf-8")
        write(mesh, entry)
    except (OSError, MeshWriteError) as error:
        warnings.warn(f"the mesh cache {entry.parent} cannot be used: {error}", MeshReadWarning, stacklevel=3)


def with_source(mesh: Any, path: Path) -> Any:
    """The mesh with the original file as its source."""
    from meshlearn.mesh.mesh import Mesh

    if isinstance(mesh, Mesh):
        return mesh.replace(source=str(path))
    return mesh.replace(mesh=mesh.mesh.replace(source=str(path)))
