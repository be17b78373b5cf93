"""Formats that only meshio reads (DOLFIN XML, Netgen, TetGen, UGRID, H5M ...)."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

from meshlearn.io.bridges.meshio import fill_from_meshio
from meshlearn.io.builder import MeshBuilder
from meshlearn.io.quiet import quiet


def read(path: Path) -> MeshBuilder:
    """Read through meshio, by suffix."""
    return read_with_meshio(path, None, "a format of meshio")


def read_with_meshio(path: Path, file_format: str | None, title: str) -> MeshBuilder:
    """meshio prints its complaints and ends the process on failure: the first are collected, the second is caught."""
    import meshio

    builder = MeshBuilder(path, title)
    said = io.StringIO()
    try:
        # the streams belong to the process too: `quiet` lets one thread in
        with quiet(), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            found = meshio.read(path, file_format=file_format)
    except SystemExit:
        text = " ".join(said.getvalue().split())
        raise builder.fail(f"meshio cannot read the file ({text[:300] or 'no reason given'})") from None
    fill_from_meshio(found, builder)
    for line in filter(None, said.getvalue().splitlines()):
        builder.lost(f"meshio says: {line.strip()}")
    return builder
