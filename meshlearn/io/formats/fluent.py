"""ANSYS Fluent .msh and .cas: recognised, read through meshio where it can."""

from __future__ import annotations

from pathlib import Path

from meshlearn.io.builder import MeshBuilder
from meshlearn.io.formats.meshio_adapter import read_with_meshio


def read(path: Path) -> MeshBuilder:
    """Read a Fluent mesh; meshio keeps points and cells of files whose cells are listed by their corners."""
    builder = read_with_meshio(path, "ansys", "ANSYS Fluent mesh")
    if not builder.cells():
        raise builder.fail(
            "the mesh is stored by faces, which is not supported; export it from Fluent as CGNS or convert it to .vtu"
        )
    builder.lost("Fluent's zones")
    return builder
