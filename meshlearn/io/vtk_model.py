"""VTK's data model (types, offsets, connectivity, flat arrays): shared by .vtu, .vtp, .vtk and the pyvista bridge.

VTK has no tags, no fields of more than one axis, no booleans and always three coordinates. What it lacks is kept
beside the data in `FieldData`, so that our own files come back exactly and other programs still see everything:

- `point_set:NAME` and `cell_set:NAME:TYPE` are int64 arrays of 0-based numbers (of points; of cells of that type);
- `meshlearn` is a uint8 array with JSON text: space dimension, order and sizes of the blocks of cells, exact shapes and
  types. It is ignored, with a warning, when another program has since changed the number of points or cells.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from meshlearn.errors import MeshReadError
from meshlearn.io.builder import Block, MeshBuilder
from meshlearn.io.celltypes import FROM_VTK, NODES, RAGGED, TO_VTK, reorder, vtk_name
from meshlearn.io.counts import counted
from meshlearn.io.vtk_tags import apply_tags, parse_tags
from meshlearn.io.wedges import inside_out

_NODES_OF_TYPE = {TO_VTK[name]: count for name, count in NODES.items() if name in TO_VTK}
_RAGGED_NUMBERS = {TO_VTK[name] for name in RAGGED}


@dataclass
class VtkArrays:
    """A VTK data set as flat arrays; `offsets` are the ends of the cells, as in .vtu files."""

    points: np.ndarray  # (n_points, 3)
    types: np.ndarray  # (n_cells,) uint8
    offsets: np.ndarray  # (n_cells,) int64, ends
    connectivity: np.ndarray  # int64
    faces: np.ndarray | None = None  # face streams of the polyhedra, one after the other
    face_offsets: np.ndarray | None = None  # (n_cells,) ends in `faces`, -1 for other cells
    point_data: dict[str, np.ndarray] = field(default_factory=dict)
    cell_data: dict[str, np.ndarray] = field(default_factory=dict)
    field_data: dict[str, np.ndarray] = field(default_factory=dict)


def to_builder(arrays: VtkArrays, builder: MeshBuilder) -> MeshBuilder:
    """Put a VTK data set into a builder (points, cells, arrays, and the tags of our own files)."""
    _check(arrays, builder)
    builder.points = arrays.points
    tags = parse_tags(arrays.field_data, len(arrays.points), len(arrays.types), builder)
    blocks = _add_cells(arrays, builder, tags)
    apply_tags(arrays.point_data, arrays.cell_data, arrays.field_data, blocks, tags, builder)
    return builder


def _check(arrays: VtkArrays, builder: MeshBuilder) -> None:
    n_points, n_cells = len(arrays.points), len(arrays.types)
    if len(arrays.offsets) != n_cells:
        raise builder.fail(f"{len(arrays.offsets)} cell offsets for {n_cells} cell types")
    last = int(arrays.offsets[-1]) if n_cells else 0
    if last != len(arrays.connectivity):
        raise builder.fail(f"the cells name {last} points, the connectivity holds {len(arrays.connectivity)}")
    if n_cells and (np.diff(arrays.offsets, prepend=0) < 0).any():
        raise builder.fail("the cell offsets do not ascend")
    for where, data, rows, what in (
        ("point", arrays.point_data, n_points, "points"),
        ("cell", arrays.cell_data, n_cells, "cells"),
    ):
        for name, values in data.items():
            if len(values) != rows:
                raise builder.fail(f"{where} data {name!r} has {len(values)} rows for {rows} {what}")


def _add_cells(arrays: VtkArrays, builder: MeshBuilder, tags: dict | None) -> list[tuple[Block, np.ndarray | slice]]:
    """Add the cells; returns each block with its cells' positions in the file."""
    types, n_cells = arrays.types, len(arrays.types)
    starts = np.concatenate([[0], arrays.offsets[:-1]]) if n_cells else np.zeros(0, np.int64)
    sizes = arrays.offsets - starts
    blocks: list[tuple[Block, np.ndarray | slice]] = []
    if tags is not None:
        first = 0
        for kind, count in tags["blocks"]:
            table = _table(arrays, builder, kind, starts[first : first + count], sizes[first : first + count], first)
            blocks.append((builder.add_cells(kind, table), slice(first, first + count)))
            first += count
        builder.keep_kinds_in_order(tags["kinds"])
        return blocks
    for number in _in_order_of_appearance(types):
        rows: np.ndarray | slice = slice(0, n_cells)
        if not (types == number).all():
            rows = np.flatnonzero(types == number)
        counts = sizes[rows]
        if number == 0:
            builder.note(f"{counted(len(counts), 'empty cell')} (VTK type 0) left out")
            continue
        if number in _RAGGED_NUMBERS:
            name = vtk_name(int(number), 0)
            assert name is not None
            table = _table(arrays, builder, name, starts[rows], counts, rows)
            blocks.append((builder.add_cells(name, table), rows))
            continue
        for count in np.unique(counts):  # one size, except for cells of arbitrary order
            name = vtk_name(int(number), int(count))
            if name is None:
                raise builder.fail(f"cell type {number} is not one of VTK's (in {counted(len(counts), 'cell')})")
            some = rows if (counts == count).all() else np.arange(n_cells)[rows][counts == count]
            table = _table(arrays, builder, name, starts[some], sizes[some], some)
            name, table = _turned(name, table, arrays.points, builder)
            blocks.append((builder.add_cells(name, table), some))
    return blocks


