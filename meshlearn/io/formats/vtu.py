"""VTK XML unstructured grids: .vtu, and .pvtu that names several of them."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from meshlearn.io.builder import MeshBuilder
from meshlearn.io.vtk_export import from_mesh
from meshlearn.io.vtk_model import VtkArrays, need_rows, to_builder
from meshlearn.io.vtk_xml import TYPES, VtkXml
from meshlearn.io.vtk_xml_write import write_xml
from meshlearn.mesh.mesh import Mesh


def read(path: Path) -> MeshBuilder:
    """Read a .vtu file; several pieces become one mesh."""
    builder = MeshBuilder(path, "VTK XML unstructured grid")
    xml = VtkXml(path)
    grid = xml.root.find("UnstructuredGrid")
    if grid is None:
        raise builder.fail(f"the file holds a VTK {xml.kind!r} data set, no <UnstructuredGrid>")
    pieces = grid.findall("Piece")
    if not pieces:
        raise builder.fail("the file holds no <Piece>")
    parts = [_piece(xml, piece, builder) for piece in pieces]
    arrays = parts[0] if len(parts) == 1 else join(parts, builder)
    arrays.field_data = field_data(xml, grid, builder)
    return to_builder(arrays, builder)


def _piece(xml: VtkXml, piece: ElementTree.Element, builder: MeshBuilder) -> VtkArrays:
    n_points, n_cells = int(piece.get("NumberOfPoints", 0)), int(piece.get("NumberOfCells", 0))
    cells = named_arrays(xml, piece.find("Cells"))
    missing = [name for name in ("connectivity", "offsets", "types") if name not in cells]
    if missing and n_cells:
        raise builder.fail(f"<Cells> has no array {missing[0]!r} for its {n_cells} cells")
    empty = np.zeros(0, np.int64)
    arrays = VtkArrays(
        points=read_points(xml, piece, n_points, builder),
        types=cells.get("types", empty).astype(np.int64, copy=False),
        offsets=cells.get("offsets", empty).astype(np.int64, copy=False),
        connectivity=cells.get("connectivity", empty).astype(np.int64, copy=False),
        point_data=read_fields(xml, piece.find("PointData"), n_points, builder),
        cell_data=read_fields(xml, piece.find("CellData"), n_cells, builder),
    )
    if len(arrays.types) != n_cells:
        raise builder.fail(f"{n_cells} cells are announced, {len(arrays.types)} cell types are present")
    if "faces" in cells:
        arrays.faces = cells["faces"].astype(np.int64)
        arrays.face_offsets = cells["faceoffsets"].astype(np.int64)
    elif "face_connectivity" in cells:
        arrays.faces, arrays.face_offsets = _new_faces(cells, n_cells, builder)
    return arrays


def _new_faces(cells: dict[str, np.ndarray], n_cells: int, builder: MeshBuilder) -> tuple[np.ndarray, np.ndarray]:
    """Face streams from the arrays that VTK 9.4 and later write."""
    try:
        connectivity, face_ends = cells["face_connectivity"].tolist(), cells["face_offsets"].tolist()
        members, member_ends = cells["polyhedron_to_faces"].tolist(), cells["polyhedron_offsets"].tolist()
    except KeyError as error:
        raise builder.fail(f"the polyhedra lack the array {error}") from None
    stream: list[int] = []
    ends, start = [], 0
    for end in member_ends:
        if end > start:
            stream.append(end - start)
            for face in members[start:end]:
                nodes = connectivity[face_ends[face - 1] if face else 0 : face_ends[face]]
                stream += [len(nodes), *nodes]
            ends.append(len(stream))
        else:
            ends.append(-1)
        start = end
    ends += [-1] * (n_cells - len(ends))
    return np.asarray(stream, np.int64), np.asarray(ends, np.int64)


def read_points(xml: VtkXml, piece: ElementTree.Element, n_points: int, builder: MeshBuilder) -> np.ndarray:
    """The (n_points, 3) coordinates of a piece."""
    element = piece.find("Points/DataArray")
    if element is None:
        if n_points:
            raise builder.fail(f"{n_points} points are announced, but there is no <Points> array")
        return np.zeros((0, 3))
    points = xml.array(element)
    if points.size != 3 * n_points:
        raise builder.fail(f"{n_points} points are announced, {points.size} coordinates are present")
    return points.reshape(n_points, 3)


def named_arrays(xml: VtkXml, parent: ElementTree.Element | None) -> dict[str, np.ndarray]:
    """All arrays of an element by name, flat."""
    return {} if parent is None else {e.get("Name", ""): xml.array(e) for e in parent.findall("DataArray")}


def read_fields(
    xml: VtkXml, parent: ElementTree.Element | None, rows: int, builder: MeshBuilder
) -> dict[str, np.ndarray]:
    """The arrays of <PointData> or <CellData> as (rows, components)."""
    fields: dict[str, np.ndarray] = {}
    for index, element in enumerate([] if parent is None else [*parent.findall("DataArray"), *parent.findall("Array")]):
        name = element.get("Name") or f"array_{index}"
        if element.get("type") not in TYPES:
            builder.lost(f"array {name!r} of type {element.get('type')!r}: meshes hold numbers only")
            continue
        components = int(element.get("NumberOfComponents") or 1) or 1
        values = xml.array(element)
        if values.size != rows * components:
            raise builder.fail(
                f"array {name!r} in <{parent.tag if parent is not None else ''}> has {values.size} values, "
                f"expected {rows} x {components}"
            )
        fields[name] = need_rows(values, components, builder.path)
    return fields


def field_data(xml: VtkXml, grid: ElementTree.Element, builder: MeshBuilder) -> dict[str, np.ndarray]:
    """The arrays of <FieldData> as (tuples, components)."""
    fields: dict[str, np.ndarray] = {}
    for parent in [*grid.findall("FieldData"), *xml.root.findall("FieldData")]:
        for element in [*parent.findall("DataArray"), *parent.findall("Array")]:
            name = element.get("Name") or f"array_{len(fields)}"
            if element.get("type") not in TYPES:
                builder.lost(f"field data {name!r} of type {element.get('type')!r}: meshes hold numbers only")
                continue
            fields[name] = need_rows(xml.array(element), int(element.get("NumberOfComponents") or 1), builder.path)
    return fields


def join(parts: list[VtkArrays], builder: MeshBuilder) -> VtkArrays:
    """Several pieces as one data set; arrays that are not in every piece are lost (and said to be)."""
    shift = np.cumsum([0] + [len(part.points) for part in parts[:-1]])
    starts = np.cumsum([0] + [len(part.connectivity) for part in parts[:-1]])
    whole = VtkArrays(
        points=np.concatenate([part.points for part in parts]),
        types=np.concatenate([part.types for part in parts]),
        offsets=np.concatenate([part.offsets + start for part, start in zip(parts, starts, strict=True)]),
        connectivity=np.concatenate([part.connectivity + s for part, s in zip(parts, shift, strict=True)]),
    )
    if any(part.faces is not None for part in parts):
        whole.faces, whole.face_offsets = _join_faces(parts, shift)
    builder.note(f"{len(parts)} pieces were joined")
    for kind in ("point_data", "cell_data"):
        filled = [part for part in parts if len(part.points if kind == "point_data" else part.types)]
        names = dict.fromkeys(name for part in filled for name in getattr(part, kind))
        for name in names:
            columns = [getattr(part, kind).get(name) for part in filled]
            if any(column is None or column.shape[1] != columns[0].shape[1] for column in columns):
                builder.lost(f"{kind.replace('_', ' ')} {name!r} is not in every piece")
                continue
            getattr(whole, kind)[name] = np.concatenate(columns)
    return whole


def _join_faces(parts: list[VtkArrays], shift: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    faces, ends, total = [], [], 0
    for part, offset in zip(parts, shift.tolist(), strict=True):
        part_ends = np.full(len(part.types), -1, np.int64)
        if part.faces is not None and part.face_offsets is not None:
            stream, part_ends, start = part.faces.copy(), part.face_offsets.copy(), 0
            for end in part_ends[part_ends >= 0].tolist():
                position = start + 1
                while position < end:
                    size = int(stream[position])
                    stream[position + 1 : position + 1 + size] += offset
                    position += size + 1
                start = end
            part_ends[part_ends >= 0] += total
            faces.append(stream)
            total += len(stream)
        ends.append(part_ends)
    return np.concatenate(faces), np.concatenate(ends)


def write(mesh: Mesh, path: Path, encoding: str = "raw", compression: str | None = None) -> list[str]:
    """Write a .vtu file that holds everything; encoding "raw" | "base64" | "ascii", compression None | "zlib" |
    "lzma"."""
    write_xml(from_mesh(mesh), path, "UnstructuredGrid", encoding, compression)
    return []
