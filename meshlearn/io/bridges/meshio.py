"""meshio.Mesh <-> Mesh."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from meshlearn.errors import MeshError
from meshlearn.io.bridges.lost import not_a
from meshlearn.io.builder import Block, MeshBuilder
from meshlearn.io.celltypes import RAGGED
from meshlearn.io.tensors import to_numpy
from meshlearn.mesh.cells import cell_dim
from meshlearn.mesh.mesh import Mesh

_NAMES = {"penta_prism": "pentagonal_prism", "hexa_prism": "hexagonal_prism"}
_LAGRANGE = {"CURVE": "line", "TRIANGLE": "triangle", "QUADRILATERAL": "quad", "TETRAHEDRON": "tetra",
             "HEXAHEDRON": "hexahedron", "WEDGE": "wedge", "PYRAMID": "pyramid"}  # fmt: skip
_PHYSICAL, _BOUNDING = "gmsh:physical", "gmsh:bounding_entities"
# an attribute of meshio meshes made here: {field: kinds of cells that have it}
_HELD = "_meshlearn_cell_data_on"


def from_meshio(mesh: Any, source: str | None = None, dim: str | int = "auto") -> Mesh:
    """From a `meshio.Mesh`; blocks of one kind are joined, `field_data` becomes global data.

    dim  as in `ml.read`: "auto" reads a mesh in space whose z are all 0 as a plane mesh, 3 keeps z

    Gmsh's physical groups become cell sets under their names, as in `ml.read`; the numbers of the entities around
    each entity (`gmsh:bounding_entities`) are left out, and the report says so.
    Raises MeshError for what is no meshio.Mesh, or holds Python objects where numbers are expected.
    """
    if not all(hasattr(mesh, part) for part in ("points", "cells", "cell_sets", "field_data")):
        raise not_a("a meshio.Mesh", mesh)
    builder = MeshBuilder(source or "meshio.Mesh", "meshio.Mesh")
    builder.owns_arrays = False
    fill_from_meshio(mesh, builder)
    result = builder.build(dim)
    assert isinstance(result, Mesh)
    return result.replace(source=source)


def fill_from_meshio(mesh: Any, builder: MeshBuilder) -> None:
    """Put a meshio mesh into a builder."""
    builder.points = np.array(mesh.points)
    if builder.points.ndim != 2:
        raise MeshError(f"meshio.Mesh.points has shape {builder.points.shape}, expected (n_points, dim)")
    blocks = [_block(cells, builder) for cells in mesh.cells]
    for name, values in mesh.point_data.items():
        builder.point_data[name] = np.array(values)
    for name, parts in mesh.cell_data.items():
        _check_parts("cell_data", name, parts, blocks)
        held = getattr(mesh, _HELD, {}).get(name)
        for block, values in zip(blocks, parts, strict=True):
            if held is None or block.kind in held or not _is_filler(values):
                builder.add_cell_data(name, block, np.array(values))
    for name, rows in mesh.point_sets.items():
        builder.point_sets[name] = np.asarray(rows, np.int64)
    for name, parts in mesh.cell_sets.items():
        if name == _BOUNDING:
            builder.note(f"{name!r}: numbers of Gmsh's entities, no set of cells; left out")
            continue
        _check_parts("cell_sets", name, parts, blocks)
        for block, rows in zip(blocks, parts, strict=True):
            if rows is not None and len(rows):
                builder.add_cell_set(name, block, np.asarray(rows, np.int64))
    groups = _physical_groups(mesh, blocks, builder)
    for name, values in (mesh.field_data or {}).items():
        array = np.asarray(values)
        if name in groups:
            continue
        if array.dtype.kind in "biuf":
            builder.global_data[name] = array
        else:
            builder.lost(f"field data {name!r} of type {array.dtype}")


def _physical_groups(mesh: Any, blocks: list[Block], builder: MeshBuilder) -> set[str]:
    """Make cell sets of the numbers in "gmsh:physical"; returns the names that `field_data` has for groups.

    meshio itself makes sets of the named groups of version 4 only. A group whose cells are in a set already needs none.
    """
    if _PHYSICAL not in mesh.cell_data:
        return set()
    named = {name: np.asarray(pair) for name, pair in (mesh.field_data or {}).items()}
    named = {name: pair for name, pair in named.items() if pair.shape == (2,) and pair.dtype.kind in "iu"}
    names = {(int(dim), int(group)): name for name, (group, dim) in named.items()}
    sets = [parts for name, parts in mesh.cell_sets.items() if name != _BOUNDING]
    for k, (block, numbers) in enumerate(zip(blocks, mesh.cell_data[_PHYSICAL], strict=True)):
        for group in np.unique(numbers).tolist():
            name = names.get((cell_dim(block.kind), int(group)), f"physical_{int(group)}")
            rows = np.flatnonzero(numbers == group)
            kept = any(parts[k] is not None and np.isin(rows, parts[k]).all() for parts in sets)
            if group and not kept:
                builder.add_cell_set(name, block, rows)
    return set(named)


def _check_parts(what: str, name: str, parts: Any, blocks: list[Block]) -> None:
    if len(parts) != len(blocks):
        raise MeshError(
            f"meshio.Mesh.{what}[{name!r}] has {len(parts)} parts, the mesh has {len(blocks)} blocks of cells "
            f"({', '.join(block.kind for block in blocks)}); meshio keeps one part per block."
        )


def _block(cells: Any, builder: MeshBuilder) -> Block:
    kind = _NAMES.get(cells.type, cells.type)
    if kind.startswith("polyhedron"):
        streams = [[len(faces), *(v for face in faces for v in (len(face), *map(int, face)))] for faces in cells.data]
        width = max(map(len, streams), default=1)
        table = np.array([row + [-1] * (width - len(row)) for row in streams], np.int64).reshape(-1, width)
        return builder.add_cells("polyhedron", table)
    rows = cells.data
    if isinstance(rows, list):
        width = max(map(len, rows), default=1)
        rows = np.array([list(row) + [-1] * (width - len(row)) for row in rows], np.int64)
    if kind.startswith("VTK_LAGRANGE_"):
        kind = f"lagrange_{_LAGRANGE[kind.removeprefix('VTK_LAGRANGE_')]}{np.shape(rows)[1]}"
    return builder.add_cells(kind, np.array(rows, np.int64))


def to_meshio(mesh: Mesh) -> Any:
    """To a `meshio.Mesh`; ragged kinds become one block per number of nodes, global data becomes `field_data`.

    Cell data that not every kind has is filled with NaN (0 for whole numbers), as meshio wants every block filled;
    `from_meshio` of the same object strips what was filled.
    """
    import meshio
    from meshio._mesh import topological_dimension  # lacks pyramid13, wedge15 and others, which makes CellBlock fail

    for kind in mesh.cells:
        topological_dimension.setdefault(
            {ours: theirs for theirs, ours in _NAMES.items()}.get(kind, kind), cell_dim(kind)
        )
    cells: list[tuple[str, Any]] = []
    rows_of: list[tuple[str, np.ndarray]] = []
    back = {ours: theirs for theirs, ours in _NAMES.items()}
    for kind, tensor in mesh.cells.items():
        table = np.array(to_numpy(tensor))
        if kind not in RAGGED:
            cells.append((back.get(kind, kind), table))
            rows_of.append((kind, np.arange(len(table))))
            continue
        sizes = (table >= 0).sum(axis=1)
        for size in np.unique(sizes).tolist():
            rows = np.flatnonzero(sizes == size)
            if kind == "polyhedron":
                data = [_faces(table[row, :size].tolist()) for row in rows]
                cells.append((f"polyhedron{len(np.unique(np.concatenate([f for c in data for f in c])))}", data))
            else:
                cells.append((kind, table[rows, :size]))
            rows_of.append((kind, rows))
    cell_data = {name: [_values(by, kind, rows) for kind, rows in rows_of] for name, by in mesh.cell_data.items()}
    cell_sets = {
        name: [
            np.flatnonzero(np.isin(rows, to_numpy(by[kind]))) if kind in by else np.zeros(0, np.int64)
            for kind, rows in rows_of
        ]
        for name, by in mesh.cell_sets.items()
    }
    result = meshio.Mesh(
        np.array(to_numpy(mesh.points)),
        cells,
        point_data={name: np.array(to_numpy(tensor)) for name, tensor in mesh.point_data.items()},
        cell_data=cell_data,
        field_data={name: np.array(to_numpy(tensor)) for name, tensor in mesh.global_data.items()},
        point_sets={name: np.array(to_numpy(rows)) for name, rows in mesh.point_sets.items()},
        cell_sets=cell_sets,
    )
    setattr(result, _HELD, {name: list(by) for name, by in mesh.cell_data.items()})
    return result


def _is_filler(values: Any) -> bool:
    """True for a block as `_values` fills it where a kind of cells has no values."""
    array = np.asarray(values)
    return bool(np.isnan(array).all() if array.dtype.kind == "f" else not array.any())


def _values(by_kind: Any, kind: str, rows: np.ndarray) -> np.ndarray:
    if kind in by_kind:
        return to_numpy(by_kind[kind])[rows]
    example: torch.Tensor = next(iter(by_kind.values()))
    filler = np.nan if example.is_floating_point() else 0
    return np.full((len(rows), *example.shape[1:]), filler, to_numpy(example[:0]).dtype)


def _faces(stream: list[int]) -> list[np.ndarray]:
    faces, position = [], 1
    for _ in range(stream[0]):
        size = stream[position]
        faces.append(np.array(stream[position + 1 : position + 1 + size]))
        position += size + 1
    return faces
