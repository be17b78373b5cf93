"""VTK parallel files (.pvtu): the pieces lie in .vtu files beside."""

from __future__ import annotations

from pathlib import Path

from meshlearn.io.builder import MeshBuilder
from meshlearn.io.formats import vtu
from meshlearn.io.vtk_model import to_builder
from meshlearn.io.vtk_xml import VtkXml


def read(path: Path) -> MeshBuilder:
    """Read all pieces and join them; points on the seams stay doubled, as in the files."""
    builder = MeshBuilder(path, "VTK XML parallel unstructured grid")
    grid = VtkXml(path).root.find("PUnstructuredGrid")
    sources = [] if grid is None else [piece.get("Source", "") for piece in grid.findall("Piece")]
    if not sources:
        raise builder.fail("the file names no pieces")
    parts = []
    for source in sources:
        file = path.parent / source
        if not file.is_file():
            raise builder.fail(f"the piece {source!r} is missing from {path.parent}")
        xml = VtkXml(file)
        data = xml.root.find("UnstructuredGrid")
        if data is None:
            raise builder.fail(f"the piece {source!r} holds a VTK {xml.kind!r} data set")
        parts += [vtu._piece(xml, piece, builder) for piece in data.findall("Piece")]
        fields = vtu.field_data(xml, data, builder)
    if any("vtkGhostType" in part.point_data or "vtkGhostType" in part.cell_data for part in parts):
        builder.note("the pieces overlap (ghost cells); see the array vtkGhostType")
    arrays = vtu.join(parts, builder) if len(parts) > 1 else parts[0]
    arrays.field_data = {name: values for name, values in fields.items() if name != "meshlearn"}
    if len(parts) > 1:
        builder.note("points on the seams of the pieces are there once per piece")
    return to_builder(arrays, builder)
