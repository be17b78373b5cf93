"""VTK legacy files (.vtk), versions 1 to 5, ASCII and binary: unstructured and structured grids, polygonal data."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from meshlearn.io.builder import MeshBuilder
from meshlearn.io.formats.vtk_text import LegacyText
from meshlearn.io.structured import grid_cells
from meshlearn.io.vtk_model import VtkArrays, check_face_stream, to_builder

POLY_SECTIONS = {"VERTICES": (1, 2), "LINES": (3, 4), "POLYGONS": (5, 7), "TRIANGLE_STRIPS": (6, 6)}


def read(path: Path) -> MeshBuilder:
    """Read a legacy file."""
    builder = MeshBuilder(path, "VTK legacy file")
    text = LegacyText(path.read_bytes(), builder)
    dataset, arrays = _geometry(text, builder)
    _attributes(text, arrays, builder)
    if dataset == "UNSTRUCTURED_GRID":
        _split_polyhedra(arrays, builder)
    return to_builder(arrays, builder)


def _geometry(text: LegacyText, builder: MeshBuilder) -> tuple[str, VtkArrays]:
    """Everything up to POINT_DATA or CELL_DATA; the word that ended it is left in the text."""
    dataset = ""
    points: np.ndarray | None = None
    cells: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    types = np.zeros(0, np.int64)
    grid: dict[str, np.ndarray] = {}
    fields: dict[str, np.ndarray] = {}
    while (words := text.peek()) and words[0].upper() not in ("POINT_DATA", "CELL_DATA"):
        text.line()
        key = words[0].upper()
        if key == "DATASET" and len(words) > 1:
            dataset = words[1].upper()
        elif key == "FIELD":
            fields |= text.field(int(words[2]))
        elif key == "METADATA":
            text.skip_metadata()
        elif key == "POINTS":
            points = text.numbers(3 * int(words[1]), words[2], "POINTS").reshape(-1, 3)
        elif key == "CELLS" or key in POLY_SECTIONS:
            cells[key] = text.cells(int(words[1]), int(words[2]), key)
        elif key == "CELL_TYPES":
            types = text.numbers(int(words[1]), "int", "CELL_TYPES").astype(np.int64)
        elif key in ("DIMENSIONS", "ORIGIN", "SPACING", "ASPECT_RATIO"):
            grid[key.replace("ASPECT_RATIO", "SPACING")] = np.array([float(word) for word in words[1:4]])
        elif key in ("X_COORDINATES", "Y_COORDINATES", "Z_COORDINATES"):
            grid[key[0]] = text.numbers(int(words[1]), words[2], key)
        else:
            raise builder.fail(f"unknown section {words[0]!r}; is the section before it shorter than announced?")
    if not dataset:
        raise builder.fail("there is no DATASET line")
    empty = np.zeros(0, np.int64)
    if dataset == "UNSTRUCTURED_GRID":
        offsets, connectivity = cells.get("CELLS", (empty, empty))
        arrays = VtkArrays(_found(points, builder), types, offsets, connectivity)
    elif dataset == "POLYDATA":
        arrays = poly_arrays(_found(points, builder), [(key, *cells[key]) for key in POLY_SECTIONS if key in cells])
    elif dataset in ("STRUCTURED_POINTS", "STRUCTURED_GRID", "RECTILINEAR_GRID") and "DIMENSIONS" in grid:
        arrays = _structured(dataset, points, grid, builder)
    else:
        raise builder.fail(
            f"data set {dataset!r} is not supported; UNSTRUCTURED_GRID, POLYDATA and structured grids are"
        )
    arrays.field_data = fields
    return dataset, arrays


def _found(points: np.ndarray | None, builder: MeshBuilder) -> np.ndarray:
    if points is None:
        raise builder.fail("there is no POINTS section")
    return points


def poly_arrays(points: np.ndarray, sections: list[tuple[str, np.ndarray, np.ndarray]]) -> VtkArrays:
    """PolyData as an unstructured grid: a section holds cells of a common size's type, and of the general type."""
    types, ends, connectivity, last = [], [], [], 0
    for key, offsets, members in sections:
        single, general = POLY_SECTIONS[key]
        sizes = np.diff(offsets, prepend=0)
        kinds = np.full(len(sizes), general, np.int64)
        kinds[sizes == {"VERTICES": 1, "LINES": 2, "POLYGONS": 3, "TRIANGLE_STRIPS": -1}[key]] = single
        if key == "POLYGONS":
            kinds[sizes == 4] = 9
        types.append(kinds)
        ends.append(offsets + last)
        connectivity.append(members)
        last += int(offsets[-1]) if len(offsets) else 0
    empty = [np.zeros(0, np.int64)]
    return VtkArrays(
        points, np.concatenate(types or empty), np.concatenate(ends or empty), np.concatenate(connectivity or empty)
    )