def _in_order_of_appearance(types: np.ndarray) -> list[int]:
    if len(types) and (types == types[0]).all():
        return [int(types[0])]
    numbers, first = np.unique(types, return_index=True)
    return [int(number) for number in numbers[np.argsort(first)]]


def _table(
    arrays: VtkArrays,
    builder: MeshBuilder,
    kind: str,
    starts: np.ndarray,
    sizes: np.ndarray,
    rows: np.ndarray | slice | int,
) -> np.ndarray:
    """Rows of node numbers of the given cells."""
    if kind == "polyhedron":
        return _face_streams(arrays, builder, rows, len(starts))
    expected = _NODES_OF_TYPE.get(TO_VTK.get(kind, -1))
    if kind not in RAGGED:
        if len(sizes) == 0:
            return np.zeros((0, expected or 1), np.int64)
        width = int(sizes[0]) if expected is None else expected
        if (sizes != width).any():
            raise builder.fail(f"a {kind} cell has {int(sizes[sizes != width][0])} points, expected {width}")
        if int(starts[-1]) + width - int(starts[0]) == width * len(starts):
            table = arrays.connectivity[int(starts[0]) : int(starts[-1]) + width].reshape(-1, width)
        else:
            table = arrays.connectivity[starts[:, None] + np.arange(width)]
        return reorder(kind, table, FROM_VTK) if kind == "wedge" else table
    return ragged_table(arrays.connectivity, starts, sizes)


def ragged_table(values: np.ndarray, starts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Rows values[start : start + size], padded with -1."""
    width = int(sizes.max()) if len(sizes) else 1
    columns = np.arange(width)
    inside = columns < sizes[:, None]
    table = np.full((len(starts), width), -1, np.int64)
    table[inside] = values[(starts[:, None] + columns)[inside]]
    return table


def _face_streams(arrays: VtkArrays, builder: MeshBuilder, rows: np.ndarray | slice | int, count: int) -> np.ndarray:
    if arrays.faces is None or arrays.face_offsets is None:
        raise builder.fail("the file has polyhedra but no faces for them")
    cells = np.arange(rows, rows + count) if isinstance(rows, int) else np.arange(len(arrays.types))[rows]
    ends = arrays.face_offsets
    if len(ends) != len(arrays.types):
        raise builder.fail(f"{len(ends)} face offsets for {len(arrays.types)} cells")
    with_faces = np.flatnonzero(ends >= 0)
    previous = np.zeros(len(ends), np.int64)
    previous[with_faces[1:]] = ends[with_faces[:-1]]
    starts, sizes = previous[cells], ends[cells] - previous[cells]
    if (sizes <= 0).any() or (len(cells) and int(ends[cells].max()) > len(arrays.faces)):
        raise builder.fail("the face offsets of the polyhedra do not fit their faces")
    for start, size in zip(starts.tolist(), sizes.tolist(), strict=True):
        check_face_stream(arrays.faces[start : start + size], len(arrays.points), builder.fail)
    return ragged_table(arrays.faces, starts, sizes)


def check_face_stream(stream: np.ndarray, n_points: int, fail) -> np.ndarray:
    """The points named by a polyhedron's face stream; raises if its counts do not add up."""
    values, position, members = stream.tolist(), 1, []
    for _ in range(values[0]):
        size = values[position] if position < len(values) else -1
        if size < 1 or position + size + 1 > len(values):
            raise fail("the face stream of a polyhedron is cut off")
        members += values[position + 1 : position + 1 + size]
        position += size + 1
    if position != len(values) or not members or min(members) < 0 or max(members) >= n_points:
        raise fail(f"the face stream of a polyhedron is wrong: {values[:12]} ... for {n_points} points")
    return np.unique(np.asarray(members, np.int64))


def _turned(kind: str, table: np.ndarray, points: np.ndarray, builder: MeshBuilder) -> tuple[str, np.ndarray]:
    """Kinds that VTK knows in a second node order, in ours."""
    if kind == "voxel":
        builder.note(f"{counted(len(table), 'voxel cell')} read as hexahedra")
        return "hexahedron", table[:, [0, 1, 3, 2, 4, 5, 7, 6]]
    if kind == "pixel":
        builder.note(f"{counted(len(table), 'pixel cell')} read as quads")
        return "quad", table[:, [0, 1, 3, 2]]
    if kind == "wedge" and inside_out(table, points):
        builder.note("wedges are stored with their base turned against VTK's documentation; they were read as meant")
        return kind, reorder(kind, table, FROM_VTK)
    return kind, table


def need_rows(values: np.ndarray, components: int, path: object) -> np.ndarray:
    """Flat values as rows of `components`; raises if they do not divide."""
    if components < 1 or values.size % components:
        raise MeshReadError(f"{path}: {values.size} values cannot be rows of {components} components")
    return values.reshape(-1, components)
