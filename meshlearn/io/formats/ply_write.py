"""Writing PLY files: one property per component, of the field's own type where PLY has it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

from meshlearn.io.counts import counted
from meshlearn.io.losses import three_columns, unheld
from meshlearn.io.tensors import file_array, to_numpy
from meshlearn.mesh.mesh import Mesh

_NAMES = {
    "i1": "char", "u1": "uchar", "i2": "short", "u2": "ushort", "i4": "int", "u4": "uint", "f4": "float", "f8": "double"
}  # fmt: skip
# what a type comes back as; the others come back as they are
_BECOMES = {
    "bool": "uint8", "int64": "int32", "uint16": "int32", "uint32": "int64", "float16": "float32",
    "bfloat16": "float32", "complex64": "pairs of float32", "complex128": "pairs of float64",
}  # fmt: skip
Columns = dict[str, np.ndarray]


def write_ply(mesh: Mesh, path: Path, binary: bool) -> list[str]:
    """Write points, triangles, quads, polygons and lines."""
    losses = unheld(mesh, "PLY", ("triangle", "quad", "polygon", "line", "vertex"), ("point_data", "cell_data"))
    points = three_columns(to_numpy(mesh.points))
    vertex = {axis: points[:, k] for k, axis in enumerate("xyz")}
    vertex |= _columns("point data", mesh.point_data, set(vertex), losses)
    kinds = [kind for kind in ("triangle", "quad", "polygon") if kind in mesh.cells]
    rows = [row[row >= 0] for kind in kinds for row in to_numpy(mesh.cells[kind])]
    face = _columns("cell data", _of_all_faces(mesh, kinds, bool(rows), losses), {"vertex_indices"}, losses)
    lines = to_numpy(mesh.cells["line"]) if "line" in mesh.cells else np.zeros((0, 2), np.int64)
    if "vertex" in mesh.cells and len(mesh.cells["vertex"]):
        losses.append(counted(len(mesh.cells["vertex"]), "vertex cell"))
    count_type = "u1" if max(map(len, rows), default=0) < 256 else "i4"
    head = ["ply", f"format {'binary_little_endian' if binary else 'ascii'} 1.0", "comment meshlearn"]
    head += [f"element vertex {len(points)}", *_properties(vertex)]
    if rows or not len(lines):
        head += [f"element face {len(rows)}", f"property list {_NAMES[count_type]} int vertex_indices"]
        head += _properties(face)
    if len(lines):
        head += [f"element edge {len(lines)}", "property int vertex1", "property int vertex2"]
    with open(path, "wb") as file:
        file.write(("\n".join([*head, "end_header"]) + "\n").encode())
        tables = (
            _table(vertex),
            *_face_tables(rows, face, count_type),
            _table({"a": lines[:, 0].astype("i4"), "b": lines[:, 1].astype("i4")}),
        )
        for table in tables:
            file.write(table.tobytes() if binary else _text(table))
    return losses


def _of_all_faces(mesh: Mesh, kinds: list[str], any_faces: bool, losses: list[str]) -> dict[str, torch.Tensor]:
    """Fields that every face has, over all faces."""
    found = {}
    for name, by_kind in mesh.cell_data.items():
        shapes = {by_kind[kind].shape[1:] for kind in kinds if kind in by_kind}
        if any_faces and set(kinds) <= set(by_kind) and len(shapes) == 1:
            found[name] = torch.cat([by_kind[kind] for kind in kinds])
        elif any_faces:
            losses.append(f"cell data {name!r}, which not every face has in one shape")
        if set(by_kind) - set(kinds):
            losses.append(f"cell data {name!r} beyond the faces")
    return found


def _columns(part: str, fields: Mapping[str, torch.Tensor], taken: set[str], losses: list[str]) -> Columns:
    """Fields as scalar columns of types that PLY has, under names that are free; says what was changed."""
    columns: Columns = {}
    for name, tensor in fields.items():
        values, dtype, shape = file_array(tensor)
        if values.dtype.kind in "iu" and values.dtype.itemsize == 8:
            if values.size and (int(values.max()) >= 2**31 or int(values.min()) < -(2**31)):
                losses.append(f"{part} {name!r}: whole numbers beyond 32 bits")
                continue
            values = values.astype(np.int32)
        if dtype in _BECOMES:
            losses.append(f"the type {dtype} of {part} {name!r} (now {_BECOMES[dtype]})")
        plain = "_".join(name.split()) or "field"
        wanted = [plain] if tensor.ndim == 1 and values.shape[1] == 1 else []
        names = wanted or [f"{plain}_{k}" for k in range(values.shape[1])]
        while taken & set(names):
            names = [f"{own}_" for own in names]
        taken |= set(names)
        if names != [name]:
            what = f"the shape {tuple(shape)}" if shape and plain == name else "the name"
            losses.append(f"{what} of {part} {name!r} (now {', '.join(map(repr, names))})")
        columns |= {own: np.ascontiguousarray(values[:, k]) for k, own in enumerate(names)}
    return columns


def _properties(columns: Columns) -> list[str]:
    return [f"property {_NAMES[values.dtype.str[1:]]} {name}" for name, values in columns.items()]


def _table(columns: Columns) -> np.ndarray:
    """The columns as one array of records, little-endian and without gaps."""
    table = np.zeros(
        len(next(iter(columns.values()))), [(n, "<" + v.dtype.str[1:], v.shape[1:]) for n, v in columns.items()]
    )
    for name, values in columns.items():
        table[name] = values
    return table


def _face_tables(rows: list[np.ndarray], face: Columns, count_type: str) -> Iterator[np.ndarray]:
    """One array of records per run of faces with the same number of corners."""
    sizes = np.array([len(row) for row in rows], np.int64)
    bounds = [*np.flatnonzero(np.diff(sizes, prepend=-1)).tolist(), len(rows)]
    for start, end in pairwise(bounds):
        corners = np.stack(rows[start:end]).astype("i4")
        counts = np.full(end - start, corners.shape[1], count_type)
        # a space cannot stand in a property's name
        yield _table({" n": counts, " corners": corners} | {name: values[start:end] for name, values in face.items()})


def _text(table: np.ndarray) -> bytes:
    return "".join(" ".join(map(repr, _flat(row))) + "\n" for row in table.tolist()).encode()


def _flat(row: tuple[Any, ...]) -> Iterator[Any]:
    for value in row:
        yield from value.tolist() if isinstance(value, np.ndarray) else (value,)
