"""Paths as users give them, checked before anything touches the file system."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from meshlearn.errors import MeshReadError, MeshWriteError


def checked_path(given: Any, error: type[MeshReadError] | type[MeshWriteError]) -> Path:
    """The path with `~` replaced; raises `error` for what is no path, or one that the file system refuses.

    >>> checked_path("a.vtu", MeshReadError).name
    'a.vtu'
    """
    reading = error is MeshReadError
    call = "ml.read(path)" if reading else "ml.write(mesh, path)"
    if isinstance(given, (list, tuple, set, frozenset)):
        hint = "for several files: ml.read_many(paths)" if reading else "write the meshes one by one"
        raise error(f"{call} takes one path, got a {type(given).__name__} of {len(given)}.\n  {hint}")
    if not isinstance(given, (str, os.PathLike)) or isinstance(given, bytes):
        raise error(f"{call} takes a path (str or pathlib.Path), got {given!r} ({type(given).__name__}).")
    if not os.fspath(given):
        raise error(f"{call} was given an empty path.")
    if "\x00" in os.fspath(given):
        raise error(f"{given!r}: a path cannot hold the character \\0.")
    try:
        path = Path(given).expanduser()
        path.stat()
    except FileNotFoundError:
        pass
    except RuntimeError as cause:  # "~name" of a user that is not there
        raise error(f"{given}: {cause}") from None
    except OSError as cause:
        raise error(f"{str(given)[:200]}: {cause.strerror or cause}.") from None
    return path
