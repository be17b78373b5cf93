"""Files that are no mesh of ours, but known well enough to say what to do with them."""

from __future__ import annotations

import re
from pathlib import Path

from meshlearn.errors import MeshReadError

_ARCHIVES = (
    (b"\x1f\x8b", "gzip", "gunzip"),
    (b"BZh", "bzip2", "bunzip2"),
    (b"\xfd7zXZ", "xz", "unxz"),
    (b"\x28\xb5\x2f\xfd", "zstd", "unzstd"),
)
_THROUGH_PYVISTA = "pyvista reads it: import pyvista; ml.Mesh.from_pyvista(pyvista.read({path!r}){combined})"
_OF_GRIDS = {".vti": "a VTK image", ".vtr": "a VTK rectilinear grid", ".vts": "a VTK structured grid",
             ".pvti": "a VTK image in pieces", ".pvtr": "a VTK rectilinear grid in pieces",
             ".vtkhdf": "VTK data in HDF5"}  # fmt: skip
_OF_BLOCKS = {".vtm": "VTK data of several blocks", ".vtmb": "VTK data of several blocks",
              ".case": "an EnSight case", ".foam": "an OpenFOAM case"}  # fmt: skip
_CAD = ("CAD geometry", "it holds shapes, not a mesh: mesh it first, in Gmsh for instance, and save it as .msh")
_UNV = ("an I-deas universal file", "open it in Gmsh or Salome, and save it as .msh or .med")
_OTHERS = {".unv": _UNV, ".step": _CAD, ".stp": _CAD, ".iges": _CAD, ".igs": _CAD, ".brep": _CAD}
_XML = {b"ImageData": ".vti", b"RectilinearGrid": ".vtr", b"StructuredGrid": ".vts", b"PImageData": ".pvti",
        b"PRectilinearGrid": ".pvtr", b"vtkMultiBlockDataSet": ".vtm"}  # fmt: skip
_DYNA = re.compile(rb"^\*(KEYWORD\b|ELEMENT_(SHELL|SOLID|TSHELL|BEAM|DISCRETE))", re.M | re.I)


def refuse_foreign(path: Path, head: bytes) -> None:
    """Raise MeshReadError for archives, LS-DYNA, and the content of other VTK files whatever their name."""
    for magic, name, command in _ARCHIVES:
        if head.startswith(magic):
            raise MeshReadError(f"{path}: the file is compressed with {name}; unpack it first: {command} {path.name}")
    if head.startswith(b"PK\x03\x04") and not path.name.lower().endswith((".npz", ".3mf")):
        raise MeshReadError(f"{path}: the file is a zip archive; unpack it first.")
    if _DYNA.search(head):
        raise MeshReadError(
            f"{path}: LS-DYNA is not supported (the file holds its keywords).\n"
            "  write it as another format, e.g. with LS-PrePost as Abaqus or Nastran"
        )
    if head.startswith(b"#!TDV") or head.startswith(b"#!SZPLT"):
        raise MeshReadError(
            f"{path}: this is a binary Tecplot file, which meshlearn does not read.\n"
            "  write it as text (Tecplot: Write Data File, ASCII), or open it in ParaView and save it as .vtu"
        )
    kind = re.search(rb"<VTKFile[^>]*\btype\s*=\s*[\"'](\w+)[\"']", head)
    if kind and kind[1] in _XML:
        _refuse(path, _XML[kind[1]])


def refuse_suffix(path: Path) -> None:
    """Raise MeshReadError for the suffix of a program whose files are known and not read."""
    _refuse(path, path.suffix.lower())


def _refuse(path: Path, suffix: str) -> None:
    if suffix in _OTHERS:
        title, hint = _OTHERS[suffix]
    elif suffix in _OF_GRIDS:
        title, hint = _OF_GRIDS[suffix], _THROUGH_PYVISTA.format(path=str(path), combined="")
    elif suffix in _OF_BLOCKS:
        title, hint = _OF_BLOCKS[suffix], _THROUGH_PYVISTA.format(path=str(path), combined=".combine()")
    else:
        return
    raise MeshReadError(f"{path}: this is {title}, which meshlearn does not read itself.\n  {hint}")
