"""A mesh as VTK's flat arrays, with what VTK lacks kept in `FieldData` (see `vtk_model`)."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from meshlearn.errors import MeshWriteError
from meshlearn.io.celltypes import FROM_VTK, RAGGED, reorder, row_lengths, vtk_number
from meshlearn.io.tensors import file_array, to_numpy
from meshlearn.io.vtk_model import VtkArrays, check_face_stream
from meshlearn.io.vtk_tags import TAGS
from meshlearn.mesh.mesh import Mesh


def from_mesh(mesh: Mesh, order: list[str] | None = None) -> VtkArrays:
    """The mesh's arrays; `order`: the kinds of cells in the order that the file needs (default: the mesh's own)."""
    kinds = list(mesh.cells) if order is None else order
    _refuse_unknown(mesh)
    points = to_numpy(mesh.points)
    arrays = VtkArrays(
        points=np.ascontiguousarray(np.pad(points, ((0, 0), (0, 3 - points.shape[1])))),
        types=np.concatenate(
            [np.full(len(mesh.cells[kind]), vtk_number(kind), np.uint8) for kind in kinds] or [np.zeros(0, np.uint8)]
        ),
        offsets=np.zeros(0, np.int64),
        connectivity=np.zeros(0, np.int64),
    )
    _put_cells(mesh, kinds, arrays)
    tags: dict[str, Any] = {
        "format": 1,
        "dim": mesh.dim,
        "n_points": mesh.n_points,
        "blocks": [[kind, len(mesh.cells[kind])] for kind in kinds],
        "kinds": list(mesh.cells),
        "point_data": {},
        "cell_data": {},
        "global_data": {},
        "point_sets": {},
        "cell_sets": {},
    }
    for name, tensor in mesh.point_data.items():
        values, dtype, shape = file_array(tensor)
        tags["point_data"][name] = {"dtype": dtype, "shape": shape}
        arrays.point_data[name] = values
    for name in mesh.cell_data:
        tags["cell_data"][name] = _put_cell_field(mesh, kinds, name, arrays)
    for name, rows in mesh.point_sets.items():
        tags["point_sets"][name] = f"point_set:{name}"
        arrays.field_data[f"point_set:{name}"] = to_numpy(rows).reshape(-1, 1)
    for name, by_kind in mesh.cell_sets.items():
        tags["cell_sets"][name] = {kind: f"cell_set:{name}:{kind}" for kind in by_kind}
        for kind, rows in by_kind.items():
            arrays.field_data[f"cell_set:{name}:{kind}"] = to_numpy(rows).reshape(-1, 1)
    for name, tensor in mesh.global_data.items():
        values, dtype, _ = file_array(tensor)
        array_name = name if name not in arrays.field_data and name != TAGS else f"global_data:{name}"
        tags["global_data"][name] = {"dtype": dtype, "shape": list(tensor.shape), "array": array_name}
        arrays.field_data[array_name] = values
    text = json.dumps(tags, separators=(",", ":")).encode()
    arrays.field_data[TAGS] = np.frombuffer(text, np.uint8).reshape(-1, 1)
    return arrays


def _refuse_unknown(mesh: Mesh) -> None:
    unknown = [kind for kind, table in mesh.cells.items() if vtk_number(kind) is None]
    if unknown:
        raise MeshWriteError(
            f"VTK has no cell type for {', '.join(unknown)} (mesh cells: {mesh.cell_counts}).\n"
            "  write the native store (.mesh.safetensors), which holds every kind, or .msh for Gmsh's own kinds"
            + (
                "; VTK has pyramid13, which lacks the node at the centre of the base."
                if "pyramid14" in unknown
                else "."
            )
        )


def _put_cells(mesh: Mesh, kinds: list[str], arrays: VtkArrays) -> None:
    connectivity, sizes, faces, face_sizes = [], [], [], []
    for kind in kinds:
        table = to_numpy(mesh.cells[kind])
        face_size = np.full(len(table), -1, np.int64)
        if kind == "polyhedron":
            lengths = row_lengths(table)
            streams = [row[:length] for row, length in zip(table, lengths, strict=True)]
            members = [check_face_stream(stream, mesh.n_points, MeshWriteError) for stream in streams]
            connectivity += members
            sizes.append(np.array([len(member) for member in members], np.int64))
            faces += streams
            face_size = lengths
        elif kind in RAGGED:
            connectivity.append(table[table >= 0])
            sizes.append(row_lengths(table))
        else:
            connectivity.append(reorder(kind, table, FROM_VTK, back=True).ravel())
            sizes.append(np.full(len(table), table.shape[1], np.int64))
        face_sizes.append(face_size)
    if kinds:
        arrays.connectivity = np.concatenate(connectivity) if connectivity else arrays.connectivity
        arrays.offsets = np.concatenate(sizes).cumsum()
    if faces:
        arrays.faces = np.concatenate(faces)
        size = np.concatenate(face_sizes)
        ends = np.where(size > 0, size, 0).cumsum()
        arrays.face_offsets = np.where(size > 0, ends, -1)


def _put_cell_field(mesh: Mesh, kinds: list[str], name: str, arrays: VtkArrays) -> list[dict[str, Any]]:
    """One array over all cells per (type, shape); kinds without the field are filled with NaN or 0."""
    by_kind = mesh.cell_data[name]
    groups: dict[tuple[str, tuple[int, ...]], dict[str, np.ndarray]] = {}
    for kind, tensor in by_kind.items():
        values, dtype, shape = file_array(tensor)
        groups.setdefault((dtype, tuple(shape)), {})[kind] = values
    entries = []
    for (dtype, trailing), parts in groups.items():
        first = next(iter(parts.values()))
        filler = np.nan if first.dtype.kind == "f" else 0
        array_name = name
        while array_name in arrays.cell_data:
            array_name += ":" + "+".join(parts)
        blank = {kind: len(mesh.cells[kind]) for kind in kinds if kind not in parts}
        rows = [
            np.full((blank[kind], first.shape[1]), filler, first.dtype) if kind in blank else parts[kind]
            for kind in kinds
        ]
        arrays.cell_data[array_name] = np.concatenate(rows)
        entries.append({"array": array_name, "kinds": list(parts), "dtype": dtype, "shape": list(trailing)})
    return entries
