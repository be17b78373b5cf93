"""Formats that only meshio reads (DOLFIN XML, Netgen, TetGen, UGRID, H5M ...)."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

from meshlearn.errors import MeshReadError
from meshlearn.io.bridges.meshio import fill_from_meshio
from meshlearn.io.builder import MeshBuilder
from meshlearn.quiet import quiet


def read(path: Path) -> MeshBuilder:
    """Read through meshio, by suffix."""
    if path.suffix.lower() in (".node", ".ele"):
        _check_tetgen(path)
    return read_with_meshio(path, None, "a format of meshio")


def _call(meshio: Any, path: Path, file_format: str | None) -> Any:
    """meshio's readers of Tecplot and MDPA wait for ever for what a cut file lacks: they get a file that ends."""
    if file_format == "tecplot":
        from meshlearn.io.formats.tecplot import without_times

        with _EndingText(io.BytesIO(without_times(path.read_bytes())), encoding="utf-8", errors="replace") as text:
            return meshio.read(text, file_format="tecplot")
    if path.suffix.lower() == ".mdpa":
        with _EndingBytes(io.FileIO(path)) as data:
            return meshio.read(data, file_format="mdpa")
    return meshio.read(path, file_format=file_format)


class _Ending:
    """Counts the lines asked for behind the end of a file."""

    asked = 0

    def counted(self, line: Any) -> Any:
        self.asked = 0 if line else self.asked + 1
        if self.asked > 100:
            raise EOFError("the file ends before what it announces")
        return line


class _EndingText(io.TextIOWrapper, _Ending):
    def readline(self, size: int = -1, /) -> str:  # type: ignore[override]
        return self.counted(super().readline(size))


class _EndingBytes(io.BufferedReader, _Ending):
    def readline(self, size: int | None = -1, /) -> bytes:
        return self.counted(super().readline(size))


def _check_tetgen(path: Path) -> None:
    """Both files must hold a line of counts: meshio looks for it without end."""
    for part in (path.with_suffix(".node"), path.with_suffix(".ele")):
        if not part.is_file():
            raise MeshReadError(f"{path}: a TetGen mesh is a .node and a .ele file; {part.name} is missing.")
        if all(line.strip()[:1] in (b"", b"#") for line in part.read_bytes().splitlines()):
            raise MeshReadError(f"{path}: {part.name} holds nothing but comments: cut off, or a mesh without cells.")


def read_with_meshio(path: Path, file_format: str | None, title: str) -> MeshBuilder:
    """meshio prints its complaints and ends the process on failure: the first are collected, the second is caught."""
    import meshio

    builder = MeshBuilder(path, title)
    said = io.StringIO()
    try:
        # the streams belong to the process too: `quiet` lets one thread in
        with quiet(), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            found = _call(meshio, path, file_format)
    except SystemExit:
        text = " ".join(said.getvalue().split())
        raise builder.fail(f"meshio cannot read the file ({text[:300] or 'no reason given'})") from None
    fill_from_meshio(found, builder)
    for line in filter(None, said.getvalue().splitlines()):
        builder.lost(f"meshio says: {line.strip()}")
    return builder
