"""pyvista.UnstructuredGrid (or any data set) <-> Mesh."""

from __future__ import annotations

from typing import Any

import numpy as np

from meshlearn.errors import MeshError, require
from meshlearn.io.bridges.lost import not_a
from meshlearn.io.builder import MeshBuilder
from meshlearn.io.tensors import plain_array
from meshlearn.io.vtk_export import from_mesh
from meshlearn.io.vtk_model import VtkArrays, to_builder
from meshlearn.mesh.mesh import Mesh


def from_pyvista(grid: Any, source: str | None = None, dim: str | int = "auto") -> Mesh:
    """From a pyvista data set; surfaces and structured grids are cast to unstructured grids first.

    dim  as in `ml.read`: "auto" reads a mesh in space whose z are all 0 as a plane mesh, 3 keeps z

    Raises MissingDependencyError without pyvista, MeshError for what is no data set, and for a MultiBlock, which holds
    several.
    """
    require("pyvista", "viz", "from_pyvista")
    import pyvista

    if isinstance(grid, pyvista.MultiBlock):
        raise MeshError(
            f"a pyvista.MultiBlock holds several data sets ({', '.join(map(repr, grid.keys()))}); from_pyvista takes "
            "one.\n  one of them: Mesh.from_pyvista(blocks[0]); all of them joined: Mesh.from_pyvista(blocks.combine())"
        )
    if not isinstance(grid, pyvista.DataSet):
        raise not_a("a pyvista data set (UnstructuredGrid, PolyData, StructuredGrid ...)", grid)
    builder = MeshBuilder(source or type(grid).__name__, "pyvista data set")
    builder.owns_arrays = False
    if not isinstance(grid, pyvista.UnstructuredGrid):
        grid = grid.cast_to_unstructured_grid()
    arrays = VtkArrays(
        points=np.array(grid.points),
        types=np.array(grid.celltypes, np.int64),
        offsets=np.array(grid.cell_offsets if hasattr(grid, "cell_offsets") else grid.offset, np.int64)[1:],
        connectivity=np.array(grid.cell_connectivity, np.int64),
        point_data=_fields(grid.point_data, builder),
        cell_data=_fields(grid.cell_data, builder),
        field_data=_fields(grid.field_data, builder),
    )
    if (arrays.types == 42).any():
        _faces(grid, arrays)
    mesh = to_builder(arrays, builder).build(dim)
    assert isinstance(mesh, Mesh)
    return mesh.replace(source=source)


def _fields(fields: Any, builder: MeshBuilder) -> dict[str, np.ndarray]:
    found = {}
    for name in fields.keys():  # noqa: SIM118 - pyvista's mapping iterates over pairs in some versions
        values = np.asarray(fields[name])
        if values.dtype.kind not in "biufc":
            builder.lost(f"array {name!r} of type {values.dtype}")
            continue
        values = plain_array(values)
        found[name] = values.reshape(len(values), -1) if values.ndim else values.reshape(1, 1)
    return found


def _faces(grid: Any, arrays: VtkArrays) -> None:
    streams, ends, total = [], np.full(len(arrays.types), -1, np.int64), 0
    for cell in np.flatnonzero(arrays.types == 42).tolist():
        faces = [list(face.point_ids) for face in grid.get_cell(cell).faces]
        stream = [len(faces), *(value for face in faces for value in (len(face), *face))]
        total += len(stream)
        ends[cell] = total
        streams += stream
    arrays.faces, arrays.face_offsets = np.array(streams, np.int64), ends


def to_pyvista(mesh: Mesh) -> Any:
    """To a `pyvista.UnstructuredGrid` with all fields and tags (tags in its field data, as in our .vtu files).

    Raises MissingDependencyError without pyvista, MeshWriteError for kinds of cells that VTK does not have.
    """
    pyvista = require("pyvista", "viz", "to_pyvista")
    arrays = from_mesh(mesh)
    arrays.points = np.array(arrays.points)
    if arrays.faces is not None and arrays.face_offsets is not None:
        grid = pyvista.UnstructuredGrid(*_cells_with_faces(arrays), arrays.types.astype(np.uint8), arrays.points)
    elif len(arrays.types):
        starts = np.concatenate([[0], arrays.offsets[:-1]])
        cells = np.insert(arrays.connectivity, starts, arrays.offsets - starts)
        grid = pyvista.UnstructuredGrid(cells, arrays.types.astype(np.uint8), arrays.points)
    else:
        grid = pyvista.UnstructuredGrid()
        grid.points = arrays.points
    for target, fields in ((grid.point_data, arrays.point_data), (grid.cell_data, arrays.cell_data)):
        for name, values in fields.items():
            target[name] = np.array(values[:, 0] if values.shape[1] == 1 else values)
    for name, values in arrays.field_data.items():
        if values.size:
            grid.field_data[name] = np.array(values[:, 0] if values.shape[1] == 1 else values)
    return grid


def _cells_with_faces(arrays: VtkArrays) -> tuple[np.ndarray]:
    """VTK's flat cell array, in which polyhedra stand as face streams."""
    assert arrays.faces is not None
    assert arrays.face_offsets is not None
    rows, start, face_start = [], 0, 0
    for end, faces_end in zip(arrays.offsets.tolist(), arrays.face_offsets.tolist(), strict=True):
        row = arrays.connectivity[start:end]
        if faces_end >= 0:
            row, face_start = arrays.faces[face_start:faces_end], faces_end
        rows += [np.array([len(row)]), row]
        start = end
    return (np.concatenate(rows),)
