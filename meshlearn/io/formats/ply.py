"""PLY, ASCII and binary. Vertex and face properties become point and cell data under their own names."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from meshlearn.io.builder import MeshBuilder
from meshlearn.io.faces import add_faces, check_indices
from meshlearn.io.texts import split_lines, text_of
from meshlearn.mesh.mesh import Mesh

_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2", "ushort": "u2", "uint16":
    "u2",
    "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4", "float": "f4", "float32": "f4", "double": "f8",
    "float64": "f8", "int64": "i8", "uint64": "u8", "long": "i8",
}  # fmt: skip
_CORNERS = ("vertex_indices", "vertex_index")


@dataclass
class _Element:
    name: str
    count: int
    scalars: list[tuple[str, str, str | None]] = field(default_factory=list)  # name, type, type of the list's length


def read(path: Path) -> MeshBuilder:
    """Read a PLY file."""
    builder = MeshBuilder(path, "PLY")
    data = path.read_bytes()
    form, elements, body = _header(data, builder)
    found: dict[str, dict[str, np.ndarray | list]] = {}
    if form == "ascii":
        _read_text(body, elements, found, builder)
    else:
        _read_binary(body, elements, found, "<" if form == "binary_little_endian" else ">", builder)
    _place(found, builder)
    return builder


def _header(data: bytes, builder: MeshBuilder) -> tuple[str, list[_Element], bytes]:
    end = data.find(b"end_header")
    if end < 0:
        raise builder.fail("the header has no end_header: the file is cut off")
    form, elements = "", []
    for line in split_lines(text_of(data[:end], builder))[1:]:
        words = line.split()
        if not words or words[0] in ("comment", "obj_info"):
            continue
        if words[0] == "format" and len(words) > 1:
            form = words[1]
        elif words[0] == "element" and len(words) == 3:
            elements.append(_Element(words[1], int(words[2])))
        elif words[0] == "property" and elements and len(words) >= 3:
            is_list = words[1] == "list"
            kinds = words[2:4] if is_list else words[1:2]
            if any(kind not in _TYPES for kind in kinds):
                raise builder.fail(f"property {words[-1]!r} has an unknown type: {line!r}")
            elements[-1].scalars.append((words[-1], _TYPES[kinds[-1]], _TYPES[kinds[0]] if is_list else None))
        else:
            raise builder.fail(f"the header line {line!r} is not understood")
    if form not in ("ascii", "binary_little_endian", "binary_big_endian"):
        raise builder.fail(f"format {form!r} is not one of ascii, binary_little_endian, binary_big_endian")
    if not any(element.name == "vertex" and element.count for element in elements):
        raise builder.fail("the header announces no vertices")
    newline = data.find(b"\n", end)
    return form, elements, data[newline + 1 :] if newline >= 0 else b""


def _read_text(body: bytes, elements: list[_Element], found: dict, builder: MeshBuilder) -> None:
    lines = [line for line in body.splitlines() if line.strip()]
    position = 0
    for element in elements:
        rows = lines[position : position + element.count]
        if len(rows) < element.count:
            raise builder.fail(f"{element.count} {element.name} rows are announced, {len(rows)} are present: cut off?")
        position += element.count
        if not any(length for _, _, length in element.scalars):
            table = np.array(b" ".join(rows).split(), dtype=np.float64) if rows else np.zeros(0)
            if table.size != element.count * len(element.scalars):
                raise builder.fail(f"the {element.name} rows do not hold {len(element.scalars)} numbers each")
            table = table.reshape(element.count, len(element.scalars))
            found[element.name] = {n: table[:, k].astype(t) for k, (n, t, _) in enumerate(element.scalars)}
            continue
        columns: dict[str, list] = {name: [] for name, _, _ in element.scalars}
        for row in rows:
            words, at = row.split(), 0
            for name, _, length in element.scalars:
                if length:
                    size = int(words[at])
                    if at + 1 + size > len(words):
                        raise builder.fail(f"a {element.name} row is cut off: {row[:60]!r}")
                    columns[name].append([float(word) for word in words[at + 1 : at + 1 + size]])
                    at += 1 + size
                else:
                    columns[name].append(float(words[at]))
                    at += 1
        found[element.name] = {
            n: columns[n] if length else np.array(columns[n]).astype(t) for n, t, length in element.scalars
        }


def _read_binary(body: bytes, elements: list[_Element], found: dict, order: str, builder: MeshBuilder) -> None:
    position = 0

    def take(dtype: np.dtype, count: int) -> np.ndarray:
        nonlocal position
        length = dtype.itemsize * count
        if position + length > len(body):
            raise builder.fail(f"the file ends {position + length - len(body)} bytes too early: cut off")
        array = np.frombuffer(body, dtype, count, position)
        position += length
        return array

    for element in elements:
        lists = [(n, t, length) for n, t, length in element.scalars if length]
        if not lists:
            record = np.dtype([(n, order + t) for n, t, _ in element.scalars])
            rows = take(record, element.count)
            found[element.name] = {n: rows[n] for n, _, _ in element.scalars}
            continue
        uniform = _uniform(body, position, element, order)
        if uniform is not None:
            rows = take(uniform, element.count)
            found[element.name] = {n: rows[n] for n, _, _ in element.scalars}
            continue
        columns: dict[str, list] = {name: [] for name, _, _ in element.scalars}
        for _ in range(element.count):
            for name, kind, length in element.scalars:
                if length:
                    size = int(take(np.dtype(order + length), 1)[0])
                    columns[name].append(take(np.dtype(order + kind), size).tolist())
                else:
                    columns[name].append(take(np.dtype(order + kind), 1)[0])
        found[element.name] = {n: columns[n] if length else np.array(columns[n]) for n, _, length in element.scalars}


def _uniform(body: bytes, position: int, element: _Element, order: str) -> np.dtype | None:
    """The record if all lists are as long as in the first row."""
    parts: list[Any] = []
    at = position
    for name, kind, length in element.scalars:
        if not length:
            parts.append((name, order + kind))
            at += np.dtype(kind).itemsize
            continue
        if at + np.dtype(length).itemsize > len(body):
            return None
        size = int(np.frombuffer(body, np.dtype(order + length), 1, at)[0])
        parts += [(f"n {name}", order + length), (name, order + kind, (size,))]
        at += np.dtype(length).itemsize + size * np.dtype(kind).itemsize
    record = np.dtype(parts)
    if element.count == 0 or position + record.itemsize * element.count > len(body):
        return None
    rows = np.frombuffer(body, record, element.count, position)
    same = all((rows[f"n {name}"] == rows[f"n {name}"][0]).all() for name, _, length in element.scalars if length)
    return record if same else None


def _place(found: dict, builder: MeshBuilder) -> None:
    vertex = found["vertex"]
    if not all(axis in vertex for axis in "xy"):
        raise builder.fail(f"the vertices have no x and y, only {list(vertex)}")
    axes = [np.asarray(vertex[axis]) for axis in "xyz" if axis in vertex]
    builder.points = np.stack(axes, axis=1).astype(np.result_type(*axes).newbyteorder("="))
    for name, values in vertex.items():
        if name in ("x", "y", "z"):
            continue
        if isinstance(values, list):
            builder.lost(f"vertex property {name!r} (lists)")
        else:
            builder.point_data[name] = np.asarray(values)
    faces = found.pop("face", None)
    if faces:
        _place_faces(faces, builder)
    edges = found.pop("edge", None)
    if edges and {"vertex1", "vertex2"} <= set(edges):
        table = np.stack([edges["vertex1"], edges["vertex2"]], axis=1).astype(np.int64)
        check_indices(builder, table.ravel(), len(builder.points))
        block = builder.add_cells("line", table)
        for name in set(edges) - {"vertex1", "vertex2"}:
            builder.add_cell_data(name, block, np.asarray(edges[name]))
    for name, columns in found.items():
        if name != "vertex" and any(len(values) for values in columns.values()):
            builder.lost(f"elements {name!r}")


def _place_faces(faces: dict, builder: MeshBuilder) -> None:
    corners = next((faces[name] for name in _CORNERS if name in faces), None)
    if corners is None:
        raise builder.fail(f"the faces have no {_CORNERS[0]}, only {list(faces)}")
    if isinstance(corners, list):
        sizes = np.array([len(row) for row in corners], np.int64)
        members = np.array([node for row in corners for node in row], np.int64)
    else:
        sizes = np.full(len(corners), corners.shape[1], np.int64)
        members = corners.astype(np.int64).ravel()
    assert builder.points is not None
    check_indices(builder, members, len(builder.points))
    blocks = add_faces(builder, sizes, members)
    for name, values in faces.items():
        if name in _CORNERS:
            continue
        if isinstance(values, list) and len({len(row) for row in values}) > 1:
            builder.lost(f"face property {name!r} (lists of unlike length)")
            continue
        for block, rows in blocks:
            builder.add_cell_data(name, block, np.asarray(values)[rows])


def write(mesh: Mesh, path: Path, binary: bool = True) -> list[str]:
    """Write points, triangles, quads, polygons and lines; vectors become one property per component (name_0,
    name_1)."""
    from meshlearn.io.formats.ply_write import write_ply

    return write_ply(mesh, path, binary)
