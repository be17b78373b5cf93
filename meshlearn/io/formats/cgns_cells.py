"""The element sections of a CGNS zone."""

from __future__ import annotations

import numpy as np

from meshlearn.io.builder import Block, MeshBuilder
from meshlearn.io.celltypes import NODES
from meshlearn.io.formats.cgns_tree import ELEMENTS, ORDER, Node
from meshlearn.io.vtk_model import ragged_table

Placed = list[tuple[Block, np.ndarray]]  # blocks with the element numbers of their cells


def read_sections(zone: Node, first: int, n_points: int, builder: MeshBuilder) -> Placed:
    """Add the cells of all sections; their points follow `first` others."""
    placed: Placed = []
    faces: dict[int, np.ndarray] = {}
    volumes: list[Node] = []
    surfaces: list[Node] = []
    for section in zone.of("Elements_t"):
        number = int(section.flat()[0])
        start = int(section.flat("ElementRange")[0])
        connectivity = section.flat("ElementConnectivity").astype(np.int64)
        if number in (22, 23):
            (volumes if number == 23 else surfaces).append(section)
            continue
        if number == 20:
            new = _mixed(section, connectivity, start, first, n_points, builder)
        elif number in ELEMENTS:
            kind = ELEMENTS[number]
            if connectivity.size % NODES[kind]:
                raise builder.fail(f"section {section.name!r} does not hold whole {kind} cells")
            table = connectivity.reshape(-1, NODES[kind]) - 1
            new = [_add(kind, table, np.arange(start, start + len(table)), first, n_points, builder)]
        else:
            raise builder.fail(f"section {section.name!r} has element type {number}, which is not supported")
        placed += new
        _name(section, new, builder)
    for section in surfaces:
        start = int(section.flat("ElementRange")[0])
        rows = _ragged(section, builder)
        faces.update(enumerate(rows, start=start))
        if not volumes:
            new = _polygons(rows, start, first, n_points, builder)
            placed += new
            _name(section, new, builder)
    for section in volumes:
        start = int(section.flat("ElementRange")[0])
        streams = []
        for row in _ragged(section, builder):
            members = [faces[abs(int(face))] for face in row]
            stream = [len(members)]
            for face in members:
                stream += [len(face), *(int(node) - 1 + first for node in face)]
            streams.append(stream)
        width = max(map(len, streams), default=1)
        table = np.array([stream + [-1] * (width - len(stream)) for stream in streams], np.int64)
        placed.append((builder.add_cells("polyhedron", table), np.arange(start, start + len(table))))
    return placed


def _name(section: Node, new: Placed, builder: MeshBuilder) -> None:
    if not section.name.lower().startswith(("elements", "elem", "gridelements", "ngon", "nface")):
        for block, _ in new:
            builder.add_cell_set(section.name, block)


def _add(
    kind: str, table: np.ndarray, numbers: np.ndarray, first: int, n_points: int, builder: MeshBuilder
) -> tuple[Block, np.ndarray]:
    if table.size and (int(table.min()) < 0 or int(table.max()) >= n_points):
        raise builder.fail(f"a {kind} cell names a point outside 1 to {n_points}")
    return builder.add_cells(kind, (table[:, ORDER[kind]] if kind in ORDER else table) + first), numbers


def _ragged(section: Node, builder: MeshBuilder) -> list[np.ndarray]:
    flat = section.flat("ElementConnectivity").astype(np.int64)
    offsets = section.array("ElementStartOffset")
    if offsets is not None:
        ends = np.ravel(offsets).astype(np.int64)
        return np.split(flat, ends[1:-1])
    rows, position = [], 0
    while position < len(flat):  # before version 4 the sizes stand between the numbers
        size = int(flat[position])
        if size < 1 or position + size + 1 > len(flat):
            raise builder.fail(f"section {section.name!r} is cut off")
        rows.append(flat[position + 1 : position + 1 + size])
        position += size + 1
    return rows


def _polygons(rows: list[np.ndarray], start: int, first: int, n_points: int, builder: MeshBuilder) -> Placed:
    sizes = np.array([len(row) for row in rows], np.int64)
    members = np.concatenate(rows) - 1
    starts = sizes.cumsum() - sizes
    placed: Placed = []
    for kind, inside in (("triangle", sizes == 3), ("quad", sizes == 4), ("polygon", sizes > 4)):
        chosen = np.flatnonzero(inside)
        if len(chosen):
            table = ragged_table(members, starts[chosen], sizes[chosen])
            if int(table.max()) >= n_points:
                raise builder.fail(f"a {kind} names a point outside 1 to {n_points}")
            placed.append((builder.add_cells(kind, np.where(table >= 0, table + first, -1)), start + chosen))
    return placed


def _mixed(section: Node, flat: np.ndarray, start: int, first: int, n_points: int, builder: MeshBuilder) -> Placed:
    rows: dict[str, list[list[int]]] = {}
    numbers: dict[str, list[int]] = {}
    values, position, element = flat.tolist(), 0, start
    while position < len(values):
        kind = ELEMENTS.get(values[position])
        if kind is None or position + 1 + NODES[kind] > len(values):
            raise builder.fail(
                f"the mixed section {section.name!r} is cut off or names element type {values[position]}"
            )
        rows.setdefault(kind, []).append(values[position + 1 : position + 1 + NODES[kind]])
        numbers.setdefault(kind, []).append(element)
        position, element = position + 1 + NODES[kind], element + 1
    return [
        _add(kind, np.array(found, np.int64) - 1, np.array(numbers[kind]), first, n_points, builder)
        for kind, found in rows.items()
    ]
