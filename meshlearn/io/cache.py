"""A folder of native stores, one per file content, so that text formats are parsed once."""

from __future__ import annotations

import hashlib
import json
import os
import re
import warnings
import zlib
from pathlib import Path
from typing import Any

from meshlearn.errors import MeshReadError, MeshReadWarning, MeshWriteError
from meshlearn.io.read import read
from meshlearn.io.referred import referred_files
from meshlearn.io.told import collected_warnings, tell

# Part of every key: raise it when a reader changes what it returns.
READER_VERSION = 5
_ENDING = ".mesh.safetensors"
_ENTRY = re.compile(r"[0-9a-f]{40}\.mesh\.safetensors")


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
        entry = folder / f"{content_key(path, dim)}{_ENDING}"
    except (OSError, MeshReadError):  # unreadable or unknown: `read` says it best
        return read(path, dim=dim)
    said = _checked(entry)
    if said is not None:
        try:
            found = read(entry)
        except MeshReadError:  # written by another version
            entry.unlink(missing_ok=True)
        else:
            for text in said:
                tell(f"{path.name}{text}" if text.startswith(": ") else text, stacklevel=3)
            return with_source(found, path)
    with collected_warnings() as told:
        result = read(path, dim=dim)
    own = f"{path.name}: "  # the next file of this content may have another name
    store(result, entry, [text.removeprefix(path.name) if text.startswith(own) else text for text in told])
    return result


def is_entry(path: Path) -> bool:
    """True for a store that `read_cached` made: its name is a key, and its checksum lies beside it."""
    return _ENTRY.fullmatch(path.name) is not None and _beside(path).is_file()


def _beside(entry: Path) -> Path:
    return entry.with_name(entry.name.partition(".")[0] + ".json")


def _checked(entry: Path) -> list[str] | None:
    """The warnings kept with an undamaged entry; None where there is none."""
    try:
        kept = json.loads(_beside(entry).read_text("utf-8"))
        if kept["crc32"] == _checksum(entry):
            return [str(text) for text in kept["warnings"]]
    except (OSError, ValueError, KeyError, TypeError):  # missing or damaged: both are made anew
        pass
    return None


def _checksum(path: Path) -> int:
    """CRC-32 of a file: finds every changed bit or byte, and takes less time than the key."""
    value = 0
    with open(path, "rb") as file:
        while chunk := file.read(1 << 22):
            value = zlib.crc32(chunk, value)
    return value


def store(mesh: Any, entry: Path, said: list[str]) -> None:
    """Put a mesh, its checksum and the warnings of its reading into the cache; a full disk or an unwritable folder is
    a warning."""
    from meshlearn.io.write import atomic, write

    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        write(with_source(mesh, None), entry)
        with atomic(_beside(entry)) as temporary:  # last: an entry counts once its checksum is there
            temporary.write_text(json.dumps({"crc32": _checksum(entry), "warnings": said}), "utf-8")
    except (OSError, MeshWriteError) as error:
        warnings.warn(f"the mesh cache {entry.parent} cannot be used: {error}", MeshReadWarning, stacklevel=3)


def with_source(mesh: Any, path: Path | None) -> Any:
    """The mesh with the original file (or None) as its source."""
    from meshlearn.mesh.mesh import Mesh

    source = None if path is None else str(path)
    if isinstance(mesh, Mesh):
        return mesh.replace(source=source)
    return mesh.replace(mesh=mesh.mesh.replace(source=source))
