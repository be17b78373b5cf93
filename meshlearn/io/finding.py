"""The files that a pattern, a folder or a list stands for."""

from __future__ import annotations

import glob as globbing
import os
import re
from pathlib import Path
from typing import Any

from meshlearn.errors import MeshReadError
from meshlearn.io import registry
from meshlearn.io.cache import is_entry
from meshlearn.io.folders import mesh_files
from meshlearn.io.paths import checked_path
from meshlearn.io.read import check_exists


def find_files(files: Any, missing: str = "raise") -> list[Path]:
    """The paths that a pattern, a folder or a list of these and of files stands for.

    A file that several patterns of a list match is there once. missing="skip" leaves it to the reader to miss a file.
    """
    from meshlearn.io.formats import plaid

    if isinstance(files, str | os.PathLike):
        return _found(files)
    given = list(files)
    if not given:
        raise MeshReadError("read_many was given an empty list of files")
    paths: list[Path] = []
    for entry in given:
        path = checked_path(entry, MeshReadError)
        is_folder = path.is_dir() and not plaid.is_sample(path)
        if is_folder or (not path.exists() and any(mark in str(path) for mark in "*?[")):
            there = set(paths)
            paths += [file for file in _found(path) if file not in there]
        else:
            if missing == "raise" and not path.is_dir():
                check_exists(path)
            paths.append(path)
    return paths


def _found(files: str | os.PathLike) -> list[Path]:
    """The paths that one pattern, folder or file stands for."""
    if not os.fspath(files):
        raise MeshReadError("read_many was given an empty path")
    text = str(Path(files).expanduser())
    if os.path.isdir(text):
        return sorted(mesh_files(Path(text)), key=natural)
    if os.path.exists(text):
        check_exists(Path(text))
        return [Path(text)]
    paths = [Path(name) for name in globbing.glob(text, recursive=True)]
    paths = [path for path in paths if not is_entry(path)]
    if not paths:
        folder = Path(re.split(r"[*?\[]", text)[0] or ".")
        folder = folder if folder.is_dir() else folder.parent
        what = f"no file matches {text}" + ("" if folder.is_dir() else f"; the folder {folder} does not exist")
        raise MeshReadError(f"{what}.\n  supported suffixes: {' '.join(registry.suffixes())}")
    return sorted(paths, key=natural)


def natural(path: Path) -> list[Any]:
    """A sort key that counts: run_2 before run_10."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", str(path)) if part]
