"""Writing VTK legacy files, version 5.1 (64-bit connectivity)."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

import numpy as np

from meshlearn.io.vtk_export import from_mesh
from meshlearn.io.vtk_model import VtkArrays
from meshlearn.mesh.mesh import Mesh

# Integers are written with 64 bits: the one integer type that every reader of version 5.1 takes for the same thing. The
# tags restore the type.
_NAMES = {"i8": "vtktypeint64", "f4": "float", "f8": "double"}


def write_legacy(mesh: Mesh, path: Path, binary: bool) -> None:
    """Write the mesh with all its data and tags."""
    arrays = from_mesh(mesh)
    _streams_as_points(arrays)
    with open(path, "wb") as file:
        file.write(b"# vtk DataFile Version 5.1\nmeshlearn\n" + (b"BINARY\n" if binary else b"ASCII\n"))
        file.write(b"DATASET UNSTRUCTURED_GRID\n")
        _field(file, arrays.field_data, binary)
        file.write(f"POINTS {len(arrays.points)} {_name(arrays.points)}\n".encode())
        _numbers(file, arrays.points, binary)
        offsets = np.concatenate([[0], arrays.offsets]).astype(np.int64)
        file.write(f"CELLS {len(offsets)} {len(arrays.connectivity)}\nOFFSETS vtktypeint64\n".encode())
        _numbers(file, offsets, binary)
        file.write(b"CONNECTIVITY vtktypeint64\n")
        _numbers(file, arrays.connectivity, binary)
        file.write(f"CELL_TYPES {len(arrays.types)}\n".encode())
        _numbers(file, arrays.types.astype(np.int32), binary)
        for key, rows, data in (
            ("POINT_DATA", len(arrays.points), arrays.point_data),
            ("CELL_DATA", len(arrays.types), arrays.cell_data),
        ):
            if data:
                file.write(f"{key} {rows}\n".encode())
                _field(file, data, binary)


def _streams_as_points(arrays: VtkArrays) -> None:
    """Legacy files store a polyhedron's face stream in place of its points."""
    if arrays.faces is None or arrays.face_offsets is None:
        return
    rows = np.split(arrays.connectivity, arrays.offsets[:-1])
    cells = np.flatnonzero(arrays.face_offsets >= 0)
    streams = np.split(arrays.faces, arrays.face_offsets[cells][:-1])
    for cell, stream in zip(cells.tolist(), streams, strict=True):
        rows[cell] = stream
    arrays.connectivity = np.concatenate(rows)
    arrays.offsets = np.array([len(row) for row in rows]).cumsum()


def _name(array: np.ndarray) -> str:
    return _NAMES[array.dtype.str[1:]]


def _field(file: BinaryIO, data: dict[str, np.ndarray], binary: bool) -> None:
    file.write(f"FIELD FieldData {len(data)}\n".encode())
    for name, values in data.items():
        values = values.astype(np.int64) if values.dtype.kind in "iu" else values
        file.write(
            f"{quote(name, safe=':;,()[]{}<>=+-*/.@!$&|^~')} {values.shape[1]} {len(values)} {_name(values)}\n".encode()
        )
        _numbers(file, values, binary)


def _numbers(file: BinaryIO, array: np.ndarray, binary: bool) -> None:
    if binary:
        file.write(array.astype(array.dtype.newbyteorder(">")).tobytes() + b"\n")
    else:
        rows = np.atleast_2d(array.T).T.tolist() if array.ndim == 1 else array.tolist()
        single = array.dtype == np.float32
        text = "\n".join(" ".join(format(v, ".9g") if single else repr(v) for v in row) for row in rows)
        file.write(text.encode() + b"\n")
