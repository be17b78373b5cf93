"""VTK XML polygonal data (.vtp): vertices, lines, polygons and triangle strips."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from meshlearn.io.builder import MeshBuilder
from meshlearn.io.formats.vtk_legacy import poly_arrays
from meshlearn.io.formats.vtu import field_data, join, named_arrays, read_fields, read_points
from meshlearn.io.losses import PARTS, unheld
from meshlearn.io.vtk_export import from_mesh
from meshlearn.io.vtk_model import VtkArrays, to_builder
from meshlearn.io.vtk_xml import VtkXml
from meshlearn.io.vtk_xml_write import write_xml
from meshlearn.mesh.mesh import Mesh

_SECTIONS = {"Verts": "VERTICES", "Lines": "LINES", "Polys": "POLYGONS", "Strips": "TRIANGLE_STRIPS"}
_KINDS = {"vertex": "Verts", "poly_vertex": "Verts", "line": "Lines", "poly_line": "Lines", "triangle": "Polys",
          "quad": "Polys", "polygon": "Polys", "triangle_strip": "Strips"}  # fmt: skip
_NUMBERS = {1: "Verts", 2: "Verts", 3: "Lines", 4: "Lines", 5: "Polys", 9: "Polys", 7: "Polys", 6: "Strips"}


def read(path: Path) -> MeshBuilder:
    """Read a .vtp file."""
    builder = MeshBuilder(path, "VTK XML polygonal data")
    xml = VtkXml(path)
    data = xml.root.find("PolyData")
    if data is None or not data.findall("Piece"):
        raise builder.fail(f"the file holds a VTK {xml.kind!r} data set, no <PolyData> with a <Piece>")
    parts = []
    for piece in data.findall("Piece"):
        sections = []
        for tag, key in _SECTIONS.items():
            arrays = named_arrays(xml, piece.find(tag))
            if int(piece.get(f"NumberOf{tag}", 0)):
                if "offsets" not in arrays or "connectivity" not in arrays:
                    raise builder.fail(f"<{tag}> has no offsets or no connectivity")
                sections.append((key, arrays["offsets"].astype(np.int64), arrays["connectivity"].astype(np.int64)))
        part = poly_arrays(read_points(xml, piece, int(piece.get("NumberOfPoints", 0)), builder), sections)
        part.point_data = read_fields(xml, piece.find("PointData"), len(part.points), builder)
        part.cell_data = read_fields(xml, piece.find("CellData"), len(part.types), builder)
        parts.append(part)
    whole = parts[0] if len(parts) == 1 else join(parts, builder)
    whole.field_data = field_data(xml, data, builder)
    return to_builder(whole, builder)


def section_arrays(arrays: VtkArrays) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """{section: (connectivity, ends)} of cells that are sorted by section already."""
    sections = {}
    starts = np.concatenate([[0], arrays.offsets[:-1]]) if len(arrays.types) else np.zeros(0, np.int64)
    belongs = np.array([_NUMBERS[int(number)] for number in arrays.types], object)
    for tag in _SECTIONS:
        rows = np.flatnonzero(belongs == tag)
        if len(rows):
            first, last = int(starts[rows[0]]), int(arrays.offsets[rows[-1]])
            sections[tag] = (arrays.connectivity[first:last], arrays.offsets[rows] - first)
        else:
            sections[tag] = (np.zeros(0, np.int64), np.zeros(0, np.int64))
    return sections


def write(mesh: Mesh, path: Path, encoding: str = "raw", compression: str | None = None) -> list[str]:
    """Write a surface, curve or point mesh with all its data and tags."""
    losses = unheld(mesh, "VTK polygonal data", _KINDS, PARTS)
    kept = [kind for kind in mesh.cells if kind in _KINDS]
    if losses:
        mesh = _only(mesh, kept)
    order = sorted(kept, key=lambda kind: list(_SECTIONS).index(_KINDS[kind]))
    write_xml(from_mesh(mesh, order), path, "PolyData", encoding, compression)
    return losses


def _only(mesh: Mesh, kinds: list[str]) -> Mesh:
    """The mesh with these kinds of cells alone."""

    def cut(nested):
        return {n: {k: v for k, v in by.items() if k in kinds} for n, by in nested.items()}

    cells = {kind: mesh.cells[kind] for kind in kinds}
    return mesh._replaced(cells=cells, cell_data=cut(mesh.cell_data), cell_sets=cut(mesh.cell_sets))