def _structured(
    dataset: str, points: np.ndarray | None, grid: dict[str, np.ndarray], builder: MeshBuilder
) -> VtkArrays:
    shape = [int(count) for count in grid["DIMENSIONS"]]
    if points is None:
        if dataset == "RECTILINEAR_GRID":
            axes = [grid.get(axis, np.zeros(1)) for axis in "XYZ"]
        else:
            origin, spacing = grid.get("ORIGIN", np.zeros(3)), grid.get("SPACING", np.ones(3))
            axes = [origin[k] + spacing[k] * np.arange(shape[k]) for k in range(3)]
        z, y, x = np.meshgrid(axes[2], axes[1], axes[0], indexing="ij")
        points = np.stack([x.ravel(), y.ravel(), z.ravel()], axis=1)
    if len(points) != np.prod(shape):
        raise builder.fail(f"dimensions {shape} need {np.prod(shape)} points, {len(points)} are present")
    number, table = grid_cells(shape)
    builder.note(f"a structured grid of {' x '.join(map(str, shape))} points was read as unstructured cells")
    ends = np.arange(1, len(table) + 1) * table.shape[1]
    return VtkArrays(points, np.full(len(table), number), ends, table.ravel())


def _attributes(text: LegacyText, arrays: VtkArrays, builder: MeshBuilder) -> None:
    target, rows, where = arrays.point_data, 0, ""
    while words := text.peek():
        text.line()
        key = words[0].upper()
        if key in ("POINT_DATA", "CELL_DATA"):
            rows, where = int(words[1]), key
            target = arrays.point_data if key == "POINT_DATA" else arrays.cell_data
            expected = len(arrays.points) if key == "POINT_DATA" else len(arrays.types)
            if rows != expected:
                raise builder.fail(
                    f"{key} announces {rows} values for {expected} {'points' if key[0] == 'P' else 'cells'}"
                )
        elif key == "METADATA":
            text.skip_metadata()
        elif key == "FIELD":
            found = text.field(int(words[2]))
            for name, values in found.items():
                if len(values) != rows:
                    raise builder.fail(f"array {name!r} has {len(values)} rows, {where} announces {rows}")
            target |= found
        elif key == "LOOKUP_TABLE":
            text.numbers(4 * int(words[2]), "unsigned_char" if text.binary else "float", key)
            builder.lost(f"colour table {words[1]!r}")
        else:
            name, values = text.attribute(key, words, rows)
            target[name] = values
    if where and not (arrays.point_data or arrays.cell_data):
        builder.note(f"{where} announces data, but there is no array")


def _split_polyhedra(arrays: VtkArrays, builder: MeshBuilder) -> None:
    """In legacy files the points of a polyhedron are its face stream."""
    polyhedra = np.flatnonzero(arrays.types == 42)
    if not len(polyhedra):
        return
    starts = np.concatenate([[0], arrays.offsets[:-1]])
    rows = [arrays.connectivity[s:e] for s, e in zip(starts.tolist(), arrays.offsets.tolist(), strict=True)]
    streams = [rows[cell] for cell in polyhedra]
    for cell, stream in zip(polyhedra.tolist(), streams, strict=True):
        rows[cell] = check_face_stream(stream, len(arrays.points), builder.fail)
    arrays.connectivity = np.concatenate(rows)
    arrays.offsets = np.array([len(row) for row in rows]).cumsum()
    arrays.faces = np.concatenate(streams)
    arrays.face_offsets = np.full(len(arrays.types), -1, np.int64)
    arrays.face_offsets[polyhedra] = np.array([len(stream) for stream in streams]).cumsum()


def write(mesh, path: Path, binary: bool = True) -> list[str]:
    """Write a legacy file, version 5.1, that holds everything."""
    from meshlearn.io.formats.vtk_legacy_write import write_legacy

    write_legacy(mesh, path, binary)
    return []
